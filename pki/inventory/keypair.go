package inventory

import (
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
)

// ParseKeyPair reads a certificate chain, leaf first, and its private key, both in PEM. It wants each certificate to be
// signed by the next, strong enough and valid at the time given, and the key to be the leaf's. Both are encoded again:
// nothing else that stood in the files is passed on.
func ParseKeyPair(name string, chainPEM, keyPEM []byte, now time.Time) (*KeyPair, error) {
	chain, err := ca.ParseCertificates(chainPEM)
	if err != nil {
		return nil, err
	}
	var encoded []byte
	for i, certificate := range chain {
		if err := ca.CheckStrength(certificate); err != nil {
			return nil, fmt.Errorf("certificate %d of the chain, %q: %w", i+1, certificate.Subject, err)
		}
		if err := checkDates(certificate.NotBefore, certificate.NotAfter, now); err != nil {
			return nil, fmt.Errorf("certificate %d of the chain, %q: %w", i+1, certificate.Subject, err)
		}
		if i > 0 && chain[i-1].CheckSignatureFrom(certificate) != nil {
			return nil, fmt.Errorf("certificate %d of the chain, %q, did not issue the one before it: the leaf comes first, and then each one's issuer", i+1, certificate.Subject)
		}
		encoded = append(encoded, ca.EncodeCertificate(certificate)...)
	}
	key, err := ca.ParsePrivateKey(keyPEM)
	if err != nil {
		return nil, err
	}
	if !ca.Matches(chain[0], key) {
		return nil, errors.New("the private key belongs to another certificate: if both are being replaced, this passes when the second is there")
	}
	encodedKey, err := ca.EncodePrivateKey(key)
	if err != nil {
		return nil, err
	}
	return &KeyPair{
		Name: name, Leaf: chain[0], CertificatePEM: encoded, PrivateKeyPEM: encodedKey,
		Hash: contentHash(encoded, encodedKey),
	}, nil
}

func checkDates(notBefore, notAfter, now time.Time) error {
	if now.Before(notBefore) {
		return fmt.Errorf("it is not valid before %s", notBefore.UTC().Format(time.RFC3339))
	}
	if now.After(notAfter) {
		return fmt.Errorf("it expired at %s", notAfter.UTC().Format(time.RFC3339))
	}
	return nil
}
