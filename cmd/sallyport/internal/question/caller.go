package question

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"strings"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/estate"
	"github.com/sallyport-project/sallyport/config"
)

// bearing says what is known of the token that a caller comes with, beside what a consumer is recognised by.
type bearing struct {
	// presumed is the only token that it comes with; nil where none is presumed.
	presumed *bearer.Token
	// shown is set where the request has one, which is judged: nothing else is presumed then.
	shown bool
}

// tokensOf are the tokens that a consumer may come with.
func (b bearing) tokensOf(a *Answers, c *config.Consumer) []*bearer.Token {
	switch {
	case b.presumed != nil:
		return []*bearer.Token{b.presumed}
	case b.shown:
		return nil
	}
	return a.tokensOf(c)
}

// guises are the callers as whom a consumer can come: one for each way in which its certificates are recognised, one for each of its
// tokens, and one for each certificate with each token; where a token is presumed, only those with it. One without any is never
// recognised, and comes as anybody. The notes say which ways had to be left out.
func (a *Answers) guises(c *config.Consumer, with bearing, by *estates, at moment, anyTime bool) (all []estate.Credentials, notes []string) {
	tokens := with.tokensOf(a, c)
	for _, match := range c.Certificates {
		presumed, err := identity.Presume(match, by.first.Material)
		if err != nil {
			notes = append(notes, "left out: "+err.Error())
			continue
		}
		if with.presumed == nil {
			all = append(all, hypothetical(presumed, nil, at, anyTime))
		}
		for _, token := range tokens {
			all = append(all, hypothetical(presumed, token, at, anyTime))
		}
	}
	if with.presumed == nil || len(c.Certificates) == 0 {
		for _, token := range tokens {
			all = append(all, hypothetical(nil, token, at, anyTime))
		}
	}
	if len(c.Certificates) == 0 && len(tokens) == 0 {
		all = append(all, hypothetical(nil, nil, at, anyTime))
	}
	return all, notes
}

// hypothetical is a caller with a presumed certificate and token, or without either.
func hypothetical(presumed *identity.Presumed, token *bearer.Token, at moment, anyTime bool) estate.Credentials {
	return estate.Credentials{Hypothesis: &policy.Hypothesis{Presumed: presumed, Token: token, At: at.Time, AnyTime: anyTime}}
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
