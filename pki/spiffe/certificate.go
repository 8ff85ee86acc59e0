package spiffe

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
)

var oidSubjectAlternativeName = asn1.ObjectIdentifier{2, 5, 29, 17}

// tagURI is the context-specific tag of uniformResourceIdentifier in a GeneralName (RFC 5280, section 4.2.1.6).
const tagURI = 6

// FromCertificate returns the identity of a leaf certificate. It wants exactly one URI SAN, which must parse, and refuses
// a certificate authority, as X.509-SVID sections 2 and 4.1 do. DNS and IP SANs beside it are of no matter here.
//
// The text is taken from the extension itself and not from Certificate.URIs, because net/url forgets an empty fragment
// and the case of the scheme: two spellings of one identity.
func FromCertificate(certificate *x509.Certificate) (Identity, error) {
	if certificate.IsCA {
		return Identity{}, errors.New("a certificate authority's certificate is nobody's identity")
	}
	uris, err := uriNames(certificate)
	if err != nil {
		return Identity{}, err
	}
	if len(uris) != 1 {
		return Identity{}, fmt.Errorf("the certificate has %d URI SANs, and must have exactly one", len(uris))
	}
	return Parse(uris[0])
}

func uriNames(certificate *x509.Certificate) ([]string, error) {
	var uris []string
	for _, extension := range certificate.Extensions {
		if !extension.Id.Equal(oidSubjectAlternativeName) {
			continue
		}
		var names []asn1.RawValue
		rest, err := asn1.Unmarshal(extension.Value, &names)
		if err != nil {
			return nil, fmt.Errorf("read the subject alternative names: %w", err)
		}
		if len(rest) != 0 {
			return nil, errors.New("read the subject alternative names: trailing bytes")
		}
		for _, name := range names {
			if name.Class == asn1.ClassContextSpecific && name.Tag == tagURI {
				uris = append(uris, string(name.Bytes))
			}
		}
	}
	return uris, nil
}
