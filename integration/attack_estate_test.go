package integration

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// received is a request as it arrived at the API.
type received struct {
	method, uri, host string
	header, trailer   http.Header
}

// witness is an API that remembers what arrived: attacks are judged there, and not by the status alone.
type witness struct {
	*httptest.Server
	mu   sync.Mutex
	seen []received
}

func newWitness(t *testing.T) *witness {
	t.Helper()
	w := &witness{}
	w.Server = httptest.NewUnstartedServer(w)
	w.Config.Protocols = &http.Protocols{}
	w.Config.Protocols.SetHTTP1(true)
	w.Config.Protocols.SetUnencryptedHTTP2(true)
	w.Start()
	t.Cleanup(w.Close)
	return w
}

// ServeHTTP remembers a request, with its trailers.
func (w *witness) ServeHTTP(response http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // a body cut short is an attack's business
	w.mu.Lock()
	w.seen = append(w.seen, received{r.Method, r.RequestURI, r.Host, r.Header.Clone(), r.Trailer.Clone()})
	w.mu.Unlock()
	_, _ = io.WriteString(response, r.RequestURI)
}

// take returns what arrived since the last call.
func (w *witness) take() []received {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := w.seen
	w.seen = nil
	return seen
}

// lines are requests as `METHOD target`.
func lines(seen []received) []string {
	found := make([]string, len(seen))
	for i, r := range seen {
		found[i] = r.method + " " + r.uri
	}
	return found
}

// attacked is an estate with two truststores, three entries of different demands, listeners for both ways with escaped
// slashes, and an upstream over either version of HTTP.
type attacked struct {
	*estate
	api      *witness
	keptPort int
}

func newAttacked(t *testing.T) *attacked {
	t.Helper()
	a := &attacked{estate: newEstate(t), api: newWitness(t), keptPort: freePort(t)}
	a.found("rivals")
	a.issue("rivals", "client", "rival-mapps", "--common-name", "mapps")
	a.issue("internal", "server", "hosts", "--dns", "api.example.org", "--dns", "open.example.org", "--dns", "strict.example.org")
	a.configure("edge.yaml", a.configuration())
	return a
}

// serve starts everything and waits until a permitted request is answered.
func (a *attacked) serve() *attacked {
	a.t.Helper()
	a.startXDS()
	a.startAuthz()
	a.startEnvoy()
	a.ready()
	return a
}

func (a *attacked) ready() {
	a.t.Helper()
	client := a.client("mapps")
	eventually(a.t, "the edge serves", func() bool { status, _, _ := a.get(client, "/v1/allowed/ready"); return status == http.StatusOK })
	client.CloseIdleConnections()
	a.api.take()
}

func (a *attacked) configuration() string {
	const entries = `
    tls:
    - hostnames: [api.example.org]
      certificate: hosts
      client_auth: {mode: optional, truststores: [partners, rivals], on_untrusted: explain}
    - hostnames: [open.example.org]
      certificate: hosts
    - hostnames: [strict.example.org]
      certificate: hosts
      client_auth: {mode: required, truststores: [partners], on_untrusted: refuse}`
	return fmt.Sprintf(`
api_version: sallyport/v1
kind: Truststore
metadata: {name: partners}
spec: {bundle: "file:../pki/partners.pem"}
---
api_version: sallyport/v1
kind: Truststore
metadata: {name: rivals}
spec: {bundle: "file:../pki/rivals.pem"}
---
api_version: sallyport/v1
kind: Certificate
metadata: {name: hosts}
spec: {material: {certificate: "file:../pki/hosts.pem", private_key: "file:../pki/hosts-key.pem"}}
---
api_version: sallyport/v1
kind: Gateway
metadata: {name: edge}
spec:
  group: edge
  authorization: {timeout: 2s}
  listeners:
  - name: https
    address: 127.0.0.1
    port: %d
    escaped_slashes: reject%s
  - name: kept
    address: 127.0.0.1
    port: %d
    escaped_slashes: keep%s
---
api_version: sallyport/v1
kind: Role
metadata: {name: reader}
spec:
  permissions:
  - {routes: [api], methods: [GET, POST], paths: ["/v1/allowed/{rest=**}", "/v2/allowed/{rest=**}"]}
  - {routes: [strict], methods: [GET], paths: ["/v1/allowed/{rest=**}"]}
---
api_version: sallyport/v1
kind: Role
metadata: {name: rival}
spec: {permissions: [{routes: [api], methods: [GET], paths: ["/v1/rival/{rest=**}"]}]}
---
api_version: sallyport/v1
kind: Consumer
metadata: {name: mapps}
spec: {certificates: [{truststore: partners, subject_common_name: mapps}], roles: [reader]}
---
api_version: sallyport/v1
kind: Consumer
metadata: {name: rival}
spec: {certificates: [{truststore: rivals, subject_common_name: mapps}], roles: [rival]}
---
api_version: sallyport/v1
kind: Policy
metadata: {name: partners}
spec:
  authenticate: {certificate: {truststores: [partners, rivals]}}
  authorize: [{name: granted, permissions: consumer_roles}]
  forward: {headers: [{name: x-consumer, value: consumer.name}, {name: subject-distinguished-name, value: certificate.subject_dn}]}
  deny: {disclose: detail}
---
api_version: sallyport/v1
kind: Policy
metadata: {name: public}
spec:
  authenticate: {anonymous: {}}
  authorize: [{name: anyone, everyone: true}]
---
api_version: sallyport/v1
kind: Upstream
metadata: {name: one}
spec: {endpoints: {addresses: ["%s"]}}
---
api_version: sallyport/v1
kind: Upstream
metadata: {name: two}
spec: {endpoints: {addresses: ["%s"]}, protocol: http2}
---
api_version: sallyport/v1
kind: Route
metadata: {name: api}
spec:
  gateway: edge
  hostnames: [api.example.org]
  rules:
  - {name: public, match: {prefix: /public}, upstreams: [{name: one}], policy: public}
  - {name: first, match: {prefix: /v1}, upstreams: [{name: one}], policy: partners}
  - {name: second, match: {prefix: /v2}, upstreams: [{name: two}], policy: partners}
---
api_version: sallyport/v1
kind: Route
metadata: {name: open}
spec: {gateway: edge, hostnames: [open.example.org], rules: [{name: all, match: {prefix: /}, upstreams: [{name: one}], policy: public}]}
---
api_version: sallyport/v1
kind: Route
metadata: {name: strict}
spec: {gateway: edge, hostnames: [strict.example.org], rules: [{name: all, match: {prefix: /}, upstreams: [{name: one}], policy: partners}]}
`, a.edgePort, entries, a.keptPort, entries, a.api.Listener.Addr(), a.api.Listener.Addr())
}

// answerTime bounds the wait for an answer that an attack may leave Envoy without.
const answerTime = 3 * time.Second

// handshake connects to a port, as the certificate given even where the server does not name its authority.
func (a *attacked) handshake(port int, sni, protocol string, pair *tls.Certificate) (*tls.Conn, error) {
	a.t.Helper()
	settings := &tls.Config{RootCAs: a.pool("internal"), ServerName: sni, NextProtos: []string{protocol}}
	if pair != nil {
		settings.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair, nil }
	}
	dialer := &net.Dialer{Timeout: answerTime}
	return tls.DialWithDialer(dialer, "tcp", local(port), settings)
}

// raw sends bytes over HTTP/1.1 and returns the statuses of what was answered until the connection ended, or the time
// for it had passed.
func (a *attacked) raw(port int, sni string, pair *tls.Certificate, payload string) []int {
	a.t.Helper()
	connection, err := a.handshake(port, sni, "http/1.1", pair)
	if err != nil {
		a.t.Fatalf("the handshake: %v", err)
	}
	defer func() { _ = connection.Close() }()
	if err := connection.SetDeadline(time.Now().Add(answerTime)); err != nil {
		a.t.Fatal(err)
	}
	_, _ = io.WriteString(connection, payload) // a server may end the connection before it has all
	reader := bufio.NewReader(connection)
	var statuses []int
	const most = 8
	for range most {
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			break
		}
		statuses = append(statuses, response.StatusCode)
		_, err = io.Copy(io.Discard, response.Body)
		if closing := response.Body.Close(); err != nil || closing != nil || response.Close {
			break
		}
	}
	return statuses
}

// attack is a request in bytes, and what must come of it.
type attack struct {
	name, payload string
	// statuses of which the first answer has one; 0 stands for a connection that ends without an answer.
	statuses []int
	// arrives lists what the API may and must see.
	arrives []string
}

var (
	permitted = []int{http.StatusOK}
	// malformed is what the proxy itself answers, or the authorization service.
	malformed = []int{http.StatusBadRequest}
	closed    = []int{0, http.StatusBadRequest}
)

// strike runs attacks and judges each by its answer and at the API. After each one a valid request must pass: whatever
// arrived late, over whichever connection, has arrived before it.
func (a *attacked) strike(t *testing.T, port int, sni string, pair *tls.Certificate, attacks []attack) {
	for _, attack := range attacks {
		t.Run(attack.name, func(t *testing.T) {
			a.api.take()
			statuses := append(a.raw(port, sni, pair, attack.payload), 0)
			if !slices.Contains(attack.statuses, statuses[0]) {
				t.Errorf("answered %v, want one of %v", statuses[:len(statuses)-1], attack.statuses)
			}
			a.control(t)
			if seen := lines(a.api.take()); !slices.Equal(seen, append(slices.Clone(attack.arrives), "GET /v1/allowed/control")) {
				t.Errorf("at the API arrived %q, want %q and the control", seen, attack.arrives)
			}
		})
	}
}

// control is a valid request, which must pass.
func (a *attacked) control(t *testing.T) {
	t.Helper()
	pair := a.pair("mapps")
	if statuses := a.raw(a.edgePort, "api.example.org", &pair, get("/v1/allowed/control")); !slices.Equal(statuses, []int{http.StatusOK}) {
		t.Errorf("the control is answered %v", statuses)
	}
}

// get is a valid request for a target, with more lines of a header if given.
func get(target string, header ...string) string { return message("GET", target, header...) }

// message is a request without a body.
func message(method, target string, header ...string) string {
	return method + " " + target + " HTTP/1.1\r\nHost: api.example.org\r\nConnection: close\r\n" + join(header) + "\r\n"
}

// hosted is a request with header lines of the caller's own in place of Host.
func hosted(target string, header ...string) string {
	return "GET " + target + " HTTP/1.1\r\nConnection: close\r\n" + join(header) + "\r\n"
}

func join(header []string) string {
	var b strings.Builder
	for _, line := range header {
		b.WriteString(line + "\r\n")
	}
	return b.String()
}
