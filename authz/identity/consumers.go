package identity

import (
	"slices"

	"github.com/sallyport-project/sallyport/config"
)

// Consumers finds the consumer of a certificate, or of a token, in time that does not grow with their number, but for those that are matched by
// pattern alone: each of a truststore's patterns is tried on each of the certificate's names. It is immutable.
type Consumers struct {
	matches map[criterion][]*match
	// patterned are the matches that have nothing to be filed under, by truststore.
	patterned map[string][]*match
	tokens    map[tokenCriterion][]*config.TokenMatch
}

// tokenCriterion is what a match of tokens is filed under: all that it wants.
type tokenCriterion struct{ provider, clientID, subject string }

// criterion is what a match is filed under: the most selective that it has.
type criterion struct {
	truststore string
	field      field
	value      string
}

type field uint8

const (
	certificateSHA256 field = iota
	spkiSHA256
	issuerAndSerial
	sanURI
	sanDNS
	subjectDN
	subjectCommonName
)

// match is a config.CertificateMatch with its names in the form in which certificates have them here.
type match struct {
	*config.CertificateMatch
	subjectDN, issuerDN string
}

// NewConsumers files the matches of all consumers.
func NewConsumers(consumers []*config.Consumer) *Consumers {
	c := &Consumers{
		matches: make(map[criterion][]*match), patterned: make(map[string][]*match), tokens: make(map[tokenCriterion][]*config.TokenMatch),
	}
	for _, consumer := range consumers {
		for _, written := range consumer.Certificates {
			m := &match{CertificateMatch: written, subjectDN: escape(written.SubjectDN), issuerDN: escape(written.IssuerDN)}
			if key, ok := m.file(); ok {
				c.matches[key] = append(c.matches[key], m)
			} else if m.Patterns.Any() {
				c.patterned[m.Truststore.Name] = append(c.patterned[m.Truststore.Name], m)
			}
		}
		for _, m := range consumer.Tokens {
			if m.ClientID != "" || m.Subject != "" { // one without any criterion is never found
				key := tokenCriterion{m.Provider.Name, m.ClientID, m.Subject}
				c.tokens[key] = append(c.tokens[key], m)
			}
		}
	}
	return c
}

// FindToken returns the match by which a verified token of a Provider is a consumer's; client and subject are empty where the
// token has none. It returns a match of another consumer as well if there is one: then nobody can say whose the token is.
func (c *Consumers) FindToken(provider, clientID, subject string) (found, other *config.TokenMatch) {
	for _, key := range [...]tokenCriterion{{provider, clientID, subject}, {provider, clientID, ""}, {provider, "", subject}} {
		if key.clientID == "" && key.subject == "" {
			continue
		}
		for _, m := range c.tokens[key] {
			switch {
			case found == nil:
				found = m
			case found.Consumer != m.Consumer && other == nil:
				other = m
			}
		}
	}
	return found, other
}

// file chooses what a match is filed under. One that is by pattern alone has nothing; one without any criterion is never found.
func (m *match) file() (criterion, bool) {
	for _, candidate := range [...]criterion{
		{field: certificateSHA256, value: m.CertificateSHA256},
		{field: spkiSHA256, value: m.SPKISHA256},
		{field: issuerAndSerial, value: serialKey(m.issuerDN, m.Serial)},
		{field: sanURI, value: m.SANURI},
		{field: sanDNS, value: m.SANDNS},
		{field: subjectDN, value: m.subjectDN},
		{field: subjectCommonName, value: m.SubjectCommonName},
	} {
		if candidate.value != "" {
			candidate.truststore = m.Truststore.Name
			return candidate, true
		}
	}
	return criterion{}, false
}

func serialKey(issuer, serial string) string {
	if issuer == "" || serial == "" {
		return ""
	}
	return serial + " " + issuer
}

// Find returns the match by which a certificate, for which these truststores vouch, is a consumer's. It returns a match of
// another consumer as well if there is one: then nobody can say whose the certificate is.
func (c *Consumers) Find(certificate *Certificate, vouchers []string) (found, other *config.CertificateMatch) {
	try := func(matches []*match) {
		for _, m := range matches {
			switch {
			case !m.matches(certificate):
			case found == nil:
				found = m.CertificateMatch
			case found.Consumer != m.Consumer && other == nil:
				other = m.CertificateMatch
			}
		}
	}
	consider := func(truststore string, field field, value string) {
		if value != "" {
			try(c.matches[criterion{truststore, field, value}])
		}
	}
	serial := serialKey(certificate.Issuer, certificate.Serial)
	for _, truststore := range vouchers {
		consider(truststore, certificateSHA256, certificate.SHA256)
		consider(truststore, spkiSHA256, certificate.SPKISHA256)
		consider(truststore, issuerAndSerial, serial)
		consider(truststore, subjectDN, certificate.Subject)
		consider(truststore, subjectCommonName, certificate.CommonName)
		for _, uri := range certificate.URIs {
			consider(truststore, sanURI, uri)
		}
		for _, name := range certificate.DNSNames {
			consider(truststore, sanDNS, name)
		}
		try(c.patterned[truststore])
	}
	return found, other
}

// matches tells whether every criterion holds. The truststore is part of what the match is filed under.
func (m *match) matches(c *Certificate) bool {
	return matchesText(m.CertificateSHA256, c.SHA256) &&
		matchesText(m.SPKISHA256, c.SPKISHA256) &&
		matchesText(m.issuerDN, c.Issuer) && matchesText(m.Serial, c.Serial) &&
		matchesText(m.subjectDN, c.Subject) && matchesText(m.SubjectCommonName, c.CommonName) &&
		(m.SANURI == "" || contains(c.URIs, m.SANURI)) &&
		(m.SANDNS == "" || contains(c.DNSNames, m.SANDNS)) &&
		m.matchesPatterns(c)
}

// matchesPatterns tells whether every pattern that is given takes a name of the certificate. A certificate without a common
// name has none that a pattern could take.
func (m *match) matchesPatterns(c *Certificate) bool {
	p := &m.Patterns
	return !p.Any() ||
		(p.SubjectCommonName.IsZero() || c.CommonName != "" && p.SubjectCommonName.Matches(c.CommonName)) &&
			(p.SubjectDN.IsZero() || c.Subject != "" && p.SubjectDN.Matches(c.Subject)) &&
			(p.SANURI.IsZero() || slices.ContainsFunc(c.URIs, p.SANURI.Matches)) &&
			(p.SANDNS.IsZero() || slices.ContainsFunc(c.DNSNames, p.SANDNS.Matches))
}

func matchesText(want, got string) bool { return want == "" || want == got }
