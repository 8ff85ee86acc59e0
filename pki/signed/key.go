package signed

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"

	// The hashes that hashFor names.
	_ "crypto/sha512"
)

// The smallest and largest RSA modulus that is accepted, in bits.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// CheckKey reports why a public key cannot verify documents: it is not ECDSA on P-256, P-384 or P-521, or RSA of 2048 to
// 8192 bits.
func CheckKey(key crypto.PublicKey) error {
	_, err := hashFor(key)
	return err
}

// KeyID names a public key: the SHA-256 of its SubjectPublicKeyInfo, in lower-case hex. It is empty for what is no key.
func KeyID(key crypto.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// hashFor is the hash that goes with a key: that of the curve's own size, as AWS KMS wants it too; SHA-256 with RSA, in
// PKCS #1 version 1.5.
func hashFor(key crypto.PublicKey) (crypto.Hash, error) {
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return crypto.SHA256, nil
		case elliptic.P384():
			return crypto.SHA384, nil
		case elliptic.P521():
			return crypto.SHA512, nil
		}
		return 0, fmt.Errorf("the key is on the curve %s: P-256, P-384 or P-521 is wanted", key.Params().Name)
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return 0, fmt.Errorf("the RSA key has %d bits: %d to %d are wanted", bits, minRSABits, maxRSABits)
		}
		return crypto.SHA256, nil
	default:
		return 0, fmt.Errorf("the key is %T: RSA or ECDSA is wanted", key)
	}
}

// verify reports whether a key made a signature over a message.
func verify(key crypto.PublicKey, message, signature []byte) bool {
	hash, err := hashFor(key)
	if err != nil {
		return false
	}
	digest := digestOf(hash, message)
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, digest, signature)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, hash, digest, signature) == nil
	default:
		return false
	}
}

func digestOf(hash crypto.Hash, message []byte) []byte {
	sum := hash.New()
	_, _ = sum.Write(message) // never fails, see hash.Hash
	return sum.Sum(nil)
}
