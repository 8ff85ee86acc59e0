package signingkey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/big"
)

// thumbprint is the SHA-256 of a public key's required members in JSON, in the order of their names (RFC 7638, section 3).
func thumbprint(public crypto.PublicKey) (string, error) {
	var members string
	switch public := public.(type) {
	case *rsa.PublicKey:
		members = fmt.Sprintf(`{"e":%q,"kty":"RSA","n":%q}`, encode(big.NewInt(int64(public.E)).Bytes()), encode(public.N.Bytes()))
	case *ecdsa.PublicKey:
		point, err := public.Bytes() // 4, then x and y in full length (RFC 7518, section 6.2.1)
		if err != nil {
			return "", fmt.Errorf("take the thumbprint of a key: %w", err)
		}
		size := len(point) / 2
		members = fmt.Sprintf(`{"crv":%q,"kty":"EC","x":%q,"y":%q}`, public.Params().Name, encode(point[1:1+size]), encode(point[1+size:]))
	case ed25519.PublicKey:
		members = fmt.Sprintf(`{"crv":"Ed25519","kty":"OKP","x":%q}`, encode(public))
	default:
		return "", fmt.Errorf("the key is %T: RSA, ECDSA or Ed25519 is wanted", public)
	}
	sum := sha256.Sum256([]byte(members))
	return encode(sum[:]), nil
}

func encode(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }
