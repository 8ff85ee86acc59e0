package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
)

const (
	minRSABits     = 2048 // RFC 7518 section 3.3
	maxRSABits     = 8192 // more is slow to verify, at the caller's choice
	minRSAExponent = 65537
	maxRSAExponent = 1<<31 - 1 // crypto/rsa takes no larger one
)

// Key is a public key that can verify tokens, and is fit for it: RSA of 2048 to 8192 bits, a point of P-256, P-384 or P-521, or
// Ed25519. The zero Key verifies nothing.
type Key struct {
	_          [0]func() // not to be compared by ==, which would panic: compare thumbprints
	id         string
	algorithm  Algorithm // the only one; empty: all that go with the type
	public     crypto.PublicKey
	thumbprint string
}

// NewKey is a public key of our own: its ID is the thumbprint, and its algorithm goes by its type, RS256, ES256 (P-256), ES384
// (P-384) or EdDSA (Ed25519). Others are errors.
func NewKey(public crypto.PublicKey) (Key, error) {
	if err := checkPublic(public); err != nil {
		return Key{}, err
	}
	key := Key{public: public}
	switch public := public.(type) {
	case *rsa.PublicKey:
		key.algorithm = RS256
	case *ecdsa.PublicKey:
		switch public.Curve {
		case elliptic.P256():
			key.algorithm = ES256
		case elliptic.P384():
			key.algorithm = ES384
		default:
			return Key{}, errors.New("the key is on the curve P-521: use P-256 or P-384")
		}
	case ed25519.PublicKey:
		key.algorithm = EdDSA
	}
	key.thumbprint = thumbprint(public)
	key.id = key.thumbprint
	return key, nil
}

// ID is the key's kid; empty if its set gives it none.
func (k Key) ID() string { return k.id }

// Algorithm is the only one that the key is for; empty if it is for all that go with its type.
func (k Key) Algorithm() Algorithm { return k.algorithm }

// Thumbprint is the key's SHA-256 thumbprint in base64url (RFC 7638). Equal keys have equal ones, whatever their kid.
func (k Key) Thumbprint() string { return k.thumbprint }

// Public is the key: *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey. It is not to be changed.
func (k Key) Public() crypto.PublicKey { return k.public }

// Fits tells whether the key can verify what is signed by an algorithm: its type and curve are the algorithm's, and its set
// does not keep it for another one.
func (k Key) Fits(a Algorithm) bool {
	return (k.algorithm == "" || k.algorithm == a) && goesWith(k.public, a)
}

func goesWith(public crypto.PublicKey, a Algorithm) bool {
	switch public := public.(type) {
	case *rsa.PublicKey:
		switch a {
		case RS256, RS384, RS512, PS256, PS384, PS512:
			return true
		}
	case *ecdsa.PublicKey:
		switch a {
		case ES256:
			return public.Curve == elliptic.P256()
		case ES384:
			return public.Curve == elliptic.P384()
		case ES512:
			return public.Curve == elliptic.P521()
		}
	case ed25519.PublicKey:
		return a == EdDSA
	}
	return false
}

// checkPublic says why a key is not fit for verifying tokens.
func checkPublic(public crypto.PublicKey) error {
	switch public := public.(type) {
	case *rsa.PublicKey:
		if public == nil || public.N == nil {
			return errors.New("it is no RSA key")
		}
		switch bits := public.N.BitLen(); {
		case bits < minRSABits:
			return fmt.Errorf("it is an RSA key of %d bits: at least %d are needed", bits, minRSABits)
		case bits > maxRSABits:
			return fmt.Errorf("it is an RSA key of %d bits: at most %d are taken", bits, maxRSABits)
		case public.N.Bit(0) == 0:
			return errors.New("its RSA modulus is even")
		case public.E < minRSAExponent || public.E > maxRSAExponent || public.E%2 == 0:
			return errors.New("its RSA exponent is even, less than 65537, or more than 31 bits long")
		}
		return nil
	case *ecdsa.PublicKey:
		if public == nil {
			return errors.New("it is no EC key")
		}
		switch public.Curve {
		case elliptic.P256(), elliptic.P384(), elliptic.P521():
			if _, err := public.Bytes(); err != nil {
				return errors.New("its point is not on its curve")
			}
			return nil
		}
		return errors.New("its curve is none of P-256, P-384, P-521")
	case ed25519.PublicKey:
		if len(public) != ed25519.PublicKeySize {
			return errors.New("it is no Ed25519 key")
		}
		return nil
	}
	return errors.New("its type is none of RSA, EC and Ed25519")
}
