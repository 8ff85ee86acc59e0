package jose_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-project/sallyport/authz/jose"
)

// number is a number as a JWK has it.
func number(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }

func TestAKeyThatIsNotFitIsLeftOutAndTheRestStays(t *testing.T) {
	k := testKeys()
	one := big.NewInt(1)
	bits := func(n uint) string { return number(new(big.Int).Add(new(big.Int).Lsh(one, n-1), one)) }
	otherX := jwk(t, &k.p256.PublicKey, nil)["y"]
	for name, key := range map[string]map[string]any{
		"a symmetric one":               {"kty": "oct", "k": "c2VjcmV0"},
		"a private one":                 jwk(t, k.rsa.Public(), map[string]any{"d": number(k.rsa.D)}),
		"a private EC one":              jwk(t, k.p256.Public(), map[string]any{"d": "AQ"}),
		"one with a factor":             jwk(t, k.rsa.Public(), map[string]any{"p": number(k.rsa.Primes[0])}),
		"one with a secret beside":      jwk(t, k.rsa.Public(), map[string]any{"k": "c2VjcmV0"}),
		"no type":                       jwk(t, k.rsa.Public(), map[string]any{"kty": nil}),
		"an unknown type":               jwk(t, k.rsa.Public(), map[string]any{"kty": "AKP"}),
		"a type in small letters":       jwk(t, k.rsa.Public(), map[string]any{"kty": "rsa"}),
		"for encryption":                jwk(t, k.rsa.Public(), map[string]any{"use": "enc"}),
		"a use of no text":              jwk(t, k.rsa.Public(), map[string]any{"use": []string{"sig"}}),
		"for signing only":              jwk(t, k.rsa.Public(), map[string]any{"key_ops": []string{"sign"}}),
		"operations of no list":         jwk(t, k.rsa.Public(), map[string]any{"key_ops": "verify"}),
		"for HMAC":                      jwk(t, k.rsa.Public(), map[string]any{"alg": "HS256"}),
		"for none":                      jwk(t, k.rsa.Public(), map[string]any{"alg": "none"}),
		"for an encryption":             jwk(t, k.rsa.Public(), map[string]any{"alg": "RSA-OAEP"}),
		"another type's algorithm":      jwk(t, k.rsa.Public(), map[string]any{"alg": "ES256"}),
		"another curve's algorithm":     jwk(t, k.p256.Public(), map[string]any{"alg": "ES384"}),
		"a kid of no text":              jwk(t, k.rsa.Public(), map[string]any{"kid": 1}),
		"an empty kid":                  jwk(t, k.rsa.Public(), map[string]any{"kid": ""}),
		"a kid with a line feed":        jwk(t, k.rsa.Public(), map[string]any{"kid": "a\nb"}),
		"a long kid":                    jwk(t, k.rsa.Public(), map[string]any{"kid": strings.Repeat("k", 257)}),
		"RSA of 1024 bits":              jwk(t, k.rsa.Public(), map[string]any{"n": bits(1024)}),
		"RSA of 2047 bits":              jwk(t, k.rsa.Public(), map[string]any{"n": bits(2047)}),
		"RSA of 8193 bits":              jwk(t, k.rsa.Public(), map[string]any{"n": bits(8193)}),
		"RSA of 100,000 bits":           jwk(t, k.rsa.Public(), map[string]any{"n": bits(100_000)}),
		"an even modulus":               jwk(t, k.rsa.Public(), map[string]any{"n": number(new(big.Int).Lsh(one, 2047))}),
		"no modulus":                    jwk(t, k.rsa.Public(), map[string]any{"n": nil}),
		"a modulus in padded base64":    jwk(t, k.rsa.Public(), map[string]any{"n": base64.URLEncoding.EncodeToString(k.rsa.N.Bytes())}),
		"no exponent":                   jwk(t, k.rsa.Public(), map[string]any{"e": nil}),
		"the exponent 1":                jwk(t, k.rsa.Public(), map[string]any{"e": "AQ"}),
		"the exponent 3":                jwk(t, k.rsa.Public(), map[string]any{"e": "Aw"}),
		"an even exponent":              jwk(t, k.rsa.Public(), map[string]any{"e": "AQAC"}),
		"an exponent of 32 bits":        jwk(t, k.rsa.Public(), map[string]any{"e": "_____w"}),
		"an exponent of 5 bytes":        jwk(t, k.rsa.Public(), map[string]any{"e": "AQAAAAE"}),
		"a point beside its curve":      jwk(t, k.p256.Public(), map[string]any{"x": otherX}),
		"a point at infinity":           jwk(t, k.p256.Public(), map[string]any{"x": b64(strings.Repeat("\x00", 32)), "y": b64(strings.Repeat("\x00", 32))}),
		"a point of another curve":      jwk(t, k.p256.Public(), map[string]any{"crv": "P-384"}),
		"a short coordinate":            jwk(t, k.p256.Public(), map[string]any{"x": b64(strings.Repeat("x", 31))}),
		"a long coordinate":             jwk(t, k.p256.Public(), map[string]any{"x": b64(strings.Repeat("x", 33))}),
		"no coordinate":                 jwk(t, k.p256.Public(), map[string]any{"y": nil}),
		"a weak curve":                  jwk(t, k.p256.Public(), map[string]any{"crv": "P-224"}),
		"the curve of coins":            jwk(t, k.p256.Public(), map[string]any{"crv": "secp256k1"}),
		"Ed448":                         jwk(t, k.ed.Public(), map[string]any{"crv": "Ed448"}),
		"X25519":                        jwk(t, k.ed.Public(), map[string]any{"crv": "X25519"}),
		"a short Ed25519":               jwk(t, k.ed.Public(), map[string]any{"x": b64(strings.Repeat("x", 31))}),
		"Ed25519 for RSA":               jwk(t, k.ed.Public(), map[string]any{"alg": "RS256"}),
		"an RSA key that says it is EC": jwk(t, k.rsa.Public(), map[string]any{"kty": "EC"}),
	} {
		t.Run(name, func(t *testing.T) {
			good := jwk(t, k.ed.Public(), map[string]any{"kid": "good"})
			if _, there := key["kid"]; !there {
				key["kid"] = "bad"
			}
			set, leftOut, err := jose.ParseKeySet(document(t, key, good))
			if err != nil {
				t.Fatal(err)
			}
			if len(leftOut) != 1 || !strings.HasPrefix(leftOut[0], "key 1") || strings.ContainsAny(leftOut[0], "\n\x00") {
				t.Errorf("left out: %q", leftOut)
			}
			if ids := set.KeyIDs(); !slices.Equal(ids, []string{"good"}) || set.Len() != 1 {
				t.Errorf("the set has %q", ids)
			}
			t.Log(leftOut)
		})
	}
}

func TestAFitKeyIsTakenForWhatItIsFor(t *testing.T) {
	k := testKeys()
	rsaAll := []jose.Algorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512}
	for name, c := range map[string]struct {
		key  map[string]any
		want []jose.Algorithm
	}{
		"RSA":               {jwk(t, k.rsa.Public(), nil), rsaAll},
		"RSA for RS256":     {jwk(t, k.rsa.Public(), map[string]any{"alg": "RS256"}), []jose.Algorithm{jose.RS256}},
		"a zero in front":   {jwk(t, k.rsa.Public(), map[string]any{"n": b64("\x00" + string(k.rsa.N.Bytes()))}), rsaAll},
		"P-256":             {jwk(t, k.p256.Public(), nil), []jose.Algorithm{jose.ES256}},
		"P-384":             {jwk(t, k.p384.Public(), nil), []jose.Algorithm{jose.ES384}},
		"P-521":             {jwk(t, k.p521.Public(), map[string]any{"alg": "ES512"}), []jose.Algorithm{jose.ES512}},
		"Ed25519":           {jwk(t, k.ed.Public(), nil), []jose.Algorithm{jose.EdDSA}},
		"for signatures":    {jwk(t, k.ed.Public(), map[string]any{"use": "sig"}), []jose.Algorithm{jose.EdDSA}},
		"for verifying":     {jwk(t, k.ed.Public(), map[string]any{"key_ops": []string{"verify", "sign"}}), []jose.Algorithm{jose.EdDSA}},
		"with certificates": {jwk(t, k.ed.Public(), map[string]any{"x5c": []string{"AA=="}, "x5t": "x", "nbf": 1.5}), []jose.Algorithm{jose.EdDSA}},
	} {
		t.Run(name, func(t *testing.T) {
			set := keySet(t, c.key)
			var got []jose.Algorithm
			for _, a := range jose.Algorithms() {
				if len(set.Find("", a)) == 1 {
					got = append(got, a)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("is for %q, want %q", got, c.want)
			}
		})
	}
}

func TestWhatIsNoKeySetIsAnError(t *testing.T) {
	key := `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	for name, text := range map[string]string{
		"nothing":              ``,
		"a page":               `<html></html>`,
		"a list":               `[` + key + `]`,
		"a key alone":          key,
		"no keys":              `{}`,
		"keys that are null":   `{"keys":null}`,
		"keys as an object":    `{"keys":{"a":` + key + `}}`,
		"keys of texts":        `{"keys":["a"]}`,
		"keys twice":           `{"keys":[],"keys":[` + key + `]}`,
		"a member twice":       `{"keys":[{"kty":"OKP","kty":"OKP"}]}`,
		"half of it":           `{"keys":[` + key,
		"two of them":          `{"keys":[]}{"keys":[` + key + `]}`,
		"bytes that are wrong": "{\"keys\":[],\"x\":\"\xff\"}",
		"101 keys":             `{"keys":[` + strings.Repeat(key+",", 100) + key + `]}`,
		"more than 256 KiB":    `{"keys":[],"x":"` + strings.Repeat("x", 256<<10) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			set, _, err := jose.ParseKeySet([]byte(text))
			if err == nil || set != nil {
				t.Errorf("read as a set of %d keys", set.Len())
			}
		})
	}
	t.Run("a set without keys is one", func(t *testing.T) {
		set, leftOut, err := jose.ParseKeySet([]byte(`{"keys":[]}`))
		if err != nil || set.Len() != 0 || len(leftOut) != 0 || set.Find("", jose.EdDSA) != nil {
			t.Errorf("read as a set of %d keys, %v", set.Len(), err)
		}
	})
	t.Run("100 keys are taken", func(t *testing.T) {
		if _, _, err := jose.ParseKeySet([]byte(`{"keys":[` + strings.Repeat(key+",", 99) + key + `]}`)); err != nil {
			t.Error(err)
		}
	})
}

func TestDifferentKeysOfOneKidAreAllLeftOut(t *testing.T) {
	k := testKeys()
	same := func(more map[string]any) map[string]any {
		more["kid"] = "same"
		return more
	}
	for name, c := range map[string]struct {
		keys    []map[string]any
		want    []string
		leftOut int
	}{
		"two of one type":       {[]map[string]any{jwk(t, k.rsa.Public(), same(map[string]any{})), jwk(t, k.otherRSA.Public(), same(map[string]any{}))}, nil, 1},
		"two types":             {[]map[string]any{jwk(t, k.rsa.Public(), same(map[string]any{})), jwk(t, k.p256.Public(), same(map[string]any{}))}, nil, 1},
		"one, another, the one": {[]map[string]any{jwk(t, k.rsa.Public(), same(map[string]any{})), jwk(t, k.p256.Public(), same(map[string]any{})), jwk(t, k.rsa.Public(), same(map[string]any{}))}, nil, 1},
		"one twice":             {[]map[string]any{jwk(t, k.rsa.Public(), same(map[string]any{})), jwk(t, k.rsa.Public(), same(map[string]any{"use": "sig"}))}, []string{"same"}, 0},
		"one for two algorithms": {[]map[string]any{jwk(t, k.rsa.Public(), same(map[string]any{"alg": "RS256"})), jwk(t, k.rsa.Public(), same(map[string]any{"alg": "PS256"}))},
			[]string{"same", "same"}, 0},
		"none has a kid": {[]map[string]any{jwk(t, k.rsa.Public(), nil), jwk(t, k.otherRSA.Public(), nil)}, []string{"", ""}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			set, leftOut, err := jose.ParseKeySet(document(t, c.keys...))
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, a := range []jose.Algorithm{jose.RS256, jose.PS256, jose.ES256} {
				for _, key := range set.Find("", a) {
					if key.Algorithm() != "" || a == jose.RS256 {
						ids = append(ids, key.ID())
					}
				}
			}
			if !slices.Equal(ids, c.want) || len(leftOut) != c.leftOut {
				t.Errorf("kept %q, left out %q", ids, leftOut)
			}
		})
	}
}

func TestAKeyIsFoundByItsExactKidAlone(t *testing.T) {
	k := testKeys()
	set := keySet(t, jwk(t, k.rsa.Public(), map[string]any{"kid": "one"}), jwk(t, k.p256.Public(), map[string]any{"kid": "two"}), jwk(t, k.otherRSA.Public(), nil))
	for _, c := range []struct {
		kid  string
		a    jose.Algorithm
		want int
	}{
		{"one", jose.RS256, 1}, {"one", jose.PS512, 1}, {"two", jose.ES256, 1}, {"", jose.RS256, 2}, {"", jose.ES256, 1},
		{"one", jose.ES256, 0}, {"two", jose.RS256, 0}, {"", jose.ES384, 0}, {"", jose.EdDSA, 0}, {"", "none", 0}, {"", "HS256", 0}, {"", "", 0},
		{"One", jose.RS256, 0}, {"on", jose.RS256, 0}, {"one ", jose.RS256, 0}, {"../one", jose.RS256, 0}, {"three", jose.RS256, 0},
	} {
		if got := set.Find(c.kid, c.a); len(got) != c.want {
			t.Errorf("found %d keys for %q and %s, want %d", len(got), c.kid, c.a, c.want)
		}
	}
	var none *jose.KeySet
	if none.Find("", jose.RS256) != nil || none.Len() != 0 || none.Hash() != "" || none.KeyIDs() != nil {
		t.Error("a set that is not there has keys")
	}
}

func TestATokenWithoutKidIsTriedWithEightKeysAtMost(t *testing.T) {
	jwks := make([]map[string]any, 0, 20)
	for i := range 20 {
		public, _, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		jwks = append(jwks, jwk(t, public, map[string]any{"kid": fmt.Sprint(i)}))
	}
	if found := keySet(t, jwks...).Find("", jose.EdDSA); len(found) != 8 {
		t.Errorf("found %d", len(found))
	}
}

func TestTheHashOfASetTellsItsKeys(t *testing.T) {
	k := testKeys()
	one, two := jwk(t, k.rsa.Public(), map[string]any{"kid": "one"}), jwk(t, k.p256.Public(), map[string]any{"kid": "two"})
	set := keySet(t, one, two)
	for name, c := range map[string]struct {
		keys []map[string]any
		same bool
	}{
		"another order":        {[]map[string]any{two, one}, true},
		"one twice":            {[]map[string]any{one, two, one}, true},
		"more of no meaning":   {[]map[string]any{one, jwk(t, k.p256.Public(), map[string]any{"kid": "two", "use": "sig", "x5t": "x"})}, true},
		"one withdrawn":        {[]map[string]any{one}, false},
		"one more":             {[]map[string]any{one, two, jwk(t, k.ed.Public(), nil)}, false},
		"another key, one kid": {[]map[string]any{jwk(t, k.otherRSA.Public(), map[string]any{"kid": "one"}), two}, false},
		"another kid":          {[]map[string]any{jwk(t, k.rsa.Public(), map[string]any{"kid": "1"}), two}, false},
		"for one algorithm":    {[]map[string]any{jwk(t, k.rsa.Public(), map[string]any{"kid": "one", "alg": "RS256"}), two}, false},
		"nothing":              {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := keySet(t, c.keys...).Hash() == set.Hash(); got != c.same {
				t.Errorf("the hashes are the same: %v", got)
			}
		})
	}
	if len(set.Hash()) != 64 {
		t.Errorf("the hash is %q", set.Hash())
	}
}

func TestAPublishedSetIsTheSameInAnyOrderAndReadAgain(t *testing.T) {
	k := testKeys()
	var published []jose.Key
	for _, a := range []jose.Algorithm{jose.RS256, jose.ES256, jose.ES384, jose.EdDSA} {
		key, err := jose.NewKey(k.of(a).Public())
		if err != nil {
			t.Fatal(err)
		}
		published = append(published, key)
	}
	text, err := jose.MarshalKeySet(published)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(published)
	again, err := jose.MarshalKeySet(append(published, published[0]))
	if err != nil || !bytes.Equal(text, again) {
		t.Errorf("in another order it is %s, not %s (%v)", again, text, err)
	}
	set, leftOut, err := jose.ParseKeySet(text)
	if err != nil || len(leftOut) > 0 || set.Len() != 4 {
		t.Fatalf("read again: %v, left out: %q", err, leftOut)
	}
	for _, key := range published {
		found := set.Find(key.ID(), key.Algorithm())
		if len(found) != 1 || found[0].Thumbprint() != key.ID() {
			t.Errorf("key %s is read as %v", key.ID(), found)
		}
	}
	for _, member := range []string{`"d"`, `"p"`, `"k"`} {
		if bytes.Contains(text, []byte(member)) {
			t.Errorf("the set has %s", member)
		}
	}
	if empty, err := jose.MarshalKeySet(nil); err != nil || string(empty) != `{"keys":[]}` {
		t.Errorf("no keys are %s, %v", empty, err)
	}
}

func TestKeysThatCouldNotBeToldApartAreNotPublished(t *testing.T) {
	k := testKeys()
	one := keySet(t, jwk(t, k.rsa.Public(), map[string]any{"kid": "one"})).Find("one", jose.RS256)[0]
	other := keySet(t, jwk(t, k.p256.Public(), map[string]any{"kid": "one"})).Find("one", jose.ES256)[0]
	for name, keys := range map[string][]jose.Key{"one kid": {one, other}, "no kid": {keyOf(t, jose.RS256)}, "no key": {{}}} {
		if text, err := jose.MarshalKeySet(keys); err == nil {
			t.Errorf("%s: written as %s", name, text)
		}
	}
}

func TestAKeyOfOursIsOfATypeThatWeSignWith(t *testing.T) {
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, public := range map[string]any{
		"P-224": p224.Public(), "P-521": testKeys().p521.Public(), "nothing": nil, "a secret": []byte("secret"),
		"a short Ed25519": ed25519.PublicKey("x"), "a private one": testKeys().p256,
	} {
		if _, err := jose.NewKey(public); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
