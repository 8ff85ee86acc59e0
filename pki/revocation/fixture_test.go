package revocation

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"
)

var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

// authority signs what pki/ca would refuse to.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t testing.TB, name string, change func(*x509.Certificate)) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(1000 * time.Hour),
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{certificate, key}
}

// list signs a list of number 5, from noon to an hour later, after the template was changed.
func (a *authority) list(t testing.TB, change func(*x509.RevocationList), revoked ...int64) []byte {
	t.Helper()
	template := &x509.RevocationList{Number: big.NewInt(5), ThisUpdate: noon, NextUpdate: noon.Add(time.Hour)}
	for _, serial := range revoked {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: big.NewInt(serial), RevocationTime: noon.Add(-time.Minute), ReasonCode: 1,
		})
	}
	if change != nil {
		change(template)
	}
	issuer := *a.certificate
	issuer.KeyUsage |= x509.KeyUsageCRLSign // crypto/x509 would refuse otherwise
	der, err := x509.CreateRevocationList(rand.Reader, template, &issuer, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func parsed(t testing.TB, der []byte) *List {
	t.Helper()
	lists, err := Parse(der)
	if err != nil || len(lists) != 1 {
		t.Fatalf("%d lists, %v", len(lists), err)
	}
	return lists[0]
}

func verified(t testing.TB, der []byte, by *authority) Verified {
	t.Helper()
	list, err := parsed(t, der).Verify(by.certificate)
	if err != nil {
		t.Fatal(err)
	}
	return list
}
