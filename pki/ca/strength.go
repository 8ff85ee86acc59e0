package ca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
)

// MinRSABits is the smallest RSA modulus that is accepted, in bits (NIST SP 800-57 part 1, 112 bits of strength).
const MinRSABits = 2048

// MaxRSABits is the largest, in bits: a larger one makes each verification dear for no gain.
const MaxRSABits = 8192

// CheckStrength reports why a certificate is too weak to be trusted or presented: its public key is not RSA of 2048 to
// 8192 bits or ECDSA on P-256, P-384 or P-521 (those that Envoy verifies), or it was signed with SHA-1 or MD5.
func CheckStrength(certificate *x509.Certificate) error {
	if err := checkPublicKey(certificate.PublicKey); err != nil {
		return err
	}
	return CheckSignatureAlgorithm(certificate.SignatureAlgorithm)
}

// CheckSignatureAlgorithm reports that a signature of this kind is too weak to be trusted, or not known to Envoy.
func CheckSignatureAlgorithm(algorithm x509.SignatureAlgorithm) error {
	switch algorithm {
	case x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA,
		x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS,
		x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512:
		return nil
	default:
		return fmt.Errorf("it is signed with %s: RSA or ECDSA with SHA-256, SHA-384 or SHA-512 is wanted", algorithm)
	}
}

func checkPublicKey(key any) error {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < MinRSABits || bits > MaxRSABits {
			return fmt.Errorf("its RSA key has %d bits: %d to %d are wanted", bits, MinRSABits, MaxRSABits)
		}
		return nil
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256(), elliptic.P384(), elliptic.P521():
			return nil
		}
		return fmt.Errorf("its key is on the curve %s: P-256, P-384 or P-521 is wanted", key.Params().Name)
	default:
		return fmt.Errorf("its key is %T: RSA or ECDSA is wanted", key)
	}
}
