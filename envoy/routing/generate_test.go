package routing_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/document"
	"github.com/sallyport-project/sallyport/envoy/routing"
	"github.com/sallyport-project/sallyport/envoy/translate"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

// material is there for all that a model refers to. Nothing reads the bytes.
func material(model *config.Model) *inventory.Snapshot {
	snapshot := &inventory.Snapshot{Truststores: map[string]*inventory.Truststore{}, Certificates: map[string]*inventory.KeyPair{}}
	for _, certificate := range model.Certificates() {
		snapshot.Certificates[certificate.Name] = &inventory.KeyPair{CertificatePEM: []byte("c"), PrivateKeyPEM: []byte("k")}
	}
	return snapshot
}

// resources translates a configuration, and returns nil where it is not valid.
func resources(content string) *translate.Resources {
	documents, complete, problems := document.Decode("generated.yaml", []byte(content))
	if len(problems.Errors()) > 0 || !complete {
		return nil
	}
	model, _ := config.Build(documents, true)
	if model == nil {
		return nil
	}
	return translate.Group(model, material(model), "all")
}

func mustResources(t *testing.T, content string) *translate.Resources {
	t.Helper()
	made := resources(content)
	if made == nil {
		t.Fatalf("the configuration is not valid:\n%s", content)
	}
	return made
}

const surroundings = `
api_version: sallyport/v1
kind: Policy
metadata: {name: open}
spec: {authenticate: {anonymous: {}}, authorize: [{name: anyone, everyone: true}]}
---
api_version: sallyport/v1
kind: Upstream
metadata: {name: one}
spec: {endpoints: {addresses: ["127.0.0.1:1"]}}
---
api_version: sallyport/v1
kind: Upstream
metadata: {name: two}
spec: {endpoints: {addresses: ["127.0.0.1:2"]}}
---
api_version: sallyport/v1
kind: Certificate
metadata: {name: server}
spec: {material: {certificate: "file:server.pem", private_key: "file:server-key.pem"}}
---
`

// entrySets are ways to divide hostnames among TLS entries; nil is a listener without TLS.
var entrySets = [][]string{
	nil,
	{"[api.example.org]"},
	{`["*.example.org", example.org]`, `[api.example.org]`},
	{`["*.example.org"]`, `["*.a.example.org"]`, `[api.example.org, b.a.example.org]`},
}

var (
	hostnames   = []string{"api.example.org", "b.a.example.org", "c.a.example.org", "www.example.org", "*.a.example.org", "*.example.org", "example.org"}
	segments    = []string{"a", "b", "v1", "A", "a.b", "~u", "x-y", "a;b", "...", "{id}", "{other_id}"}
	headerNames = []string{"x-version", "x-beta"}
)

// pick returns one of several.
func pick[T any](random *rand.Rand, from []T) T { return from[random.IntN(len(from))] }

// configuration generates one that may be invalid: two rules may be ambiguous, a hostname may be served by no entry.
func configuration(random *rand.Rand) string {
	var b strings.Builder
	b.WriteString(surroundings)
	fmt.Fprintf(&b, "api_version: sallyport/v1\nkind: Gateway\nmetadata: {name: g}\nspec:\n  group: all\n  listeners:\n")
	fmt.Fprintf(&b, "  - {name: l, address: 127.0.0.1, port: 1, escaped_slashes: %s, ", pick(random, []string{"reject", "keep"}))
	entries := pick(random, entrySets)
	if entries == nil {
		b.WriteString("plaintext: true}\n")
	} else {
		b.WriteString("tls: [")
		for _, names := range entries {
			fmt.Fprintf(&b, "{hostnames: %s, certificate: server}, ", names)
		}
		b.WriteString("]}\n")
	}
	for i := range 1 + random.IntN(3) {
		fmt.Fprintf(&b, "---\napi_version: sallyport/v1\nkind: Route\nmetadata: {name: r%d}\nspec:\n  gateway: g\n", i)
		names := slices.Clone(hostnames)
		random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		fmt.Fprintf(&b, "  hostnames: [\"%s\"]\n  rules:\n", strings.Join(names[:1+random.IntN(3)], `", "`))
		for j := range 1 + random.IntN(8) {
			upstreams := pick(random, []string{"{name: one}", "{name: one, weight: 3}, {name: two}"})
			fmt.Fprintf(&b, "  - {name: rule%d, match: {%s}, upstreams: [%s], policy: open}\n", j, match(random), upstreams)
		}
	}
	return b.String()
}

func match(random *rand.Rand) string {
	var path strings.Builder
	variable := false
	used := map[string]bool{}
	for range 1 + random.IntN(3) {
		segment := pick(random, segments)
		if used[segment] && segment[0] == '{' {
			segment = "z"
		}
		used[segment] = true
		variable = variable || segment[0] == '{'
		path.WriteString("/" + segment)
	}
	kind := pick(random, []string{"exact", "prefix"})
	switch {
	case random.IntN(6) == 0:
		kind = "template"
		path.WriteString("/{rest=**}")
	case variable:
		kind = "template"
	case kind == "prefix" && random.IntN(5) == 0:
		path.Reset()
		path.WriteString("/")
	}
	made := fmt.Sprintf("%s: %q", kind, path.String())
	if random.IntN(3) == 0 {
		made += ", methods: " + pick(random, []string{"[GET]", "[GET, POST]", "[PUT, DELETE, PATCH]", "[TRACE]"})
	}
	if random.IntN(4) == 0 {
		name := pick(random, headerNames)
		made += fmt.Sprintf(", headers: [{name: %s, %s}]", name, pick(random, []string{`value: "2"`, `value: ""`, "present: true"}))
	}
	return made
}

// target generates a request for one of a configuration's routes, or near it.
func target(random *rand.Rand, routes *routev3.RouteConfiguration) routing.Request {
	host := pick(random, routes.GetVirtualHosts())
	route := pick(random, host.GetRoutes())
	request := routing.Request{
		Method: pick(random, []string{"GET", "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "PURGE", "FOO", "get"}),
		Host:   strings.ReplaceAll(pick(random, host.GetDomains()), "*", pick(random, []string{"x", "y.x", "www", ""})),
		Path:   near(route.GetMatch()),
	}
	if random.IntN(3) == 0 {
		request.Host = changedHost(random, request.Host)
	}
	for range random.IntN(4) {
		request.Path = changedPath(random, request.Path)
	}
	for _, h := range route.GetMatch().GetHeaders() {
		switch {
		case random.IntN(4) == 0:
		case h.GetName() == ":method":
			if exact := h.GetStringMatch().GetExact(); exact != "" {
				request.Method = exact
			}
		default:
			request.Headers = http.Header{h.GetName(): {h.GetStringMatch().GetExact()}}
		}
	}
	if random.IntN(4) == 0 {
		request.Headers = headers(random)
	}
	return request
}

// near is a path that a match takes.
func near(match *routev3.RouteMatch) string {
	switch {
	case match.GetSafeRegex() != nil:
		path := strings.Trim(match.GetSafeRegex().GetRegex(), "^$")
		path = strings.NewReplacer("[^/]+", "id", ".+", "one/two", `\`, "").Replace(path)
		return path
	case match.GetPath() != "":
		return match.GetPath()
	case match.GetPathSeparatedPrefix() != "":
		return match.GetPathSeparatedPrefix() + "/below"
	}
	return "/any"
}

func changedHost(random *rand.Rand, host string) string {
	switch random.IntN(6) {
	case 0:
		return strings.ToUpper(host)
	case 1:
		return pick(random, []string{"api.example.org", "stranger.example.net", "", "127.0.0.1", "[::1]", "b.a.example.org"})
	case 2:
		return pick(random, []string{"u@", ".", "a,", "%61", "_", "a b", "*"}) + host
	}
	return host + pick(random, []string{".", ":443", ".:443", ":", ":x", "..", ":80:80", ":99999999999", ":+1", ":-1", ".:443.", ",b", "/", "?", "#", "\\", "\"", "]:1"})
}

var insertions = []string{
	"/", "//", "/./", "/../", "/..", ".", "..", "%2e", "%2E%2e", "/%2e%2e/", "%2f", "%2F", "%5c", "%5C", "\\", ";", "/..;/", "/.;x/", "..;", "%", "%%36",
	"%%32%66", "%4", "%61", "%00", "%7e", "%7E", "%20", "%3b", "?", "?a=/../b", "#", "~", "'", "\"", "{", "|", "^", "%c3%a9", "%zz", "+", "&", "=", "%25", "%2525",
	"é", "\x01", "[", "<", "%2d", "%5f", "%30", "a", "/a",
}

func changedPath(random *rand.Rand, path string) string {
	if path == "" {
		return "/"
	}
	at := random.IntN(len(path))
	switch random.IntN(6) {
	case 0:
		return path[:at] + path[at+1:]
	case 1:
		return path[:at] + fmt.Sprintf(pick(random, []string{"%%%02x", "%%%02X"}), path[at]) + path[at+1:]
	case 2:
		return strings.ToUpper(path)
	case 3:
		return path + pick(random, []string{"/", "?x=1", "?", "/x", "//", "/..", "/.", ";x"})
	}
	return path[:at] + pick(random, insertions) + path[at:]
}

func headers(random *rand.Rand) http.Header {
	made := http.Header{}
	for range 1 + random.IntN(2) {
		name := pick(random, headerNames)
		made[name] = append(made[name], pick(random, []string{"2", "", "1", "2,2", " 2 ", "é"}))
	}
	switch random.IntN(8) {
	case 0:
		made["Connection"] = []string{pick(random, headerNames)}
	case 1:
		made["Connection"] = []string{"keep-alive, X-Beta ,x-version"}
	case 2:
		made["x_version"] = []string{"2"}
	}
	return made
}
