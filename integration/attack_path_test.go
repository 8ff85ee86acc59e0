package integration

import (
	"net/http"
	"strings"
	"testing"
)

// TestAttackPathsAndHosts attacks the choice of the route: mapps may read below /v1/allowed and nothing else.
func TestAttackPathsAndHosts(t *testing.T) {
	a := newAttacked(t).serve()
	pair := a.pair("mapps")
	t.Run("paths", func(t *testing.T) { a.strike(t, a.edgePort, "api.example.org", &pair, pathAttacks()) })
	t.Run("kept slashes", func(t *testing.T) { a.strike(t, a.keptPort, "api.example.org", &pair, keptAttacks()) })
	t.Run("strangers", func(t *testing.T) { a.strike(t, a.edgePort, "api.example.org", nil, strangerAttacks()) })
	t.Run("hosts", func(t *testing.T) { a.strike(t, a.edgePort, "api.example.org", &pair, hostAttacks()) })
	t.Run("from the open host", func(t *testing.T) {
		a.strike(t, a.edgePort, "open.example.org", nil, misdirectedAttacks("open.example.org"))
	})
	t.Run("from the strict host", func(t *testing.T) {
		a.strike(t, a.edgePort, "strict.example.org", &pair, misdirectedAttacks("strict.example.org"))
	})
}

// passes is a request that arrives as it was sent.
func passes(name, target string) attack {
	return attack{name, get(target), permitted, []string{"GET " + target}}
}

// becomes is a request that arrives in another form.
func becomes(name, target, arrives string) attack {
	return attack{name, get(target), permitted, []string{"GET " + arrives}}
}

// refused is a request that does not arrive.
func refused(name, target string, statuses ...int) attack {
	return attack{name, get(target), statuses, nil}
}

func pathAttacks() []attack {
	long := strings.Repeat("a", 4<<10)
	const bad, not = http.StatusBadRequest, http.StatusForbidden
	return []attack{
		passes("a permitted path", "/v1/allowed/a"),
		passes("an escaped space", "/v1/allowed/a%20b"),
		passes("non-ASCII, escaped", "/v1/allowed/%C3%A9"),
		passes("an escaped semicolon in a name", "/v1/allowed/a%3Bb"),
		passes("dots in a name", "/v1/allowed/a..b"),
		passes("dots in a query", "/v1/allowed/a?x=/../../secret/x"),
		passes("an escaped slash in a query", "/v1/allowed/a?x=%2e%2e%2fsecret"),
		passes("two question marks", "/v1/allowed/a??/../secret"),
		passes("a path of 4 KiB", "/v1/allowed/"+long),
		passes("an escaped percent sign stays escaped", "/v1/allowed/a%252fb"),
		becomes("dots within what is permitted", "/v1/allowed/b/../a", "/v1/allowed/a"),
		becomes("dots into what is permitted", "/v1/secret/../allowed/a", "/v1/allowed/a"),
		becomes("merged slashes", "/v1//allowed///a", "/v1/allowed/a"),
		becomes("dots after two slashes, which lead to the empty segment's parent", "/v1/allowed//../b", "/v1/allowed/b"),
		becomes("escaped letters", "/v1/%61llowed/a", "/v1/allowed/a"),

		refused("another path", "/v1/secret/x", not),
		refused("the folder itself", "/v1/allowed", not),
		refused("mixed case", "/v1/ALLOWED/a", not),
		refused("an unknown path", "/v9/allowed/a", http.StatusNotFound),
		refused("the name of a route that only begins so", "/v1x/allowed/a", http.StatusNotFound),
		refused("dots", "/v1/allowed/../secret/x", not),
		refused("dots at the end", "/v1/allowed/a/..", not),
		refused("dots above the root", "/v1/allowed/../../../../v1/secret/x", not),
		refused("escaped dots", "/v1/allowed/%2e%2e/secret/x", not),
		refused("one escaped dot", "/v1/allowed/.%2E/secret/x", not),
		refused("many slashes at the start", "//v1/secret/x", not),
		refused("dots out of the public part", "/public/../v1/secret/x", not),
		refused("dots with an escaped slash", "/v1/allowed/..%2fsecret/x", bad),
		refused("dots between escaped slashes", "/v1/allowed%2F..%2Fsecret", bad),
		refused("an escaped backslash", "/v1/allowed/..%5csecret", bad),
		refused("a backslash", `/v1/allowed/..\secret`, not, bad),
		refused("a backslash at the start", `\v1\secret`, not, bad),
		refused("parameters", "/v1/allowed/a;b=c", bad),
		refused("dots with parameters", "/v1/allowed/..;/secret/x", bad, not),
		refused("dots with named parameters", "/v1/allowed/..;x=y/secret/x", bad, not),
		refused("dots with an escaped semicolon", "/v1/allowed/..%3b/secret/x", bad),
		refused("one dot with an escaped semicolon", "/v1/allowed/.%3bx/secret", bad),
		refused("a fragment", "/v1/allowed/a#/../secret", bad),
		refused("a fragment at the end", "/v1/allowed/a#", bad),
		refused("a NUL, escaped", "/v1/allowed/a%00", bad),
		refused("a line, escaped", "/v1/allowed/a%0d%0aX-Consumer:%20root", bad),
		refused("overlong dots", "/v1/allowed/%c0%ae%c0%ae/secret", bad),
		refused("bytes that are no UTF-8, escaped", "/v1/allowed/%ff%fe", bad),
		refused("a percent sign alone", "/v1/allowed/%", bad),
		refused("an escape of something else", "/v1/allowed/%zz", bad),
		refused("a NUL", "/v1/allowed/a\x00b", bad, 0),
		refused("a tab", "/v1/allowed/a\tb", bad, 0),
		refused("a byte above ASCII", "/v1/allowed/\xe9", bad, 0),
		refused("a path of 12 KiB", "/v1/allowed/"+strings.Repeat(long, 3), bad),
		refused("a path of 80 KiB", "/v1/allowed/"+strings.Repeat(long, 20), http.StatusRequestHeaderFieldsTooLarge, bad, 0),
		refused("a path of ten thousand dots", "/v1/allowed/"+strings.Repeat("../", 2500)+"secret", not, bad, http.StatusNotFound),
		refused("no leading slash", "v1/allowed/a", bad, http.StatusNotFound, 0),
		refused("an asterisk", "*", bad, http.StatusNotFound, 0),
		refused("only a query", "?/v1/allowed/a", bad, http.StatusNotFound, 0),
		refused("an authority", "api.example.org:443", bad, http.StatusNotFound, 0),
		refused("a space", "/v1/allowed/a b", bad, 0),

		becomes("absolute form", "https://api.example.org/v1/allowed/a", "/v1/allowed/a"),
		refused("absolute form with dots", "https://api.example.org/v1/allowed/../secret/x", not),
		refused("absolute form of another host", "https://open.example.org/v1/allowed/a", http.StatusMisdirectedRequest),
		refused("absolute form with a user", "https://api.example.org@open.example.org/v1/allowed/a", http.StatusMisdirectedRequest, bad),
		refused("absolute form without a path", "https://open.example.org", http.StatusMisdirectedRequest, bad),
		refused("absolute form of a file", "file:///v1/allowed/a", bad, http.StatusMisdirectedRequest, 0),
	}
}

func keptAttacks() []attack {
	const bad, not = http.StatusBadRequest, http.StatusForbidden
	return []attack{
		passes("a permitted path", "/v1/allowed/a"),
		passes("an escaped slash within what is permitted", "/v1/allowed/a%2Fb"),
		refused("an escaped slash in place of one", "/v1%2Fallowed/a", http.StatusNotFound),
		refused("an escaped slash in the folder", "/v1/allowed%2fa", not),
		refused("dots between escaped slashes", "/v1/allowed/a%2f..%2f..%2fsecret", bad),
		refused("dots after an escaped slash", "/v1/allowed/a%2F..", bad),
		refused("escaped dots and slashes", "/v1/allowed/%2e%2e%2fsecret", bad),
		refused("dots after an escaped backslash", "/v1/allowed/a%5c..%5csecret", bad),
		refused("dots, parameters, and an escaped slash", "/v1/allowed/a%2f..;x%2fsecret", bad),
		refused("one dot after an escaped slash", "/v1/allowed/a%2f.%2fb", bad),
	}
}

func strangerAttacks() []attack {
	const not = http.StatusForbidden
	return []attack{
		passes("the public part", "/public/x"),
		passes("the public part with a query", "/public/x?y=/v1/allowed/a"),
		becomes("dots into the public part", "/v1/allowed/../../public/x", "/public/x"),
		refused("what a partner may", "/v1/allowed/a", not),
		refused("dots out of the public part", "/public/../v1/allowed/a", not),
		refused("escaped dots out of the public part", "/public/%2e%2e/v1/allowed/a", not),
		refused("an escaped slash", "/public/..%2fv1/allowed/a", http.StatusBadRequest),
		refused("parameters", "/public/..;/v1/allowed/a", http.StatusBadRequest, not),
	}
}

// atHost is a request for a host, written as header lines.
func atHost(name string, statuses []int, arrives bool, header ...string) attack {
	a := attack{name: name, payload: hosted("/v1/allowed/a", header...), statuses: statuses}
	if arrives {
		a.arrives = []string{"GET /v1/allowed/a"}
	}
	return a
}

func hostAttacks() []attack {
	misdirected := []int{http.StatusMisdirectedRequest}
	never := []int{http.StatusBadRequest, http.StatusMisdirectedRequest, 0}
	return []attack{
		atHost("the host", permitted, true, "Host: api.example.org"),
		atHost("capitals", permitted, true, "Host: API.Example.ORG"),
		atHost("a port", permitted, true, "Host: api.example.org:8443"),
		atHost("a trailing dot", permitted, true, "Host: api.example.org."),
		atHost("a trailing dot and a port", permitted, true, "Host: api.example.org.:443"),
		atHost("spaces around", permitted, true, "Host: \t api.example.org \t "),
		atHost("another entry's host", misdirected, false, "Host: open.example.org"),
		atHost("another entry's host in capitals", misdirected, false, "Host: OPEN.EXAMPLE.ORG"),
		atHost("another entry's host with a dot and a port", misdirected, false, "Host: open.example.org.:8443"),
		atHost("another entry's host that demands more", misdirected, false, "Host: strict.example.org"),
		atHost("an unknown host", misdirected, false, "Host: nowhere.example.org"),
		atHost("an address", misdirected, false, "Host: 127.0.0.1"),
		atHost("two trailing dots", never, false, "Host: api.example.org.."),
		atHost("two hosts", malformed, false, "Host: api.example.org", "Host: open.example.org"),
		atHost("the host twice", malformed, false, "Host: api.example.org", "Host: api.example.org"),
		atHost("two hosts in one line", never, false, "Host: api.example.org, open.example.org"),
		atHost("no host", never, false),
		atHost("an empty host", never, false, "Host:"),
		atHost("a host with a path", never, false, "Host: api.example.org/v1"),
		atHost("a host with a user", never, false, "Host: open.example.org@api.example.org"),
		atHost("a host with a space", never, false, "Host: api.example.org open.example.org"),
		atHost("a host with a NUL", never, false, "Host: api.example.org\x00.open.example.org"),
		atHost("a space before the colon", never, false, "Host : api.example.org"),
		atHost("a host that only ends so", misdirected, false, "Host: xapi.example.org"),
		atHost("an escaped host", never, false, "Host: %61pi.example.org"),
		{"absolute form counts, and not Host", "GET https://api.example.org/v1/allowed/a HTTP/1.1\r\nHost: open.example.org\r\nConnection: close\r\n\r\n",
			permitted, []string{"GET /v1/allowed/a"}},
		{"X-Forwarded-Host does not count", get("/v1/allowed/a", "X-Forwarded-Host: open.example.org", "X-Host: open.example.org", "Forwarded: host=open.example.org"),
			permitted, []string{"GET /v1/allowed/a"}},
	}
}

// misdirectedAttacks ask over a connection for one host for what another host serves.
func misdirectedAttacks(own string) []attack {
	var attacks []attack
	for _, host := range []string{"api.example.org", "open.example.org", "strict.example.org"} {
		if host == own {
			attacks = append(attacks, atHost("its own host", permitted, true, "Host: "+host))
			continue
		}
		attacks = append(attacks,
			atHost(host, []int{http.StatusMisdirectedRequest}, false, "Host: "+host),
			atHost(host+" in capitals, with a port", []int{http.StatusMisdirectedRequest}, false, "Host: "+strings.ToUpper(host)+":443"),
			attack{host + " in absolute form", "GET https://" + host + "/v1/allowed/a HTTP/1.1\r\nHost: " + own + "\r\nConnection: close\r\n\r\n",
				[]int{http.StatusMisdirectedRequest}, nil},
		)
	}
	return attacks
}
