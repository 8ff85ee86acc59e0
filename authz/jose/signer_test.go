package jose_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/sallyport-project/sallyport/authz/jose"
)

func signer(t testing.TB, key crypto.Signer) *jose.Signer {
	t.Helper()
	s, err := jose.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestATokenOfOursIsReadAndVerifiedByItsPublishedKey(t *testing.T) {
	for _, a := range []jose.Algorithm{jose.RS256, jose.ES256, jose.ES384, jose.EdDSA} {
		t.Run(string(a), func(t *testing.T) {
			s := signer(t, remote{testKeys().of(a)})
			compact, err := s.Sign("at+jwt", map[string]any{"exp": 1900000000, "sub": "mapps", "aud": []string{"a&b"}, "url": "https://example.org/<x>"})
			if err != nil {
				t.Fatal(err)
			}
			published, err := jose.MarshalKeySet([]jose.Key{s.Public()})
			if err != nil {
				t.Fatal(err)
			}
			set, _, err := jose.ParseKeySet(published)
			if err != nil {
				t.Fatal(err)
			}
			token, err := jose.Parse(compact)
			if err != nil {
				t.Fatal(err)
			}
			if want := (jose.Header{Algorithm: string(a), KeyID: s.KeyID(), Type: "at+jwt"}); token.Header != want {
				t.Errorf("its header is %+v, want %+v", token.Header, want)
			}
			if token.Claims.Subject != "mapps" || token.Claims.Audience[0] != "a&b" || token.Claims.All()["url"] != "https://example.org/<x>" {
				t.Errorf("its claims are %v", token.Claims.All())
			}
			found := set.Find(s.KeyID(), a)
			if len(found) != 1 {
				t.Fatalf("found %d keys", len(found))
			}
			if err := token.Verify(found[0]); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestASignerOfAnotherNameSignsUnderItAlone(t *testing.T) {
	first := signer(t, testKeys().p256)
	named := first.Named("partner-1")
	compact, err := named.Sign("JWT", map[string]any{"exp": 1900000000})
	if err != nil {
		t.Fatal(err)
	}
	token, err := jose.Parse(compact)
	if err != nil || token.Header.KeyID != "partner-1" || token.Verify(first.Public()) != nil {
		t.Errorf("signed under %q (%v)", token.Header.KeyID, err)
	}
	if first.KeyID() != first.Public().Thumbprint() || named.Public().ID() != "partner-1" {
		t.Errorf("the signer is now called %q", first.KeyID())
	}
	if compact, err := first.Named("").Sign("JWT", map[string]any{"exp": 1900000000}); err == nil {
		t.Errorf("signed under no name: %s", compact)
	}
}

// remote is a key of which only the signatures are seen, as of a KMS.
type remote struct{ crypto.Signer }

// faultyKey is a remote key that fails as its switch says.
type faultyKey struct {
	crypto.Signer
	sign func() ([]byte, error)
}

func (k faultyKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return k.sign() }

func TestNothingLeavesThatIsNotAGoodToken(t *testing.T) {
	good := map[string]any{"exp": 1900000000}
	ed, rs := testKeys().ed, testKeys().rsa
	for name, c := range map[string]struct {
		key    crypto.Signer
		typ    string
		claims map[string]any
	}{
		"no exp":                   {ed, "at+jwt", map[string]any{"sub": "mapps"}},
		"no claims":                {ed, "at+jwt", nil},
		"exp as a text":            {ed, "at+jwt", map[string]any{"exp": "1900000000"}},
		"no audience":              {ed, "at+jwt", map[string]any{"exp": 1900000000, "aud": []string{}}},
		"a claim of no value":      {ed, "at+jwt", map[string]any{"exp": 1900000000, "x": make(chan int)}},
		"too much":                 {ed, "at+jwt", map[string]any{"exp": 1900000000, "x": strings.Repeat("x", 8<<10)}},
		"a type with a line feed":  {ed, "at\njwt", good},
		"a key that is away":       {faultyKey{ed, func() ([]byte, error) { return nil, errors.New("the KMS is away") }}, "at+jwt", good},
		"a key that signs wrongly": {faultyKey{ed, func() ([]byte, error) { return make([]byte, 64), nil }}, "at+jwt", good},
		"a key that signs nothing": {faultyKey{rs, func() ([]byte, error) { return nil, nil }}, "at+jwt", good},
		"another key's signature": {faultyKey{rs, func() ([]byte, error) {
			return rsa.SignPKCS1v15(nil, testKeys().otherRSA, crypto.SHA256, make([]byte, 32))
		}}, "at+jwt", good},
	} {
		t.Run(name, func(t *testing.T) {
			compact, err := signer(t, c.key).Sign(c.typ, c.claims)
			if err == nil || compact != "" {
				t.Errorf("signed %q", compact)
			}
		})
	}
}

func TestAKeyThatIsTooWeakSignsNothing(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{"RSA of 1024 bits": weak, "P-521": testKeys().p521, "no key": nil} {
		if _, err := jose.NewSigner(key); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
