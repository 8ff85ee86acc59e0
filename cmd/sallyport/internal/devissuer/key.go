package devissuer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/sallyport-project/sallyport/internal/atomicfile"
	"github.com/sallyport-project/sallyport/pki/ca"
)

// signingKey is a private key with the algorithm that it signs by.
type signingKey struct {
	algorithm jose.SignatureAlgorithm
	private   crypto.Signer
	// id is its thumbprint (RFC 7638), and its `kid`.
	id string
}

// rsaBits is the smallest modulus that verifiers take (RFC 8725, section 3.5; RFC 7518, section 3.3).
const rsaBits = 2048

// newKey makes a key for an algorithm of the list `algorithms`.
func newKey(algorithm jose.SignatureAlgorithm) (*signingKey, error) {
	private, err := generate(algorithm)
	if err != nil {
		return nil, fmt.Errorf("make a key for %s: %w", algorithm, err)
	}
	return asSigningKey(algorithm, private)
}

func generate(algorithm jose.SignatureAlgorithm) (crypto.Signer, error) {
	switch algorithm {
	case jose.ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.ES384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case jose.ES512:
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case jose.EdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	default:
		return rsa.GenerateKey(rand.Reader, rsaBits)
	}
}

func asSigningKey(algorithm jose.SignatureAlgorithm, private crypto.Signer) (*signingKey, error) {
	thumbprint, err := (&jose.JSONWebKey{Key: private.Public()}).Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("name a key for %s: %w", algorithm, err)
	}
	key := &signingKey{algorithm: algorithm, private: private, id: base64.RawURLEncoding.EncodeToString(thumbprint)}
	// A file may hold a key of another kind.
	if _, err := key.sign(TokenType, map[string]any{}); err != nil {
		return nil, err
	}
	return key, nil
}

// keptKey is the key of an issuer and algorithm that a folder keeps: made on first use, with mode 0600.
func keptKey(folder, name string, algorithm jose.SignatureAlgorithm) (*signingKey, error) {
	if folder == "" {
		return newKey(algorithm)
	}
	path := filepath.Join(folder, name+"-"+strings.ToLower(string(algorithm))+"-key.pem")
	data, err := os.ReadFile(path)
	switch {
	case err == nil:
		key, err := parseKey(algorithm, data)
		if err != nil {
			return nil, fmt.Errorf("read the development issuer's key %s: %w; remove the file to have a new one", path, err)
		}
		return key, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read the development issuer's key: %w", err)
	}
	key, err := newKey(algorithm)
	if err != nil {
		return nil, err
	}
	encoded, err := ca.EncodePrivateKey(key.private)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("keep the development issuer's key: %w", err)
	}
	if err := atomicfile.Replace(path, encoded, 0o600); err != nil {
		return nil, fmt.Errorf("keep the development issuer's key: %w", err)
	}
	return key, nil
}

func parseKey(algorithm jose.SignatureAlgorithm, data []byte) (*signingKey, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("it is no PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("it is no private key in PKCS#8")
	}
	private, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%T cannot sign", parsed)
	}
	return asSigningKey(algorithm, private)
}

// sign makes a JWT of claims (RFC 7519, compact serialization).
func (k *signingKey) sign(tokenType string, claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encode claims: %w", err)
	}
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: k.algorithm, Key: jose.JSONWebKey{Key: k.private, KeyID: k.id}},
		(&jose.SignerOptions{}).WithType(jose.ContentType(tokenType)))
	if err != nil {
		return "", fmt.Errorf("sign with %s: %w", k.algorithm, err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign with %s: %w", k.algorithm, err)
	}
	return signed.CompactSerialize()
}

// verify gives the claims of a JWT that this key signed.
func (k *signingKey) verify(token string) (map[string]any, error) {
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{k.algorithm})
	if err != nil {
		return nil, errors.New("it is no signed token of this issuer")
	}
	payload, err := signed.Verify(k.private.Public())
	if err != nil {
		return nil, errors.New("it was signed by another key")
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		return nil, errors.New("its claims are no JSON object")
	}
	return claims, nil
}

// set is the key set that verifiers fetch (RFC 7517): the public key alone.
func (k *signingKey) set() jose.JSONWebKeySet {
	return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{
		Key: k.private.Public(), KeyID: k.id, Algorithm: string(k.algorithm), Use: "sig",
	}}}
}
