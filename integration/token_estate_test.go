package integration

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport-project/sallyport/envoy/process"
)

// audience is whom tokens are for, unless a test says otherwise.
const audience = "https://api.example.org"

// tokenEstate is an estate whose callers have tokens: a real identity provider, an edge, and a sidecar where a test wants one.
// Everything is judged at the API, which stands behind both.
type tokenEstate struct {
	*attacked
	idp *idp
	// sidecarPort is where the sidecar listens, if there is one.
	sidecarPort int
	documents   strings.Builder
	edge        *process.Admin
	clients     map[string]*http.Client
}

// newTokenEstate makes one with what all tests need: truststores, certificates, the Provider corporate, and policies of which each is
// named after whom it lets in.
func newTokenEstate(t *testing.T) *tokenEstate {
	t.Helper()
	e := &tokenEstate{
		attacked: &attacked{estate: newEstate(t), api: newWitness(t)}, idp: startIDP(t), sidecarPort: freePort(t), clients: map[string]*http.Client{},
	}
	e.issue("internal", "client", "edge-client", "--uri", "spiffe://example.org/edge")
	e.issue("internal", "client", "other-client", "--uri", "spiffe://example.org/other")
	e.issue("internal", "server", "vessels", "--dns", "vessels.internal")
	e.writeSecret(e.idp.Secret)
	for name, bundle := range map[string]string{"partners": "file:../pki/partners.pem", "internal": "file:../pki/internal.pem", "idp": "file:" + e.idp.Roots} {
		e.document("Truststore", name, fmt.Sprintf("{bundle: %q}", bundle))
	}
	for _, name := range []string{"server", "edge-client", "vessels"} {
		e.document("Certificate", name, fmt.Sprintf(`{material: {certificate: "file:../pki/%s.pem", private_key: "file:../pki/%[1]s-key.pem"}}`, name))
	}
	e.gateways()
	e.provider("corporate", "")
	for name, authenticate := range map[string]string{
		"users":   "{jwt: {providers: [corporate]}}",
		"open":    "{any_of: [{jwt: {providers: [corporate]}}, {anonymous: {}}]}",
		"nobody":  "{anonymous: {}}",
		"anybody": "{any_of: [{jwt: {providers: [corporate]}}, {certificate: {truststores: [partners]}}, {anonymous: {}}]}",
	} {
		e.policy(name, authenticate, "{name: all, everyone: true}")
	}
	return e
}

// writeSecret is the client's secret as the edge knows it.
func (e *tokenEstate) writeSecret(secret string) { e.write(e.path("secret", "idp"), secret) }

// document adds one to the configuration, its specification in YAML's flow style or indented by two.
func (e *tokenEstate) document(kind, name, spec string) {
	fmt.Fprintf(&e.documents, "---\napi_version: sallyport/v1\nkind: %s\nmetadata: {name: %s}\nspec: %s\n", kind, name, spec)
}

func (e *tokenEstate) gateways() {
	e.document("Gateway", "edge", fmt.Sprintf(`
  group: edge
  authorization: {timeout: 2s}
  listeners:
  - name: https
    address: 127.0.0.1
    port: %d
    tls:
    - hostnames: [api.example.org]
      certificate: server
      client_auth: {mode: optional, truststores: [partners], on_untrusted: explain}`, e.edgePort))
	e.document("Gateway", "sidecar", fmt.Sprintf(`
  group: sidecar
  authorization: {timeout: 2s}
  listeners:
  - name: https
    address: 127.0.0.1
    port: %d
    tls:
    - hostnames: [vessels.internal]
      certificate: vessels
      client_auth: {mode: required, truststores: [internal]}`, e.sidecarPort))
}

// provider adds one that is the identity provider, with more fields, one in a line.
func (e *tokenEstate) provider(name, more string) {
	if !strings.Contains(more, "client:") {
		more += "\n  client: {id: edge, secret: \"file:../secret/idp\"}"
	}
	if !strings.Contains(more, "audiences:") {
		more += "\n  audiences: [" + audience + "]"
	}
	e.document("Provider", name, fmt.Sprintf(`
  issuers: [%q]
  truststore: idp
  may_assert: {roles: [reader, writer], scopes: [read, write]}%s`, e.idp.Issuer, "\n  "+strings.TrimSpace(more)))
}

func (e *tokenEstate) policy(name, authenticate string, rules ...string) {
	e.document("Policy", name, fmt.Sprintf("{authenticate: %s, authorize: [%s], deny: {disclose: detail}}", authenticate, strings.Join(rules, ", ")))
}

// upstream adds one at an address of loopback; token says what it gets in the Authorization header.
func (e *tokenEstate) upstream(name, address, token string) {
	e.document("Upstream", name, fmt.Sprintf("{endpoints: {addresses: [%q]}, token: %s}", address, token))
}

// behind adds an upstream that is the sidecar, to which the edge shows its certificate.
func (e *tokenEstate) behind(name, token string) {
	e.document("Upstream", name, fmt.Sprintf("{endpoints: {addresses: [%q]}, tls: {truststore: internal, server_name: vessels.internal, client_certificate: edge-client}, token: %s}",
		local(e.sidecarPort), token))
}

// route adds one to a gateway, with rules in YAML's flow style.
func (e *tokenEstate) route(gateway, name string, rules ...string) {
	hostname := map[string]string{"edge": "api.example.org", "sidecar": "vessels.internal"}[gateway]
	e.document("Route", name, fmt.Sprintf("\n  gateway: %s\n  hostnames: [%s]\n  rules:\n  - %s", gateway, hostname, strings.Join(rules, "\n  - ")))
}

// rule sends what is below a path to an upstream.
func rule(path, upstream, policy string) string {
	return fmt.Sprintf("{name: %s, match: {prefix: /%[1]s}, upstreams: [{name: %s}], policy: %s}", path, upstream, policy)
}

// apiAddress is where the witness listens.
func (e *tokenEstate) apiAddress() string { return e.api.Listener.Addr().String() }

// serve writes the configuration and starts both servers and the proxies.
func (e *tokenEstate) serve(gateways ...string) {
	e.t.Helper()
	e.apply()
	e.startXDS()
	e.startDeciding()
	e.startProxies(gateways...)
}

func (e *tokenEstate) apply() {
	e.t.Helper()
	e.configure("edge.yaml", e.documents.String())
}

// startDeciding starts the authorization service, which keeps over a restart what it may.
func (e *tokenEstate) startDeciding(more ...string) *program {
	e.t.Helper()
	return e.estate.serve("authz", e.authzSource, append([]string{"--authz-listen", local(e.authzPort), "--authz-certificate", e.path("pki", "authz.pem"),
		"--authz-private-key", e.path("pki", "authz-key.pem"), "--state", e.path("state-authz")}, more...)...)
}

// startProxies starts the edge's Envoy, and those of other gateways.
func (e *tokenEstate) startProxies(gateways ...string) {
	e.t.Helper()
	e.edge = e.startEnvoy()
	for _, group := range gateways {
		e.issue("proxies", "proxy", group+"-1", "--trust-domain", "example.org", "--group", group)
		bootstrap := strings.TrimSpace(e.run("bootstrap", "--trust-domain", "example.org", "--group", group, "--name", group+"-1",
			"--xds", local(e.xdsPort), "--authz", local(e.authzPort), "--ca", e.path("pki", "proxies.pem"),
			"--certificate", e.path("pki", group+"-1.pem"), "--private-key", e.path("pki", group+"-1-key.pem"),
			"--admin-socket", e.path(group+".sock"), "--out", e.path("envoy-"+group)))
		e.runEnvoy(bootstrap)
	}
}

// calling is a request: GET to the edge, unless it says otherwise.
type calling struct {
	method, path, body string
	// token stands behind `Bearer`, in the Authorization header.
	token string
	// header are further fields, `name: value`. They may name the same one twice.
	header []string
	// as is the certificate in pki/ that is shown; at is the gateway.
	as, at string
}

// told is what the caller was answered.
type told struct {
	status int
	header http.Header
	body   string
	// reason is that of a denial, or empty.
	reason string
}

// String tells what a failed test needs.
func (a told) String() string {
	return fmt.Sprintf("%d %s %.300s (%s)", a.status, a.reason, a.body, a.header.Get("Www-Authenticate"))
}

// clientFor makes calls like this one. It keeps its connections, over HTTP/1.1.
func (e *tokenEstate) clientFor(c calling) *http.Client {
	key := c.as + "@" + c.at
	if known := e.clients[key]; known != nil {
		return known
	}
	settings := &tls.Config{RootCAs: e.pool("internal"), ServerName: "api.example.org"}
	if c.at == "sidecar" {
		settings.ServerName = "vessels.internal"
	}
	if c.as != "" {
		pair := e.pair(c.as)
		settings.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	transport := &http.Transport{TLSClientConfig: settings, MaxIdleConnsPerHost: 100}
	e.t.Cleanup(transport.CloseIdleConnections)
	e.clients[key] = &http.Client{
		Transport: transport, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return e.clients[key]
}

// send sends a request and returns what is answered. Status 0 is a connection that ended without.
func (e *tokenEstate) send(t testing.TB, c calling) told {
	t.Helper()
	request := e.request(t, c)
	return exchange(t, e.clientFor(c), request)
}

func (e *tokenEstate) request(t testing.TB, c calling) *http.Request {
	t.Helper()
	port, host := e.edgePort, "api.example.org"
	if c.at == "sidecar" {
		port, host = e.sidecarPort, "vessels.internal"
	}
	if c.method == "" {
		c.method = http.MethodGet
	}
	request, err := http.NewRequest(c.method, "https://"+local(port)+c.path, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	for _, line := range c.header {
		name, value, _ := strings.Cut(line, ": ")
		request.Header[http.CanonicalHeaderKey(name)] = append(request.Header[http.CanonicalHeaderKey(name)], value)
	}
	return request
}

func exchange(t testing.TB, client *http.Client, request *http.Request) told {
	t.Helper()
	response, err := client.Do(request)
	if err != nil {
		return told{body: err.Error()}
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return told{body: err.Error()}
	}
	answer := told{status: response.StatusCode, header: response.Header, body: string(body)}
	var problem struct{ Type string }
	if json.Unmarshal(body, &problem) == nil {
		_, answer.reason, _ = strings.Cut(problem.Type, "#")
	}
	return answer
}

// ask sends a request, and returns what is answered and what has arrived at the API because of it.
func (e *tokenEstate) ask(t testing.TB, c calling) (told, []received) {
	t.Helper()
	e.api.take()
	answer := e.send(t, c)
	return answer, e.api.take()
}

// passes demands that a request arrives, once, and returns it as it arrived.
func (e *tokenEstate) passes(t testing.TB, c calling) received {
	t.Helper()
	answer, seen := e.ask(t, c)
	if answer.status != http.StatusOK || len(seen) != 1 {
		t.Errorf("%s: answered %v, and %d requests arrived, want 200 and one", c.path, answer, len(seen))
		return received{header: http.Header{}}
	}
	return seen[0]
}

// refused demands that a request does not arrive, and is answered with the status and for the reason given; which reason, if empty,
// does not matter.
func (e *tokenEstate) refused(t testing.TB, c calling, status int, reason string) told {
	t.Helper()
	answer, seen := e.ask(t, c)
	if answer.status != status || reason != "" && answer.reason != reason || len(seen) != 0 {
		t.Errorf("%s: answered %v, and %d requests arrived, want %d %s and none", c.path, answer, len(seen), status, reason)
	}
	return answer
}

// ready waits until a request is answered with a status.
func (e *tokenEstate) ready(t testing.TB, c calling, status int) told {
	t.Helper()
	var answer told
	came := false
	defer func() {
		if !came {
			t.Logf("the last answer: %v", answer)
		}
	}()
	eventually(t, fmt.Sprintf("%s is answered %d", c.path, status), func() bool {
		answer = e.send(t, c)
		return answer.status == status
	})
	came = true
	e.api.take()
	return answer
}

// claims are those of the token that arrived; nil if none did.
func (e *tokenEstate) claims(t testing.TB, r received) map[string]any {
	t.Helper()
	token, found := strings.CutPrefix(r.header.Get("Authorization"), "Bearer ")
	if !found {
		return nil
	}
	_, claims := e.idp.open(t, token)
	return claims
}

// bearerOf is the token that arrived; empty if none did.
func bearerOf(r received) string { return strings.TrimPrefix(r.header.Get("Authorization"), "Bearer ") }

// sets demands what some of a token's claims are.
func sets(t testing.TB, claims, want map[string]any) {
	t.Helper()
	for name, value := range want {
		if got, wanted := fmt.Sprint(claims[name]), fmt.Sprint(value); got != wanted {
			t.Errorf("the claim %s is %s, want %s", name, got, wanted)
		}
	}
}
