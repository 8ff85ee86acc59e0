package integration

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// exportAudience is what partners' tokens are for.
const exportAudience = "https://api.example.org/export"

// newIssuing is an estate that gives tokens to partners with a certificate, and takes them: the edge makes a token of its own of them for
// the sidecar, which judges the partner again.
func newIssuing(t *testing.T, far *gate) *tokenEstate {
	t.Helper()
	e := newTokenEstate(t)
	e.document("Provider", "hop", `{issuers: ["https://edge.example.org"], may_assert: {scopes: [export, read]}, mint: {class: hop}}`)
	e.document("Provider", "partner", fmt.Sprintf(`
  issuers: ["https://api.example.org"]
  mint:
    class: partner
    grants:
    - {consumers: [mapps], audiences: [%q], scopes: [export]}
    - {consumer_roles: [reader], audiences: [%[1]q, "https://other.example.org"], scopes: [read]}`, exportAudience))
	e.document("Role", "reader", `{permissions: [{routes: [api], methods: [GET], paths: ["/unused"]}]}`)
	e.document("Consumer", "mapps", "{suspended: false, certificates: [{truststore: partners, subject_common_name: mapps}]}")
	e.document("Consumer", "nsp", "{certificates: [{truststore: partners, subject_common_name: nsp}]}")
	e.document("Consumer", "hasty", "{certificates: [{truststore: partners, subject_common_name: hasty}], roles: [reader], rate_limit: {requests: 3, per: 3600s}}")
	e.policy("consumers", "{certificate: {truststores: [partners]}}", "{name: known, consumers: [mapps, nsp, hasty]}")
	e.policy("partners", "{jwt: {providers: [partner], audiences: ["+`"`+exportAudience+`"`+"]}}", "{name: exporters, scopes: [export]}")
	e.policy("hops", "{all_of: [{certificate: {truststores: [internal]}}, {jwt: {providers: [hop], audiences: [export]}}]}", `{name: exporters, scopes: [export], when: "consumer.name == 'mapps'"}`)
	e.document("Policy", "edges", `
  authenticate: {all_of: [{certificate: {truststores: [internal]}}, {jwt: {providers: [hop], audiences: [search]}}]}
  authorize: [{name: all, everyone: true}]
  forward: {headers: [{name: x-edge, value: certificate.serial}]}
  deny: {disclose: detail}`)
	e.behind("export", "{user: {mint: {audience: export, bound_to: 'spiffe://example.org/edge', claims: [scope]}}}")
	e.behind("search", "{anonymous: {mint: {audience: search, bound_to: 'spiffe://example.org/edge'}}}")
	e.upstream("vessels", e.apiAddress(), "{user: {pass: true}}")
	e.upstream("far", far.Listener.Addr().String(), "{}")
	e.route("edge", "api", rule("export", "export", "partners"), rule("search", "search", "nobody"),
		"{name: token, match: {exact: /token, methods: [POST]}, token_endpoint: partner, policy: consumers}",
		"{name: keys, match: {exact: /keys}, key_set: partner, policy: nobody}",
		"{name: metadata, match: {exact: /.well-known/oauth-authorization-server}, issuer_metadata: partner, policy: nobody}")
	e.route("sidecar", "vessels", rule("export", "vessels", "hops"), rule("search", "far", "edges"))
	e.issue("partners", "client", "hasty", "--common-name", "hasty")
	text := strings.Replace(e.documents.String(), `{bundle: "file:../pki/partners.pem"}`, `{bundle: "file:../pki/partners.pem", revocation: {lists: ["file:../ca/partners/crl.pem"]}}`, 1)
	e.documents.Reset()
	e.documents.WriteString(text)
	e.serve("sidecar")
	e.ready(t, calling{path: "/search/a"}, http.StatusOK)
	return e
}

// TestOurTokenEndpointIssuesForCertificates goes from a token for a certificate to its end.
func TestOurTokenEndpointIssuesForCertificates(t *testing.T) {
	far := newGate(t)
	e := newIssuing(t, far)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *tokenEstate)
	}{
		{"a token for a certificate, and its use", issuesAndTakes},
		{"documents about the issuer", describesItself},
		{"what it refuses", refusesRequests},
		{"the edge's certificate rotates under load", func(t *testing.T, e *tokenEstate) { edgeRotates(t, e, far) }},
		{"a consumer that is suspended", suspendedConsumer},
		{"a certificate that is revoked", revokedCertificate},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, e) })
	}
}

// issuesAndTakes: a token by POST, bound to the certificate of its connection (RFC 8705), and what the API sees of who uses it.
func issuesAndTakes(t *testing.T, e *tokenEstate) {
	answer := e.send(t, calling{path: "/token", method: http.MethodPost, as: "mapps", body: "grant_type=client_credentials", header: formHeader})
	var granted tokenAnswer
	if err := json.Unmarshal([]byte(answer.body), &granted); err != nil || answer.status != http.StatusOK {
		t.Fatalf("answered %v", answer)
	}
	if granted.TokenType != "Bearer" || granted.ExpiresIn < 200 || granted.ExpiresIn > 300 || granted.Scope != "export" ||
		answer.header.Get("Cache-Control") != "no-store" || answer.header.Get("Content-Type") != "application/json" {
		t.Errorf("answered %v with %v", answer.header, granted.TokenType)
	}
	header, claims := e.idp.open(t, granted.AccessToken)
	sum := sha256.Sum256(e.pair("mapps").Certificate[0])
	sets(t, header, map[string]any{"typ": "at+jwt"})
	sets(t, claims, map[string]any{
		"iss": "https://api.example.org", "aud": exportAudience, "sub": "consumer:mapps", "client_id": "mapps", "scope": "export",
		"cnf": map[string]any{"x5t#S256": encodeURL(sum[:])},
	})
	arrived := e.passes(t, calling{path: "/export/a", as: "mapps", token: granted.AccessToken})
	seen := e.claims(t, arrived)
	sets(t, seen, map[string]any{
		"iss": "https://edge.example.org", "aud": "export", "sub": "consumer:mapps", "scope": "export", "act": map[string]any{"sub": "spiffe://example.org/edge"},
	})
	reference, _ := seen["certificate"].(map[string]any)
	sets(t, reference, map[string]any{"truststore": "partners", "x5t#S256": encodeURL(sum[:])})

	e.refused(t, calling{path: "/export/a", token: granted.AccessToken}, http.StatusUnauthorized, "token_binding")
	e.refused(t, calling{path: "/export/a", as: "nsp", token: granted.AccessToken}, http.StatusUnauthorized, "token_binding")
	e.refused(t, calling{path: "/export/a", as: "mapps"}, http.StatusUnauthorized, "token_missing")
	// Another certificate of the same consumer is another certificate.
	e.issue("partners", "client", "mapps-next", "--common-name", "mapps")
	e.refused(t, calling{path: "/export/a", as: "mapps-next", token: granted.AccessToken}, http.StatusUnauthorized, "token_binding")
	e.passes(t, calling{path: "/export/a", as: "mapps-next", token: e.partnerToken(t, "mapps-next", "grant_type=client_credentials")})
	e.refused(t, calling{path: "/export/a", as: "hasty", token: e.partnerToken(t, "hasty", "grant_type=client_credentials")}, http.StatusForbidden, "scope_missing")
	e.passes(t, calling{path: "/export/a", as: "mapps", token: granted.AccessToken})
}

func describesItself(t *testing.T, e *tokenEstate) {
	var metadata map[string]any
	answer := e.send(t, calling{path: "/.well-known/oauth-authorization-server"})
	if err := json.Unmarshal([]byte(answer.body), &metadata); err != nil {
		t.Fatalf("answered %v", answer)
	}
	sets(t, metadata, map[string]any{
		"issuer": "https://api.example.org", "token_endpoint": "https://api.example.org/token", "jwks_uri": "https://api.example.org/keys",
	})
	var set struct{ Keys []map[string]any }
	answer = e.send(t, calling{path: "/keys"})
	if err := json.Unmarshal([]byte(answer.body), &set); err != nil || len(set.Keys) == 0 {
		t.Fatalf("answered %v", answer)
	}
	header, _ := e.idp.open(t, e.partnerToken(t, "mapps", "grant_type=client_credentials"))
	published := false
	for _, key := range set.Keys {
		published = published || key["kid"] == header["kid"]
		if key["d"] != nil || key["p"] != nil || key["k"] != nil {
			t.Error("a private key is published")
		}
	}
	if !published {
		t.Errorf("the key %v that signs is not among %v", header["kid"], set.Keys)
	}
}

// refusesRequests: errors of RFC 6749, section 5.2, and of the gateway before that.
func refusesRequests(t *testing.T, e *tokenEstate) {
	const good = "grant_type=client_credentials"
	for _, test := range []struct {
		name string
		calling
		status int
		says   string
	}{
		{"no certificate", calling{body: good}, http.StatusForbidden, "certificate_missing"},
		{"no grant", calling{as: "nsp", body: good}, http.StatusBadRequest, "unauthorized_client"},
		{"no grant_type", calling{as: "mapps", body: "scope=export"}, http.StatusBadRequest, "invalid_request"},
		{"nothing", calling{as: "mapps"}, http.StatusBadRequest, "invalid_request"},
		{"another grant_type", calling{as: "mapps", body: "grant_type=password&username=a&password=b"}, http.StatusBadRequest, "unsupported_grant_type"},
		{"a scope of others", calling{as: "mapps", body: good + "&scope=read"}, http.StatusBadRequest, "invalid_scope"},
		{"an audience of others", calling{as: "mapps", body: good + "&audience=https%3A%2F%2Fother.example.org"}, http.StatusBadRequest, "invalid_target"},
		{"an audience of the sidecar", calling{as: "mapps", body: good + "&audience=export"}, http.StatusBadRequest, "invalid_target"},
		{"two audiences", calling{as: "mapps", body: good + "&audience=" + exportAudience + "&audience=export"}, http.StatusBadRequest, "invalid_request"},
		{"two resources", calling{as: "mapps", body: good + "&resource=" + exportAudience + "&resource=export"}, http.StatusBadRequest, "invalid_target"},
		{"another client_id", calling{as: "mapps", body: good + "&client_id=nsp"}, http.StatusUnauthorized, "invalid_client"},
		{"a secret", calling{as: "mapps", body: good + "&client_secret=s"}, http.StatusUnauthorized, "invalid_client"},
		{"a password", calling{as: "mapps", body: good, header: []string{"Authorization: Basic bWFwcHM6eA=="}}, http.StatusUnauthorized, ""},
		{"in the query", calling{as: "mapps", path: "/token?" + good}, http.StatusBadRequest, "invalid_request"},
		{"too much", calling{as: "mapps", body: good + "&padding=" + strings.Repeat("x", 100_000)}, http.StatusRequestEntityTooLarge, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.path == "" {
				test.path = "/token"
			}
			test.method, test.header = http.MethodPost, append(test.header, formHeader...)
			answer, seen := e.ask(t, test.calling)
			if answer.status != test.status || !strings.Contains(answer.body, test.says) || len(seen) > 0 || strings.Contains(answer.body, "access_token") {
				t.Errorf("answered %v, want %d %s", answer, test.status, test.says)
			}
		})
	}
	if answer := e.send(t, calling{path: "/token", as: "mapps"}); answer.status != http.StatusNotFound && answer.status != http.StatusMethodNotAllowed {
		t.Errorf("GET is answered %v", answer)
	}
	if answer := e.send(t, calling{path: "/token", method: http.MethodPost, as: "mapps", body: `{"grant_type":"client_credentials"}`, header: []string{"Content-Type: application/json"}}); answer.status != http.StatusBadRequest {
		t.Errorf("JSON is answered %v", answer)
	}
	// One who may ask three times in an hour has asked once.
	for range 2 {
		e.partnerToken(t, "hasty", good)
	}
	if answer := e.send(t, calling{path: "/token", method: http.MethodPost, as: "hasty", body: good, header: formHeader}); answer.status != http.StatusTooManyRequests || answer.header.Get("Retry-After") == "" {
		t.Errorf("too many requests are answered %v", answer)
	}
	e.partnerToken(t, "mapps", good+"&client_id=mapps&scope=export&audience="+exportAudience)
}

// gate is an API that keeps requests until it has a number of them at a time, and notes which certificate the edge showed for each.
type gate struct {
	*httptest.Server
	mu      sync.Mutex
	wanted  int
	waiting []chan struct{}
	edges   map[string]bool
}

func newGate(t *testing.T) *gate {
	t.Helper()
	g := &gate{}
	g.Server = httptest.NewServer(g)
	t.Cleanup(g.Close)
	return g
}

// ServeHTTP lets go of all that wait once there are as many as are wanted.
func (g *gate) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/held") {
		return
	}
	g.mu.Lock()
	g.edges[r.Header.Get("X-Edge")] = true
	mine := make(chan struct{})
	if g.waiting = append(g.waiting, mine); len(g.waiting) >= g.wanted {
		for _, one := range g.waiting {
			close(one)
		}
		g.waiting = nil
	}
	g.mu.Unlock()
	select {
	case <-mine:
	case <-r.Context().Done():
	}
}

// expect begins anew, and wants that many at a time.
func (g *gate) expect(requests int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wanted, g.edges = requests, map[string]bool{}
}

// saw tells whether the edge has shown a certificate.
func (g *gate) saw(serial string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.edges[serial]
}

// edgeRotates replaces the certificate by which the edge calls the sidecar, over and over, while tokens are bound to its name and
// connections are held: no request fails, on connections of before or of after.
func edgeRotates(t *testing.T, e *tokenEstate, far *gate) {
	const loads, more = 3, 8
	var running []*load
	for range loads {
		running = append(running, e.loadFor(e.client(""), "/search/a"))
	}
	renewed := func() (count uint64) {
		stats, err := e.edge.Stats(t.Context(), `upstream.search.*ssl_context_update_by_sds`)
		if err != nil {
			t.Fatal(err)
		}
		for _, value := range stats {
			count += value
		}
		return count
	}
	for round := 1; round <= 5; round++ {
		name, before := fmt.Sprintf("edge-client-%d", round), renewed()
		e.issue("internal", "client", name, "--uri", "spiffe://example.org/edge")
		serial := e.pair(name).Leaf.SerialNumber.Text(16)
		for _, suffix := range []string{"-key.pem", ".pem"} {
			if err := os.Rename(e.path("pki", name+suffix), e.path("pki", "edge-client"+suffix)); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "the edge has the new certificate", func() bool { return renewed() > before })
		// As many at a time that the connections there are do not suffice.
		held := loads + round*more
		far.expect(held)
		if statuses := e.crowd(t, held, held, func(int) calling { return calling{path: "/search/held"} }); statuses[http.StatusOK] != held {
			t.Errorf("answered %v", statuses)
		}
		if !far.saw(serial) {
			t.Errorf("the sidecar was not shown the new certificate, %s", serial)
		}
	}
	for _, l := range running {
		l.end()
		if l.ok.Load() == 0 || l.denied.Load()+l.failed.Load()+l.other.Load() > 0 {
			t.Errorf("%d requests passed, %d were denied, %d failed (%v), %d had a strange answer", l.ok.Load(), l.denied.Load(), l.failed.Load(), l.lastFailure.Load(), l.other.Load())
		}
	}
}

// suspendedConsumer is refused at the next use of a token, at the edge and behind it, and let in again when it is resumed.
func suspendedConsumer(t *testing.T, e *tokenEstate) {
	token := e.partnerToken(t, "mapps", "grant_type=client_credentials")
	use := calling{path: "/export/a", as: "mapps", token: token}
	hop := calling{at: "sidecar", path: "/export/a", as: "edge-client", token: bearerOf(e.passes(t, use))}
	e.passes(t, hop)
	suspended := strings.Replace(e.documents.String(), "{suspended: false,", "{suspended: true,", 1)
	e.configure("edge.yaml", suspended)
	begin := time.Now()
	e.ready(t, use, http.StatusForbidden)
	t.Logf("suspended %v after the edit", time.Since(begin).Round(time.Millisecond))
	e.refused(t, use, http.StatusForbidden, "consumer_suspended")
	e.refused(t, hop, http.StatusForbidden, "consumer_suspended")
	e.refused(t, calling{path: "/token", method: http.MethodPost, as: "mapps", body: "grant_type=client_credentials", header: formHeader}, http.StatusForbidden, "consumer_suspended")
	if answer := e.send(t, calling{path: "/search/a"}); answer.status != http.StatusOK {
		t.Errorf("others are answered %v", answer)
	}
	e.apply()
	e.ready(t, use, http.StatusOK)
	e.passes(t, use)
	e.passes(t, hop)
}

// revokedCertificate: what was issued for it counts no more, wherever it is used.
func revokedCertificate(t *testing.T, e *tokenEstate) {
	e.issue("partners", "client", "mapps-last", "--common-name", "mapps")
	uses := map[string]calling{}
	hops := map[string]calling{}
	for _, name := range []string{"mapps", "mapps-last"} {
		uses[name] = calling{path: "/export/a", as: name, token: e.partnerToken(t, name, "grant_type=client_credentials")}
		hops[name] = calling{at: "sidecar", path: "/export/a", as: "edge-client", token: bearerOf(e.passes(t, uses[name]))}
		e.passes(t, hops[name])
	}
	e.run("ca", "revoke", "--ca", e.path("ca", "partners"), "--serial", e.pair("mapps").Leaf.SerialNumber.Text(16), "--reason", "key_compromise")
	begin := time.Now()
	eventually(t, "the certificate counts no more", func() bool { return e.send(t, uses["mapps"]).status != http.StatusOK })
	t.Logf("revoked %v after the list was published", time.Since(begin).Round(time.Millisecond))
	for range 2 {
		e.refused(t, uses["mapps"], http.StatusUnauthorized, "token_binding")
		e.refused(t, hops["mapps"], http.StatusForbidden, "certificate_revoked")
		e.refused(t, calling{path: "/token", method: http.MethodPost, as: "mapps", body: "grant_type=client_credentials", header: formHeader}, http.StatusForbidden, "certificate_revoked")
		e.passes(t, uses["mapps-last"])
		e.passes(t, hops["mapps-last"])
	}
}
