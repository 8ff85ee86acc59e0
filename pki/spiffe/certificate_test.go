package spiffe

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"
	"testing"
)

// withNames makes a certificate that holds only a subject alternative name extension, as bytes of our own choosing.
func withNames(t *testing.T, names ...asn1.RawValue) *x509.Certificate {
	t.Helper()
	value, err := asn1.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	return &x509.Certificate{Extensions: []pkix.Extension{{Id: oidSubjectAlternativeName, Value: value}}}
}

func uriName(text string) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tagURI, Bytes: []byte(text)}
}

func dnsName(text string) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 2, Bytes: []byte(text)}
}

func TestFromCertificateReadsTheOneURI(t *testing.T) {
	certificate := withNames(t, dnsName("edge.example.org"), uriName("spiffe://example.org/proxy/edge/edge-1"))
	got, err := FromCertificate(certificate)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Identity{TrustDomain: "example.org", Kind: Proxy, Group: "edge", Name: "edge-1"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestFromCertificateRefuses(t *testing.T) {
	const good = "spiffe://example.org/authz/a"
	authority := withNames(t, uriName(good))
	authority.IsCA = true
	trailing := withNames(t, uriName(good))
	trailing.Extensions[0].Value = append(trailing.Extensions[0].Value, 0)

	for name, test := range map[string]struct {
		certificate *x509.Certificate
		want        string
	}{
		"no SAN extension":          {&x509.Certificate{}, "0 URI SANs"},
		"no URI":                    {withNames(t, dnsName("a.example.org")), "0 URI SANs"},
		"a DNS name like an ID":     {withNames(t, dnsName(good)), "0 URI SANs"},
		"two URIs":                  {withNames(t, uriName(good), uriName("https://example.org")), "2 URI SANs"},
		"the same URI twice":        {withNames(t, uriName(good), uriName(good)), "2 URI SANs"},
		"empty fragment":            {withNames(t, uriName(good+"#")), "letters, digits"},
		"upper-case scheme":         {withNames(t, uriName("SPIFFE://example.org/authz/a")), "must begin with"},
		"a certificate authority":   {authority, "certificate authority"},
		"trailing bytes":            {trailing, "trailing"},
		"an extension of rubbish":   {&x509.Certificate{Extensions: []pkix.Extension{{Id: oidSubjectAlternativeName, Value: []byte{0x30, 0x7f}}}}, "read the subject"},
		"another's URI, not SPIFFE": {withNames(t, uriName("https://example.org/authz/a")), "must begin with"},
	} {
		t.Run(name, func(t *testing.T) {
			identity, err := FromCertificate(test.certificate)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %+v, %v; want an error with %q", identity, err, test.want)
			}
		})
	}
}
