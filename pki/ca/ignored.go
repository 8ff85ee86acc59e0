package ca

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"
)

// The extensions (RFC 5280, section 4.2.1) that a request may ask for, and the attribute (RFC 2985, section 5.4.2) that
// holds them.
var (
	oidSubjectAltName   = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidBasicConstraints = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidKeyUsage         = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidExtKeyUsage      = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidExtensionRequest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 14}
)

// attributeNames are attributes of a request that people know by a name. Their values are never shown: a challenge
// password is one.
var attributeNames = map[string]string{
	"1.2.840.113549.1.9.7":    "the challenge password",
	"1.2.840.113549.1.9.2":    "the unstructured name",
	"1.3.6.1.4.1.311.13.2.3":  "the version of Windows",
	"1.3.6.1.4.1.311.21.20":   "the client's information",
	"1.3.6.1.4.1.311.13.2.2":  "the cryptographic provider",
	"1.3.6.1.4.1.311.2.1.14":  "the extensions in Microsoft's form",
	"1.2.840.113549.1.9.8":    "the unstructured address",
	"1.2.840.113549.1.9.25.1": "the local key identifier",
}

// Ignored says in words, for display, what a certificate signing request asks for beside its public key, none of which
// is ever granted by asking. Its texts hold no control characters. It is empty where nothing else was asked for.
func Ignored(request *x509.CertificateRequest) []string {
	var ignored []string
	if len(request.Subject.Names) > 0 {
		ignored = append(ignored, fmt.Sprintf("the subject %q", request.Subject.String()))
	}
	for _, extension := range request.Extensions {
		ignored = append(ignored, ignoredExtension(request, extension)...)
	}
	for _, attribute := range attributesOf(request) {
		if name := attributeNames[attribute]; name != "" {
			ignored = append(ignored, name)
		} else {
			ignored = append(ignored, "the attribute "+attribute)
		}
	}
	return ignored
}

func ignoredExtension(request *x509.CertificateRequest, extension pkix.Extension) []string {
	switch {
	case extension.Id.Equal(oidSubjectAltName):
		if names := ignoredNames(request); len(names) > 0 {
			return names
		}
		return []string{"subject alternative names"}
	case extension.Id.Equal(oidBasicConstraints):
		var constraints struct {
			IsCA bool          `asn1:"optional"`
			Rest asn1.RawValue `asn1:"optional"`
		}
		if _, err := asn1.Unmarshal(extension.Value, &constraints); err == nil && !constraints.IsCA {
			return []string{"basic constraints (CA:FALSE)"}
		}
		return []string{"to be a certificate authority (CA:TRUE)"}
	case extension.Id.Equal(oidKeyUsage):
		return []string{"the key usage"}
	case extension.Id.Equal(oidExtKeyUsage):
		return []string{"the extended key usage"}
	default:
		return []string{"the extension " + extension.Id.String()}
	}
}

func ignoredNames(request *x509.CertificateRequest) []string {
	var ignored []string
	add := func(kind string, names []string) {
		if len(names) > 0 {
			ignored = append(ignored, fmt.Sprintf("the %s %s", kind, strings.Join(names, ", ")))
		}
	}
	add("DNS names", quoted(request.DNSNames))
	add("e-mail addresses", quoted(request.EmailAddresses))
	var addresses, uris []string
	for _, address := range request.IPAddresses {
		addresses = append(addresses, address.String())
	}
	for _, uri := range request.URIs {
		uris = append(uris, uri.String())
	}
	add("IP addresses", addresses)
	add("URIs", quoted(uris))
	return ignored
}

func quoted(texts []string) []string {
	quoted := make([]string, 0, len(texts))
	for _, text := range texts {
		quoted = append(quoted, fmt.Sprintf("%q", text))
	}
	return quoted
}

// attributesOf lists the identifiers of a request's attributes, without the one that holds its extensions. crypto/x509
// shows only those of one form (RFC 2986, section 4.1).
func attributesOf(request *x509.CertificateRequest) []string {
	var information struct {
		Version    int
		Subject    asn1.RawValue
		PublicKey  asn1.RawValue
		Attributes []asn1.RawValue `asn1:"tag:0,set"`
	}
	if _, err := asn1.Unmarshal(request.RawTBSCertificateRequest, &information); err != nil {
		return nil
	}
	var identifiers []string
	for _, attribute := range information.Attributes {
		var identifier asn1.ObjectIdentifier
		if _, err := asn1.Unmarshal(attribute.Bytes, &identifier); err != nil || identifier.Equal(oidExtensionRequest) {
			continue
		}
		if text := identifier.String(); !slices.Contains(identifiers, text) {
			identifiers = append(identifiers, text)
		}
	}
	return identifiers
}
