package inventory

import (
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"testing"

	"github.com/sallyport-project/sallyport/pki/ca"
)

// crossSign has one authority sign another's key as a subordinate authority, which package ca never does.
func crossSign(t *testing.T, subject, issuer *ca.Authority) *x509.Certificate {
	t.Helper()
	template := *subject.Certificate()
	template.SerialNumber = big.NewInt(7)
	return signCertificate(t, &template, issuer)
}

// renewed is the authority's key in another certificate.
func renewed(t *testing.T, authority *ca.Authority) []byte {
	t.Helper()
	template := *authority.Certificate()
	template.SerialNumber = big.NewInt(8)
	return ca.EncodeCertificate(signCertificate(t, &template, authority))
}

func signCertificate(t *testing.T, template *x509.Certificate, issuer *ca.Authority) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.Certificate(), template.PublicKey, issuer.KeyPair().PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}
