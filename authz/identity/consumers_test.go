package identity_test

import (
	"crypto/x509"
	"testing"

	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/config"
)

func TestACertificateIsTheConsumersWhoseEveryCriterionItMeets(t *testing.T) {
	certificate := &identity.Certificate{
		SHA256: "c1", SPKISHA256: "k1", Subject: `CN=mapps,O=\C5\81`, Issuer: "CN=partners", CommonName: "mapps", Serial: "abc",
		URIs: []string{"spiffe://example.org/a", "spiffe://example.org/b"}, DNSNames: []string{"a.example.org"},
	}
	partners, others := &config.Truststore{Header: config.Header{Name: "partners"}}, &config.Truststore{Header: config.Header{Name: "others"}}
	for name, test := range map[string]struct {
		match config.CertificateMatch
		want  bool
	}{
		"common name":                      {config.CertificateMatch{SubjectCommonName: "mapps"}, true},
		"another common name":              {config.CertificateMatch{SubjectCommonName: "Mapps"}, false},
		"common name of another authority": {config.CertificateMatch{SubjectCommonName: "mapps", Truststore: others}, false},
		"subject in UTF-8":                 {config.CertificateMatch{SubjectDN: "CN=mapps,O=Ł"}, true},
		"subject in ASCII":                 {config.CertificateMatch{SubjectDN: `CN=mapps,O=\C5\81`}, true},
		"a part of the subject":            {config.CertificateMatch{SubjectDN: "CN=mapps"}, false},
		"a URI":                            {config.CertificateMatch{SANURI: "spiffe://example.org/b"}, true},
		"another spelling of the URI":      {config.CertificateMatch{SANURI: "spiffe://example.org/b#"}, false},
		"a DNS name":                       {config.CertificateMatch{SANDNS: "a.example.org"}, true},
		"the key":                          {config.CertificateMatch{SPKISHA256: "k1"}, true},
		"the fingerprint":                  {config.CertificateMatch{CertificateSHA256: "c1"}, true},
		"another fingerprint":              {config.CertificateMatch{CertificateSHA256: "c2"}, false},
		"issuer and serial":                {config.CertificateMatch{IssuerDN: "CN=partners", Serial: "abc"}, true},
		"another issuer's serial":          {config.CertificateMatch{IssuerDN: "CN=others", Serial: "abc"}, false},
		"the key under another name":       {config.CertificateMatch{SPKISHA256: "k1", SubjectCommonName: "nsp"}, false},
		"the name with another key":        {config.CertificateMatch{SPKISHA256: "k2", SubjectCommonName: "mapps"}, false},
		"all of them": {config.CertificateMatch{
			SPKISHA256: "k1", CertificateSHA256: "c1", SubjectCommonName: "mapps", SANURI: "spiffe://example.org/a", SANDNS: "a.example.org",
			IssuerDN: "CN=partners", Serial: "abc",
		}, true},
		"no criterion":                    {config.CertificateMatch{}, false},
		"a pattern":                       {patterned(t, "map+s", "", "", ""), true},
		"a pattern of a part":             {patterned(t, "map", "", "", ""), false},
		"a pattern that has alternatives": {patterned(t, "x|mapp", "", "", ""), false},
		"a pattern for the whole subject": {patterned(t, "", "CN=[a-z]+,O=.*", "", ""), true},
		"a pattern for any of the URIs":   {patterned(t, "", "", "spiffe://example[.]org/[b-z]", ""), true},
		"a pattern for none of the URIs":  {patterned(t, "", "", "spiffe://example[.]org/", ""), false},
		"a pattern for the DNS name":      {patterned(t, "", "", "", "[^.]+[.]example[.]org"), true},
		"patterns of which one fails":     {patterned(t, "mapps", "", "", "x"), false},
		"a pattern beside an exact name":  {beside(patterned(t, "m.*", "", "", ""), config.CertificateMatch{SANDNS: "a.example.org"}), true},
		"a pattern beside another name":   {beside(patterned(t, "m.*", "", "", ""), config.CertificateMatch{SANDNS: "b.example.org"}), false},
		"an exact name, another pattern":  {beside(patterned(t, "n.*", "", "", ""), config.CertificateMatch{SANDNS: "a.example.org"}), false},
		"a pattern of another authority":  {beside(patterned(t, "m.*", "", "", ""), config.CertificateMatch{Truststore: others}), false},
	} {
		t.Run(name, func(t *testing.T) {
			consumer := &config.Consumer{Header: config.Header{Name: "c"}}
			match := test.match
			match.Consumer = consumer
			if match.Truststore == nil {
				match.Truststore = partners
			}
			consumer.Certificates = []*config.CertificateMatch{&match}
			found, other := identity.NewConsumers([]*config.Consumer{consumer}).Find(certificate, []string{"partners"})
			if (found != nil) != test.want || other != nil {
				t.Errorf("found %v and %v", found, other)
			}
		})
	}
}

// patterned is a match by patterns alone; empty ones are not given.
func patterned(t *testing.T, commonName, subject, uri, dns string) config.CertificateMatch {
	t.Helper()
	parse := func(text string) config.Pattern {
		if text == "" {
			return config.Pattern{}
		}
		pattern, err := config.ParsePattern(text)
		if err != nil {
			t.Fatal(err)
		}
		return pattern
	}
	return config.CertificateMatch{Patterns: config.CertificatePatterns{
		SubjectCommonName: parse(commonName), SubjectDN: parse(subject), SANURI: parse(uri), SANDNS: parse(dns),
	}}
}

// beside gives a match the exact criteria of another, with the patterns of the first.
func beside(patterns, exact config.CertificateMatch) config.CertificateMatch {
	exact.Patterns = patterns.Patterns
	return exact
}

func TestAPatternTakesNoNameThatIsNotThere(t *testing.T) {
	partners := &config.Truststore{Header: config.Header{Name: "partners"}}
	for name, match := range map[string]config.CertificateMatch{
		"common name": patterned(t, ".*", "", "", ""), "subject": patterned(t, "", ".*", "", ""),
		"URI": patterned(t, "", "", ".*", ""), "DNS name": patterned(t, "", "", "", ".*"),
	} {
		consumer := &config.Consumer{Header: config.Header{Name: "c"}, Certificates: []*config.CertificateMatch{&match}}
		match.Consumer, match.Truststore = consumer, partners
		if found, _ := identity.NewConsumers([]*config.Consumer{consumer}).Find(&identity.Certificate{SHA256: "c1"}, []string{"partners"}); found != nil {
			t.Errorf("%s: a pattern takes a certificate without one", name)
		}
	}
}

func TestACertificateThatTwoConsumersClaimIsNobodys(t *testing.T) {
	partners := &config.Truststore{Header: config.Header{Name: "partners"}}
	claim := func(name string, matches ...config.CertificateMatch) *config.Consumer {
		c := &config.Consumer{Header: config.Header{Name: name}}
		for _, m := range matches {
			m.Consumer, m.Truststore = c, partners
			c.Certificates = append(c.Certificates, &m)
		}
		return c
	}
	one := claim("one", config.CertificateMatch{SubjectCommonName: "x"}, config.CertificateMatch{CertificateSHA256: "c1"})
	two := claim("two", config.CertificateMatch{CertificateSHA256: "c1"})
	three := claim("three", patterned(t, "[w-y]", "", "", ""))
	certificate := &identity.Certificate{CommonName: "x", SHA256: "c1"}

	if found, other := identity.NewConsumers([]*config.Consumer{one}).Find(certificate, []string{"partners"}); found == nil || other != nil {
		t.Error("one consumer's two matches are taken for two consumers")
	}
	if _, other := identity.NewConsumers([]*config.Consumer{one, two}).Find(certificate, []string{"partners"}); other == nil {
		t.Error("the second consumer is not seen")
	}
	if _, other := identity.NewConsumers([]*config.Consumer{three, one}).Find(certificate, []string{"partners"}); other == nil {
		t.Error("the consumer by pattern is not seen")
	}
}

func TestASubjectAlternativeNameIsComparedAsItIsWritten(t *testing.T) {
	authority := newRawAuthority(t, nil)
	leaf := authority.issue(t, &x509.Certificate{ExtraExtensions: subjectAlternativeURIs(t, "SPIFFE://example.org/a#")})
	got := newVerifier(t).Verify(presented(leaf), authority.trust(), fixture.Noon).Certificate
	if len(got.URIs) != 1 || got.URIs[0] != "SPIFFE://example.org/a#" {
		t.Errorf("URIs %q", got.URIs)
	}
}
