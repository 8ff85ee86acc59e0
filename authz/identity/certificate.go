package identity

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Bounds, in bytes. A certificate with an RSA key of 8192 bits has about 4 KiB when URL-encoded.
const (
	maxEncoded = 32 << 10
	maxName    = 2 << 10
	// maxShown is how much of a name or number of a stranger's certificate is kept and told.
	maxShown = 256
)

// maxAlternativeNames is how many names of every kind a certificate may have: more than a caller needs, and each is looked
// up.
const maxAlternativeNames = 100

// Certificate is what is known of a caller's certificate. It is immutable. That it could be parsed says nothing about
// whether it is trusted.
type Certificate struct {
	// SHA256 of the certificate in DER, and SPKISHA256 of its SubjectPublicKeyInfo, in lower-case hexadecimal.
	SHA256, SPKISHA256 string
	// Subject and Issuer are distinguished names as RFC 4514 writes them, the last part of the name first, in visible ASCII:
	// bytes that are none stand as a backslash and two hexadecimal digits (section 2.4).
	Subject, Issuer string
	// CommonName is the subject's only common name; empty if it has none or several.
	CommonName string
	// Serial is lower-case hexadecimal without leading zeros.
	Serial              string
	NotBefore, NotAfter time.Time
	// URIs and DNSNames are the subject alternative names, as they are written.
	URIs, DNSNames []string
}

// Name is what people know the certificate by: its subject, else its first alternative name, else its serial number.
func (c *Certificate) Name() string {
	switch {
	case c.Subject != "":
		return c.shownSubject()
	case len(c.URIs) > 0:
		return cut(c.URIs[0])
	case len(c.DNSNames) > 0:
		return cut(c.DNSNames[0])
	}
	return "serial number " + cut(c.Serial)
}

// stranger is what is kept of a certificate that nobody vouches for: what a record of its refusal needs, and no more than
// so much, because anybody can make such certificates. Subject and Serial may be cut.
func (c *Certificate) stranger() *Certificate {
	return &Certificate{
		SHA256: c.SHA256, SPKISHA256: c.SPKISHA256, Subject: c.shownSubject(), Serial: cut(c.Serial),
		NotBefore: c.NotBefore, NotAfter: c.NotAfter,
	}
}

// shownSubject is the subject as refusals tell it.
func (c *Certificate) shownSubject() string { return cut(c.Subject) }

// cut shortens a text of visible ASCII that has more than maxShown bytes, and marks where.
func cut(text string) string {
	if len(text) <= maxShown {
		return text
	}
	return text[:maxShown] + "..."
}

// parse reads the certificate as Envoy sends it: URL-encoded PEM of exactly one certificate. The error says for people
// what is wrong and has no text of the caller's.
func parse(encoded string) (*Certificate, *x509.Certificate, error) {
	if len(encoded) > maxEncoded {
		return nil, nil, fmt.Errorf("it has more than %d bytes", maxEncoded)
	}
	text, err := url.PathUnescape(encoded)
	if err != nil {
		return nil, nil, errors.New("it is not URL-encoded")
	}
	if !strings.HasPrefix(text, "-----BEGIN CERTIFICATE-----") {
		return nil, nil, errors.New("it is not a certificate in PEM")
	}
	block, rest := pem.Decode([]byte(text))
	switch {
	case block == nil:
		return nil, nil, errors.New("it is not well-formed PEM")
	case block.Type != "CERTIFICATE" || len(block.Headers) > 0:
		return nil, nil, errors.New("it is another kind of PEM block")
	case strings.TrimSpace(string(rest)) != "":
		return nil, nil, errors.New("something follows the certificate")
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, nil, errors.New("its DER cannot be parsed")
	}
	certificate, err := describe(leaf)
	return certificate, leaf, err
}

// describe takes from a certificate what decisions are made by.
func describe(leaf *x509.Certificate) (*Certificate, error) {
	subject, err := parseName(leaf.RawSubject)
	if err != nil {
		return nil, fmt.Errorf("its subject %w", err)
	}
	issuer, err := parseName(leaf.RawIssuer)
	if err != nil {
		return nil, fmt.Errorf("its issuer's name %w", err)
	}
	names, err := alternativeNames(leaf)
	if err != nil {
		return nil, fmt.Errorf("its alternative names %w", err)
	}
	sum, key := sha256.Sum256(leaf.Raw), sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	return &Certificate{
		SHA256: hex.EncodeToString(sum[:]), SPKISHA256: hex.EncodeToString(key[:]),
		Subject: escape(subject.String()), Issuer: escape(issuer.String()), CommonName: onlyCommonName(subject),
		Serial: leaf.SerialNumber.Text(16), NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
		URIs: names.uris, DNSNames: names.dns,
	}, nil
}

// parseName reads a distinguished name in full. pkix.Name is an approximation: of several common names it keeps one.
func parseName(raw []byte) (pkix.RDNSequence, error) {
	var name pkix.RDNSequence
	rest, err := asn1.Unmarshal(raw, &name)
	if err != nil || len(rest) > 0 {
		return nil, errors.New("cannot be parsed")
	}
	if len(raw) > maxName {
		return nil, fmt.Errorf("has more than %d bytes", maxName)
	}
	for _, set := range name {
		for _, attribute := range set {
			text, isText := attribute.Value.(string)
			switch {
			case attribute.Value == nil:
				return nil, errors.New("has a value of a type that is not understood")
			case isText && hasControl(text):
				return nil, errors.New("has control characters")
			}
		}
	}
	return name, nil
}

var oidCommonName = asn1.ObjectIdentifier{2, 5, 4, 3}

// onlyCommonName is empty where there are several: which of them would be meant?
func onlyCommonName(name pkix.RDNSequence) string {
	found, count := "", 0
	for _, set := range name {
		for _, attribute := range set {
			if attribute.Type.Equal(oidCommonName) {
				count++
				found, _ = attribute.Value.(string)
			}
		}
	}
	if count != 1 {
		return ""
	}
	return found
}

var oidSubjectAlternativeName = asn1.ObjectIdentifier{2, 5, 29, 17}

// The context-specific tags of a GeneralName that are text (RFC 5280, section 4.2.1.6).
const (
	tagEmail = 1
	tagDNS   = 2
	tagURI   = 6
)

type textNames struct{ uris, dns []string }

// alternativeNames takes the names from the extension itself: net/url forgets how a URI was written.
func alternativeNames(leaf *x509.Certificate) (textNames, error) {
	var found textNames
	for _, extension := range leaf.Extensions {
		if !extension.Id.Equal(oidSubjectAlternativeName) {
			continue
		}
		var names []asn1.RawValue
		if rest, err := asn1.Unmarshal(extension.Value, &names); err != nil || len(rest) > 0 {
			return textNames{}, errors.New("cannot be parsed")
		}
		if len(names) > maxAlternativeNames {
			return textNames{}, fmt.Errorf("are more than %d", maxAlternativeNames)
		}
		for _, name := range names {
			if name.Class != asn1.ClassContextSpecific || name.Tag != tagEmail && name.Tag != tagDNS && name.Tag != tagURI {
				continue
			}
			text := string(name.Bytes)
			if hasControl(text) {
				return textNames{}, errors.New("have control characters")
			}
			switch name.Tag {
			case tagURI:
				found.uris = append(found.uris, text)
			case tagDNS:
				found.dns = append(found.dns, text)
			}
		}
	}
	return found, nil
}

// hasControl looks for the bytes of ASCII control characters, of which no byte of another UTF-8 character is one.
func hasControl(text string) bool {
	for _, c := range []byte(text) {
		if c < ' ' || c == 0x7f {
			return true
		}
	}
	return false
}

// escape writes bytes that are no visible ASCII as RFC 4514, section 2.4 does. What is escaped already stays as it is.
func escape(name string) string {
	escaped := 0
	for _, c := range []byte(name) {
		if mustEscape(c) {
			escaped++
		}
	}
	if escaped == 0 {
		return name
	}
	var b strings.Builder
	b.Grow(len(name) + 2*escaped)
	for _, c := range []byte(name) {
		if mustEscape(c) {
			fmt.Fprintf(&b, `\%02X`, c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func mustEscape(c byte) bool { return c < ' ' || c >= 0x7f }
