package devissuer_test

import (
	"maps"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/devissuer"
)

const (
	exchangeGrant   = "urn:ietf:params:oauth:grant-type:token-exchange"
	bearerGrant     = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	accessTokenType = "urn:ietf:params:oauth:token-type:access_token"
)

func TestAClientGetsATokenForItselfWithoutRoles(t *testing.T) {
	tests := []struct {
		name  string
		form  url.Values
		aud   any
		scope any
	}{
		{"asking for nothing", url.Values{}, audience, "vessels.own vessels.all"},
		{"asking for a scope", url.Values{"scope": {"vessels.own"}}, audience, "vessels.own"},
		{"asking as Entra has it", url.Values{"scope": {"api://second/.default"}}, "api://second", "vessels.own vessels.all"},
		{"asking for a resource", url.Values{"resource": {"https://other.example.org/"}}, "https://other.example.org/", "vessels.own vessels.all"},
		{"asking for two audiences", url.Values{"audience": {"a", "b"}}, []any{"a", "b"}, "vessels.own vessels.all"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := run(t, devissuer.Config{Issuers: []devissuer.Issuer{corporate()}})
			form := maps.Clone(test.form)
			form.Set("grant_type", "client_credentials")
			given := s.asEdge(form)
			if given.status != http.StatusOK || given.header.Get("Cache-Control") != "no-store" {
				t.Fatalf("%d %s", given.status, given.body)
			}
			_, claims := s.verified(given.json(t)["access_token"])
			if claims["sub"] != "edge" || claims["client_id"] != "edge" || claims["roles"] != nil || claims["scope"] != test.scope {
				t.Errorf("%v", claims)
			}
			if diff := cmp.Diff(test.aud, claims["aud"]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAClientProvesItselfByItsSecret(t *testing.T) {
	grant := url.Values{"grant_type": {"client_credentials"}}
	inForm := maps.Clone(grant)
	inForm.Set("client_id", "edge")
	inForm.Set("client_secret", corporate().ClientSecret)
	assertion := maps.Clone(grant)
	assertion.Set("client_assertion", "x.y.z")
	assertion.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	app := maps.Clone(grant)
	app.Set("client_id", devissuer.AppClient)
	tests := []struct {
		name       string
		form       url.Values
		id, secret string
		want       int
	}{
		{"in the form", inForm, "", "", http.StatusOK},
		{"in the header", grant, "edge", corporate().ClientSecret, http.StatusOK},
		{"a wrong one", grant, "edge", "wrong", http.StatusUnauthorized},
		{"none", grant, "edge", "", http.StatusUnauthorized},
		{"of a stranger", grant, "stranger", "x", http.StatusUnauthorized},
		{"by an assertion", assertion, "", "", http.StatusUnauthorized},
		{"the app has none", app, "", "", http.StatusBadRequest},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := run(t, devissuer.Config{Issuers: []devissuer.Issuer{corporate()}})
			if got := s.post("/token", test.form, test.id, test.secret); got.status != test.want {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
	t.Run("where none is configured, nothing is one", func(t *testing.T) {
		issuer := corporate()
		issuer.ClientSecret = ""
		s := run(t, devissuer.Config{Issuers: []devissuer.Issuer{issuer}})
		if got := s.post("/token", grant, "edge", ""); got.status != http.StatusUnauthorized {
			t.Errorf("%d %s", got.status, got.body)
		}
	})
}

// exchanges are the two ways in which a client gets a token on behalf of a user.
var exchanges = map[string]func(token string) url.Values{
	"token exchange": func(token string) url.Values {
		return url.Values{
			"grant_type": {exchangeGrant}, "subject_token": {token}, "subject_token_type": {accessTokenType}, "audience": {"api://second"},
		}
	},
	"on behalf of": func(token string) url.Values {
		return url.Values{
			"grant_type": {bearerGrant}, "assertion": {token}, "requested_token_use": {"on_behalf_of"}, "scope": {"api://second/.default"},
		}
	},
}

func TestAnExchangedTokenIsAboutTheUserAndNamesTheClientAsActor(t *testing.T) {
	for name, form := range exchanges {
		t.Run(name, func(t *testing.T) {
			s := run(t, devissuer.Config{Issuers: []devissuer.Issuer{corporate()}})
			user, err := s.Token(provider, devissuer.TokenSpec{
				Subject: "clerk", Roles: []string{"vessel.write"}, Scopes: []string{"vessels.own"}, Lifetime: 5 * time.Minute,
				Claims: map[string]any{"act": map[string]any{"sub": "before"}},
			})
			if err != nil {
				t.Fatal(err)
			}
			given := s.asEdge(form(user))
			if given.status != http.StatusOK || given.header.Get("Cache-Control") != "no-store" {
				t.Fatalf("%d %s", given.status, given.body)
			}
			answer := given.json(t)
			if name == "token exchange" && answer["issued_token_type"] != accessTokenType {
				t.Errorf("%v", answer)
			}
			if answer["expires_in"] != (5 * time.Minute).Seconds() {
				t.Errorf("it is said to be good for %v", answer["expires_in"])
			}
			_, claims := s.verified(answer["access_token"])
			want := map[string]any{
				"iss": s.URL(provider), "sub": "clerk", "aud": "api://second", "client_id": "edge", "jti": claims["jti"],
				"act":   map[string]any{"sub": "edge", "act": map[string]any{"sub": "before"}},
				"roles": []any{"vessel.write"}, "scope": "vessels.own",
				"iat": float64(start.Unix()), "exp": float64(start.Add(5 * time.Minute).Unix()),
			}
			if diff := cmp.Diff(want, claims); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnExchangeTakesGoodTokensOfThisIssuerFromAClientWithASecret(t *testing.T) {
	faults := map[string]devissuer.TokenSpec{
		"expired":        {Expired: true},
		"by another key": {UnknownKey: true},
		"of another":     {Claims: map[string]any{"iss": "https://login.example.org"}},
		"without an end": {Claims: map[string]any{"exp": nil}},
	}
	for name, form := range exchanges {
		t.Run(name, func(t *testing.T) {
			s := run(t, devissuer.Config{Issuers: []devissuer.Issuer{corporate()}})
			for fault, spec := range faults {
				token, err := s.Token(provider, spec)
				if err != nil {
					t.Fatal(err)
				}
				if got := s.asEdge(form(token)); got.status != http.StatusBadRequest {
					t.Errorf("%s: %d %s", fault, got.status, got.body)
				}
			}
			good, err := s.Token(provider, devissuer.TokenSpec{})
			if err != nil {
				t.Fatal(err)
			}
			asApp := form(good)
			asApp.Set("client_id", devissuer.AppClient)
			if got := s.post("/token", asApp, "", ""); got.status != http.StatusBadRequest || got.json(t)["error"] != "unauthorized_client" {
				t.Errorf("the app: %d %s", got.status, got.body)
			}
			if got := s.post("/token", form(good), "edge", "wrong"); got.status != http.StatusUnauthorized {
				t.Errorf("a wrong secret: %d %s", got.status, got.body)
			}
			if got := s.asEdge(form(good)); got.status != http.StatusOK {
				t.Errorf("a good token: %d %s", got.status, got.body)
			}
		})
	}
}

func TestAnActorTokenNamesTheActor(t *testing.T) {
	s := run(t, devissuer.Config{Issuers: []devissuer.Issuer{corporate()}})
	user, _ := s.Token(provider, devissuer.TokenSpec{Subject: "clerk"})
	actor, _ := s.Token(provider, devissuer.TokenSpec{Subject: "sidecar"})
	form := exchanges["token exchange"](user)
	form.Set("actor_token", actor)
	form.Set("actor_token_type", accessTokenType)
	_, claims := s.verified(s.asEdge(form).json(t)["access_token"])
	if diff := cmp.Diff(map[string]any{"sub": "sidecar"}, claims["act"]); diff != "" {
		t.Error(diff)
	}
	form.Set("actor_token", actor+"x")
	if got := s.asEdge(form); got.status != http.StatusBadRequest {
		t.Errorf("a bad actor token is answered %d", got.status)
	}
}

func TestIntrospectionTellsAClientWithASecretWhatATokenSays(t *testing.T) {
	s := run(t, devissuer.Config{Issuers: []devissuer.Issuer{corporate()}})
	token, err := s.Token(provider, devissuer.TokenSpec{Subject: "clerk", Roles: []string{"vessel.write"}})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(token string) answer {
		return s.post("/introspect", url.Values{"token": {token}}, "edge", corporate().ClientSecret)
	}
	said := ask(token).json(t)
	if said["active"] != true || said["sub"] != "clerk" || said["aud"] != audience {
		t.Errorf("%v", said)
	}
	if diff := cmp.Diff(map[string]any{"active": false}, ask("no token").json(t)); diff != "" {
		t.Error(diff)
	}
	*s.now = s.now.Add(devissuer.Lifetime)
	if diff := cmp.Diff(map[string]any{"active": false}, ask(token).json(t)); diff != "" {
		t.Error(diff)
	}
	if got := s.post("/introspect", url.Values{"token": {token}}, "edge", "wrong"); got.status != http.StatusUnauthorized {
		t.Errorf("a wrong secret is answered %d", got.status)
	}
	if got := s.post("/introspect", url.Values{"token": {token}, "client_id": {"app"}, "client_secret": {"x"}}, "", ""); got.status != http.StatusUnauthorized {
		t.Errorf("the app is answered %d", got.status)
	}
}

func TestUserinfoTellsWhoseTokenItIs(t *testing.T) {
	s := run(t, devissuer.Config{Issuers: []devissuer.Issuer{corporate()}})
	for fault, want := range map[bool]int{false: http.StatusOK, true: http.StatusUnauthorized} {
		token, err := s.Token(provider, devissuer.TokenSpec{Subject: "clerk", UnknownKey: fault})
		if err != nil {
			t.Fatal(err)
		}
		request, err := http.NewRequest(http.MethodGet, s.URL(provider)+"/userinfo", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		if got := s.do(request); got.status != want || (want == http.StatusOK && got.json(t)["sub"] != "clerk") {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
}

func TestLoggingOutLeadsBackWhereItMay(t *testing.T) {
	s := run(t, devissuer.Config{Issuers: []devissuer.Issuer{corporate()}})
	for back, want := range map[string]string{
		"https://app.example.org/?x=1": "https://app.example.org/?state=s&x=1", "https://evil.test/": "",
	} {
		query := url.Values{"post_logout_redirect_uri": {back}, "state": {"s"}}
		if got := s.get(s.URL(provider) + "/logout?" + query.Encode()); got.header.Get("Location") != want {
			t.Errorf("%s leads to %q", back, got.header.Get("Location"))
		}
	}
}
