package idp

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestEachGrantSendsWhatItsStandardSays(t *testing.T) {
	for name, test := range map[string]struct {
		ask  func(context.Context, *Provider) (*Token, error)
		want url.Values
	}{
		"client credentials": {
			func(ctx context.Context, p *Provider) (*Token, error) {
				return p.ClientCredentials(ctx, Grant{Scopes: []string{"a", "b"}, Audience: "api", Resource: "https://api.example.org", Parameters: url.Values{"x": {"1"}, "tenant": {"grant's"}}})
			},
			url.Values{"grant_type": {"client_credentials"}, "scope": {"a b"}, "audience": {"api"}, "resource": {"https://api.example.org"}, "x": {"1"}, "tenant": {"grant's"}},
		},
		"as little as possible": {
			func(ctx context.Context, p *Provider) (*Token, error) { return p.ClientCredentials(ctx, Grant{}) },
			url.Values{"grant_type": {"client_credentials"}, "tenant": {"client's"}},
		},
		"token exchange": {
			func(ctx context.Context, p *Provider) (*Token, error) {
				return p.Exchange(ctx, Exchange{SubjectToken: canarySubject, ActorToken: "actor", Audience: "api", Scopes: []string{"a"}, RequestedTokenType: TypeJWT})
			},
			url.Values{
				"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {canarySubject}, "subject_token_type": {TypeAccessToken},
				"actor_token": {"actor"}, "actor_token_type": {TypeAccessToken}, "audience": {"api"}, "scope": {"a"}, "requested_token_type": {TypeJWT}, "tenant": {"client's"},
			},
		},
		"token exchange of a JWT": {
			func(ctx context.Context, p *Provider) (*Token, error) {
				return p.Exchange(ctx, Exchange{SubjectToken: canarySubject, SubjectTokenType: TypeJWT, Resource: "https://api.example.org"})
			},
			url.Values{
				"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {canarySubject}, "subject_token_type": {TypeJWT},
				"resource": {"https://api.example.org"}, "tenant": {"client's"},
			},
		},
		"on behalf of": {
			func(ctx context.Context, p *Provider) (*Token, error) {
				return p.OnBehalfOf(ctx, OnBehalfOf{Assertion: canarySubject, Scopes: []string{"api://b/.default"}})
			},
			url.Values{
				"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {canarySubject}, "requested_token_use": {"on_behalf_of"},
				"scope": {"api://b/.default"}, "tenant": {"client's"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t)
			config := s.config()
			config.Client.Parameters = url.Values{"tenant": {"client's"}}
			got, err := test.ask(t.Context(), mustNew(t, config))
			if err != nil || got.Access != "issued" || got.Type != "Bearer" || !got.Expires.Equal(now.Add(5*time.Minute)) {
				t.Fatalf("got %v, %v", got, err)
			}
			form, header := s.sent()
			if !reflect.DeepEqual(form, test.want) {
				t.Errorf("sent %v\nwant %v", form, test.want)
			}
			if user, password, _ := (&http.Request{Header: header}).BasicAuth(); user != "edge" || password != canarySecret {
				t.Errorf("authenticated as %q", user)
			}
		})
	}
}

func TestAParameterReplacesNothingThatIsSentAnyway(t *testing.T) {
	s := startServer(t)
	provider := mustNew(t, s.config())
	for _, name := range reserved {
		_, err := provider.ClientCredentials(t.Context(), Grant{Parameters: url.Values{name: {"x"}}})
		if got := fault(t, err); got.Kind != Misconfigured || !strings.Contains(got.Error(), name) {
			t.Errorf("%s: got %v", name, got)
		}
	}
	if n := s.count("/token"); n != 0 {
		t.Errorf("the endpoint was asked %d times", n)
	}
}

func TestAnAnswerThatIsNoUsableTokenIsRefused(t *testing.T) {
	good := map[string]any{"access_token": canaryToken, "token_type": "bearer", "expires_in": 300}
	with := func(name string, value any) map[string]any {
		changed := map[string]any{name: value}
		for key, value := range good {
			if key != name {
				changed[key] = value
			}
		}
		if value == nil {
			delete(changed, name)
		}
		return changed
	}
	for name, test := range map[string]struct {
		answer map[string]any
		want   string        // of the error
		life   time.Duration // where there is none
	}{
		"no token":                {with("access_token", nil), "no token", 0},
		"a token with a space":    {with("access_token", "a b"), "no header may have", 0},
		"a token with a line":     {with("access_token", "a\r\nx-role: admin"), "no header may have", 0},
		"a token beyond ASCII":    {with("access_token", "é"), "no header may have", 0},
		"a huge token":            {with("access_token", strings.Repeat("a", maxToken+1)), "more than 8192 bytes", 0},
		"a number as a token":     {with("access_token", 1), "no token", 0},
		"no type":                 {with("token_type", nil), "not Bearer", 0},
		"another type":            {with("token_type", "DPoP"), "not Bearer", 0},
		"expired":                 {with("expires_in", -1), "expired", 0},
		"expired now":             {with("expires_in", 0), "expired", 0},
		"a word as lifetime":      {with("expires_in", "soon"), "no token", 0},
		"a refresh token instead": {with("issued_token_type", "urn:ietf:params:oauth:token-type:refresh_token"), "no access token", 0},
		"valid":                   {good, "", 5 * time.Minute},
		"valid: a text as number": {with("expires_in", "3599"), "", 3599 * time.Second},
		"valid: no lifetime":      {with("expires_in", nil), "", time.Minute},
		"valid: an endless one":   {with("expires_in", 1<<40), "", 24 * time.Hour},
		"valid: as large as may":  {with("access_token", strings.Repeat("a", maxToken)), "", 5 * time.Minute},
		"valid: a JWT":            {with("issued_token_type", TypeJWT), "", 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t)
			s.on("/token", s.token(test.answer))
			got, err := mustNew(t, s.config()).Exchange(t.Context(), Exchange{SubjectToken: canarySubject})
			if test.want == "" {
				if err != nil || !got.Expires.Equal(now.Add(test.life)) {
					t.Errorf("got %v, %v", got, err)
				}
				return
			}
			if got := fault(t, err); got.Kind != BadAnswer || !strings.Contains(got.Error(), test.want) {
				t.Errorf("got %v (%v)", got, got.Kind)
			}
		})
	}
}

func TestScopesAreThoseThatWereGranted(t *testing.T) {
	s := startServer(t)
	provider := mustNew(t, s.config())
	for answer, want := range map[string][]string{"": {"a", "b"}, "a": {"a"}} {
		members := map[string]any{"access_token": "issued", "token_type": "Bearer"}
		if answer != "" {
			members["scope"] = answer
		}
		s.on("/token", s.token(members))
		got, err := provider.ClientCredentials(t.Context(), Grant{Scopes: []string{"a", "b"}})
		if err != nil || !slices.Equal(got.Scopes, want) {
			t.Errorf("%q: got %v, %v", answer, got.Scopes, err)
		}
	}
}

func TestARefusalSaysWhyAndNothingElse(t *testing.T) {
	challenge := `{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`
	described := "AADSTS50076: " + canarySubject + " " + canarySecret
	for name, test := range map[string]struct {
		status int
		answer map[string]any
		want   Error
		detail string
	}{
		"a dead token":          {400, map[string]any{"error": "invalid_grant", "error_description": described}, Error{Kind: Refused, Code: "invalid_grant"}, "invalid_grant"},
		"a wrong secret":        {401, map[string]any{"error": "invalid_client"}, Error{Kind: Refused, Code: "invalid_client"}, "invalid_client"},
		"step-up":               {400, map[string]any{"error": "interaction_required", "claims": challenge, "error_codes": []int{50076, 50079}}, Error{Kind: Refused, Code: "interaction_required", Claims: challenge}, "error_codes 50076, 50079"},
		"more claims":           {400, map[string]any{"error": "insufficient_claims", "claims": challenge}, Error{Kind: Refused, Code: "insufficient_claims", Claims: challenge}, ""},
		"a challenge of a line": {400, map[string]any{"error": "insufficient_claims", "claims": "{\"a\":\"\r\n\"}"}, Error{Kind: Refused, Code: "insufficient_claims"}, ""},
		"a challenge of text":   {400, map[string]any{"error": "insufficient_claims", "claims": "a"}, Error{Kind: Refused, Code: "insufficient_claims"}, ""},
		"an endless challenge":  {400, map[string]any{"error": "insufficient_claims", "claims": `{"a":"` + strings.Repeat("a", maxClaims) + `"}`}, Error{Kind: Refused, Code: "insufficient_claims"}, ""},
		"codes that are texts":  {400, map[string]any{"error": "invalid_grant", "error_codes": []string{canarySubject}}, Error{Kind: Refused, Code: "invalid_grant"}, ""},
		"with status 200":       {200, map[string]any{"error": "invalid_scope"}, Error{Kind: Refused, Code: "invalid_scope"}, ""},
		"an echo as the code":   {400, map[string]any{"error": canarySecret}, Error{Kind: BadAnswer}, "400 Bad Request"},
		"no code":               {403, map[string]any{"message": described}, Error{Kind: BadAnswer}, "403 Forbidden"},
		"its own trouble":       {503, map[string]any{"error": "temporarily_unavailable"}, Error{Kind: BadAnswer}, "temporarily_unavailable"},
		"too many":              {429, map[string]any{"error": "slow_down"}, Error{Kind: BadAnswer, RetryAfter: 7 * time.Second}, "429"},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t)
			for _, path := range []string{"/token", "/introspect"} {
				s.on(path, func(w http.ResponseWriter, _ *http.Request) {
					if test.want.RetryAfter > 0 {
						w.Header().Set("Retry-After", "7")
					}
					answerJSON(w, test.status, test.answer)
				})
			}
			provider := mustNew(t, s.config())
			_, err := provider.OnBehalfOf(t.Context(), OnBehalfOf{Assertion: canarySubject})
			got := fault(t, err)
			if got.Kind != test.want.Kind || got.Code != test.want.Code || got.Claims != test.want.Claims || got.RetryAfter != test.want.RetryAfter ||
				got.Status != test.status || !strings.Contains(got.Error(), test.detail) {
				t.Errorf("got %+v: %v", *got, got)
			}
			if test.status == http.StatusOK {
				return
			}
			_, err = provider.Introspect(t.Context(), canarySubject)
			if got := fault(t, err); got.Kind != test.want.Kind || got.Code != test.want.Code {
				t.Errorf("introspection: got %+v: %v", *got, got)
			}
		})
	}
}

func TestWhatATokenEndpointMayNotAnswer(t *testing.T) {
	packed := bomb()
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		kind    Kind
		want    string
	}{
		"garbage": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(canarySubject))
		}, BadAnswer, "no"},
		"a page": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<p>" + canarySubject))
		}, BadAnswer, "no application/json"},
		"a form": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-www-form-urlencoded")
			_, _ = w.Write([]byte("access_token=a&token_type=Bearer"))
		}, BadAnswer, "no application/json"},
		"nothing": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, BadAnswer, ""},
		"an error with a page": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			_, _ = w.Write([]byte("<p>" + canarySubject + canarySecret))
		}, BadAnswer, "502 Bad Gateway"},
		"50 MB": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			flood(w, 50<<20)
		}, BadAnswer, "larger than the 65536 bytes"},
		"a gzip bomb": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(packed)
		}, BadAnswer, "compressed"},
		"a closed door": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, Unreachable, "closed"},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t)
			s.on("/token", test.handler)
			s.on("/introspect", test.handler)
			config := s.config()
			config.TokenEndpoint = s.URL + "/token?key=" + canarySecret
			provider := mustNew(t, config)
			_, err := provider.Exchange(t.Context(), Exchange{SubjectToken: canarySubject})
			if got := fault(t, err); got.Kind != test.kind || !strings.Contains(got.Error(), test.want) {
				t.Errorf("got %v (%v)", got, got.Kind)
			}
			_, err = provider.Introspect(t.Context(), canarySubject)
			if got := fault(t, err); got.Kind != test.kind || !strings.Contains(got.Error(), test.want) {
				t.Errorf("introspection: got %v (%v)", got, got.Kind)
			}
		})
	}
}

func TestWithoutAClientNothingIsAsked(t *testing.T) {
	s := startServer(t)
	config := s.config()
	config.Client = Client{}
	_, err := mustNew(t, config).ClientCredentials(t.Context(), Grant{})
	if got := fault(t, err); got.Kind != Misconfigured || s.count("/token") != 0 {
		t.Errorf("got %v", got)
	}
}

func TestPrintingATokenDoesNotShowIt(t *testing.T) {
	token := &Token{Access: canaryToken, Type: "Bearer", Expires: now}
	encoded, err := json.Marshal(token)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		token.String(), fmt.Sprintf("%v %+v %#v %s %q %x %d", token, token, token, token, token, token, token),
		fmt.Sprintf("%#v %+v %d", *token, []Token{*token}, *token), token.GoString(), string(encoded),
	} {
		if strings.Contains(text, canaryToken) || strings.Contains(text, fmt.Sprintf("%x", canaryToken)) {
			t.Errorf("it shows: %s", text)
		}
	}
}
