package config

import "fmt"

// claims are the criteria by which certificates are claimed, without who claims them.
type claims map[CertificateMatch]*CertificateMatch

// criterion is a match stripped of whose it is, so that equal criteria are equal.
func criterion(m *CertificateMatch) CertificateMatch {
	key := *m
	key.Consumer, key.Origin = nil, Origin{}
	for _, pattern := range key.Patterns.all() {
		pattern.whole = nil // equal texts are equal patterns
	}
	return key
}

// consumersDistinct reports consumers that claim the same certificates: by the same criteria, or one by some of another's,
// so that each certificate of the second is the first's as well. Overlaps that only a certificate can show (one consumer by
// common name, another by fingerprint) are denied when it comes.
func (b *builder) consumersDistinct() {
	claimed := claims{}
	b.eachMatch(func(match *CertificateMatch, path string) {
		if other := claimed[criterion(match)]; other != nil {
			b.fail(b.documents["Consumer"][match.Consumer.Name], path,
				"the same certificates are claimed by the Consumer %q at %s", other.Consumer.Name, other.Origin)
			return
		}
		claimed[criterion(match)] = match
	})
	patterned := b.patterned()
	b.eachMatch(func(match *CertificateMatch, path string) {
		other := claimed.wider(match)
		if other == nil || other.Consumer == match.Consumer {
			other = match.takenBy(patterned)
		}
		if other != nil && other.Consumer != match.Consumer {
			b.fail(b.documents["Consumer"][match.Consumer.Name], path,
				"every such certificate is claimed by the Consumer %q as well, at %s: both would be refused", other.Consumer.Name, other.Origin)
		}
	})
}

// eachMatch calls yield with each consumer's matches that name a truststore that is known.
func (b *builder) eachMatch(yield func(match *CertificateMatch, path string)) {
	for _, c := range b.model.Consumers() {
		for i, match := range c.Certificates {
			if match.Truststore != nil {
				yield(match, fmt.Sprintf("spec.certificates[%d]", i))
			}
		}
	}
}

// wider returns a match that demands only a part of what this one does, or nil.
func (c claims) wider(m *CertificateMatch) *CertificateMatch {
	key := criterion(m)
	var given []*string
	fields := []*string{&key.SubjectCommonName, &key.SubjectDN, &key.SANURI, &key.SANDNS, &key.SPKISHA256, &key.CertificateSHA256, &key.IssuerDN, &key.Serial}
	for _, pattern := range key.Patterns.all() {
		fields = append(fields, &pattern.Text)
	}
	for _, field := range fields {
		if *field != "" {
			given = append(given, field)
		}
	}
	values := make([]string, len(given))
	for i, field := range given {
		values[i] = *field
	}
	// Every choice of some of the criteria, but not all. Rarely are there more than two.
	for chosen := 1; chosen < 1<<len(given)-1; chosen++ {
		for i, field := range given {
			*field = ""
			if chosen&(1<<i) != 0 {
				*field = values[i]
			}
		}
		if other := c[key]; other != nil {
			return other
		}
	}
	return nil
}

// all are the four patterns.
func (p *CertificatePatterns) all() []*Pattern {
	return []*Pattern{&p.SubjectCommonName, &p.SubjectDN, &p.SANURI, &p.SANDNS}
}

// patterned lists the matches by pattern.
func (b *builder) patterned() []*CertificateMatch {
	var found []*CertificateMatch
	b.eachMatch(func(match *CertificateMatch, _ string) {
		if match.Patterns.Any() {
			found = append(found, match)
		}
	})
	return found
}

// takenBy returns a match by pattern, of another consumer, that takes every certificate which this one takes, and more, or
// nil: each of its criteria is this one's as well, or a pattern that this one's exact name matches.
func (m *CertificateMatch) takenBy(patterned []*CertificateMatch) *CertificateMatch {
	for _, other := range patterned {
		if other.Consumer != m.Consumer && other.Truststore == m.Truststore && criterion(other) != criterion(m) && other.takes(m) {
			return other
		}
	}
	return nil
}

func (m *CertificateMatch) takes(narrower *CertificateMatch) bool {
	for _, exact := range [][2]string{
		{m.SubjectCommonName, narrower.SubjectCommonName}, {m.SubjectDN, narrower.SubjectDN}, {m.SANURI, narrower.SANURI},
		{m.SANDNS, narrower.SANDNS}, {m.SPKISHA256, narrower.SPKISHA256}, {m.CertificateSHA256, narrower.CertificateSHA256},
		{m.IssuerDN, narrower.IssuerDN}, {m.Serial, narrower.Serial},
	} {
		if exact[0] != "" && exact[0] != exact[1] {
			return false
		}
	}
	names := []string{narrower.SubjectCommonName, narrower.SubjectDN, narrower.SANURI, narrower.SANDNS}
	theirs := narrower.Patterns.all()
	for i, pattern := range m.Patterns.all() {
		same := theirs[i].Text == pattern.Text
		if !pattern.IsZero() && !same && (names[i] == "" || !pattern.Matches(names[i])) {
			return false
		}
	}
	return true
}
