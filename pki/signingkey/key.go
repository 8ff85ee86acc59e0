package signingkey

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
)

// Key is a private key that signs tokens. It is a secret: print its String, never its fields.
type Key struct {
	// Signer is an RSA key of 2048 to 8192 bits, an ECDSA key on P-256 or P-384, or an Ed25519 key.
	Signer crypto.Signer
	// ID is the thumbprint of the public key (RFC 7638), by which tokens name it.
	ID string
	// Begins is when it signs first. It is zero for a key that was not generated here.
	Begins time.Time
}

// String names the key and holds nothing secret.
func (k Key) String() string { return "signing key " + k.ID }

// GoString keeps the key out of %#v.
func (k Key) GoString() string { return "signingkey.Key{" + k.ID + "}" }

// newKey wants a private key to be fit for signing tokens.
func newKey(signer crypto.Signer) (Key, error) {
	switch public := signer.Public().(type) {
	case *rsa.PublicKey:
		if bits := public.N.BitLen(); bits < ca.MinRSABits || bits > ca.MaxRSABits {
			return Key{}, fmt.Errorf("the RSA key has %d bits: %d to %d are wanted", bits, ca.MinRSABits, ca.MaxRSABits)
		}
	case *ecdsa.PublicKey:
		if public.Curve != elliptic.P256() && public.Curve != elliptic.P384() {
			return Key{}, fmt.Errorf("the key is on the curve %s: P-256 or P-384 is wanted", public.Params().Name)
		}
	}
	id, err := thumbprint(signer.Public())
	if err != nil {
		return Key{}, err
	}
	return Key{Signer: signer, ID: id}, nil
}

// Generate makes a key on P-256, whose tokens are signed by ES256, to sign from a moment on.
func Generate(begins time.Time) (Key, error) {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Key{}, fmt.Errorf("generate a signing key: %w", err)
	}
	key, err := newKey(signer)
	key.Begins = begins
	return key, err
}

// Parse reads one unencrypted private key in PEM that can sign tokens, or assertions of a client: RSA or ECDSA as package ca
// reads them, or Ed25519 in PKCS#8. Its errors never hold any part of the key.
func Parse(data []byte) (Key, error) {
	if block, rest := pem.Decode(data); block != nil && block.Type == "PRIVATE KEY" && len(bytes.TrimSpace(rest)) == 0 {
		if parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			if key, found := parsed.(ed25519.PrivateKey); found {
				return newKey(key)
			}
		}
	}
	signer, err := ca.ParsePrivateKey(data)
	if err != nil {
		return Key{}, err
	}
	return newKey(signer)
}
