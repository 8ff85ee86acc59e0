package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
)

// KeyPair is a certificate and its private key. It is a secret: print its String, never its fields.
type KeyPair struct {
	Certificate *x509.Certificate
	PrivateKey  crypto.Signer
	// CertificatePEM is Certificate alone, without its issuer.
	CertificatePEM []byte
	// PrivateKeyPEM is PKCS#8.
	PrivateKeyPEM []byte
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

// TLS is the key pair in the form that crypto/tls wants.
func (p KeyPair) TLS() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{p.Certificate.Raw}, PrivateKey: p.PrivateKey, Leaf: p.Certificate}
}

func newKeyPair(certificate *x509.Certificate, key crypto.Signer) (KeyPair, error) {
	keyPEM, err := EncodePrivateKey(key)
	if err != nil {
		return KeyPair{}, err
	}
	return KeyPair{
		Certificate:    certificate,
		PrivateKey:     key,
		CertificatePEM: EncodeCertificate(certificate),
		PrivateKeyPEM:  keyPEM,
	}, nil
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
