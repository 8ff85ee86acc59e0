package integration

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"testing"
	"time"
)

// forge is an issuer of our own making, which signs whatever it is given: RS256, unless it is told how.
type forge struct {
	issuer, kid string
	key         *rsa.PrivateKey
}

// newForge makes an issuer, with a key that has a name of the caller's choice.
func newForge(t testing.TB, issuer, kid string) *forge {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return &forge{issuer: issuer, kid: kid, key: key}
}

// jwk is the public key (RFC 7518, section 6.3.1).
func (f *forge) jwk() map[string]any {
	return map[string]any{
		"kty": "RSA", "kid": f.kid, "use": "sig", "n": encodeURL(f.key.N.Bytes()), "e": encodeURL(big.NewInt(int64(f.key.E)).Bytes()),
	}
}

// keySet is its key set (RFC 7517).
func (f *forge) keySet(t testing.TB) string {
	t.Helper()
	return string(encodeJSON(t, map[string]any{"keys": []any{f.jwk()}}))
}

// header and claims are those of a good access token, in JSON, with members that replace them or, with nil, remove them.
func (f *forge) header(t testing.TB, other map[string]any) string {
	t.Helper()
	return string(encodeJSON(t, replaced(map[string]any{"alg": "RS256", "typ": "at+jwt", "kid": f.kid}, other)))
}

func (f *forge) claims(t testing.TB, other map[string]any) string {
	t.Helper()
	now := time.Now().Unix()
	return string(encodeJSON(t, replaced(map[string]any{
		"iss": f.issuer, "sub": "clerk", "aud": audience, "client_id": "app", "jti": rand.Text(), "iat": now, "nbf": now, "exp": now + 300,
	}, other)))
}

// sign makes a token of a header and claims as they are written.
func (f *forge) sign(t testing.TB, header, claims string) string {
	t.Helper()
	input := encodeURL([]byte(header)) + "." + encodeURL([]byte(claims))
	digest := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(rand.Reader, f.key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + encodeURL(signature)
}

// token is a good one, but for what is said.
func (f *forge) token(t testing.TB, header, claims map[string]any) string {
	t.Helper()
	return f.sign(t, f.header(t, header), f.claims(t, claims))
}

// authenticated is a token with the code of a secret for a signature, as HS256 makes it.
func (f *forge) authenticated(t testing.TB, secret []byte) string {
	t.Helper()
	input := encodeURL([]byte(f.header(t, map[string]any{"alg": "HS256"}))) + "." + encodeURL([]byte(f.claims(t, nil)))
	code := hmac.New(sha256.New, secret)
	_, _ = fmt.Fprint(code, input) // a hash takes everything
	return input + "." + encodeURL(code.Sum(nil))
}

func replaced(members, by map[string]any) map[string]any {
	for name, value := range by {
		if value == nil {
			delete(members, name)
			continue
		}
		members[name] = value
	}
	return members
}

func encodeURL(content []byte) string { return base64.RawURLEncoding.EncodeToString(content) }

func encodeJSON(t testing.TB, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
