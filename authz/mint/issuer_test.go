package mint

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/signingkey"
)

func TestATokenSaysWhatWasAsked(t *testing.T) {
	for name, test := range map[string]struct {
		provider *config.Provider
		claims   Claims
		typ      string
		want     map[string]any
	}{
		"of class hop, for a consumer": {hops(), hop(), "hop+jwt", map[string]any{
			"iss": "https://edge.example.org/hops", "sub": "consumer:mapps", "aud": "visits-api", "client_id": edge,
			"act": map[string]any{"sub": edge}, "cnf": map[string]any{"san_uri": edge},
			"certificate": map[string]any{
				"truststore": "partners", "x5t#S256": thumbprint, "issuer": "CN=Partners,O=Example", "serial": "1f00",
			},
		}},
		"of class hop, for nobody": {hops(), Claims{Subject: "anonymous", Audience: "visits-api", Confirmation: Confirmation{URI: edge}}, "hop+jwt", map[string]any{
			"iss": "https://edge.example.org/hops", "sub": "anonymous", "aud": "visits-api", "client_id": "anonymous",
			"cnf": map[string]any{"san_uri": edge},
		}},
		"of class hop, for a user": {hops(), Claims{
			Subject: "token:corporate:u-1", Audience: "visits-api", Confirmation: Confirmation{URI: edge}, Scopes: []string{"a", "b"}, Roles: []string{"Writer"},
			Extra: map[string]any{"email": "u@example.org", "auth_time": int64(7), "address": map[string]any{"country": "NL"}},
		}, "hop+jwt", map[string]any{
			"iss": "https://edge.example.org/hops", "sub": "token:corporate:u-1", "aud": "visits-api", "client_id": "token:corporate:u-1",
			"cnf": map[string]any{"san_uri": edge}, "scope": "a b", "roles": []any{"Writer"},
			"email": "u@example.org", "auth_time": int64(7), "address": map[string]any{"country": "NL"},
		}},
		"of class partner": {partners(), Claims{
			Subject: "consumer:mapps", ClientID: "mapps", Audience: "visits", Confirmation: Confirmation{CertificateSHA256: certificate},
		}, "at+jwt", map[string]any{
			"iss": "https://edge.example.org/partners", "sub": "consumer:mapps", "aud": "visits", "client_id": "mapps",
			"cnf": map[string]any{"x5t#S256": thumbprint},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer(t, test.provider)
			token, expires, err := i.Mint(test.claims, noon.Add(300*time.Millisecond))
			if err != nil {
				t.Fatal(err)
			}
			parsed := verify(t, i, token)
			if parsed.Header.Type != test.typ || parsed.Header.Algorithm != "ES256" {
				t.Errorf("%+v", parsed.Header)
			}
			got := maps.Clone(parsed.Claims.All())
			if id, _ := got["jti"].(string); len(id) != 22 {
				t.Errorf("jti %q", id)
			}
			delete(got, "jti")
			test.want["iat"], test.want["exp"] = noon.Unix(), noon.Add(test.provider.Mint.Lifetime).Unix()
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if !expires.Equal(parsed.Claims.Expires) {
				t.Errorf("told %s, in the token %s", expires, parsed.Claims.Expires)
			}
		})
	}
}

func TestATokenEndsWithWhatItIsMadeFor(t *testing.T) {
	for name, test := range map[string]struct {
		lifetime time.Duration
		notAfter time.Time
		want     time.Duration
	}{
		"its lifetime":                         {2 * time.Minute, time.Time{}, 2 * time.Minute},
		"five minutes at most":                 {time.Hour, time.Time{}, 5 * time.Minute},
		"the end of a certificate that is far": {2 * time.Minute, noon.Add(time.Hour), 2 * time.Minute},
		"the end of a certificate that is near": {
			2 * time.Minute, noon.Add(30*time.Second + 900*time.Millisecond), 30 * time.Second},
		"an end that is less than a second away": {2 * time.Minute, noon.Add(900 * time.Millisecond), 0},
		"an end that is over":                    {2 * time.Minute, noon.Add(-time.Second), 0},
		"an end that is now":                     {2 * time.Minute, noon, 0},
	} {
		p := hops()
		p.Mint.Lifetime = test.lifetime
		claims := hop()
		claims.NotAfter = test.notAfter
		token, expires, err := newIssuer(t, p).Mint(claims, noon)
		if test.want == 0 {
			if err == nil || token != "" {
				t.Errorf("%s: a token until %s", name, expires)
			}
			continue
		}
		if err != nil || expires.Sub(noon) != test.want {
			t.Errorf("%s: %s, %v", name, expires.Sub(noon), err)
		}
	}
}

func TestClaimsThatAreTakenOverReplaceNoneOfTheTokensOwn(t *testing.T) {
	i := newIssuer(t, hops())
	plain, _, err := i.Mint(hop(), noon)
	if err != nil {
		t.Fatal(err)
	}
	want := maps.Clone(verify(t, i, plain).Claims.All())
	claims := hop()
	claims.Extra = map[string]any{"team": "blue"}
	for _, name := range own {
		claims.Extra[name] = "forged"
	}
	token, _, err := i.Mint(claims, noon)
	if err != nil {
		t.Fatal(err)
	}
	got := maps.Clone(verify(t, i, token).Claims.All())
	delete(want, "jti")
	delete(got, "jti")
	want["team"] = "blue"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestClaimsThatAreNotWholeMakeNoToken(t *testing.T) {
	long := strings.Repeat("x", maxText+1)
	for name, change := range map[string]func(*Claims){
		"no subject":                         func(c *Claims) { c.Subject = "" },
		"no audience":                        func(c *Claims) { c.Audience = "" },
		"bound to nothing":                   func(c *Claims) { c.Confirmation = Confirmation{} },
		"bound as another class is":          func(c *Claims) { c.Confirmation = Confirmation{CertificateSHA256: certificate} },
		"bound twice":                        func(c *Claims) { c.Confirmation.CertificateSHA256 = certificate },
		"a long subject":                     func(c *Claims) { c.Subject = long },
		"a subject with a control character": func(c *Claims) { c.Subject = "consumer:a\nb" },
		"a long audience":                    func(c *Claims) { c.Audience = long },
		"a long actor":                       func(c *Claims) { c.Actor = long },
		"two scopes in one":                  func(c *Claims) { c.Scopes = []string{"a b"} },
		"an empty scope":                     func(c *Claims) { c.Scopes = []string{""} },
		"many scopes":                        func(c *Claims) { c.Scopes = slices.Repeat([]string{"a"}, maxTexts+1) },
		"long roles":                         func(c *Claims) { c.Roles = []string{long} },
		"much that is taken over":            func(c *Claims) { c.Extra = map[string]any{"note": long} },
		"something that cannot be written":   func(c *Claims) { c.Extra = map[string]any{"note": func() {}} },
		"a certificate without a number":     func(c *Claims) { c.Certificate.Serial = "" },
		"a certificate without a thumbprint": func(c *Claims) { c.Certificate.SHA256 = "abcd" },
		"a certificate of a long name":       func(c *Claims) { c.Certificate.Issuer = long },
		"a certificate without a truststore": func(c *Claims) { c.Certificate.Truststore = "" },
	} {
		claims := hop()
		change(&claims)
		if token, _, err := newIssuer(t, hops()).Mint(claims, noon); err == nil || token != "" {
			t.Errorf("%s: there is a token", name)
		}
	}
	partner := Claims{Subject: "consumer:mapps", Audience: "visits", Confirmation: Confirmation{CertificateSHA256: strings.Repeat("z", 64)}}
	if _, _, err := newIssuer(t, partners()).Mint(partner, noon); err == nil {
		t.Error("bound to what is no thumbprint")
	}
	partner.Confirmation = Confirmation{URI: edge}
	if _, _, err := newIssuer(t, partners()).Mint(partner, noon); err == nil {
		t.Error("a partner's token is bound as a hop's")
	}
}

func TestTwoTokensAreNeverTheSame(t *testing.T) {
	i := newIssuer(t, hops())
	one, _, _ := i.Mint(hop(), noon)
	two, _, _ := i.Mint(hop(), noon)
	if verify(t, i, one).Claims.ID == verify(t, i, two).Claims.ID {
		t.Error("they have one jti")
	}
}

func TestTokensOutliveTheRotationOfTheirKey(t *testing.T) {
	ring := signingkey.Open("")
	schedule := signingkey.Schedule{RotateEvery: 24 * time.Hour, Lifetime: 2 * time.Minute, Leeway: time.Minute}
	issuerAt := func(now time.Time) *Issuer {
		keys, _, err := ring.At(schedule, now)
		if err != nil {
			t.Fatal(err)
		}
		i, err := NewIssuer(hops(), keys)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	first := issuerAt(noon)
	announcing := issuerAt(noon.Add(22*time.Hour + 58*time.Minute))
	last, _, err := announcing.Mint(hop(), noon.Add(24*time.Hour-time.Second))
	if err != nil {
		t.Fatal(err)
	}
	rotated := issuerAt(noon.Add(24 * time.Hour))
	fresh, _, err := rotated.Mint(hop(), noon.Add(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if verify(t, rotated, last).Header.KeyID != first.signer.KeyID() || verify(t, announcing, fresh).Header.KeyID == first.signer.KeyID() {
		t.Error("the keys did not rotate")
	}
	set, _, err := jose.ParseKeySet(issuerAt(noon.Add(25 * time.Hour)).KeySet())
	if err != nil || slices.Contains(set.KeyIDs(), first.signer.KeyID()) {
		t.Errorf("the former key is still published: %v", err)
	}
}

func TestTheNamesOfKeysAreThoseThatTheKeySetHas(t *testing.T) {
	keys, _, err := signingkey.Open("").At(signingkey.Schedule{}, noon)
	if err != nil {
		t.Fatal(err)
	}
	i, err := NewIssuer(hops(), keys)
	if err != nil || i.signer.KeyID() != keys.Signing.ID {
		t.Errorf("%v", err)
	}
}

func TestAnIssuerIsOurselvesAndHasKeys(t *testing.T) {
	keys, _, err := signingkey.Open("").At(signingkey.Schedule{}, noon)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewIssuer(&config.Provider{Header: named("corporate")}, keys); err == nil {
		t.Error("somebody else's Provider mints")
	}
	if _, err := NewIssuer(hops(), nil); err == nil {
		t.Error("a Provider mints without keys")
	}
}

func TestMetadataTellsWhatIsOffered(t *testing.T) {
	for name, test := range map[string]struct {
		provider *config.Provider
		at       Addresses
		want     string
	}{
		"with a token endpoint": {
			partners(), Addresses{"https://edge.example.org/token", "https://edge.example.org/keys"},
			`{"issuer":"https://edge.example.org/partners","token_endpoint":"https://edge.example.org/token","jwks_uri":"https://edge.example.org/keys",
			"scopes_supported":["prisons:read","visits:read"],"response_types_supported":[],"grant_types_supported":["client_credentials"],
			"token_endpoint_auth_methods_supported":["tls_client_auth"],"tls_client_certificate_bound_access_tokens":true}`,
		},
		"of class hop": {
			hops(), Addresses{KeySet: "https://edge.example.org/keys"},
			`{"issuer":"https://edge.example.org/hops","jwks_uri":"https://edge.example.org/keys","response_types_supported":[],"grant_types_supported":[]}`,
		},
	} {
		var got, want any
		if err := json.Unmarshal(newIssuer(t, test.provider).Metadata(test.at), &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(test.want), &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestTheCertificateOfATokenIsReadAsItWasWritten(t *testing.T) {
	i := newIssuer(t, hops())
	token, _, err := i.Mint(hop(), noon)
	if err != nil {
		t.Fatal(err)
	}
	got, err := CertificateOf(verify(t, i, token).Claims.All())
	if diff := cmp.Diff(hop().Certificate, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if none, err := CertificateOf(map[string]any{"sub": "anonymous"}); none != nil || err != nil {
		t.Errorf("%v, %v", none, err)
	}
	whole := map[string]any{"truststore": "partners", "x5t#S256": thumbprint, "issuer": "CN=a", "serial": "1"}
	if _, err := CertificateOf(map[string]any{"certificate": whole}); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]any{"truststore": "", "x5t#S256": "abc", "serial": 7} {
		broken := maps.Clone(whole)
		broken[name] = change
		if got, err := CertificateOf(map[string]any{"certificate": broken}); err == nil || got != nil {
			t.Errorf("%s: %v", name, got)
		}
	}
	if _, err := CertificateOf(map[string]any{"certificate": "x"}); err == nil {
		t.Error("a text is taken for a certificate")
	}
}

func BenchmarkMint(b *testing.B) {
	i := newIssuer(b, hops())
	for b.Loop() {
		if _, _, err := i.Mint(hop(), noon); err != nil {
			b.Fatal(err)
		}
	}
}
