package ca

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"slices"
)

// KeyPair is a certificate and its private key. It is a secret: print its String, never its fields.
type KeyPair struct {
	Certificate *x509.Certificate
	// PrivateKey is nil where the certificate was made for somebody else's public key.
	PrivateKey crypto.Signer
	// Chain are the intermediate authorities above Certificate, its issuer first, without the root. It is empty where the
	// root itself is the issuer. Do not change the certificates.
	Chain []*x509.Certificate
	// CertificatePEM is Certificate alone, without its issuer.
	CertificatePEM []byte
	// PrivateKeyPEM is PKCS#8, and nil where there is no private key or it cannot leave where it is.
	PrivateKeyPEM []byte
}

// ChainPEM is what a peer is shown: the certificate, then the intermediate authorities above it, without the root.
func (p KeyPair) ChainPEM() []byte {
	return append(bytes.Clone(p.CertificatePEM), encodeCertificates(p.Chain)...)
}

// String names the certificate and holds nothing secret.
func (p KeyPair) String() string {
	if p.Certificate == nil {
		return "no key pair"
	}
	return fmt.Sprintf("%s (serial %x, until %s)", p.Certificate.Subject, p.Certificate.SerialNumber, p.Certificate.NotAfter.UTC().Format("2006-01-02T15:04:05Z"))
}

// GoString keeps the key out of %#v.
func (p KeyPair) GoString() string { return "ca.KeyPair{" + p.String() + "}" }

// TLS is the key pair in the form that crypto/tls wants, with the intermediate authorities.
func (p KeyPair) TLS() tls.Certificate {
	chain := [][]byte{p.Certificate.Raw}
	for _, authority := range p.Chain {
		chain = append(chain, authority.Raw)
	}
	return tls.Certificate{Certificate: chain, PrivateKey: p.PrivateKey, Leaf: p.Certificate}
}

// newKeyPair puts a key pair together. Above are the authorities above the certificate that are known.
func newKeyPair(certificate *x509.Certificate, key crypto.Signer, above []*x509.Certificate) (KeyPair, error) {
	pair := KeyPair{
		Certificate:    certificate,
		PrivateKey:     key,
		Chain:          slices.Clone(withoutRoot(above)),
		CertificatePEM: EncodeCertificate(certificate),
	}
	if !canLeave(key) {
		return pair, nil
	}
	keyPEM, err := EncodePrivateKey(key)
	if err != nil {
		return KeyPair{}, err
	}
	pair.PrivateKeyPEM = keyPEM
	return pair, nil
}

// canLeave reports whether a key is there to be written, and does not live behind an interface.
func canLeave(key crypto.Signer) bool {
	switch key.(type) {
	case *ecdsa.PrivateKey, *rsa.PrivateKey:
		return true
	default:
		return false
	}
}

// keyFor is the key that a certificate is made for: the one that is given, or a new one, which comes with its private key.
func keyFor(given crypto.PublicKey) (crypto.Signer, crypto.PublicKey, error) {
	if given != nil {
		if err := checkPublicKey(given); err != nil {
			return nil, nil, fmt.Errorf("the public key: %w", err)
		}
		return nil, given, nil
	}
	key, err := generateKey()
	if err != nil {
		return nil, nil, err
	}
	public := key.Public()
	return key, public, nil
}

func generateKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate a private key: %w", err)
	}
	return key, nil
}

// newSerial returns a random serial number of 128 bits, never zero. RFC 5280, section 4.1.2.2, wants a positive number
// of at most 20 bytes.
func newSerial() *big.Int {
	var serial [16]byte
	for {
		_, _ = rand.Read(serial[:]) // never fails, see crypto/rand
		if number := new(big.Int).SetBytes(serial[:]); number.Sign() > 0 {
			return number
		}
	}
}
