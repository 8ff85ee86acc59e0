package jose_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	gojose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"

	"github.com/sallyport-project/sallyport/authz/jose"
)

// theirAlgorithms are ours, as go-jose names them.
func theirAlgorithms() []gojose.SignatureAlgorithm {
	var all []gojose.SignatureAlgorithm
	for _, a := range jose.Algorithms() {
		all = append(all, gojose.SignatureAlgorithm(a))
	}
	return all
}

// read is what a token says, in a form in which two readers can be compared: numbers as float64, times as seconds.
type read struct {
	all        map[string]any
	registered jwt.Claims
}

// byOurs reads and verifies a token by the code under test.
func byOurs(token string, key jose.Key) (read, error) {
	t, err := jose.Parse(token)
	if err != nil {
		return read{}, err
	}
	if err := t.Verify(key); err != nil {
		return read{}, err
	}
	date := func(at time.Time) *jwt.NumericDate {
		if at.IsZero() {
			return nil
		}
		return jwt.NewNumericDate(at)
	}
	c := t.Claims
	all, ok := floats(c.All()).(map[string]any)
	if !ok {
		return read{}, fmt.Errorf("the claims are a %T", floats(c.All()))
	}
	return read{all: all, registered: jwt.Claims{Issuer: c.Issuer, Subject: c.Subject, ID: c.ID, Audience: c.Audience,
		Expiry: date(c.Expires), NotBefore: date(c.NotBefore), IssuedAt: date(c.IssuedAt)}}, nil
}

// byGoJOSE reads and verifies a token by go-jose.
func byGoJOSE(token string, public any) (read, error) {
	t, err := jwt.ParseSigned(token, theirAlgorithms())
	if err != nil {
		return read{}, err
	}
	var r read
	return r, t.Claims(public, &r.all, &r.registered)
}

// floats is a value with its numbers as encoding/json has them.
func floats(value any) any {
	switch value := value.(type) {
	case map[string]any:
		object := make(map[string]any, len(value))
		for name, member := range value {
			object[name] = floats(member)
		}
		return object
	case []any:
		list := make([]any, 0, len(value))
		for _, element := range value {
			list = append(list, floats(element))
		}
		return list
	case int64:
		return float64(value)
	}
	return value
}

// agree fails the test if a token is accepted here and refused by go-jose, or is read otherwise. It tells whether it is
// accepted here.
func agree(t *testing.T, token string, a jose.Algorithm, key jose.Key) bool {
	t.Helper()
	ours, err := byOurs(token, key)
	if err != nil {
		return false
	}
	theirs, err := byGoJOSE(token, testKeys().of(a).Public())
	if err != nil {
		t.Fatalf("go-jose refuses what is accepted here: %v\n%s", err, token)
	}
	if diff := cmp.Diff(theirs.all, ours.all) + cmp.Diff(theirs.registered, ours.registered); diff != "" {
		t.Fatalf("go-jose reads other claims:\n%s\n%s", diff, token)
	}
	return true
}

// someClaims are valid claims of many shapes.
func someClaims(random *rand.Rand) string {
	claims := map[string]any{"exp": 1900000000 + random.IntN(1000)}
	for name, values := range map[string][]any{
		"iss":          {"https://id.example.org", "urn:x"},
		"sub":          {"mapps", "Zoë 🚀", "a&b<c>\u2028", strings.Repeat("s", 300)},
		"aud":          {"vessels", []string{"vessels"}, []string{"a", "b", "c"}},
		"nbf":          {0, 1800000000, 1800000000.25},
		"iat":          {1800000000, 1.8e9},
		"jti":          {"1", "0f8fad5b-d9cb-469f-a165-70867728950e"},
		"cnf":          {map[string]any{"x5t#S256": "t"}, map[string]any{}},
		"scope":        {"read write", ""},
		"realm_access": {map[string]any{"roles": []string{"guard"}}, nil},
		"n":            {-1, 1 << 53, 0.1, -2.5e-7, true, []any{1, "a", nil, map[string]any{"b": []any{}}}},
	} {
		if random.IntN(2) == 0 {
			claims[name] = values[random.IntN(len(values))]
		}
	}
	text, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func TestValidTokensOfGoJOSEAreReadAsItReadsThem(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, a := range jose.Algorithms() {
		t.Run(string(a), func(t *testing.T) {
			signer, err := gojose.NewSigner(gojose.SigningKey{Algorithm: gojose.SignatureAlgorithm(a), Key: testKeys().of(a)},
				(&gojose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", "one"))
			if err != nil {
				t.Fatal(err)
			}
			key := keyOf(t, a)
			for range 30 {
				signed, err := signer.Sign([]byte(someClaims(random)))
				if err != nil {
					t.Fatal(err)
				}
				token, err := signed.CompactSerialize()
				if err != nil {
					t.Fatal(err)
				}
				if !agree(t, token, a, key) {
					_, err := byOurs(token, key)
					t.Fatalf("a valid token is refused: %v\n%s", err, token)
				}
			}
		})
	}
}

func TestTokensOfOursAreReadByGoJOSE(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, a := range []jose.Algorithm{jose.RS256, jose.ES256, jose.ES384, jose.EdDSA} {
		t.Run(string(a), func(t *testing.T) {
			s := signer(t, testKeys().of(a))
			published, err := jose.MarshalKeySet([]jose.Key{s.Public()})
			if err != nil {
				t.Fatal(err)
			}
			var set gojose.JSONWebKeySet
			if err := json.Unmarshal(published, &set); err != nil {
				t.Fatal(err)
			}
			for range 20 {
				var claims map[string]any
				if err := json.Unmarshal([]byte(someClaims(random)), &claims); err != nil {
					t.Fatal(err)
				}
				compact, err := s.Sign("at+jwt", claims)
				if err != nil {
					t.Fatal(err)
				}
				token, err := jwt.ParseSigned(compact, []gojose.SignatureAlgorithm{gojose.SignatureAlgorithm(a)})
				if err != nil {
					t.Fatal(err)
				}
				var got map[string]any
				if err := token.Claims(set, &got); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(claims, got); diff != "" {
					t.Fatal(diff)
				}
			}
		})
	}
}

func TestNoChangedTokenIsAcceptedThatGoJOSERefuses(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for _, a := range jose.Algorithms() {
		t.Run(string(a), func(t *testing.T) {
			key := keyOf(t, a)
			tokens := make([]string, 4)
			for i := range tokens {
				tokens[i] = made(t, a, header(a, fmt.Sprintf(`"kid":"%d"`, i)), someClaims(random))
			}
			accepted := 0
			const all = 300
			for range all {
				token := tokens[random.IntN(len(tokens))]
				for range 1 + random.IntN(2) {
					token = changed(random, token, tokens)
				}
				if agree(t, token, a, key) {
					accepted++
				}
			}
			if accepted == 0 || accepted > all/2 {
				t.Errorf("%d of %d changed tokens were accepted: the changes are not what they were meant to be", accepted, all)
			}
		})
	}
}

// changed is a token after one change that leaves its signature as it was.
func changed(random *rand.Rand, token string, others []string) string {
	parts := strings.Split(token, ".")
	place := random.IntN(len(token))
	part := random.IntN(len(parts))
	switch random.IntN(12) {
	case 0, 1, 2: // a bit
		bytes := []byte(token)
		bytes[place] ^= 1 << random.IntN(8)
		return string(bytes)
	case 3: // a part of another token
		other := strings.Split(others[random.IntN(len(others))], ".")
		parts[part] = other[min(part, len(other)-1)]
	case 4: // two parts
		parts[part], parts[0] = parts[0], parts[part]
	case 5: // something within
		return token[:place] + string("\n\r \t=+/.,\x00-_A"[random.IntN(13)]) + token[place:]
	case 6: // something behind or before
		return []string{token + "\n", token + "=", " " + token, token + ".", token + "A", token + ".AA", "Bearer " + token}[random.IntN(7)]
	case 7: // the end
		return token[:place] + "."
	case 8: // another encoding of the same bytes
		parts[part] = []string{parts[part] + "=", strings.NewReplacer("-", "+", "_", "/").Replace(parts[part]), sameBytes(parts[part])}[random.IntN(3)]
	case 9: // another serialization
		return fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, parts[0], parts[min(1, len(parts)-1)], parts[len(parts)-1])
	case 10: // another header
		parts[0] = b64([]string{`{"alg":"none"}`, `{"alg":"HS256"}`, `{"alg":"RS256"}`, `{"alg":"ES256"}`, `{"alg":"EdDSA"}`}[random.IntN(5)])
	}
	return strings.Join(parts, ".")
}

// sameBytes is a part in an encoding that lenient readers take for the same.
func sameBytes(part string) string {
	if part == "" || len(part)%4 == 0 {
		return part
	}
	return otherEnding(part)
}

func TestSignedTokensOfOddContentAreReadAsGoJOSEReadsThem(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	key := keyOf(t, jose.EdDSA)
	accepted := 0
	const all = 5_000
	for range all {
		head, body := header(jose.EdDSA, `"kid":"one"`, `"typ":"JWT"`), someClaims(random)
		if random.IntN(3) == 0 {
			head = oddText(random, head)
		}
		if random.IntN(3) > 0 {
			body = oddText(random, body)
		}
		if agree(t, made(t, jose.EdDSA, head, body), jose.EdDSA, key) {
			accepted++
		}
	}
	if accepted < all/20 || accepted > all*9/10 {
		t.Errorf("%d of %d were accepted: the changes are not what they were meant to be", accepted, all)
	}
}

// oddText is a JSON text after one change, good or bad.
func oddText(random *rand.Rand, text string) string {
	pieces := []string{
		`"`, `\`, `{`, `}`, `[`, `]`, `,`, `:`, ` `, "\n", "\t", "\x00", "\xff", "\u2028", "0", "1", "-", ".", "e9", "null", "true", `\u0061`, `\ud800`,
		`"a":1,`, `"exp":1,`, `"\u0065xp":1900000000,`, `"aud":"x",`, `"x":{"x":{}},`, `,"y":[[],{},""]`, `"alg":"none",`, `"x5t":"x",`, `"crit":["exp"],`,
	}
	place := random.IntN(len(text) + 1)
	piece := pieces[random.IntN(len(pieces))]
	switch random.IntN(4) {
	case 0:
		return text[:place] + piece + text[place:]
	case 1:
		return text[:1] + piece + text[1:]
	case 2:
		return text[:len(text)-1] + piece + text[len(text)-1:]
	}
	end := min(len(text), place+random.IntN(4))
	return text[:place] + text[end:]
}
