package devissuer_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/devissuer"
)

func TestDiscoveryDescribesEachIssuerByItsOwnURL(t *testing.T) {
	second := devissuer.Issuer{Name: "second", Algorithm: "EdDSA"}
	s := run(t, devissuer.Config{Issuers: []devissuer.Issuer{corporate(), second}})
	for name, algorithm := range map[string]string{provider: "ES256", "second": "EdDSA"} {
		document := s.get(s.URL(name) + "/.well-known/openid-configuration").json(t)
		if document["issuer"] != s.URL(name) || document["token_endpoint"] != s.URL(name)+"/token" || document["jwks_uri"] != s.URL(name)+"/keys" {
			t.Errorf("the document of %s is %v", name, document)
		}
		if diff := cmp.Diff([]any{algorithm}, document["id_token_signing_alg_values_supported"]); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]any{"S256"}, document["code_challenge_methods_supported"]); diff != "" {
			t.Error(diff)
		}
	}
	if status := s.get("http://" + strings.Split(s.URL(provider), "/")[2] + "/third/keys").status; status != http.StatusNotFound {
		t.Errorf("a Provider without an issuer is answered %d", status)
	}
}

func TestSigningInWithTheCodeFlowGivesWhatTheUserHolds(t *testing.T) {
	tests := []struct {
		user, asked string
		roles       any
		scope       any
	}{
		{"clerk", "openid", []any{"vessel.write", "vessel.read"}, "vessels.own vessels.all"},
		{"clerk", "openid vessels.all", []any{"vessel.write", "vessel.read"}, "vessels.all"},
		{"clerk", "openid api://vessels/.default", []any{"vessel.write", "vessel.read"}, "vessels.own vessels.all"},
		{"visitor", "openid", nil, "vessels.own vessels.all"},
		{"nobody", "openid", nil, nil},
		{"nobody", "openid vessels.all", nil, nil},
	}
	for _, test := range tests {
		t.Run(test.user+" asks for "+test.asked, func(t *testing.T) {
			s := run(t, devissuer.Config{Issuers: []devissuer.Issuer{corporate()}})
			back := s.signIn(test.user, "scope", test.asked)
			if back.Get("state") != "some state" || back.Get("iss") != s.URL(provider) {
				t.Errorf("what leads back is %v", back)
			}
			redeemed := s.redeem(back.Get("code"), verifier)
			if redeemed.status != http.StatusOK || redeemed.header.Get("Cache-Control") != "no-store" {
				t.Fatalf("%d %v %s", redeemed.status, redeemed.header, redeemed.body)
			}
			tokens := redeemed.json(t)
			if tokens["token_type"] != "Bearer" || tokens["expires_in"] != devissuer.Lifetime.Seconds() {
				t.Errorf("%v", tokens)
			}
			header, claims := s.verified(tokens["access_token"])
			if header["typ"] != devissuer.TokenType || header["alg"] != "ES256" {
				t.Errorf("the access token's header is %v", header)
			}
			want := map[string]any{
				"iss": s.URL(provider), "sub": test.user, "aud": audience, "client_id": devissuer.AppClient,
				"iat": float64(start.Unix()), "exp": float64(start.Add(devissuer.Lifetime).Unix()), "jti": claims["jti"],
			}
			if test.roles != nil {
				want["roles"] = test.roles
			}
			if test.scope != nil {
				want["scope"] = test.scope
			}
			if diff := cmp.Diff(want, claims); diff != "" || claims["jti"] == "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnIDTokenNamesItsNonceClientAndAccessToken(t *testing.T) {
	s := run(t, devissuer.Config{Issuers: []devissuer.Issuer{corporate()}})
	tokens := s.redeem(s.signIn("clerk").Get("code"), verifier).json(t)
	header, claims := s.verified(tokens["id_token"])
	sum := sha256.Sum256([]byte(tokens["access_token"].(string)))
	want := map[string]any{
		"iss": s.URL(provider), "sub": "clerk", "name": "clerk", "aud": devissuer.AppClient, "azp": devissuer.AppClient,
		"nonce": "some nonce", "at_hash": base64.RawURLEncoding.EncodeToString(sum[:16]),
		"iat": float64(start.Unix()), "auth_time": float64(start.Unix()), "exp": float64(start.Add(devissuer.Lifetime).Unix()),
	}
	if diff := cmp.Diff(want, claims); diff != "" || header["typ"] != "JWT" {
		t.Error(header, diff)
	}
	if without := s.redeem(s.signIn("clerk", "scope", "vessels.all").Get("code"), verifier).json(t); without["id_token"] != nil {
		t.Error("an ID token comes without `openid`")
	}
}

func TestACodeIsGoodOnceForWhoAskedForIt(t *testing.T) {
	tests := map[string]func(*started, string) answer{
		"a wrong verifier": func(s *started, code string) answer { return s.redeem(code, strings.Repeat("x", 43)) },
		"no verifier":      func(s *started, code string) answer { return s.redeem(code, "") },
		"a second time": func(s *started, code string) answer {
			if first := s.redeem(code, verifier); first.status != http.StatusOK {
				s.t.Fatalf("%d %s", first.status, first.body)
			}
			return s.redeem(code, verifier)
		},
		"after a wrong verifier": func(s *started, code string) answer {
			s.redeem(code, "wrong")
			return s.redeem(code, verifier)
		},
		"too late": func(s *started, code string) answer {
			*s.now = s.now.Add(time.Minute)
			return s.redeem(code, verifier)
		},
		"another client": func(s *started, code string) answer {
			return s.asEdge(url.Values{
				"grant_type": {"authorization_code"}, "redirect_uri": {redirect}, "code": {code}, "code_verifier": {verifier},
			})
		},
		"another address": func(s *started, code string) answer {
			return s.post("/token", url.Values{
				"grant_type": {"authorization_code"}, "client_id": {devissuer.AppClient}, "redirect_uri": {redirect + "other"},
				"code": {code}, "code_verifier": {verifier},
			}, "", "")
		},
	}
	for name, use := range tests {
		t.Run(name, func(t *testing.T) {
			s := run(t, devissuer.Config{Issuers: []devissuer.Issuer{corporate()}})
			refused := use(s, s.signIn("clerk").Get("code"))
			if refused.status != http.StatusBadRequest || refused.json(t)["error"] != "invalid_grant" {
				t.Errorf("%d %s", refused.status, refused.body)
			}
		})
	}
}

func TestAnAuthorizationRequestLeadsOnlyWhereItMay(t *testing.T) {
	s := run(t, devissuer.Config{Issuers: []devissuer.Issuer{corporate()}})
	for _, good := range []string{
		"https://app.example.org/", "https://app.example.org:8443/deep/page?x=a%20b+c", "https://example.org", "http://localhost:3000/", "https://localhost/",
		"http://127.0.0.1:5173/callback", "http://[::1]:80/",
	} {
		if shown := s.get(s.authorization("redirect_uri", good)); shown.status != http.StatusFound {
			t.Errorf("%s: %d %s", good, shown.status, shown.body)
		}
	}
	for _, bad := range []string{
		"", "https://example.com/", "https://evilexample.org/", "https://app.example.org.evil.test/", "http://app.example.org/",
		"https://evil.test#.example.org/", "https://evil.test/?.example.org", "https://evil.test\\.example.org/",
		"https://user@app.example.org/", "https://app.example.org/#fragment", "javascript:alert(1)", "//app.example.org/", "app://x",
	} {
		shown := s.get(s.authorization("redirect_uri", bad))
		if shown.status != http.StatusBadRequest || shown.header.Get("Location") != "" {
			t.Errorf("%q: %d, leads to %q", bad, shown.status, shown.header.Get("Location"))
		}
	}
}

func TestAnAuthorizationRequestThatCannotBeIsToldToTheApp(t *testing.T) {
	s := run(t, devissuer.Config{Issuers: []devissuer.Issuer{corporate()}})
	tests := []struct {
		name    string
		changes []string
		want    string
	}{
		{"no challenge", []string{"code_challenge", "", "code_challenge_method", ""}, "invalid_request"},
		{"a plain challenge", []string{"code_challenge_method", "plain"}, "invalid_request"},
		{"no method, which is plain", []string{"code_challenge_method", ""}, "invalid_request"},
		{"a form as answer", []string{"response_mode", "form_post"}, "invalid_request"},
		{"no page may be shown", []string{"prompt", "none"}, "login_required"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			shown := s.get(s.authorization(test.changes...))
			location, err := url.Parse(shown.header.Get("Location"))
			if err != nil || shown.status != http.StatusFound || location.Host != "app.example.org:8443" {
				t.Fatalf("%d %q", shown.status, shown.header.Get("Location"))
			}
			if query := location.Query(); query.Get("error") != test.want || query.Get("state") != "some state" || query.Has("code") {
				t.Errorf("%v", query)
			}
		})
	}
	if shown := s.get(s.authorization("client_id", "stranger")); shown.status != http.StatusBadRequest {
		t.Errorf("an unknown client is answered %d", shown.status)
	}
	if shown := s.get(s.authorization("response_type", "token")); shown.status != http.StatusBadRequest {
		t.Errorf("the implicit flow is answered %d", shown.status)
	}
}

func TestALoginPageIsUsedOnceAndOfOneIssuer(t *testing.T) {
	second := corporate()
	second.Name = "second"
	s := run(t, devissuer.Config{Issuers: []devissuer.Issuer{corporate(), second}})
	page := s.get(s.authorization()).header.Get("Location")
	id := hiddenRequest.FindStringSubmatch(s.get(page).body)[1]
	if elsewhere := s.get(strings.Replace(page, provider, "second", 1)); elsewhere.status != http.StatusBadRequest {
		t.Errorf("another issuer shows the page: %d", elsewhere.status)
	}
	if unknown := s.post("/login", url.Values{"request": {id}, "user": {"root"}}, "", ""); unknown.status != http.StatusBadRequest {
		t.Errorf("an unknown user is answered %d", unknown.status)
	}
	if first := s.post("/login", url.Values{"request": {id}, "user": {"clerk"}}, "", ""); first.status != http.StatusSeeOther {
		t.Errorf("%d %s", first.status, first.body)
	}
	if again := s.post("/login", url.Values{"request": {id}, "user": {"clerk"}}, "", ""); again.status != http.StatusBadRequest {
		t.Errorf("pressed twice: %d", again.status)
	}
	late := s.get(s.authorization()).header.Get("Location")
	*s.now = s.now.Add(10 * time.Minute)
	if gone := s.get(late); gone.status != http.StatusBadRequest || !strings.Contains(gone.body, "This sign-in is over") {
		t.Errorf("a page that was left open: %d %s", gone.status, gone.body)
	}
}

func TestTheLoginPageSaysWhatEachUserHoldsAndThatItIsForDevelopment(t *testing.T) {
	s := run(t, devissuer.Config{Issuers: []devissuer.Issuer{corporate()}})
	page := s.get(s.get(s.authorization()).header.Get("Location"))
	for _, want := range []string{
		`id="user-clerk"`, `id="user-visitor"`, `id="user-nobody"`, "<code>vessel.write</code>", "<code>vessels.own</code>", "Development",
		"app.example.org:8443", `<html lang="en">`,
	} {
		if !strings.Contains(page.body, want) {
			t.Errorf("%s is not on the page %s", want, page.body)
		}
	}
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(page.body)
	sum := sha256.Sum256([]byte(style[1]))
	policy := page.header.Get("Content-Security-Policy")
	if !strings.Contains(policy, base64.StdEncoding.EncodeToString(sum[:])) || !strings.Contains(policy, "default-src 'none'") {
		t.Errorf("the policy %q does not let in the page's style", policy)
	}
	list := s.get(strings.TrimSuffix(s.URL(provider), provider))
	if list.status != http.StatusOK || !strings.Contains(list.body, s.URL(provider)) {
		t.Errorf("the list is %d %s", list.status, list.body)
	}
}

func TestAnyOriginMayReadTheTokenEndpointAndDocuments(t *testing.T) {
	s := run(t, devissuer.Config{Issuers: []devissuer.Issuer{corporate()}})
	for path, method := range map[string]string{
		"/.well-known/openid-configuration": http.MethodGet, "/keys": http.MethodGet, "/token": http.MethodPost, "/userinfo": http.MethodGet,
	} {
		request, err := http.NewRequest(http.MethodOptions, s.URL(provider)+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Origin", "https://app.example.org")
		request.Header.Set("Access-Control-Request-Method", method)
		request.Header.Set("Access-Control-Request-Headers", "authorization")
		if allowed := s.do(request).header.Get("Access-Control-Allow-Origin"); allowed == "" {
			t.Errorf("%s may not be read", path)
		}
	}
}

func TestClaimsStandWhereTheProviderReadsThem(t *testing.T) {
	issuer := corporate()
	issuer.RolesClaim, issuer.ScopesClaim, issuer.SubjectClaim = []string{"realm_access", "roles"}, []string{"scp"}, []string{"oid"}
	issuer.Algorithm = "RS256"
	s := run(t, devissuer.Config{Issuers: []devissuer.Issuer{issuer}})
	header, claims := s.verified(s.redeem(s.signIn("clerk").Get("code"), verifier).json(t)["access_token"])
	if header["alg"] != "RS256" || claims["scp"] != "vessels.own vessels.all" || claims["oid"] != "clerk" || claims["sub"] != "clerk" ||
		!reflect.DeepEqual(claims["realm_access"], map[string]any{"roles": []any{"vessel.write", "vessel.read"}}) {
		t.Errorf("%v %v", header, claims)
	}
}
