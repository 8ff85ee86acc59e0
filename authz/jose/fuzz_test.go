package jose_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-project/sallyport/authz/jose"
)

// FuzzParse looks for a token that makes Parse or Verify fail otherwise than by an error; that is accepted although its parts
// have another encoding; or that, signed as it stands, is accepted although go-jose refuses it or reads it otherwise.
func FuzzParse(f *testing.F) {
	good := made(f, jose.RS256, header(jose.RS256), goodClaims)
	for _, head := range []string{
		header(jose.EdDSA), header(jose.EdDSA, `"kid":"one"`, `"typ":"at+jwt"`, `"x5t":"x"`), `{"alg":"EdDSA","\u0061lg":"none"}`,
		`{"alg":"EdDSA","crit":["exp"]}`, `{"alg":"EdDSA","jwk":{}}`, "{\r\n\"alg\" :\t\"EdDSA\" }",
	} {
		f.Add(good, head, goodClaims)
	}
	for _, claims := range []string{
		`{"exp":1900000000}`, `{"exp":"1900000000"}`, `{"exp":1.9e9,"nbf":0.5,"aud":["a","b"],"cnf":{"x5t#S256":"t"}}`, `{"exp":1,"exp":2}`,
		`{"exp":1900000000,"sub":"\ud83d\ude80\u00e9","scope":"a b","r":{"roles":["a",null,-1.5e3,{}]}}`,
	} {
		f.Add(good+".", header(jose.EdDSA), claims)
	}
	key, rsa := keyOf(f, jose.EdDSA), keyOf(f, jose.RS256)
	f.Fuzz(func(t *testing.T, compact, head, claims string) {
		if token, err := jose.Parse(compact); err == nil {
			for _, part := range strings.Split(compact, ".") {
				decoded, err := base64.RawURLEncoding.DecodeString(part)
				if err != nil || base64.RawURLEncoding.EncodeToString(decoded) != part {
					t.Fatalf("%q was accepted, whose bytes have another encoding", part)
				}
			}
			_, _ = token.Verify(key), token.Verify(rsa)
		}
		agree(t, made(t, jose.EdDSA, head, claims), jose.EdDSA, key)
	})
}

// FuzzParseKeySet looks for a key set that makes the package fail otherwise than by an error, whose keys fit nothing, or that
// is not the same after it is published.
func FuzzParseKeySet(f *testing.F) {
	k := testKeys()
	f.Add(document(f, jwk(f, k.rsa.Public(), map[string]any{"kid": "one", "alg": "RS256", "use": "sig"}), jwk(f, k.p256.Public(), map[string]any{"kid": "two"})))
	f.Add(document(f, jwk(f, k.p521.Public(), map[string]any{"kid": "one"}), jwk(f, k.ed.Public(), map[string]any{"kid": "one"})))
	f.Add(document(f, jwk(f, k.p384.Public(), map[string]any{"d": "AQ"}), jwk(f, k.ed.Public(), map[string]any{"key_ops": []string{"verify"}})))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"},{"kty":"oct","k":"AA"},{"kty":"EC","crv":"P-256","x":"","y":""}]}`))
	token, err := jose.Parse(made(f, jose.RS256, header(jose.RS256), goodClaims))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		set, leftOut, err := jose.ParseKeySet(data)
		if err != nil {
			return
		}
		for _, line := range leftOut {
			if strings.ContainsFunc(line, func(c rune) bool { return c < ' ' || c == 0x7f }) {
				t.Fatalf("%q has control characters", line)
			}
		}
		var named []jose.Key
		for _, a := range jose.Algorithms() {
			for _, key := range set.Find("", a) {
				if !key.Fits(a) {
					t.Fatalf("a key was found for %s that does not fit", a)
				}
				_ = token.Verify(key)
			}
			for _, kid := range set.KeyIDs() {
				for _, key := range set.Find(kid, a) {
					if !slices.ContainsFunc(named, func(k jose.Key) bool { return k.ID() == key.ID() && k.Algorithm() == key.Algorithm() }) {
						named = append(named, key)
					}
				}
			}
		}
		published, err := jose.MarshalKeySet(named)
		if err != nil {
			t.Fatal(err)
		}
		again, leftOut, err := jose.ParseKeySet(published)
		if err != nil || len(leftOut) > 0 {
			t.Fatalf("%s cannot be read again: %v, %q", published, err, leftOut)
		}
		if set.Len() == len(named) && again.Hash() != set.Hash() {
			t.Fatalf("%s is another set than %s", published, data)
		}
	})
}
