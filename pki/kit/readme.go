package kit

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	_ "embed" // the README's template
	"fmt"
	"net"
	"net/url"
	"strings"
	"text/template"
	"time"
)

// delivery is how the partner comes by the private key.
type delivery int

const (
	// keyAtPartner: the partner made the key, and has it.
	keyAtPartner delivery = iota
	// keyInKit: it is in the kit, which is encrypted as a whole.
	keyInKit
	// keyInPKCS12: it is in a PKCS#12 file of the kit.
	keyInPKCS12
)

//go:embed readme.md.tmpl
var readmeText string

var readmeTemplate = template.Must(template.New(ReadmeFile).Option("missingkey=error").Parse(readmeText))

// readmeData is what the README's template reads.
type readmeData struct {
	Consumer, Subject, Issuer, Serial, Fingerprint string
	From, Until                                    string
	// RenewBy is when a new certificate should be asked for: a quarter of the life before the end, at most 30 days.
	RenewBy string
	// URL is the example; Host and Port are where it is, Authority the host as HTTP has it, Path what is asked for.
	URL, Host, Port, Authority, Path string
	URLs                             []string
	CRLAddresses                     []string
	Contact                          string
	PrivateCA, Intermediates         bool
	KeyAtPartner, KeyInKit, PKCS12   bool
}

const maxRenewalMargin = 30 * 24 * time.Hour

func (c Config) readme(delivery delivery) ([]byte, error) {
	leaf := c.Certificate
	target, err := url.Parse(c.URLs[0])
	if err != nil {
		return nil, fmt.Errorf("read the address %q: %w", c.URLs[0], err)
	}
	port := target.Port()
	if port == "" {
		port = "443"
	}
	fingerprint := sha256.Sum256(leaf.Raw)
	data := readmeData{
		Consumer: c.Consumer, Subject: inline(leaf.Subject.String()), Issuer: inline(leaf.Issuer.String()),
		Serial: fmt.Sprintf("%x", leaf.SerialNumber), Fingerprint: fmt.Sprintf("%x", fingerprint),
		From: date(leaf.NotBefore), Until: date(leaf.NotAfter), RenewBy: date(renewBy(leaf)),
		URL: c.URLs[0], Host: target.Hostname(), Port: port, Authority: target.Host, Path: target.RequestURI(),
		URLs: c.URLs, CRLAddresses: crlAddresses(leaf), Contact: c.Contact,
		PrivateCA: len(c.GatewayCA) > 0, Intermediates: len(c.Chain) > 0,
		KeyAtPartner: delivery == keyAtPartner, KeyInKit: delivery == keyInKit, PKCS12: delivery == keyInPKCS12,
	}
	var out bytes.Buffer
	if err := readmeTemplate.Execute(&out, data); err != nil {
		return nil, fmt.Errorf("write the README: %w", err)
	}
	return out.Bytes(), nil
}

// Address is the host and port of the example, for openssl.
func (d readmeData) Address() string { return net.JoinHostPort(d.Host, d.Port) }

func renewBy(leaf *x509.Certificate) time.Time {
	return leaf.NotAfter.Add(-min(maxRenewalMargin, leaf.NotAfter.Sub(leaf.NotBefore)/4))
}

func date(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

func crlAddresses(leaf *x509.Certificate) []string {
	addresses := make([]string, len(leaf.CRLDistributionPoints))
	for i, text := range leaf.CRLDistributionPoints {
		addresses[i] = inline(text)
	}
	return addresses
}

// inline makes a text fit for a code span: on one line, and without what would end the span or the cell of a table.
func inline(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '`' || r == '|' || r == '\u2028' || r == '\u2029' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' {
			return '?'
		}
		return r
	}, text)
}
