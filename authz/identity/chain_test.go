package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/url"
	"testing"
	"time"
)

// A stranger could otherwise choose how dear it is to verify what he sends.
func TestAuthoritiesWithKeysOfAbsurdSizeAreNotEvenAsked(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(name string, authority bool, public any) (encoded string, made *x509.Certificate) {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0),
			BasicConstraintsValid: true, IsCA: authority,
		}
		der, err := x509.CreateCertificate(rand.Reader, template, &x509.Certificate{Subject: pkix.Name{CommonName: "somebody"}}, public, key)
		if err != nil {
			t.Fatal(err)
		}
		if made, err = x509.ParseCertificate(der); err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), made
	}
	leafText, leaf := encode("leaf", false, key.Public())
	good, _ := encode("good", true, key.Public())
	huge, _ := encode("huge", true, &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 16383, 1), E: 1<<31 - 1})

	found, err := parseChain(url.PathEscape(leafText+huge+good+huge), leaf)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 1 || found[0].Subject.CommonName != "good" {
		t.Errorf("%d authorities are asked", len(found))
	}
}
