package manifest

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/sallyport-project/sallyport/pki/signed"
)

// ParseSigners reads the keys that are believed: public keys (SubjectPublicKeyInfo) or certificates in PEM, at least one.
// Of a certificate only the key counts; whoever names it here believes the key, whatever its dates say. A private key is
// refused: it has no business where manifests are verified.
func ParseSigners(data []byte) ([]crypto.PublicKey, error) {
	var signers []crypto.PublicKey
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		signer, err := parseSigner(block)
		if err == nil {
			err = signed.CheckKey(signer)
		}
		if err != nil {
			return nil, fmt.Errorf("signer %d: %w", len(signers)+1, err)
		}
		signers = append(signers, signer)
	}
	if len(signers) == 0 {
		return nil, errors.New("no public key or certificate in PEM was found")
	}
	return signers, nil
}

func parseSigner(block *pem.Block) (crypto.PublicKey, error) {
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "CERTIFICATE":
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return certificate.PublicKey, nil
	default:
		return nil, fmt.Errorf("a PEM block of type %q stands where a public key or certificate belongs", block.Type)
	}
}
