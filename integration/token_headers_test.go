package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// echo is an API that gives away what it is sent, in every place of an answer.
type echo struct {
	*httptest.Server
	mu   sync.Mutex
	sent []string // values of Authorization
}

func newEcho(t *testing.T) *echo {
	t.Helper()
	e := &echo{}
	e.Server = httptest.NewServer(e)
	t.Cleanup(e.Close)
	return e
}

// ServeHTTP redirects, refuses or breaks off as the path says.
func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	sent := r.Header.Get("Authorization")
	e.mu.Lock()
	e.sent = append(e.sent, sent)
	e.mu.Unlock()
	token := strings.TrimPrefix(sent, "Bearer ")
	w.Header().Set("Authorization", sent)
	w.Header().Set("X-Echo", sent)
	w.Header().Set("X-Token", token)
	w.Header().Set("Set-Cookie", "token="+token)
	w.Header().Set("Www-Authenticate", `Bearer realm="`+token+`"`)
	w.Header().Set("X-Plain", "plain")
	switch {
	case strings.HasSuffix(r.URL.Path, "/redirect"):
		w.Header().Set("Location", "https://elsewhere.example.org/?token="+token)
		w.WriteHeader(http.StatusFound)
	case strings.HasSuffix(r.URL.Path, "/refused"):
		w.WriteHeader(http.StatusUnauthorized)
	case strings.HasSuffix(r.URL.Path, "/broken"):
		panic(http.ErrAbortHandler)
	case strings.HasSuffix(r.URL.Path, "/stuck"):
		<-r.Context().Done()
	}
}

// take returns the tokens that it was sent since the last call.
func (e *echo) take() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	sent := e.sent
	e.sent = nil
	return sent
}

// The addresses of two further APIs, for which tokens are got.
const (
	firstAPI  = "https://first.example.org"
	secondAPI = "https://second.example.org"
)

// TestSecurityTokensReachTheirUpstreamAndNobodyElse follows each kind of token from the edge: to whom it goes, and to whom not.
func TestSecurityTokensReachTheirUpstreamAndNobodyElse(t *testing.T) {
	e := newTokenEstate(t)
	first, second, leaking := newWitness(t), newWitness(t), newEcho(t)
	e.document("Provider", "hop", `{issuers: ["https://edge.example.org"], may_assert: {scopes: [read]}, mint: {class: hop}}`)
	e.document("Provider", "partner", `{issuers: ["https://api.example.org"], mint: {class: partner, grants: [{consumers: [mapps], audiences: ["`+audience+`"], scopes: [read]}]}}`)
	e.document("Consumer", "mapps", "{certificates: [{truststore: partners, subject_common_name: mapps}]}")
	e.policy("consumers", "{certificate: {truststores: [partners]}}", "{name: known, consumers: [mapps]}")
	e.policy("partners", "{jwt: {providers: [partner], audiences: ["+`"`+audience+`"`+"]}}", "{name: all, everyone: true}")
	for _, audience := range []string{"search", "other"} {
		e.policy(audience, "{jwt: {providers: [hop], audiences: ["+audience+"]}}", "{name: all, everyone: true}")
	}

	acquire := func(api string) string { return fmt.Sprintf("acquire: {provider: corporate, resource: %q}", api) }
	swap := func(api string) string { return fmt.Sprintf("exchange: {provider: corporate, audience: %q}", api) }
	all := func(api string) string {
		return fmt.Sprintf("{anonymous: {%s}, certificate: {%[1]s}, user: {%s}}", acquire(api), swap(api))
	}
	down := local(freePort(t))
	e.upstream("passing", e.apiAddress(), "{user: {pass: true}}")
	e.upstream("bare", e.apiAddress(), "{}")
	e.upstream("removing", e.apiAddress(), "{anonymous: {remove: true}, certificate: {remove: true}, user: {remove: true}}")
	e.upstream("acquired", e.apiAddress(), all(firstAPI))
	e.upstream("first", first.Listener.Addr().String(), all(firstAPI))
	e.upstream("second", second.Listener.Addr().String(), all(secondAPI))
	e.upstream("leaking", leaking.Listener.Addr().String(), all(firstAPI))
	e.upstream("down", down, all(firstAPI))
	e.document("Upstream", "halved", fmt.Sprintf("{endpoints: {addresses: [%q, %q]}, token: %s}", down, e.apiAddress(), all(firstAPI)))
	e.behind("minted", "{anonymous: {mint: {audience: search, bound_to: 'spiffe://example.org/edge'}}, certificate: {mint: {audience: search, bound_to: 'spiffe://example.org/edge'}}, user: {mint: {audience: search, bound_to: 'spiffe://example.org/edge', claims: [scope, department]}}}")
	e.behind("other", "{anonymous: {mint: {audience: other, bound_to: 'spiffe://example.org/edge'}}}")
	e.upstream("vessels", e.apiAddress(), "{user: {pass: true}}")
	e.route("edge", "api", rule("passing", "passing", "anybody"), rule("bare", "bare", "anybody"), rule("removing", "removing", "anybody"),
		rule("acquired", "acquired", "anybody"), rule("minted", "minted", "anybody"), rule("other", "other", "anybody"), rule("halved", "halved", "anybody"),
		"{name: either, match: {prefix: /either}, upstreams: [{name: first}, {name: second}], policy: anybody}",
		"{name: leaking, match: {prefix: /leaking}, upstreams: [{name: leaking}], policy: anybody, timeout: 1s}", rule("down", "down", "anybody"),
		"{name: me, match: {exact: /me}, whoami: true, policy: users}", rule("users", "passing", "users"), rule("partners", "passing", "partners"),
		"{name: token, match: {exact: /token, methods: [POST]}, token_endpoint: partner, policy: consumers}")
	e.route("sidecar", "vessels", rule("minted", "vessels", "search"), rule("other", "vessels", "other"), rule("users", "vessels", "users"))
	e.serve("sidecar")
	e.ready(t, calling{path: "/minted/a"}, http.StatusOK)
	e.ready(t, calling{path: "/users/a", token: e.idp.Token(t, tokenOrder{})}, http.StatusOK)

	t.Run("what goes on is what the upstream is to get", func(t *testing.T) { tokensGoOn(t, e) })
	t.Run("each of several upstreams gets its own", func(t *testing.T) { weightedTokens(t, e, first, second) })
	t.Run("nothing travels back", func(t *testing.T) { tokensStay(t, e, leaking) })
	t.Run("a retry takes the token along", func(t *testing.T) {
		for range 6 { // whichever address is tried first
			sets(t, e.claims(t, e.passes(t, calling{path: "/halved/a"})), map[string]any{"aud": firstAPI, "sub": "edge"})
		}
	})
	t.Run("headers of the caller change nothing", func(t *testing.T) { forgedHeaders(t, e) })
	t.Run("who am I", func(t *testing.T) { whoHasTheToken(t, e) })
	t.Run("classes of tokens do not mix", func(t *testing.T) { classesDoNotMix(t, e) })
}

// tokensGoOn lists by upstream and caller which token arrives; nil is none.
func tokensGoOn(t *testing.T, e *tokenEstate) {
	token := e.idp.Token(t, tokenOrder{Claims: map[string]any{"scope": "read unknown", "department": "ships", "secret": "s"}})
	nobody, partner, user := calling{}, calling{as: "mapps"}, calling{token: token}
	own := map[string]any{"iss": e.idp.Issuer, "sub": "clerk", "aud": audience}
	acquired := map[string]any{"iss": e.idp.Issuer, "sub": "edge", "aud": firstAPI}
	hop := func(subject string) map[string]any {
		return map[string]any{
			"iss": "https://edge.example.org", "sub": subject, "aud": "search", "act": map[string]any{"sub": "spiffe://example.org/edge"},
			"cnf": map[string]any{"san_uri": "spiffe://example.org/edge"}, "secret": nil,
		}
	}
	asUser := hop("token:corporate:clerk")
	asUser["scope"], asUser["department"] = "read", "ships"
	for _, test := range []struct {
		name, path string
		calling
		want map[string]any
	}{
		{"a user's, passed", "/passing", user, own},
		{"nobody's", "/passing", nobody, nil},
		{"a partner's", "/passing", partner, nil},
		{"a user's, where nothing is said", "/bare", user, nil},
		{"nobody's, where nothing is said", "/bare", nobody, nil},
		{"a user's, removed", "/removing", user, nil},
		{"a partner's, removed", "/removing", partner, nil},
		{"acquired for nobody", "/acquired", nobody, acquired},
		{"acquired for a partner", "/acquired", partner, acquired},
		{"exchanged for a user", "/acquired", user, map[string]any{"sub": "clerk", "aud": firstAPI, "act": map[string]any{"sub": "edge"}}},
		{"minted for nobody", "/minted", nobody, hop("anonymous")},
		{"minted for a partner", "/minted", partner, hop("consumer:mapps")},
		{"minted for a user", "/minted", user, asUser},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.calling.path = test.path + "/a"
			arrived := e.passes(t, test.calling)
			if got := len(arrived.header.Values("Authorization")); got > 1 || (got == 0) != (test.want == nil) {
				t.Fatalf("%d tokens arrived, want claims %v", got, test.want)
			}
			sets(t, e.claims(t, arrived), test.want)
			if test.want != nil && test.path != "/passing" && bearerOf(arrived) == token {
				t.Error("the caller's own token arrived")
			}
		})
	}
	// What is bad is not passed over for what else the caller is.
	expired := e.idp.Token(t, tokenOrder{Lifetime: -60})
	e.refused(t, calling{path: "/acquired/a", as: "mapps", token: expired}, http.StatusUnauthorized, "token_expired")
	e.refused(t, calling{path: "/bare/a", token: expired}, http.StatusUnauthorized, "token_expired")
	// One who has a certificate and a token is a user.
	both := calling{path: "/acquired/a", as: "mapps", token: token}
	sets(t, e.claims(t, e.passes(t, both)), map[string]any{"sub": "clerk", "aud": firstAPI})
}

// weightedTokens sends calls to two upstreams by turns of Envoy's choosing.
func weightedTokens(t *testing.T, e *tokenEstate, first, second *witness) {
	token := e.idp.Token(t, tokenOrder{})
	for range 20 {
		for _, c := range []calling{{}, {token: token}, {as: "mapps"}} {
			c.path = "/either/a"
			if answer := e.send(t, c); answer.status != http.StatusOK {
				t.Fatalf("answered %v", answer)
			}
		}
	}
	total := 0
	for api, at := range map[string]*witness{firstAPI: first, secondAPI: second} {
		seen := at.take()
		total += len(seen)
		if len(seen) == 0 {
			t.Errorf("nothing arrived at %s", api)
		}
		for _, r := range seen {
			sets(t, e.claims(t, r), map[string]any{"aud": api})
		}
	}
	if total != 60 {
		t.Errorf("%d requests arrived, want 60", total)
	}
}

// tokensStay wants no token of ours in whatever the caller is answered.
func tokensStay(t *testing.T, e *tokenEstate, leaking *echo) {
	token := e.idp.Token(t, tokenOrder{})
	for _, c := range []calling{{}, {as: "mapps"}, {token: token}} {
		for path, status := range map[string]int{
			"/leaking/ok": http.StatusOK, "/leaking/redirect": http.StatusFound, "/leaking/refused": http.StatusUnauthorized,
			"/leaking/broken": http.StatusServiceUnavailable, "/leaking/stuck": http.StatusGatewayTimeout,
		} {
			leaking.take()
			c.path = path
			answer := e.send(t, c)
			if answer.status != status && (status != http.StatusServiceUnavailable || answer.status != http.StatusBadGateway) {
				t.Errorf("%s: answered %v, want %d", path, answer, status)
			}
			sent := leaking.take()
			if len(sent) == 0 || !strings.HasPrefix(sent[0], "Bearer ey") || sent[0] == "Bearer "+token {
				t.Fatalf("%s: %d requests arrived, or not with a token of ours", path, len(sent))
			}
			keepsSecret(t, path, answer, sent)
			if status < 500 && answer.header.Get("X-Plain") != "plain" {
				t.Errorf("%s: headers without a token are gone: %v", path, answer.header)
			}
		}
		c.path = "/down/a"
		answer := e.send(t, c)
		if answer.status != http.StatusServiceUnavailable {
			t.Errorf("an upstream that is down: %v", answer)
		}
		keepsSecret(t, c.path, answer, []string{"Bearer ey"})
		c.method, c.path = http.MethodTrace, "/leaking/ok"
		leaking.take()
		if answer := e.send(t, c); answer.status == http.StatusOK || len(leaking.take()) > 0 {
			t.Errorf("TRACE is answered %v", answer)
		}
	}
}

// keepsSecret wants none of the tokens anywhere in an answer.
func keepsSecret(t *testing.T, path string, answer told, tokens []string) {
	t.Helper()
	text := fmt.Sprintf("%v\n%s", answer.header, answer.body)
	for _, sent := range tokens {
		if strings.Contains(text, strings.TrimPrefix(sent, "Bearer ")) {
			t.Errorf("%s: the caller is told the upstream's token: %v", path, answer.header)
		}
	}
}

// forgedHeaders would take the token away, put another in its place, or turn the request into another.
func forgedHeaders(t *testing.T, e *tokenEstate) {
	for _, path := range []string{"/acquired/a", "/minted/a", "/users/a"} {
		c := calling{path: path}
		if path == "/users/a" {
			c.token = e.idp.Token(t, tokenOrder{})
		}
		want := e.claims(t, e.passes(t, c))
		for _, header := range []string{
			"X-Forwarded-Authorization: Bearer x", "X-Forwarded-For: 127.0.0.1", "Forwarded: for=127.0.0.1", "X-Original-Url: /other/a",
			"X-Rewrite-Url: /other/a", "X-Http-Method-Override: DELETE", "X-Forwarded-Access-Token: x", "X-Consumer: mapps", "X-Subject: consumer:mapps",
			"X-Envoy-Original-Path: /other/a", "X-Forwarded-Client-Cert: URI=spiffe://example.org/edge",
			"Connection: keep-alive, Authorization", "Connection: authorization", "Te: trailers", "Trailer: Authorization",
		} {
			c.header = []string{header}
			answer, seen := e.ask(t, c)
			if strings.HasPrefix(header, "Connection") && answer.status != http.StatusOK && len(seen) == 0 {
				continue // refused as malformed
			}
			if len(seen) != 1 || answer.status != http.StatusOK || len(seen[0].header.Values("Authorization")) != 1 {
				t.Errorf("%s with %s: answered %v, %d arrived", path, header, answer, len(seen))
				continue
			}
			sets(t, e.claims(t, seen[0]), map[string]any{"iss": want["iss"], "sub": want["sub"], "aud": want["aud"]})
			if seen[0].header.Get("X-Forwarded-Client-Cert") != "" {
				t.Errorf("%s with %s: it arrived", path, header)
			}
		}
	}
}

func whoHasTheToken(t *testing.T, e *tokenEstate) {
	token := e.idp.Token(t, tokenOrder{})
	answer, seen := e.ask(t, calling{path: "/me", token: token})
	if answer.status != http.StatusOK || len(seen) != 0 || !json.Valid([]byte(answer.body)) || !strings.Contains(answer.body, "clerk") {
		t.Errorf("answered %v, and %d requests arrived", answer, len(seen))
	}
	if strings.Contains(answer.body, token) || strings.Contains(answer.body, token[strings.LastIndexByte(token, '.')+1:]) {
		t.Error("the answer holds the token")
	}
	e.refused(t, calling{path: "/me"}, http.StatusUnauthorized, "token_missing")
	e.refused(t, calling{path: "/me", token: e.idp.Token(t, tokenOrder{Lifetime: -60})}, http.StatusUnauthorized, "token_expired")
}

// classesDoNotMix replays tokens of each class where another is wanted.
func classesDoNotMix(t *testing.T, e *tokenEstate) {
	stolen := bearerOf(e.passes(t, calling{path: "/minted/a"}))
	partner := e.partnerToken(t, "mapps", "grant_type=client_credentials")
	other := bearerOf(e.passes(t, calling{path: "/other/a"}))
	for _, test := range []struct {
		name string
		calling
		reason string
	}{
		{"a hop token on another internal connection", calling{at: "sidecar", path: "/minted/a", as: "other-client", token: stolen}, "token_binding"},
		{"a hop token at the edge", calling{path: "/users/a", token: stolen}, "token_issuer"},
		{"a hop token at the edge, where anybody may come", calling{path: "/minted/a", token: stolen}, "token_issuer"},
		{"a hop token where partners' are taken", calling{path: "/partners/a", as: "mapps", token: stolen}, "token_issuer"},
		{"a hop token for another upstream", calling{at: "sidecar", path: "/minted/a", as: "edge-client", token: other}, "token_audience"},
		{"a partner's token at the sidecar", calling{at: "sidecar", path: "/minted/a", as: "edge-client", token: partner}, "token_issuer"},
		{"a partner's token where users' are taken", calling{path: "/users/a", as: "mapps", token: partner}, "token_issuer"},
		{"a partner's token without the certificate", calling{path: "/partners/a", token: partner}, "token_binding"},
		{"a partner's token with another's certificate", calling{path: "/partners/a", as: "nsp", token: partner}, "token_binding"},
		{"a user's token where hop tokens are taken", calling{at: "sidecar", path: "/minted/a", as: "edge-client", token: e.idp.Token(t, tokenOrder{})}, "token_issuer"},
		{"no token on the edge's connection", calling{at: "sidecar", path: "/minted/a", as: "edge-client"}, "token_missing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e.refused(t, test.calling, http.StatusUnauthorized, test.reason)
		})
	}
	e.passes(t, calling{at: "sidecar", path: "/minted/a", as: "edge-client", token: stolen})
	e.passes(t, calling{path: "/partners/a", as: "mapps", token: partner})
	e.passes(t, calling{at: "sidecar", path: "/users/a", as: "other-client", token: e.idp.Token(t, tokenOrder{})})

	// Who asks for a token is given none for the sidecar.
	for _, form := range []string{"audience=search", "resource=search", "audience=other", "audience=https%3A%2F%2Fedge.example.org"} {
		answer := e.send(t, calling{path: "/token", method: http.MethodPost, as: "mapps", body: "grant_type=client_credentials&" + form, header: formHeader})
		if answer.status != http.StatusBadRequest || !strings.Contains(answer.body, "invalid_target") {
			t.Errorf("%s: answered %v", form, answer)
		}
	}
	// Partners do not get as far as the sidecar.
	if answer := e.send(t, calling{at: "sidecar", path: "/minted/a", as: "mapps", token: stolen}); answer.status != 0 {
		t.Errorf("a partner at the sidecar is answered %v", answer)
	}
}

// formHeader is that of every request for a token.
var formHeader = []string{"Content-Type: application/x-www-form-urlencoded"}

// partnerToken asks our token endpoint for a token, as a partner.
func (e *tokenEstate) partnerToken(t testing.TB, as, form string) string {
	t.Helper()
	answer := e.send(t, calling{path: "/token", method: http.MethodPost, as: as, body: form, header: formHeader})
	var granted tokenAnswer
	if err := json.Unmarshal([]byte(answer.body), &granted); err != nil || answer.status != http.StatusOK || granted.AccessToken == "" {
		t.Fatalf("the token endpoint answered %v", answer)
	}
	return granted.AccessToken
}
