package jose_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/sallyport-project/sallyport/authz/jose"
)

// benchClaims are those of an access token as identity providers make them.
const benchClaims = `{"exp":1900000000,"iat":1800000000,"nbf":1800000000,"jti":"0f8fad5b-d9cb-469f-a165-70867728950e","iss":"https://id.example.org/realms/main",
"aud":["vessels","account"],"sub":"7c9e6679-7425-40de-944b-e07fc1f90ae7","typ":"Bearer","azp":"app","sid":"a81bc81b-dead-4e5d-abff-90865d1e13b1",
"realm_access":{"roles":["offline_access","guard","warden"]},"resource_access":{"account":{"roles":["manage-account","view-profile"]}},
"scope":"openid email profile","email_verified":false,"name":"Zo\u00eb Guard","preferred_username":"zoe"}`

// BenchmarkParseAndVerify is what a token costs that was not seen before, by algorithm.
func BenchmarkParseAndVerify(b *testing.B) {
	for _, a := range []jose.Algorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA} {
		b.Run(string(a), func(b *testing.B) {
			compact, key := made(b, a, header(a, `"kid":"one"`, `"typ":"JWT"`), benchClaims), keyOf(b, a)
			b.ReportAllocs()
			for b.Loop() {
				token, err := jose.Parse(compact)
				if err != nil {
					b.Fatal(err)
				}
				if err := token.Verify(key); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkParse is the part of it that is no signature's.
func BenchmarkParse(b *testing.B) {
	compact := made(b, jose.RS256, header(jose.RS256, `"kid":"one"`, `"typ":"JWT"`), benchClaims)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := jose.Parse(compact); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSignatureAlone is the least that an RS256 token could cost: crypto/rsa and SHA-256, of bytes at hand.
func BenchmarkSignatureAlone(b *testing.B) {
	compact := made(b, jose.RS256, header(jose.RS256, `"kid":"one"`, `"typ":"JWT"`), benchClaims)
	dot := strings.LastIndexByte(compact, '.')
	signed := []byte(compact[:dot])
	signature, err := base64.RawURLEncoding.DecodeString(compact[dot+1:])
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		digest := sha256.Sum256(signed)
		if err := rsa.VerifyPKCS1v15(&testKeys().rsa.PublicKey, crypto.SHA256, digest[:], signature); err != nil {
			b.Fatal(err)
		}
	}
}
