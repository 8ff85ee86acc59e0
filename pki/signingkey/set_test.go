package signingkey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"

	"github.com/sallyport-project/sallyport/pki/ca"
)

func encoded(t *testing.T, key crypto.Signer, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	text, err := ca.EncodePrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func elliptically(t *testing.T, curve elliptic.Curve) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	return encoded(t, key, err)
}

func TestOfMaterialTheFirstKeySignsAndAllArePublished(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	first := encoded(t, rsaKey, err)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	third := encoded(t, edKey, err)
	set, err := FromMaterial(first, elliptically(t, elliptic.P256()), third, elliptically(t, elliptic.P384()), first)
	if err != nil {
		t.Fatal(err)
	}
	if !rsaKey.PublicKey.Equal(set.Signing.Signer.Public()) || len(set.Published) != 4 || !published(set, set.Signing.ID) {
		t.Errorf("%v", set)
	}
	turned, err := FromMaterial(third, first)
	if err != nil || turned.Hash == set.Hash || !edKey.Equal(turned.Signing.Signer) {
		t.Errorf("%v, %v", turned, err)
	}
}

func TestMaterialThatCannotSignIsRefused(t *testing.T) {
	good := elliptically(t, elliptic.P256())
	weak := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 1023), E: 65537}}
	if _, err := newKey(weak); err == nil || !strings.Contains(err.Error(), "1024 bits") {
		t.Errorf("a short RSA key: %v", err)
	}
	for name, test := range map[string]struct {
		keys  [][]byte
		words string
	}{
		"none":                    {nil, "no signing key"},
		"no PEM":                  {[][]byte{good, []byte("a secret")}, "signing key 2: no private key"},
		"a curve without use":     {[][]byte{elliptically(t, elliptic.P521())}, "P-521"},
		"two keys in one":         {[][]byte{append(append([]byte(nil), good...), good...)}, "more than one"},
		"something that is empty": {[][]byte{{}}, "signing key 1"},
	} {
		set, err := FromMaterial(test.keys...)
		if err == nil || set != nil || !strings.Contains(err.Error(), test.words) {
			t.Errorf("%s: %v, %v", name, set, err)
		}
		if err != nil && strings.Contains(err.Error(), "a secret") {
			t.Errorf("%s: the error holds what was given", name)
		}
	}
}

func TestThumbprintIsThatOfTheRFC(t *testing.T) {
	// RFC 7638, section 3.1.
	n, err := base64.RawURLEncoding.DecodeString("0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw")
	if err != nil {
		t.Fatal(err)
	}
	got, err := thumbprint(&rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537})
	if err != nil || got != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" {
		t.Errorf("%s, %v", got, err)
	}
}
