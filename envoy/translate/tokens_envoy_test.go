package translate_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/sallyport-project/sallyport/config/checkcontext"
	"github.com/sallyport-project/sallyport/envoy/routing"
	"github.com/sallyport-project/sallyport/envoy/translate"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

// withTokens is a configuration for a real Envoy: its port, and the API's address.
const withTokens = `
api_version: sallyport/v1
kind: Gateway
metadata: {name: edge}
spec:
  group: edge
  listeners:
  - {name: https, address: 127.0.0.1, port: %[1]d, tls: [{hostnames: [api.example.org, plain.example.org], certificate: server, client_auth: {mode: optional, truststores: [internal]}}]}
---
api_version: sallyport/v1
kind: Route
metadata: {name: api}
spec:
  gateway: edge
  hostnames: [api.example.org]
  cors: {allow_origins: ["https://app.example.org", "https://*.apps.example.org"], allow_methods: [GET, POST], allow_headers: [authorization], expose_headers: [x-total], allow_credentials: true, max_age: 60s}
  rules:
  - {name: quick, match: {exact: /quick, methods: [GET]}, upstreams: [{name: quick}], policy: open}
  - {name: fetching, match: {exact: /fetching}, upstreams: [{name: api}], policy: open}
  - {name: streaming, match: {exact: /streaming}, upstreams: [{name: api-h2}], policy: open}
  - {name: several, match: {exact: /several}, upstreams: [{name: api}, {name: quick}], policy: open}
  - {name: token, match: {exact: /token}, token_endpoint: partner, policy: partners}
---
api_version: sallyport/v1
kind: Route
metadata: {name: plain}
spec: {gateway: edge, hostnames: [plain.example.org], rules: [{name: all, match: {prefix: /}, upstreams: [{name: quick}], policy: open}]}
---
api_version: sallyport/v1
kind: Policy
metadata: {name: open}
spec: {authenticate: {anonymous: {}}, authorize: [{name: anyone, everyone: true}]}
---
api_version: sallyport/v1
kind: Policy
metadata: {name: partners}
spec: {authenticate: {certificate: {truststores: [internal]}}, authorize: [{name: anyone, everyone: true}]}
---
api_version: sallyport/v1
kind: Provider
metadata: {name: corporate}
spec: {issuers: ["https://login.example.org"], audiences: [api], client: {id: edge, secret: "env:SECRET"}}
---
api_version: sallyport/v1
kind: Consumer
metadata: {name: mapps}
spec: {certificates: [{truststore: internal, subject_common_name: mapps}]}
---
api_version: sallyport/v1
kind: Provider
metadata: {name: partner}
spec: {issuers: ["https://api.example.org"], mint: {class: partner, grants: [{consumers: [mapps], audiences: [api]}]}}
---
api_version: sallyport/v1
kind: Upstream
metadata: {name: api}
spec:
  endpoints: {addresses: ["%[2]s"]}
  tls: {truststore: internal, server_name: api.internal, client_certificate: client}
  token: {anonymous: {acquire: {provider: corporate}}}
---
api_version: sallyport/v1
kind: Upstream
metadata: {name: api-h2}
spec:
  endpoints: {addresses: ["%[2]s"]}
  protocol: http2
  tls: {truststore: internal, server_name: api.internal, client_certificate: client}
  token: {anonymous: {acquire: {provider: corporate}}}
---
api_version: sallyport/v1
kind: Upstream
metadata: {name: quick}
spec: {endpoints: {addresses: ["%[2]s"]}, tls: {truststore: internal, server_name: api.internal, client_certificate: client}}
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
kind: Truststore
metadata: {name: internal}
spec: {bundle: "file:internal.pem"}
`

// acquired is the token that the upstream is sent.
const acquired = "eyJhbGciOiJFUzI1NiJ9.acquired.signature"

// fetching is an authorization service that takes longer than a Gateway's own timeout, and sends a token on.
type fetching struct {
	authorizer
	takes time.Duration
}

func (f *fetching) Check(ctx context.Context, request *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	_, _ = f.authorizer.Check(ctx, request) // remembers it
	extensions := request.GetAttributes().GetContextExtensions()
	if extensions[checkcontext.Answer] != "" || extensions[checkcontext.Outcome] != "" {
		return &authv3.CheckResponse{
			Status: &statuspb.Status{Code: int32(codes.PermissionDenied)},
			HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
				Status: &typev3.HttpStatus{Code: typev3.StatusCode_Unauthorized}, Body: "answered",
			}},
		}, nil
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(f.takes):
	}
	return &authv3.CheckResponse{Status: &statuspb.Status{}, HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{
		Headers: []*corev3.HeaderValueOption{{
			Header:       &corev3.HeaderValue{Key: "authorization", Value: "Bearer " + acquired},
			AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
		}},
	}}}, nil
}

// tokenEdge is a real Envoy with the configuration above.
type tokenEdge struct {
	edge
	service *fetching
	// listener simulates the choice of routes.
	listener *routing.Listener
}

func newTokenEdge(t *testing.T) *tokenEdge {
	t.Helper()
	e := &tokenEdge{edge: edge{T: t, port: freePort(t), internal: newIssuer(t, "internal")}, service: &fetching{takes: 400 * time.Millisecond}}
	model := build(t, fmt.Sprintf(withTokens, e.port, api(t, e.internal, "api.internal")))
	resources := translate.Group(model, &inventory.Snapshot{
		Truststores:  map[string]*inventory.Truststore{"internal": e.internal.truststore()},
		Certificates: map[string]*inventory.KeyPair{"server": inForce(e.internal.server("*.example.org")), "client": inForce(e.internal.client("edge"))},
	}, "edge")
	var err error
	if e.listener, err = routing.Compile(resources.Listeners["edge/https"], resources.Routes); err != nil {
		t.Fatal(err)
	}
	authorization, _ := serveGRPC(t, func(s *grpc.Server) { authv3.RegisterAuthorizationServer(s, e.service) })
	e.admin = runEnvoy(t, resources, authorization)
	return e
}

func TestEnvoyAnswersPreflightsAndKeepsTokensFromCallers(t *testing.T) {
	e := newTokenEdge(t)
	for _, part := range []struct {
		name string
		test func(*tokenEdge)
	}{
		{"preflights are answered by Envoy", (*tokenEdge).preflights},
		{"what a page may read is told on every answer", (*tokenEdge).crossOriginAnswers},
		{"a decision that may fetch has the time for it", (*tokenEdge).timeouts},
		{"a token that an upstream echoes does not reach the caller", (*tokenEdge).echoes},
		{"nor one that it echoes in trailers", (*tokenEdge).echoesInTrailers},
		{"the token endpoint's request is shown whole or not at all", (*tokenEdge).bodies},
	} {
		t.Run(part.name, func(t *testing.T) {
			sub := *e
			sub.T = t
			part.test(&sub)
		})
	}
}

func (e *tokenEdge) preflights() {
	for name, test := range map[string]struct {
		host, origin string
		answered     bool
	}{
		"the page":                          {"api.example.org", "https://app.example.org", true},
		"a page of the first label":         {"api.example.org", "https://one.apps.example.org", true},
		"two labels for the first":          {"api.example.org", "https://a.b.apps.example.org", false},
		"no label":                          {"api.example.org", "https://.apps.example.org", false},
		"another name that ends so":         {"api.example.org", "https://evil-app.example.org", false},
		"one that begins so":                {"api.example.org", "https://app.example.org.evil.example", false},
		"by http":                           {"api.example.org", "http://app.example.org", false},
		"null":                              {"api.example.org", "null", false},
		"a host that says nothing of pages": {"plain.example.org", "https://app.example.org", false},
	} {
		e.Run(name, func(t *testing.T) {
			sub := *e
			sub.T = t
			_, before := sub.service.last()
			// A route for GET alone takes no OPTIONS: the last route of the host does.
			got, err := sub.do(test.host, nil, http.MethodOptions, "https://"+test.host+"/quick", http.Header{
				"Origin": {test.origin}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"authorization"},
			})
			if err != nil {
				t.Fatal(err)
			}
			_, after := sub.service.last()
			allowed := got.headers.Get("access-control-allow-origin")
			simulated := sub.listener.Choose(routing.Request{SNI: test.host, Method: http.MethodOptions, Host: test.host, Path: "/quick", Headers: http.Header{
				"Origin": {test.origin}, "Access-Control-Request-Method": {"POST"},
			}})
			if answered := simulated.Status == http.StatusOK; answered != test.answered || strings.Join(map[string][]string(simulated.AnswerHeaders)["access-control-allow-origin"], "") != allowed {
				t.Errorf("the simulation answers %d, %v", simulated.Status, simulated.AnswerHeaders)
			}
			if test.answered {
				if got.status != http.StatusOK || allowed != test.origin || after != before || got.headers.Get("access-control-allow-methods") != "GET, POST" ||
					got.headers.Get("access-control-allow-headers") != "authorization" || got.headers.Get("access-control-max-age") != "60" ||
					got.headers.Get("access-control-allow-credentials") != "true" || got.headers.Get("seen") != "" {
					t.Errorf("answered %d, %v; the service was asked %d times", got.status, got.headers, after-before)
				}
			} else if allowed != "" || after != before+1 {
				t.Errorf("the origin %q is allowed; the service was asked %d times", allowed, after-before)
			}
		})
	}
}

func (e *tokenEdge) crossOriginAnswers() {
	for _, url := range []string{"https://api.example.org/unknown", "https://api.example.org/fetching"} {
		got, err := e.do("api.example.org", nil, http.MethodGet, url, http.Header{"Origin": {"https://app.example.org"}})
		if err != nil || got.headers.Get("access-control-allow-origin") != "https://app.example.org" || got.headers.Get("access-control-expose-headers") != "x-total" {
			e.Errorf("%s: answered %d, %v, error %v", url, got.status, got.headers, err)
		}
	}
}

func (e *tokenEdge) timeouts() {
	e.wantStatus("api.example.org", nil, http.MethodGet, "https://api.example.org/quick", http.StatusServiceUnavailable)
	e.wantStatus("api.example.org", nil, http.MethodGet, "https://api.example.org/fetching", http.StatusOK)
	for range 10 { // whichever of the two is chosen
		e.wantStatus("api.example.org", nil, http.MethodGet, "https://api.example.org/several", http.StatusOK)
	}
}

func (e *tokenEdge) echoes() {
	got := e.wantStatus("api.example.org", nil, http.MethodGet, "https://api.example.org/fetching", http.StatusOK)
	if !strings.HasPrefix(got.headers.Get("seen"), "HTTP/1.1 api.internal /fetching") || got.headers.Get("got-token") != "true" {
		e.Errorf("the API was not called with the token: %v", got.headers)
	}
	for name, values := range got.headers {
		if strings.Contains(strings.Join(values, " "), acquired) {
			e.Errorf("the caller is told the token in %s", name)
		}
	}
}

// echoesInTrailers has the answer begin before the request ends, and the token come after the answer's body.
func (e *tokenEdge) echoesInTrailers() {
	body, end := io.Pipe()
	request, err := http.NewRequestWithContext(e.Context(), http.MethodPost, "https://api.example.org/streaming", body)
	if err != nil {
		e.Fatal(err)
	}
	response, err := call(e.T, e.port, e.internal.pool(), "api.example.org", nil, request)
	if err != nil {
		e.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK || !strings.HasPrefix(response.Header.Get("seen"), "HTTP/2.0 api.internal /streaming") || response.ProtoMajor != 2 {
		e.Fatalf("answered %s %d, %v", response.Proto, response.StatusCode, response.Header)
	}
	_ = end.Close() // only now does the API go on
	if content, err := io.ReadAll(response.Body); err != nil || string(content) != "streamed" {
		e.Errorf("the body is %q, error %v", content, err)
	}
	if response.Trailer.Get("got-token") != "true" || response.Trailer.Get("grpc-status") != "0" {
		e.Errorf("the trailers are %v", response.Trailer)
	}
	for name, values := range response.Trailer {
		if strings.Contains(strings.Join(values, " "), acquired) {
			e.Errorf("the caller is told the token in the trailer %s", name)
		}
	}
}

func (e *tokenEdge) bodies() {
	mapps := e.internal.client("mapps")
	send := func(body string) int {
		request, err := http.NewRequestWithContext(e.Context(), http.MethodPost, "https://api.example.org/token", strings.NewReader(body))
		if err != nil {
			e.Fatal(err)
		}
		response, err := call(e.T, e.port, e.internal.pool(), "api.example.org", &mapps, request)
		if err != nil {
			e.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		return response.StatusCode
	}
	if status := send("grant_type=client_credentials"); status != http.StatusUnauthorized {
		e.Errorf("status %d", status)
	}
	asked, before := e.service.last()
	if got := asked.GetAttributes().GetRequest().GetHttp().GetBody(); got != "grant_type=client_credentials" {
		e.Errorf("the service is shown %q", got)
	}
	if status := send(strings.Repeat("x", 64<<10)); status != http.StatusRequestEntityTooLarge {
		e.Errorf("a body that is too long is answered %d", status)
	}
	if _, after := e.service.last(); after != before {
		e.Error("the service is shown a part of a body")
	}
}
