package jose

import (
	"bytes"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
)

// Signer signs tokens of our own. It is safe for concurrent use if its key is.
type Signer struct {
	key    crypto.Signer
	public Key
}

// NewSigner makes a signer of a private key, which may live elsewhere, in a KMS. The algorithm goes by the key's type: RS256
// (RSA of 2048 bits or more), ES256 (P-256), ES384 (P-384) or EdDSA (Ed25519). The kid of its tokens is the key's thumbprint.
func NewSigner(key crypto.Signer) (*Signer, error) {
	if key == nil {
		return nil, errors.New("a key to sign tokens with is missing")
	}
	public, err := NewKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("a key to sign tokens with: %w", err)
	}
	return &Signer{key: key, public: public}, nil
}

// KeyID is the kid of the tokens.
func (s *Signer) KeyID() string { return s.public.id }

// Named is the same signer for someone who knows the key by another id: kid is that in its tokens, and nothing else differs.
func (s *Signer) Named(keyID string) *Signer {
	named := *s
	named.public.id = keyID
	return &named
}

// Public is the key that verifies the tokens.
func (s *Signer) Public() Key { return s.public }

// Sign makes a token with these claims, whose typ, if any, is given as "at+jwt". What was made is read and verified before it
// leaves: claims that Parse would refuse, a missing exp or a token of more than MaxTokenSize are errors, and so is a key that
// signs wrongly. No error holds the token.
func (s *Signer) Sign(typ string, claims map[string]any) (string, error) {
	header, err := encodeJSON(struct {
		Algorithm Algorithm `json:"alg"`
		KeyID     string    `json:"kid"`
		Type      string    `json:"typ,omitempty"`
	}{s.public.algorithm, s.public.id, typ})
	if err != nil {
		return "", fmt.Errorf("writing a token's header: %w", err)
	}
	payload, err := encodeJSON(claims)
	if err != nil {
		return "", fmt.Errorf("writing a token's claims: %w", err)
	}
	signed := header + "." + payload
	signature, err := sign(signed, s.public.algorithm, s.key)
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	compact := signed + "." + encode(signature)
	token, err := Parse(compact)
	if err != nil {
		return "", fmt.Errorf("checking the token that was made: %w", err)
	}
	if err := token.Verify(s.public); err != nil {
		return "", fmt.Errorf("checking the token that was made: %w", err)
	}
	return compact, nil
}

// encodeJSON is a part of a token. Members are in the order of their names, and <, > and & stand as they are.
func encodeJSON(value any) (string, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "", err
	}
	return encode(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}
