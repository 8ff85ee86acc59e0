package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// The types of PEM block (RFC 7468) that are written, and the older ones that are read as well.
const (
	blockCertificate    = "CERTIFICATE"
	blockPKCS8          = "PRIVATE KEY"
	blockEncrypted      = "ENCRYPTED PRIVATE KEY"
	blockEC             = "EC PRIVATE KEY"
	blockRSA            = "RSA PRIVATE KEY"
	blockECParameter    = "EC PARAMETERS"
	blockRequest        = "CERTIFICATE REQUEST"
	blockOldRequest     = "NEW CERTIFICATE REQUEST"
	blockRevocationList = "X509 CRL"
)

// ParseCertificates reads a chain or a single certificate in PEM. It wants at least one certificate and nothing but
// certificates; text between the blocks is passed over. It judges neither dates nor strength.
func ParseCertificates(data []byte) ([]*x509.Certificate, error) {
	var certificates []*x509.Certificate
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != blockCertificate {
			return nil, fmt.Errorf("a PEM block of type %q stands where only certificates belong", block.Type)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(certificates)+1, err)
		}
		certificates = append(certificates, certificate)
	}
	if len(certificates) == 0 {
		return nil, errors.New("no certificate in PEM was found")
	}
	return certificates, nil
}

// ParsePrivateKey reads one unencrypted RSA or ECDSA key in PEM: PKCS#8, or the older forms that openssl writes. An
// encrypted one is ErrEncrypted: DecryptPrivateKey reads it. Its errors never hold any part of the key.
func ParsePrivateKey(data []byte) (crypto.Signer, error) {
	block, err := keyBlock(data)
	if err != nil {
		return nil, err
	}
	if block.Type == blockEncrypted || isLegacyEncrypted(block) {
		return nil, fmt.Errorf("%w: a passphrase is needed, or an unencrypted PKCS#8 key kept where only its reader can get at it", ErrEncrypted)
	}
	return parseKeyBlock(block)
}

// keyBlock finds the one PEM block that holds a private key. The curve, which openssl writes before it, is passed over.
func keyBlock(data []byte) (*pem.Block, error) {
	var found *pem.Block
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type == blockECParameter:
			continue
		case found != nil:
			return nil, errors.New("more than one PEM block was found where one private key belongs")
		}
		found = block
	}
	if found == nil {
		return nil, errors.New("no private key in PEM was found")
	}
	return found, nil
}

// isLegacyEncrypted reports whether a block is encrypted by its headers (RFC 1421), as openssl did before PKCS#8.
func isLegacyEncrypted(block *pem.Block) bool { return block.Headers["DEK-Info"] != "" }

func parseKeyBlock(block *pem.Block) (crypto.Signer, error) {
	var key any
	var err error
	switch block.Type {
	case blockPKCS8:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case blockEC:
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case blockRSA:
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("a PEM block of type %q stands where a private key belongs", block.Type)
	}
	if err != nil {
		return nil, errors.New("the private key cannot be parsed: an RSA or ECDSA key in PKCS#8 is wanted")
	}
	return asSigner(key)
}

func asSigner(key any) (crypto.Signer, error) {
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		return key, nil
	case *rsa.PrivateKey:
		return key, nil
	default:
		return nil, fmt.Errorf("the private key is %T: RSA or ECDSA is wanted", key)
	}
}

// Matches reports whether a private key belongs to a certificate.
func Matches(certificate *x509.Certificate, key crypto.Signer) bool {
	return samePublicKey(certificate.PublicKey, key.Public())
}

func samePublicKey(a, b crypto.PublicKey) bool {
	key, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && key.Equal(b)
}

// EncodeCertificate writes a certificate as one PEM block.
func EncodeCertificate(certificate *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: blockCertificate, Bytes: certificate.Raw})
}

func encodeCertificates(certificates []*x509.Certificate) []byte {
	var encoded []byte
	for _, certificate := range certificates {
		encoded = append(encoded, EncodeCertificate(certificate)...)
	}
	return encoded
}

// EncodePrivateKey writes a private key as one PEM block of PKCS#8.
func EncodePrivateKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode the private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: blockPKCS8, Bytes: der}), nil
}
