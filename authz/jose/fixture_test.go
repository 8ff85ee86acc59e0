package jose_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport-project/sallyport/authz/jose"
)

// keys are an issuer's private keys, one for each type.
type keys struct {
	rsa, otherRSA    *rsa.PrivateKey
	p256, p384, p521 *ecdsa.PrivateKey
	ed               ed25519.PrivateKey
}

var testKeys = sync.OnceValue(func() keys {
	var k keys
	var err error
	must := func() {
		if err != nil {
			panic(err)
		}
	}
	k.rsa, err = rsa.GenerateKey(rand.Reader, 2048)
	must()
	k.otherRSA, err = rsa.GenerateKey(rand.Reader, 2048)
	must()
	k.p256, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must()
	k.p384, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must()
	k.p521, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	must()
	_, k.ed, err = ed25519.GenerateKey(rand.Reader)
	must()
	return k
})

// of is the key that goes with an algorithm.
func (k keys) of(a jose.Algorithm) crypto.Signer {
	switch a {
	case jose.ES256:
		return k.p256
	case jose.ES384:
		return k.p384
	case jose.ES512:
		return k.p521
	case jose.EdDSA:
		return k.ed
	}
	return k.rsa
}

const goodClaims = `{"iss":"https://id.example.org","sub":"mapps","aud":"vessels","exp":1900000000,"iat":1800000000,"jti":"1"}`

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// made is a token with this header and these claims, as they stand, signed by the standard library alone.
func made(t testing.TB, a jose.Algorithm, header, claims string) string {
	t.Helper()
	return seal(t, a, b64(header)+"."+b64(claims))
}

// header is one that names an algorithm, with more members if any are given.
func header(a jose.Algorithm, more ...string) string {
	return `{` + strings.Join(append([]string{`"alg":"` + string(a) + `"`}, more...), ",") + `}`
}

// seal signs what stands before the second dot.
func seal(t testing.TB, a jose.Algorithm, signed string) string {
	t.Helper()
	key := testKeys().of(a)
	hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[string(a)[2:]]
	digest := []byte(signed)
	if a != jose.EdDSA {
		h := hash.New()
		h.Write(digest)
		digest = h.Sum(nil)
	}
	var signature []byte
	var err error
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if strings.HasPrefix(string(a), "PS") {
			signature, err = rsa.SignPSS(rand.Reader, key, hash, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		} else {
			signature, err = rsa.SignPKCS1v15(nil, key, hash, digest)
		}
	case *ecdsa.PrivateKey:
		r, s, signError := ecdsa.Sign(rand.Reader, key, digest)
		if err = signError; err == nil {
			size := (key.Params().BitSize + 7) / 8
			signature = append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
		}
	case ed25519.PrivateKey:
		signature = ed25519.Sign(key, digest)
	}
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// jwk is a public key as issuers publish it, with these members beside.
func jwk(t testing.TB, public crypto.PublicKey, more map[string]any) map[string]any {
	t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	var members map[string]any
	switch public := public.(type) {
	case *rsa.PublicKey:
		members = map[string]any{"kty": "RSA", "n": encode(public.N.Bytes()), "e": "AQAB"}
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		half := len(point) / 2
		members = map[string]any{"kty": "EC", "crv": public.Params().Name, "x": encode(point[1 : 1+half]), "y": encode(point[1+half:])}
	case ed25519.PublicKey:
		members = map[string]any{"kty": "OKP", "crv": "Ed25519", "x": encode(public)}
	default:
		t.Fatalf("no JWK of a %T", public)
	}
	for name, value := range more {
		if value == nil {
			delete(members, name)
			continue
		}
		members[name] = value
	}
	return members
}

// document is a key set.
func document(t testing.TB, jwks ...map[string]any) []byte {
	t.Helper()
	if jwks == nil {
		jwks = []map[string]any{}
	}
	text, err := json.Marshal(map[string]any{"keys": jwks})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// keySet reads a key set of which every key is fit.
func keySet(t testing.TB, jwks ...map[string]any) *jose.KeySet {
	t.Helper()
	set, leftOut, err := jose.ParseKeySet(document(t, jwks...))
	if err != nil || len(leftOut) > 0 {
		t.Fatalf("reading the key set: %v, left out: %q", err, leftOut)
	}
	return set
}

// keyOf is the key that goes with an algorithm, as a set gives it.
func keyOf(t testing.TB, a jose.Algorithm) jose.Key {
	t.Helper()
	found := keySet(t, jwk(t, testKeys().of(a).Public(), nil)).Find("", a)
	if len(found) != 1 {
		t.Fatalf("found %d keys for %s", len(found), a)
	}
	return found[0]
}
