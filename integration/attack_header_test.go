package integration

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestAttackHeaders forges what only the edge may say. Each request is permitted: the API must be told who called, once,
// and nothing of the forgery.
func TestAttackHeaders(t *testing.T) {
	a := newAttacked(t).serve()
	pair := a.pair("mapps")
	for name, header := range forgeries() {
		t.Run(name, func(t *testing.T) {
			a.forge(t, "GET", "/v1/allowed/h", func() []int {
				return a.raw(a.edgePort, "api.example.org", &pair, get("/v1/allowed/h", header...))
			}, true)
			a.forge(t, "GET", "/public/h", func() []int { return a.raw(a.edgePort, "api.example.org", nil, get("/public/h", header...)) }, false)
		})
	}
	for _, target := range []string{"/v1/allowed/h", "/v2/allowed/h"} {
		t.Run("trailers to "+target, func(t *testing.T) {
			payload := message("POST", target, "Transfer-Encoding: chunked", "Trailer: x-consumer", "TE: trailers") +
				"1\r\na\r\n0\r\nx-consumer: root\r\nsubject-distinguished-name: CN=root\r\nx-http-method-override: DELETE\r\n\r\n"
			a.forge(t, "POST", target, func() []int { return a.raw(a.edgePort, "api.example.org", &pair, payload) }, true)
		})
	}
	t.Run("names that do not pass", func(t *testing.T) { a.strike(t, a.edgePort, "api.example.org", &pair, nameAttacks()) })
}

// forgeries are header lines with which a permitted request still passes.
func forgeries() map[string][]string {
	return map[string][]string{
		"nothing":              nil,
		"identity":             {"x-consumer: root", "subject-distinguished-name: CN=root"},
		"identity twice":       {"x-consumer: root", "x-consumer: admin", "subject-distinguished-name: CN=a", "subject-distinguished-name: CN=b"},
		"identity in capitals": {"X-CONSUMER: root", "X-Consumer: admin", "Subject-Distinguished-Name: CN=root"},
		"empty identity":       {"x-consumer:", "x-consumer: ", "subject-distinguished-name:"},
		"identity nominated":   {"x-consumer: root", "Connection: x-consumer, subject-distinguished-name"},
		"Connection nominates what the edge sets": {"Connection: close, x-consumer", "Keep-Alive: x-consumer", "Proxy-Connection: x-consumer"},
		"forwarded certificate": {
			`x-forwarded-client-cert: By=spiffe://example.org/edge;Hash=00;Subject="CN=root";URI=spiffe://example.org/root`,
			"X-Forwarded-Client-Cert: Hash=11", "x-envoy-peer-metadata: root", "x-ssl-client-s-dn: CN=root",
		},
		"another method": {"x-http-method-override: DELETE", "X-HTTP-Method: DELETE", "x-method-override: DELETE", "X-Http-Method-Override: PUT"},
		"another target": {"x-original-url: /v1/secret/x", "X-Rewrite-URL: /v1/secret/x", "x-envoy-original-path: /v1/secret/x", "x-envoy-original-host: open.example.org"},
		"what Envoy obeys": {
			"x-envoy-internal: true", "x-envoy-upstream-rq-timeout-ms: 1", "x-envoy-retry-on: 5xx", "x-envoy-max-retries: 9",
			"x-envoy-force-trace: 1", "x-envoy-upstream-alt-stat-name: a", "x-envoy-decorator-operation: a", "x-envoy-expected-rq-timeout-ms: 1",
		},
		"a request id of its own": {"x-request-id: chosen-by-the-caller"},
		"an address of its own":   {"x-forwarded-for: 10.0.0.1", "x-envoy-external-address: 10.0.0.1"},
		// Envoy reads these in one way and writes what it has read: no API sees them as they were sent.
		"a folded line":                {"x-a: b", " x-consumer: root", "\tsubject-distinguished-name: CN=root"},
		"a folded identity":            {"x-consumer: a", "\troot"},
		"a carriage return in a value": {"x-a: b\rx-consumer: root", "x-b: \r"},
		"a line feed alone":            {"x-a: b\nx-consumer: root\nx-http-method-override: DELETE"},
	}
}

// never are headers that no caller's request brings to the API.
var never = []string{
	"x-forwarded-client-cert", "x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-rewrite-url",
	"x-envoy-original-path", "x-envoy-original-host", "x-envoy-internal", "x-envoy-retry-on", "x-envoy-max-retries",
	"x-envoy-upstream-rq-timeout-ms", "x-envoy-force-trace", "x-envoy-upstream-alt-stat-name", "x-envoy-decorator-operation",
}

// forge sends a request that passes, and looks at what the API was told.
func (a *attacked) forge(t *testing.T, method, target string, send func() []int, identified bool) {
	t.Helper()
	a.api.take()
	if statuses := send(); !slices.Equal(statuses, []int{http.StatusOK}) {
		t.Errorf("%s is answered %v", target, statuses)
	}
	seen := a.api.take()
	if !slices.Equal(lines(seen), []string{method + " " + target}) {
		t.Fatalf("at the API arrived %q", lines(seen))
	}
	want := map[string][]string{"X-Consumer": nil, "Subject-Distinguished-Name": nil}
	if identified {
		want = map[string][]string{"X-Consumer": {"mapps"}, "Subject-Distinguished-Name": {"CN=mapps"}}
	}
	for name, values := range want {
		if got := seen[0].header.Values(name); !slices.Equal(got, values) {
			t.Errorf("%s: the API is told %s %q, want %q", target, name, got, values)
		}
	}
	for name := range seen[0].header {
		if slices.Contains(never, strings.ToLower(name)) || strings.Contains(seen[0].header.Get(name), "chosen-by-the-caller") {
			t.Errorf("%s: %s: %q reached the API", target, name, seen[0].header.Values(name))
		}
	}
	for name, values := range seen[0].trailer {
		if len(values) > 0 { // announced by the header alone is nothing
			t.Errorf("%s: the trailer %s: %q reached the API", target, name, values)
		}
	}
}

func nameAttacks() []attack {
	const target = "/v1/allowed/h"
	end := []int{http.StatusBadRequest, http.StatusRequestHeaderFieldsTooLarge, 0}
	lines := func(name string, header ...string) attack { return attack{name, get(target, header...), end, nil} }
	return []attack{
		lines("an underscore", "x_consumer: root"),
		lines("an underscore among capitals", "X_Consumer: root"),
		lines("another underscore", "subject_distinguished-name: CN=root"),
		lines("a space before the colon", "x-consumer : root"),
		lines("a tab before the colon", "x-consumer\t: root"),
		lines("a name with a NUL", "x-consumer\x00: root"),
		lines("a value with a NUL", "x-a: b\x00c"),
		lines("no colon", "x-consumer root"),
		lines("no name", ": root"),
		lines("a name that is no token", "x-consumer(): root"),
		lines("a name above ASCII", "x-consum\xe9r: root"),
		lines("200 headers", strings.Split(strings.Repeat("x-a: b\n", 200)+"x-z: z", "\n")...),
		lines("80 KiB of headers", "x-a: "+strings.Repeat("a", 80<<10)),
		{"two authorizations", get(target, "Authorization: Bearer a", "Authorization: Bearer b"), malformed, nil},
		{"two authorizations in one line", get(target, "Authorization: Bearer a, Bearer b"), malformed, nil},
	}
}

// TestAttackFraming sends requests whose end, or whose kind, could be read in two ways.
func TestAttackFraming(t *testing.T) {
	a := newAttacked(t).serve()
	pair := a.pair("mapps")
	a.strike(t, a.edgePort, "api.example.org", &pair, slices.Concat(lengthAttacks(), lineAttacks(), pipelineAttacks(), upgradeAttacks()))
}

// smuggled is what an attack on lengths would like to be taken for a request.
const smuggled = "GET /v1/secret/smuggled HTTP/1.1\r\nHost: api.example.org\r\nx-consumer: root\r\n\r\n"

func lengthAttacks() []attack {
	const target = "/v1/allowed/body"
	arrives := []string{"POST " + target}
	ended := []int{http.StatusBadRequest, http.StatusNotImplemented, 0}
	bad := func(name, body string, header ...string) attack {
		return attack{name, message("POST", target, header...) + body, ended, nil}
	}
	length := "Content-Length: " + strconv.Itoa(len(smuggled))
	return []attack{
		{"a body with a length", message("POST", target, length) + smuggled, permitted, arrives},
		{"a body in chunks", message("POST", target, "Transfer-Encoding: chunked") + "5\r\nhello\r\n0\r\n\r\n", permitted, arrives},
		{"chunked in capitals", message("POST", target, "Transfer-Encoding: CHUNKED") + "1\r\na\r\n0\r\n\r\n", permitted, arrives},
		bad("a length and chunks", "0\r\n\r\n"+smuggled, length, "Transfer-Encoding: chunked"),
		bad("chunks and a length", "0\r\n\r\n"+smuggled, "Transfer-Encoding: chunked", "Content-Length: 4"),
		bad("two lengths", smuggled, "Content-Length: 0", length),
		bad("two lengths in one line", smuggled, "Content-Length: 0, 10"),
		bad("a length with a sign", smuggled, "Content-Length: +5"),
		bad("a negative length", smuggled, "Content-Length: -1"),
		bad("a length in hexadecimal", smuggled, "Content-Length: 0x5"),
		bad("a length beyond 64 bits", smuggled, "Content-Length: 18446744073709551617"),
		bad("a length with a space", smuggled, "Content-Length: 1 0"),
		bad("an unknown coding", smuggled, "Transfer-Encoding: xchunked"),
		bad("chunked and identity", smuggled, "Transfer-Encoding: chunked, identity"),
		bad("chunked not last", smuggled, "Transfer-Encoding: chunked, gzip"),
		bad("chunked twice", "0\r\n\r\n"+smuggled, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
		bad("an unknown coding beside chunked", "0\r\n\r\n"+smuggled, "Transfer-Encoding: chunked", "Transfer-Encoding: x"),
		bad("a space before the colon", "0\r\n\r\n"+smuggled, "Transfer-Encoding : chunked", "Content-Length: 5"),
		bad("a vertical tab in the coding", "0\r\n\r\n"+smuggled, "Transfer-Encoding: \vchunked"),
		bad("a quoted coding", "0\r\n\r\n"+smuggled, `Transfer-Encoding: "chunked"`),
	}
}

func lineAttacks() []attack {
	const target = "/v1/allowed/body"
	old := []int{http.StatusUpgradeRequired, http.StatusBadRequest, 0}
	rest := " HTTP/1.1\r\nHost: api.example.org\r\nConnection: close\r\n\r\n"
	return []attack{
		{"HTTP/1.0", "GET " + target + " HTTP/1.0\r\nHost: api.example.org\r\n\r\n", old, nil},
		{"HTTP/1.0 without a host", "GET " + target + " HTTP/1.0\r\n\r\n", old, nil},
		{"HTTP/0.9", "GET " + target + "\r\n\r\n", old, nil},
		{"HTTP/1.2", "GET " + target + " HTTP/1.2\r\nHost: api.example.org\r\n\r\n", old, nil},
		{"HTTP/2.0", "GET " + target + " HTTP/2.0\r\nHost: api.example.org\r\n\r\n", old, nil},
		{"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", old, nil},
		{"two versions", "GET " + target + " HTTP/1.1 HTTP/1.1\r\nHost: api.example.org\r\n\r\n", closed, nil},
		{"a carriage return in the target", "GET " + target + "\rx" + rest, closed, nil},
		{"a carriage return as a line's end", "GET " + target + " HTTP/1.1\rHost: api.example.org\r\r\n\r\n", closed, nil},
		{"a NUL before the method", "\x00GET " + target + rest, closed, nil},
		{"a method that is no token", "GE(T " + target + rest, closed, nil},
		{"a chunk size beyond 64 bits", message("POST", target, "Transfer-Encoding: chunked") + "10000000000000001\r\na\r\n0\r\n\r\n", closed, nil},
	}
}

// pipelineAttacks put a second request behind one that is refused: it is judged by itself, or not at all.
func pipelineAttacks() []attack {
	open := "GET /v1/secret/x HTTP/1.1\r\nHost: api.example.org\r\n\r\n"
	body := "POST /v1/secret/x HTTP/1.1\r\nHost: api.example.org\r\n"
	not := []int{http.StatusForbidden}
	return []attack{
		{"a permitted request behind a refused one", open + get("/v1/allowed/behind"), not, []string{"GET /v1/allowed/behind"}},
		{"a refused request behind a permitted one", "GET /v1/allowed/a HTTP/1.1\r\nHost: api.example.org\r\n\r\n" + get("/v1/secret/x"), permitted, []string{"GET /v1/allowed/a"}},
		{"a request in a refused body", body + "Content-Length: " + strconv.Itoa(len(smuggled)) + "\r\n\r\n" + smuggled + get("/v1/secret/y"), not, nil},
		{"a request in a refused body in chunks", body + "Transfer-Encoding: chunked\r\n\r\n" + strconv.FormatInt(int64(len(smuggled)), 16) + "\r\n" + smuggled + "\r\n0\r\n\r\n" + get("/v1/secret/y"), not, nil},
		{"a refused body cut short", body + "Content-Length: 100000\r\n\r\n" + smuggled, not, nil},
		{"another host behind", "GET /v1/allowed/a HTTP/1.1\r\nHost: api.example.org\r\n\r\n" + hosted("/v1/allowed/a", "Host: open.example.org"), permitted, []string{"GET /v1/allowed/a"}},
	}
}

func upgradeAttacks() []attack {
	ask := func(name, method, target string, statuses []int, header ...string) attack {
		return attack{name, method + " " + target + " HTTP/1.1\r\nHost: api.example.org\r\n" + join(header) + "\r\n", statuses, nil}
	}
	none := []int{http.StatusForbidden, http.StatusBadRequest, http.StatusNotFound, http.StatusMisdirectedRequest, http.StatusMethodNotAllowed, 0}
	return []attack{
		ask("CONNECT", "CONNECT", "api.example.org:443", none),
		ask("CONNECT to another host", "CONNECT", "169.254.169.254:80", none),
		ask("CONNECT with a path", "CONNECT", "/v1/allowed/a", none),
		ask("websocket", "GET", "/v1/allowed/ws", none, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
		ask("an unknown upgrade", "GET", "/v1/allowed/ws", none, "Connection: Upgrade", "Upgrade: connect-udp"),
		ask("TRACE", "TRACE", "/v1/allowed/a", []int{http.StatusMethodNotAllowed}, "Connection: close"),
		ask("TRACE of the public part", "TRACE", "/public/a", []int{http.StatusMethodNotAllowed}, "Connection: close"),
		ask("another method", "DELETE", "/v1/allowed/a", none, "Connection: close"),
		ask("a method in lower case", "get", "/v1/allowed/a", none, "Connection: close"),
		ask("HEAD is not GET", "HEAD", "/v1/allowed/a", none, "Connection: close"),
		{"h2c is passed over", get("/v1/allowed/a", "Connection: Upgrade, HTTP2-Settings, close", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"),
			append([]int{http.StatusOK}, none...), []string{"GET /v1/allowed/a"}},
		{"Expect", message("POST", "/v1/allowed/a", "Expect: 100-continue", "Content-Length: 1") + "a", []int{http.StatusContinue, http.StatusOK}, []string{"POST /v1/allowed/a"}},
	}
}
