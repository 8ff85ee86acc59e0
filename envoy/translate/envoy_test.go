package translate_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport-project/sallyport/config/checkcontext"
	"github.com/sallyport-project/sallyport/envoy/process"
	"github.com/sallyport-project/sallyport/envoy/translate"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

// live is a configuration for a real Envoy: its own port, the API's address twice, and a port where nobody listens.
const live = `
api_version: sallyport/v1
kind: Gateway
metadata: {name: edge}
spec:
  group: edge
  authorization: {timeout: 2s}
  listeners:
  - name: https
    address: 127.0.0.1
    port: %[1]d
    tls:
    - {hostnames: [api.example.org], certificate: server, client_auth: {mode: optional, truststores: [partners], on_untrusted: explain}}
    - {hostnames: [strict.example.org], certificate: server, client_auth: {mode: required, truststores: [partners]}}
    - {hostnames: ["*.example.org"], certificate: server}
    - {hostnames: [late.example.org], certificate: late}
---
api_version: sallyport/v1
kind: Route
metadata: {name: api}
spec:
  gateway: edge
  hostnames: [api.example.org, strict.example.org, www.example.org]
  rules:
  - {name: one, match: {template: "/v1/persons/{id}"}, upstreams: [{name: api}], policy: open}
  - {name: several, match: {exact: /several}, upstreams: [{name: api}, {name: api-h2, weight: 3}], policy: open}
  - {name: blocked, match: {exact: /blocked}, upstreams: [{name: blocked}], policy: open}
  - {name: wrong-name, match: {exact: /wrong-name}, upstreams: [{name: wrong-name}], policy: open}
---
api_version: sallyport/v1
kind: Policy
metadata: {name: open}
spec: {authenticate: {anonymous: {}}, authorize: [{name: anyone, everyone: true}]}
---
api_version: sallyport/v1
kind: Upstream
metadata: {name: api}
spec: {endpoints: {addresses: ["%[2]s"]}, tls: {truststore: internal, server_name: api.internal, client_certificate: client}}
---
api_version: sallyport/v1
kind: Upstream
metadata: {name: api-h2}
spec: {endpoints: {dns: "localhost:%[3]s"}, protocol: http2, tls: {truststore: internal, server_name: api-h2.internal, client_certificate: client}}
---
api_version: sallyport/v1
kind: Upstream
metadata: {name: wrong-name}
spec: {endpoints: {addresses: ["%[2]s"]}, tls: {truststore: internal, server_name: other.internal, client_certificate: client}}
---
api_version: sallyport/v1
kind: Upstream
metadata: {name: blocked}
spec: {endpoints: {addresses: ["%[2]s"]}, tls: {truststore: internal, server_name: api.internal, client_certificate: late}}
---
api_version: sallyport/v1
kind: Certificate
metadata: {name: server}
spec: {material: {certificate: "file:s.pem", private_key: "file:s-key.pem"}}
---
api_version: sallyport/v1
kind: Certificate
metadata: {name: client}
spec: {material: {certificate: "file:c.pem", private_key: "file:c-key.pem"}}
---
api_version: sallyport/v1
kind: Certificate
metadata: {name: late}
spec: {material: {certificate: "file:l.pem", private_key: "file:l-key.pem"}}
---
api_version: sallyport/v1
kind: Truststore
metadata: {name: partners}
spec: {bundle: "file:partners.pem"}
---
api_version: sallyport/v1
kind: Truststore
metadata: {name: internal}
spec: {bundle: "file:internal.pem"}
`

// edge is a real Envoy with the live configuration.
type edge struct {
	*testing.T
	port               int
	internal, partners issuer
	authorizer         *authorizer
	stopAuthorizer     func()
	admin              *process.Admin
}

func newEdge(t *testing.T) *edge {
	t.Helper()
	e := &edge{T: t, port: freePort(t), internal: newIssuer(t, "internal"), partners: newIssuer(t, "partners"), authorizer: &authorizer{}}
	resources := e.resources()
	authorization, stop := serveAuthorizer(t, e.authorizer)
	e.stopAuthorizer = stop
	e.admin = runEnvoy(t, resources, authorization)
	return e
}

// resources are those of the live configuration.
func (e *edge) resources() *translate.Resources {
	e.Helper()
	address := api(e.T, e.internal, "api.internal", "api-h2.internal")
	_, apiPort, _ := strings.Cut(address, ":")
	model := build(e.T, fmt.Sprintf(live, e.port, address, apiPort))
	return translate.Group(model, &inventory.Snapshot{
		Truststores: map[string]*inventory.Truststore{"partners": e.partners.truststore(), "internal": e.internal.truststore()},
		Certificates: map[string]*inventory.KeyPair{
			"server": inForce(e.internal.server("*.example.org")), "client": inForce(e.internal.client("edge")),
		},
	}, "edge")
}

// answer is what a caller gets.
type answer struct {
	status  int
	headers http.Header
	body    string
}

// do calls the edge.
func (e *edge) do(serverName string, pair *ca.KeyPair, method, url string, headers http.Header) (answer, error) {
	e.Helper()
	request, err := http.NewRequestWithContext(e.Context(), method, url, http.NoBody)
	if err != nil {
		e.Fatal(err)
	}
	maps.Copy(request.Header, headers)
	response, err := call(e.T, e.port, e.internal.pool(), serverName, pair, request)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(body)}, err
}

func (e *edge) wantStatus(serverName string, pair *ca.KeyPair, method, url string, want int) answer {
	e.Helper()
	got, err := e.do(serverName, pair, method, url, nil)
	if err != nil {
		e.Fatalf("%s %s: %v", method, url, err)
	}
	if got.status != want {
		e.Fatalf("%s %s: status %d, want %d: %s", method, url, got.status, want, got.body)
	}
	return got
}

func TestEnvoyDoesWhatIsGenerated(t *testing.T) {
	e := newEdge(t)
	mapps := e.partners.client("mapps")
	for _, part := range []struct {
		name string
		test func(*edge, ca.KeyPair)
	}{
		{"nothing is refused", (*edge).nothingIsRefused},
		{"a request reaches the API in one form", (*edge).requestReachesTheAPI},
		{"weighted upstreams are told apart", (*edge).weightedUpstreams},
		{"what leads nowhere is judged as well", (*edge).nowhere},
		{"TRACE is 405", (*edge).trace},
		{"certificates are asked for as each entry says", (*edge).clientCertificates},
		{"a session of one entry is not resumed at another", (*edge).resumption},
		{"an upstream without material is 503", (*edge).blocked},
		{"an upstream by another name is not spoken to", (*edge).wrongName},
		{"without the authorization service nothing passes", (*edge).withoutAuthorization},
	} {
		t.Run(part.name, func(t *testing.T) {
			sub := *e
			sub.T = t
			part.test(&sub, mapps)
		})
	}
}

func (e *edge) nothingIsRefused(ca.KeyPair) {
	stats, err := e.admin.Stats(e.Context(), `(update_rejected|listener_create_failure|listeners_warming|warming_clusters|listener_added|cluster_added)$`)
	if err != nil {
		e.Fatal(err)
	}
	for name, value := range stats {
		if strings.HasSuffix(name, "_added") == (value == 0) {
			e.Errorf("%s is %d", name, value)
		}
	}
}

func (e *edge) requestReachesTheAPI(mapps ca.KeyPair) {
	_, before := e.authorizer.last()
	got, err := e.do("api.example.org", &mapps, http.MethodGet, "https://API.example.org:8443/v1//persons/x/../%61?q=/../%2f", http.Header{
		"X-Envoy-Upstream-Rq-Timeout-Ms": {"1"}, "X-Forwarded-Client-Cert": {"Subject=forged"}, "X-Request-Id": {"mine"},
		"X-Forwarded-For": {"192.0.2.1"}, "Authorization": {"Bearer x"}, "Cookie": {"secret=1"},
	})
	if err != nil || got.status != http.StatusOK {
		e.Fatal(got, err)
	}
	for name, want := range map[string]string{
		"seen":                                "HTTP/1.1 api.internal /v1/persons/a?q=/../%2f api.internal edge",
		"seen-x-envoy-upstream-rq-timeout-ms": "", "seen-x-forwarded-client-cert": "",
		"server": "sallyport", "x-envoy-upstream-service-time": "",
	} {
		if value := got.headers.Get(name); value != want {
			e.Errorf("%s is %q, want %q", name, value, want)
		}
	}
	if value := got.headers.Get("seen-x-forwarded-for"); !strings.HasPrefix(value, "192.0.2.1,") {
		e.Errorf("x-forwarded-for is %q, without the caller's own address at its end", value)
	}
	asked, times := e.authorizer.last()
	if times != before+1 {
		e.Errorf("the service was asked %d times", times-before)
	}
	attributes := asked.GetAttributes()
	id := got.headers.Get("x-request-id")
	if headers := attributes.GetRequest().GetHttp().GetHeaders(); id == "" || id == "mine" ||
		!maps.Equal(headers, map[string]string{"authorization": "Bearer x", "x-request-id": id}) {
		e.Errorf("the answer has the id %q, and the service sees the headers %v", id, headers)
	}
	asks := attributes.GetRequest().GetHttp()
	if asks.GetPath() != "/v1/persons/a?q=/../%2f" || asks.GetHost() != "API.example.org" || asks.GetMethod() != http.MethodGet {
		e.Errorf("the service sees %s %s %s", asks.GetMethod(), asks.GetHost(), asks.GetPath())
	}
	if !strings.HasPrefix(attributes.GetSource().GetCertificate(), "-----BEGIN%20CERTIFICATE") || attributes.GetTlsSession().GetSni() != "api.example.org" {
		e.Errorf("the service sees the certificate %q and SNI %q", attributes.GetSource().GetCertificate(), attributes.GetTlsSession().GetSni())
	}
	context := attributes.GetContextExtensions()
	want := map[string]string{
		checkcontext.Gateway: "edge", checkcontext.Listener: "https", checkcontext.Entry: "api.example.org", checkcontext.Route: "api",
		checkcontext.Rule: "one", checkcontext.Policy: "open", checkcontext.PolicyHash: context[checkcontext.PolicyHash], checkcontext.Upstream: "api",
		checkcontext.UpstreamHash: context[checkcontext.UpstreamHash],
	}
	if difference := cmp.Diff(want, context); difference != "" {
		e.Error(difference)
	}
}

func (e *edge) weightedUpstreams(ca.KeyPair) {
	hosts := map[string]string{"api": "HTTP/1.1 api.internal /several api.internal edge", "api-h2": "HTTP/2.0 api-h2.internal /several api-h2.internal edge"}
	missing := slices.Collect(maps.Keys(hosts))
	for range 200 {
		answered := e.wantStatus("api.example.org", nil, http.MethodGet, "https://api.example.org/several", http.StatusOK)
		asked, _ := e.authorizer.last()
		context := asked.GetAttributes().GetContextExtensions()
		upstream := context[checkcontext.Upstream]
		if got := answered.headers.Get("seen"); got != hosts[upstream] || context[checkcontext.Rule] != "several" {
			e.Fatalf("the service is told %v, and the API saw %q", context, got)
		}
		missing = slices.DeleteFunc(missing, func(name string) bool { return name == upstream })
		if len(missing) == 0 {
			return
		}
	}
	e.Errorf("200 requests never came to %v", missing)
}

func (e *edge) nowhere(ca.KeyPair) {
	for _, test := range []struct {
		sni, url string
		status   int
	}{
		{"api.example.org", "https://api.example.org/unknown", http.StatusNotFound},
		{"www.example.org", "https://other.example.org/", http.StatusNotFound},
		{"www.example.org", "https://api.example.org/v1/persons/1", http.StatusMisdirectedRequest},
		{"www.example.org", "https://strict.example.org/v1/persons/1", http.StatusMisdirectedRequest},
		{"api.example.org", "https://www.example.org/v1/persons/1", http.StatusMisdirectedRequest},
		{"api.example.org", "https://example.net/", http.StatusMisdirectedRequest},
		// The entry of this name has no certificate yet: the wildcard's filter chain takes the connection and serves nothing.
		{"late.example.org", "https://late.example.org/", http.StatusMisdirectedRequest},
	} {
		_, before := e.authorizer.last()
		got := e.wantStatus(test.sni, nil, http.MethodGet, test.url, test.status)
		if _, times := e.authorizer.last(); times != before+1 || got.body != "the service says no" {
			e.Errorf("%s for %s: the service was asked %d times, and the answer is %q", test.sni, test.url, times-before, got.body)
		}
	}
}

func (e *edge) trace(ca.KeyPair) {
	for _, path := range []string{"/v1/persons/1", "/unknown"} {
		got := e.wantStatus("api.example.org", nil, http.MethodTrace, "https://api.example.org"+path, http.StatusMethodNotAllowed)
		if got.headers.Get("content-type") != "application/problem+json" || !strings.Contains(got.body, `"status":405`) ||
			!strings.Contains(got.headers.Get("allow"), "GET") || got.headers.Get("seen") != "" {
			e.Errorf("headers %v, body %q", got.headers, got.body)
		}
	}
}

func (e *edge) clientCertificates(mapps ca.KeyPair) {
	stranger := newIssuer(e.T, "unknown").client("mapps")
	now := time.Now()
	expired := e.partners.issue(ca.Request{
		Profile: ca.Client, Subject: mapps.Certificate.Subject,
		Validity: &ca.Validity{NotBefore: now.Add(-2 * time.Hour), NotAfter: now.Add(-time.Hour)},
	})
	for name, test := range map[string]struct {
		sni    string
		pair   *ca.KeyPair
		passes bool
	}{
		"explain: none":          {"api.example.org", nil, true},
		"explain: a partner's":   {"api.example.org", &mapps, true},
		"explain: a stranger's":  {"api.example.org", &stranger, true},
		"explain: an expired":    {"api.example.org", &expired, true},
		"required: none":         {"strict.example.org", nil, false},
		"required: a partner's":  {"strict.example.org", &mapps, true},
		"required: a stranger's": {"strict.example.org", &stranger, false},
		"required: an expired":   {"strict.example.org", &expired, false},
		"none: a stranger's":     {"www.example.org", &stranger, true},
		"no entry":               {"example.net", nil, false},
	} {
		got, err := e.do(test.sni, test.pair, http.MethodGet, "https://"+test.sni+"/v1/persons/1", nil)
		if (err == nil) != test.passes || err == nil && got.status != http.StatusOK {
			e.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func (e *edge) resumption(mapps ca.KeyPair) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, test := range []struct {
			first, second string
			pair          *ca.KeyPair
			resumes       bool
		}{
			{"www.example.org", "www.example.org", nil, true},
			{"www.example.org", "strict.example.org", nil, false},
			{"www.example.org", "api.example.org", nil, false},
			{"strict.example.org", "strict.example.org", &mapps, true},
			{"strict.example.org", "api.example.org", &mapps, false},
		} {
			config := &tls.Config{RootCAs: e.internal.pool(), MinVersion: version, MaxVersion: version, ClientSessionCache: &anySession{}}
			if test.pair != nil {
				config.Certificates = []tls.Certificate{test.pair.TLS()}
			}
			if _, err := e.handshake(config, test.first); err != nil {
				e.Fatal(err)
			}
			state, err := e.handshake(config, test.second)
			if state.DidResume != test.resumes || test.second == "strict.example.org" && test.pair == nil && err == nil {
				e.Errorf("%s: from %s to %s: resumed %t, %v", tls.VersionName(version), test.first, test.second, state.DidResume, err)
			}
		}
	}
}

func (e *edge) blocked(ca.KeyPair) {
	e.wantStatus("api.example.org", nil, http.MethodGet, "https://api.example.org/blocked", http.StatusServiceUnavailable)
}

func (e *edge) wrongName(ca.KeyPair) {
	got := e.wantStatus("api.example.org", nil, http.MethodGet, "https://api.example.org/wrong-name", http.StatusServiceUnavailable)
	if got.headers.Get("seen") != "" {
		e.Error("the API was reached")
	}
}

func (e *edge) withoutAuthorization(mapps ca.KeyPair) {
	e.stopAuthorizer()
	for _, path := range []string{"/v1/persons/1", "/unknown"} {
		got := e.wantStatus("api.example.org", &mapps, http.MethodGet, "https://api.example.org"+path, http.StatusServiceUnavailable)
		if got.headers.Get("seen") != "" {
			e.Error("the API was reached")
		}
	}
}
