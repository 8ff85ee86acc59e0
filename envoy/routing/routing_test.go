package routing_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/sallyport-project/sallyport/config/checkcontext"
	"github.com/sallyport-project/sallyport/envoy/routing"
)

// example has two entries, one of them with a wildcard over the other's name.
const example = surroundings + `
api_version: sallyport/v1
kind: Gateway
metadata: {name: g}
spec:
  group: all
  listeners:
  - name: l
    address: 127.0.0.1
    port: 1
    tls:
    - {hostnames: ["*.example.org"], certificate: server}
    - {hostnames: [api.example.org], certificate: server}
---
api_version: sallyport/v1
kind: Route
metadata: {name: api}
spec:
  gateway: g
  hostnames: [api.example.org]
  rules:
  - {name: persons, match: {prefix: /v1/persons}, upstreams: [{name: one}], policy: open}
  - {name: alerts, match: {template: "/v1/persons/{id}/alerts", methods: [GET]}, upstreams: [{name: one, weight: 3}, {name: two}], policy: open}
  - {name: beta, match: {exact: /beta, headers: [{name: x-version, value: "2"}]}, upstreams: [{name: two}], policy: open}
---
api_version: sallyport/v1
kind: Route
metadata: {name: web}
spec:
  gateway: g
  hostnames: [www.example.org]
  rules: [{name: all, match: {prefix: /}, upstreams: [{name: one}], policy: open}]
`

func compile(t *testing.T, content string) *routing.Listener {
	t.Helper()
	made := mustResources(t, content)
	listener, err := routing.Compile(made.Listeners["g/l"], made.Routes)
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

func TestChoose(t *testing.T) {
	listener := compile(t, example)
	for name, test := range map[string]struct {
		sni, method, host, path string
		headers                 http.Header
		// want is `rule upstream…`, an outcome, Envoy's own status, or closed.
		want string
	}{
		"by prefix":                                {"api.example.org", "GET", "api.example.org", "/v1/persons/1", nil, "persons one"},
		"the prefix itself":                        {"api.example.org", "GET", "api.example.org", "/v1/persons?x=1", nil, "persons one"},
		"a prefix is of whole segments":            {"api.example.org", "GET", "api.example.org", "/v1/personsX", nil, "no_route"},
		"a prefix is case-sensitive":               {"api.example.org", "GET", "api.example.org", "/v1/Persons", nil, "no_route"},
		"by template, to one of two upstreams":     {"api.example.org", "GET", "api.example.org", "/v1/persons/1/alerts", nil, "alerts one two"},
		"another method goes to the next":          {"api.example.org", "PUT", "api.example.org", "/v1/persons/1/alerts", nil, "persons one"},
		"the path is normalised first":             {"api.example.org", "GET", "api.example.org", "/v1/persons/1/x/../%61lerts", nil, "alerts one two"},
		"an escaped slash":                         {"api.example.org", "GET", "api.example.org", "/v1/persons%2f1", nil, "400"},
		"by header":                                {"api.example.org", "GET", "api.example.org", "/beta", http.Header{"X-Version": {"1", "2"}}, "beta two"},
		"another value of the header":              {"api.example.org", "GET", "api.example.org", "/beta", http.Header{"X-Version": {"1,2"}}, "no_route"},
		"a header that the connection takes along": {"api.example.org", "GET", "api.example.org", "/beta", http.Header{"X-Version": {"2"}, "Connection": {"X-Version"}}, "no_route"},
		"a header with an underscore":              {"api.example.org", "GET", "api.example.org", "/beta", http.Header{"x_version": {"2"}}, "400"},
		"TRACE leads nowhere":                      {"api.example.org", "TRACE", "api.example.org", "/v1/persons/1", nil, "no_route"},
		"a method that nobody knows":               {"api.example.org", "BREW", "api.example.org", "/v1/persons/1", nil, "400"},
		"OPTIONS for the server":                   {"api.example.org", "OPTIONS", "api.example.org", "*", nil, "404"},
		"host with port, dot and capitals":         {"api.example.org", "GET", "API.example.ORG.:8443", "/v1/persons", nil, "persons one"},
		"host of another entry":                    {"api.example.org", "GET", "www.example.org", "/", nil, "misdirected"},
		"host of another entry under a wildcard":   {"www.example.org", "GET", "api.example.org", "/v1/persons", nil, "misdirected"},
		"host of nobody":                           {"api.example.org", "GET", "example.net", "/", nil, "misdirected"},
		"host without rules":                       {"www.example.org", "GET", "other.example.org", "/", nil, "no_route"},
		"host that is no host":                     {"www.example.org", "GET", "a b", "/", nil, "400"},
		"a wildcard for two labels":                {"a.b.example.org", "GET", "a.b.example.org", "/", nil, "no_route"},
		"capitals in SNI":                          {"WWW.example.org", "GET", "www.example.org", "/x", nil, "all one"},
		"SNI of nobody":                            {"example.net", "GET", "www.example.org", "/", nil, "closed"},
		"the wildcard's own domain":                {"example.org", "GET", "www.example.org", "/", nil, "closed"},
		"no SNI":                                   {"", "GET", "www.example.org", "/", nil, "closed"},
	} {
		t.Run(name, func(t *testing.T) {
			decision := listener.Choose(routing.Request{SNI: test.sni, Method: test.method, Host: test.host, Path: test.path, Headers: test.headers})
			if got := summary(decision); got != test.want {
				t.Errorf("got %q, want %q: %+v", got, test.want, decision)
			}
		})
	}
}

func summary(d routing.Decision) string {
	switch {
	case d.Closed:
		return "closed"
	case d.Route == nil:
		return map[int]string{400: "400", 404: "404"}[d.Status]
	case d.Context[checkcontext.Outcome] != "":
		return d.Context[checkcontext.Outcome]
	}
	parts := []string{d.Context[checkcontext.Rule]}
	for _, upstream := range d.Upstreams {
		parts = append(parts, upstream.Context[checkcontext.Upstream])
	}
	return strings.Join(parts, " ")
}

func TestDecisionHoldsWhatTheServiceIsTold(t *testing.T) {
	decision := compile(t, example).Choose(routing.Request{
		SNI: "api.example.org", Method: http.MethodGet, Host: "api.example.org:443", Path: "/v1//persons/1/./alerts?x=/../y",
	})
	if decision.Path != "/v1/persons/1/alerts?x=/../y" || decision.Host != "api.example.org" {
		t.Errorf("path %q, host %q", decision.Path, decision.Host)
	}
	version := decision.Context[checkcontext.PolicyHash]
	want := map[string]string{
		checkcontext.Gateway: "g", checkcontext.Listener: "l", checkcontext.Entry: "api.example.org",
		checkcontext.Route: "api", checkcontext.Rule: "alerts", checkcontext.Policy: "open", checkcontext.PolicyHash: version,
	}
	if difference := cmp.Diff(want, decision.Context); difference != "" || version == "" {
		t.Error(difference)
	}
	if len(decision.Upstreams) != 2 || decision.Upstreams[0].Weight != 3 || decision.Upstreams[1].Cluster != "upstream/two" {
		t.Fatalf("upstreams %+v", decision.Upstreams)
	}
	want[checkcontext.Upstream], want[checkcontext.UpstreamHash] = "two", decision.Upstreams[1].Context[checkcontext.UpstreamHash]
	if len(want[checkcontext.UpstreamHash]) != 32 {
		t.Errorf("the upstream's version is %q", want[checkcontext.UpstreamHash])
	}
	if difference := cmp.Diff(want, decision.Upstreams[1].Context); difference != "" {
		t.Error(difference)
	}
}

func TestCompileRefusesWhatIsNotSimulated(t *testing.T) {
	for name, change := range map[string]func(*routev3.RouteMatch){
		"a query parameter": func(m *routev3.RouteMatch) { m.QueryParameters = []*routev3.QueryParameterMatcher{{Name: "x"}} },
		"a connect match": func(m *routev3.RouteMatch) {
			m.PathSpecifier = &routev3.RouteMatch_ConnectMatcher_{ConnectMatcher: &routev3.RouteMatch_ConnectMatcher{}}
		},
		"an inverted header": func(m *routev3.RouteMatch) { m.Headers = []*routev3.HeaderMatcher{{Name: "x", InvertMatch: true}} },
		"a header by range": func(m *routev3.RouteMatch) {
			m.Headers = []*routev3.HeaderMatcher{{Name: "x", HeaderMatchSpecifier: &routev3.HeaderMatcher_RangeMatch{}}}
		},
		"a match that ignores case": func(m *routev3.RouteMatch) {
			m.CaseSensitive = nil
			m.Grpc = &routev3.RouteMatch_GrpcRouteMatchOptions{}
		},
	} {
		t.Run(name, func(t *testing.T) {
			made := mustResources(t, example)
			hosts := made.Routes["g/l/api.example.org"].GetVirtualHosts()
			change(hosts[slices.IndexFunc(hosts, func(h *routev3.VirtualHost) bool { return h.GetName() == "api.example.org" })].GetRoutes()[1].GetMatch())
			if _, err := routing.Compile(made.Listeners["g/l"], made.Routes); err == nil {
				t.Error("it compiles")
			}
		})
	}
	made := mustResources(t, example)
	delete(made.Routes, "g/l/api.example.org")
	if _, err := routing.Compile(made.Listeners["g/l"], made.Routes); err == nil {
		t.Error("it compiles without its routes")
	}
}
