package config

import "fmt"

// claims are the criteria by which certificates are claimed, without who claims them.
type claims map[CertificateMatch]*CertificateMatch

// criterion is a match stripped of whose it is, so that equal criteria are equal.
func criterion(m *CertificateMatch) CertificateMatch {
	key := *m
	key.Consumer, key.Origin = nil, Origin{}
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
	b.eachMatch(func(match *CertificateMatch, path string) {
		if other := claimed.wider(match); other != nil && other.Consumer != match.Consumer {
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
	for _, field := range []*string{&key.SubjectCommonName, &key.SubjectDN, &key.SANURI, &key.SANDNS, &key.SPKISHA256, &key.CertificateSHA256, &key.IssuerDN, &key.Serial} {
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
