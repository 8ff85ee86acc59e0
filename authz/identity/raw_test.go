package identity_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

// rawAuthority issues what pki/ca would refuse to.
type rawAuthority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newRawAuthority(t testing.TB, change func(*x509.Certificate)) *rawAuthority {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "raw"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, NotBefore: fixture.Noon.Add(-time.Hour), NotAfter: fixture.Noon.Add(1000 * time.Hour),
	}
	if change != nil {
		change(template)
	}
	a := &rawAuthority{certificate: template, key: newKey(t)}
	a.certificate = a.sign(t, template, a.key.Public())
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *rawAuthority) sign(t testing.TB, template *x509.Certificate, public any) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, public, a.key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		// What Go does not parse is a caller's certificate nevertheless.
		return &x509.Certificate{Raw: der}
	}
	return certificate
}

// issue signs a leaf that is valid for an hour around Noon, unless the template says otherwise.
func (a *rawAuthority) issue(t testing.TB, template *x509.Certificate) string {
	t.Helper()
	return a.issueFor(t, template, nil)
}

func (a *rawAuthority) issueFor(t testing.TB, template *x509.Certificate, public any) string {
	t.Helper()
	if public == nil {
		public = newKey(t).Public()
	}
	if template.SerialNumber == nil {
		template.SerialNumber = big.NewInt(2)
	}
	if template.NotBefore.IsZero() {
		template.NotBefore = fixture.Noon.Add(-time.Hour)
	}
	if template.NotAfter.IsZero() {
		template.NotAfter = fixture.Noon.Add(time.Hour)
	}
	return fixture.Encode(a.sign(t, template, public))
}

// trust is that of an entry with the one truststore `raw`.
func (a *rawAuthority) trust() *identity.Trust {
	return trusting([]string{"raw"}, &inventory.Truststore{Name: "raw", Anchors: []*x509.Certificate{a.certificate}, Hash: "raw"})
}

// subjectAlternativeURIs encodes the extension byte for byte.
func subjectAlternativeURIs(t testing.TB, uris ...string) []pkix.Extension {
	t.Helper()
	var names []asn1.RawValue
	for _, uri := range uris {
		names = append(names, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(uri)})
	}
	value, err := asn1.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	return []pkix.Extension{{Id: []int{2, 5, 29, 17}, Value: value}}
}

// critical is an extension that nobody understands.
func critical() []pkix.Extension {
	return []pkix.Extension{{Id: []int{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
}
