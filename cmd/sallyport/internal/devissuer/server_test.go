package devissuer_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/devissuer"
)

// quiet is a server without a listener, as simulations have it.
func quiet(t *testing.T, config devissuer.Config) *devissuer.Server {
	t.Helper()
	config.Clock = func() time.Time { return start }
	server, err := devissuer.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return server
}

func keySet(t *testing.T, server *devissuer.Server, provider string) jose.JSONWebKeySet {
	t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(server.KeySet(provider), &set); err != nil {
		t.Fatal(err)
	}
	for _, key := range set.Keys {
		if !key.IsPublic() {
			t.Fatal("the key set holds a private key")
		}
	}
	return set
}

func TestATokenMadeOutrightHasWhatWasSpecified(t *testing.T) {
	server := quiet(t, devissuer.Config{Issuers: []devissuer.Issuer{corporate()}})
	base := func(changes map[string]any) map[string]any {
		claims := map[string]any{
			"iss": server.URL(provider), "sub": "somebody", "client_id": "app", "aud": audience,
			"iat": float64(start.Unix()), "exp": float64(start.Add(devissuer.Lifetime).Unix()),
		}
		for name, value := range changes {
			claims[name] = value
			if value == nil {
				delete(claims, name)
			}
		}
		return claims
	}
	at := func(after time.Duration) float64 { return float64(start.Add(after).Unix()) }
	tests := []struct {
		name string
		spec devissuer.TokenSpec
		typ  string
		want map[string]any
	}{
		{"nothing", devissuer.TokenSpec{}, devissuer.TokenType, base(nil)},
		{"everything", devissuer.TokenSpec{
			Subject: "mapps", ClientID: "edge", Roles: []string{"not.assertable"}, Scopes: []string{"a", "b"}, Audiences: []string{"x", "y"},
			Actor: "edge", Lifetime: time.Minute, Confirmation: map[string]any{"x5t#S256": "hash"},
		}, devissuer.TokenType, base(map[string]any{
			"sub": "mapps", "client_id": "edge", "roles": []any{"not.assertable"}, "scope": "a b", "aud": []any{"x", "y"},
			"act": map[string]any{"sub": "edge"}, "exp": at(time.Minute), "cnf": map[string]any{"x5t#S256": "hash"},
		})},
		{"claims of its own, and one less", devissuer.TokenSpec{Claims: map[string]any{"company": "7", "exp": "soon", "aud": nil}}, devissuer.TokenType,
			base(map[string]any{"company": "7", "exp": "soon", "aud": nil})},
		{"expired", devissuer.TokenSpec{Expired: true}, devissuer.TokenType,
			base(map[string]any{"iat": at(-time.Hour - devissuer.Lifetime), "exp": at(-time.Hour)})},
		{"not yet", devissuer.TokenSpec{NotYet: true}, devissuer.TokenType,
			base(map[string]any{"nbf": at(time.Hour), "exp": at(time.Hour + devissuer.Lifetime)})},
		{"another type", devissuer.TokenSpec{Type: "hop+jwt"}, "hop+jwt", base(nil)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			token, err := server.Token(provider, test.spec)
			if err != nil {
				t.Fatal(err)
			}
			header, claims, err := check(token, keySet(t, server, provider))
			if err != nil {
				t.Fatal(err)
			}
			if claims["jti"] == "" {
				t.Error("it has no id")
			}
			delete(claims, "jti")
			if diff := cmp.Diff(test.want, claims); diff != "" || header["typ"] != test.typ {
				t.Error(header, diff)
			}
		})
	}
}

func TestATokenMadeAsAnIDTokenIsOneForTheSameAudience(t *testing.T) {
	server := quiet(t, devissuer.Config{Issuers: []devissuer.Issuer{corporate()}})
	token, err := server.Token(provider, devissuer.TokenSpec{IDToken: true})
	if err != nil {
		t.Fatal(err)
	}
	header, claims, err := check(token, keySet(t, server, provider))
	if err != nil {
		t.Fatal(err)
	}
	if header["typ"] != "JWT" || claims["aud"] != audience || claims["nonce"] == nil || claims["azp"] != "app" {
		t.Errorf("%v %v", header, claims)
	}
}

func TestATokenByAnUnknownKeyIsRefusedByTheKeySetAlone(t *testing.T) {
	server := quiet(t, devissuer.Config{Issuers: []devissuer.Issuer{corporate()}})
	token, err := server.Token(provider, devissuer.TokenSpec{UnknownKey: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := check(token, keySet(t, server, provider)); err == nil {
		t.Error("the key set has the key")
	}
}

func TestEveryAlgorithmSigns(t *testing.T) {
	for _, algorithm := range []string{"", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"} {
		t.Run(algorithm, func(t *testing.T) {
			issuer := corporate()
			issuer.Algorithm = algorithm
			folder := t.TempDir()
			first := quiet(t, devissuer.Config{Issuers: []devissuer.Issuer{issuer}, Folder: folder})
			token, err := first.Token(provider, devissuer.TokenSpec{})
			if err != nil {
				t.Fatal(err)
			}
			again := quiet(t, devissuer.Config{Issuers: []devissuer.Issuer{issuer}, Folder: folder})
			if _, _, err := check(token, keySet(t, again, provider)); err != nil {
				t.Errorf("after a restart: %v", err)
			}
		})
	}
}

func TestKeysAreKeptForTheOwnerAlone(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "keys")
	quiet(t, devissuer.Config{Issuers: []devissuer.Issuer{corporate()}, Folder: folder})
	for path, want := range map[string]os.FileMode{folder: 0o700, filepath.Join(folder, "corporate-es256-key.pem"): 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o", path, got)
		}
	}
}

func TestAKeyThatCannotBeUsedIsNamed(t *testing.T) {
	other := corporate()
	other.Algorithm = "RS256"
	for name, content := range map[string]string{"garbage": "garbage", "another kind": ""} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			path := filepath.Join(folder, "corporate-es256-key.pem")
			if content == "" {
				quiet(t, devissuer.Config{Issuers: []devissuer.Issuer{other}, Folder: folder})
				if err := os.Rename(filepath.Join(folder, "corporate-rs256-key.pem"), path); err != nil {
					t.Fatal(err)
				}
			} else if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := devissuer.New(devissuer.Config{Issuers: []devissuer.Issuer{corporate()}, Folder: folder}); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

func TestAnIssuerThatCannotBeIsRefusedAndNothingChanges(t *testing.T) {
	changed := func(change func(*devissuer.Issuer)) []devissuer.Issuer {
		issuer := corporate()
		change(&issuer)
		return []devissuer.Issuer{issuer}
	}
	tests := map[string][]devissuer.Issuer{
		"a name that is a path":         changed(func(i *devissuer.Issuer) { i.Name = "../x" }),
		"no name":                       changed(func(i *devissuer.Issuer) { i.Name = "" }),
		"an HMAC":                       changed(func(i *devissuer.Issuer) { i.Algorithm = "HS256" }),
		"no signature":                  changed(func(i *devissuer.Issuer) { i.Algorithm = "none" }),
		"the app's client":              changed(func(i *devissuer.Issuer) { i.ClientID = "app" }),
		"a claim with a meaning":        changed(func(i *devissuer.Issuer) { i.RolesClaim = []string{"aud"} }),
		"roles below the subject":       changed(func(i *devissuer.Issuer) { i.RolesClaim = []string{"sub", "roles"} }),
		"roles below the scopes":        changed(func(i *devissuer.Issuer) { i.RolesClaim = []string{"scope", "roles"} }),
		"scopes above the roles":        changed(func(i *devissuer.Issuer) { i.RolesClaim, i.ScopesClaim = []string{"x", "y"}, []string{"x"} }),
		"roles and scopes in one claim": changed(func(i *devissuer.Issuer) { i.RolesClaim, i.ScopesClaim = []string{"x"}, []string{"x"} }),
		"two of one name":               {corporate(), corporate()},
	}
	for name, issuers := range tests {
		t.Run(name, func(t *testing.T) {
			server := quiet(t, devissuer.Config{Issuers: []devissuer.Issuer{corporate()}})
			before := string(server.KeySet(provider))
			if err := server.Apply(issuers); err == nil {
				t.Error("it is applied")
			}
			if got := string(server.KeySet(provider)); got != before {
				t.Errorf("the key set became %s", got)
			}
		})
	}
}

func TestAnEditedConfigurationKeepsKeysAndSignIns(t *testing.T) {
	s := run(t, devissuer.Config{Issuers: []devissuer.Issuer{corporate()}})
	before := string(s.KeySet(provider))
	code := s.signIn("clerk").Get("code")
	edited := corporate()
	edited.Roles = []string{"vessel.admin"}
	if err := s.Apply([]devissuer.Issuer{edited, {Name: "second"}}); err != nil {
		t.Fatal(err)
	}
	if got := string(s.KeySet(provider)); got != before {
		t.Errorf("the key set became %s", got)
	}
	_, claims := s.verified(s.redeem(code, verifier).json(t)["access_token"])
	if diff := cmp.Diff([]any{"vessel.admin"}, claims["roles"]); diff != "" {
		t.Error(diff)
	}
	if err := s.Apply(nil); err != nil || s.URL(provider) != "" || s.KeySet(provider) != nil {
		t.Errorf("an issuer that went is there: %v", err)
	}
	if _, err := s.Token(provider, devissuer.TokenSpec{}); err == nil {
		t.Error("an issuer that went makes tokens")
	}
}

func TestTheAddressIsTheListenersWhereNoneIsConfigured(t *testing.T) {
	server := quiet(t, devissuer.Config{Issuers: []devissuer.Issuer{corporate()}})
	if got := server.URL(provider); got != "http://127.0.0.1/corporate" {
		t.Errorf("without a listener, it is %s", got)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx, listener) }()
	want := "http://" + listener.Addr().String() + "/corporate"
	response, err := (&http.Client{Timeout: 10 * time.Second}).Get(want + "/keys") // once it answers, it has its address
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if got := server.URL(provider); got != want {
		t.Errorf("with one, it is %s", got)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestAConfiguredAddressStays(t *testing.T) {
	s := run(t, devissuer.Config{Issuers: []devissuer.Issuer{corporate()}, Address: "login.example.org:8443"})
	if got := s.URL(provider); got != "http://login.example.org:8443/corporate" {
		t.Errorf("it is %s", got)
	}
}

func TestSignInsThatNobodyFinishesAreBounded(t *testing.T) {
	s := run(t, devissuer.Config{Issuers: []devissuer.Issuer{corporate()}})
	first := s.get(s.authorization()).header.Get("Location")
	for range 999 {
		s.get(s.authorization())
	}
	if page := s.get(first); page.status != http.StatusOK {
		t.Errorf("the first of 1000 is answered %d", page.status)
	}
	last := s.get(s.authorization()).header.Get("Location")
	if page := s.get(first); page.status != http.StatusBadRequest {
		t.Errorf("the first of 1001 is answered %d", page.status)
	}
	if page := s.get(last); page.status != http.StatusOK {
		t.Errorf("the last is answered %d", page.status)
	}
}
