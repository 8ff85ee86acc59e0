package question

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"strings"

	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/scenario"
	"github.com/sallyport-project/sallyport/config"
)

// guises are the callers as whom a consumer can come: one for each way in which its certificates are recognised. One without
// any is never recognised, and comes as anybody. The notes say which ways had to be left out.
func guises(c *config.Consumer, by *estates, at moment, anyTime bool) (all []scenario.Credentials, notes []string) {
	if len(c.Certificates) == 0 {
		return []scenario.Credentials{hypothetical(nil, at, anyTime)}, nil
	}
	for _, match := range c.Certificates {
		presumed, err := identity.Presume(match, by.first.Material)
		if err != nil {
			notes = append(notes, "left out: "+err.Error())
			continue
		}
		all = append(all, hypothetical(presumed, at, anyTime))
	}
	return all, notes
}

// hypothetical is a caller with a presumed certificate, or without one.
func hypothetical(presumed *identity.Presumed, at moment, anyTime bool) scenario.Credentials {
	return scenario.Credentials{Hypothesis: &policy.Hypothesis{Presumed: presumed, At: at.Time, AnyTime: anyTime}}
}

// certificateOf reads a caller's certificate, and the intermediates after it, from PEM.
func certificateOf(text string) (*tls.Certificate, *x509.Certificate, error) {
	var chain tls.Certificate
	rest := []byte(text)
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch {
		case strings.Contains(block.Type, "PRIVATE KEY"):
			return nil, nil, mistake("there is a private key beside the certificate: give the certificate alone, the key is not needed")
		case block.Type == "CERTIFICATE":
			chain.Certificate = append(chain.Certificate, block.Bytes)
		}
	}
	if len(chain.Certificate) == 0 {
		return nil, nil, mistake("there is no certificate in PEM (-----BEGIN CERTIFICATE-----)")
	}
	leaf, err := x509.ParseCertificate(chain.Certificate[0])
	if err != nil {
		return nil, nil, mistake("the certificate cannot be parsed: %v", err)
	}
	return &chain, leaf, nil
}

// recognised says in words by what a consumer's certificate is recognised.
func recognised(m *config.CertificateMatch) string {
	var by []string
	for _, criterion := range []struct{ name, value string }{
		{"common name", m.SubjectCommonName}, {"subject", m.SubjectDN}, {"URI", m.SANURI}, {"DNS name", m.SANDNS},
		{"common name like", m.Patterns.SubjectCommonName.Text}, {"subject like", m.Patterns.SubjectDN.Text},
		{"URI like", m.Patterns.SANURI.Text}, {"DNS name like", m.Patterns.SANDNS.Text},
		{"key", short(m.SPKISHA256)}, {"fingerprint", short(m.CertificateSHA256)}, {"issuer", m.IssuerDN}, {"serial number", m.Serial},
	} {
		if criterion.value != "" {
			by = append(by, criterion.name+" "+criterion.value)
		}
	}
	return strings.Join(append(by, "of the truststore "+m.Truststore.Name), ", ")
}

// short is the beginning of a hash.
func short(hash string) string {
	const shown = 16
	if len(hash) <= shown {
		return hash
	}
	return hash[:shown] + "…"
}
