package integration

import (
	"bytes"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// frames is a connection over HTTP/2 of which every frame is ours to choose.
type frames struct {
	t      *testing.T
	framer *http2.Framer
	coded  bytes.Buffer
	coder  *hpack.Encoder
	stream uint32
}

// field is one field of a header, written as it is.
type field [2]string

// frames connects and exchanges settings.
func (a *attacked) frames(t *testing.T, sni, certificate string) *frames {
	t.Helper()
	var connection, err = a.handshake(a.edgePort, sni, "h2", nil)
	if certificate != "" {
		_ = connection.Close()
		pair := a.pair(certificate)
		connection, err = a.handshake(a.edgePort, sni, "h2", &pair)
	}
	if err != nil {
		t.Fatalf("the handshake: %v", err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	if err := connection.SetDeadline(time.Now().Add(answerTime)); err != nil {
		t.Fatal(err)
	}
	if _, err := connection.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	f := &frames{t: t, framer: http2.NewFramer(connection, connection), stream: 1}
	f.framer.AllowIllegalWrites, f.framer.ReadMetaHeaders = true, hpack.NewDecoder(4096, nil)
	f.coder = hpack.NewEncoder(&f.coded)
	if err := f.framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return f
}

// headers writes a block of fields on a stream.
func (f *frames) headers(stream uint32, end bool, fields ...field) {
	f.coded.Reset()
	for _, one := range fields {
		_ = f.coder.WriteField(hpack.HeaderField{Name: one[0], Value: one[1]}) // a buffer takes everything
	}
	_ = f.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: f.coded.Bytes(), EndHeaders: true, EndStream: end})
}

// ask sends a request without a body and returns its status; 0 if the stream or the connection was ended instead.
func (f *frames) ask(fields ...field) int {
	stream := f.next()
	f.headers(stream, true, fields...)
	return f.status(stream)
}

func (f *frames) next() uint32 {
	stream := f.stream
	f.stream += 2
	return stream
}

// status waits for the answer on a stream, to its end.
func (f *frames) status(stream uint32) int {
	status := 0
	const most = 1000
	for range most {
		frame, err := f.framer.ReadFrame()
		if err != nil {
			var broken http2.StreamError
			if errors.As(err, &broken) {
				continue
			}
			return status
		}
		if _, away := frame.(*http2.GoAwayFrame); away {
			return status
		}
		if settings, ok := frame.(*http2.SettingsFrame); ok && !settings.IsAck() {
			_ = f.framer.WriteSettingsAck()
		}
		if frame.Header().StreamID != stream {
			continue
		}
		switch frame := frame.(type) {
		case *http2.RSTStreamFrame:
			return status
		case *http2.MetaHeadersFrame:
			if code, err := strconv.Atoi(frame.PseudoValue("status")); err == nil && code >= http.StatusOK {
				status = code
			}
		}
		if frame.Header().Flags.Has(http2.FlagDataEndStream) {
			return status
		}
	}
	f.t.Fatal("the answer has no end")
	return 0
}

// request are the fields of a permitted request, with some exchanged, and more behind them.
func request(exchanged map[string]string, more ...field) []field {
	fields := []field{{":method", "GET"}, {":scheme", "https"}, {":authority", "api.example.org"}, {":path", "/v1/allowed/a"}}
	for i, one := range fields {
		if value, ok := exchanged[one[0]]; ok {
			fields[i][1] = value
		}
	}
	return append(fields, more...)
}

func without(name string, fields []field) []field {
	return slices.DeleteFunc(fields, func(one field) bool { return one[0] == name })
}

type fieldAttack struct {
	name     string
	fields   []field
	statuses []int
	// arrives is what reaches the API; empty for nothing.
	arrives string
}

// TestAttackHTTP2 abuses what only HTTP/2 has. Envoy ends many of these connections only after a second, so all run at
// once, each with its name in a header.
func TestAttackHTTP2(t *testing.T) {
	a := newAttacked(t).serve()
	attacks := fieldAttacks()
	var running sync.WaitGroup
	for _, attack := range attacks {
		connection := a.frames(t, "api.example.org", "mapps")
		running.Go(func() {
			if status := connection.ask(append(attack.fields, field{attackName, attack.name})...); !slices.Contains(attack.statuses, status) {
				t.Errorf("%s: answered %d, want one of %v", attack.name, status, attack.statuses)
			}
		})
	}
	running.Wait()
	a.control(t)
	arrived := map[string]string{}
	for _, r := range a.api.take() {
		name := r.header.Get(attackName)
		if _, twice := arrived[name]; twice {
			t.Errorf("%s: more than one request arrived", name)
		}
		arrived[name] = r.method + " " + r.uri
		if got := r.header.Values("x-consumer"); !slices.Equal(got, []string{"mapps"}) || r.host != "api.example.org" {
			t.Errorf("%s: the API is told the consumers %q and the host %q", name, got, r.host)
		}
	}
	if arrived[""] != "GET /v1/allowed/control" || len(arrived) == 1 {
		t.Errorf("the controls did not arrive: %q", arrived)
	}
	for _, attack := range attacks {
		if got := arrived[attack.name]; got != attack.arrives {
			t.Errorf("%s: at the API arrived %q, want %q", attack.name, got, attack.arrives)
		}
	}
	t.Run("trailers", func(t *testing.T) { a.trailers(t) })
	t.Run("a connection shared by hosts", func(t *testing.T) { a.coalesce(t) })
}

// attackName is a header with the name of an attack.
const attackName = "x-attack"

func fieldAttacks() []fieldAttack {
	none := []int{0, http.StatusBadRequest}
	const arrives = "GET /v1/allowed/a"
	path := func(name, path string, statuses ...int) fieldAttack {
		return fieldAttack{name, request(map[string]string{":path": path}), append(statuses, none...), ""}
	}
	method := func(name, method string, statuses ...int) fieldAttack {
		return fieldAttack{name, request(map[string]string{":method": method}), append(statuses, none...), ""}
	}
	more := func(name string, fields ...field) fieldAttack {
		return fieldAttack{name, request(nil, fields...), none, ""}
	}
	return []fieldAttack{
		{"a permitted request", request(nil), permitted, arrives},
		{"the host beside the authority", request(nil, field{"host", "api.example.org"}), permitted, arrives},
		{"the host in place of the authority", without(":authority", request(nil, field{"host", "api.example.org"})), permitted, arrives},
		{"an identity of its own", request(nil, field{"x-consumer", "root"}, field{"x-consumer", "admin"}), permitted, arrives},
		{"the scheme http", request(map[string]string{":scheme": "http"}), permitted, arrives},
		{"a byte above ASCII in the path, which Envoy escapes", request(map[string]string{":path": "/v1/allowed/\xc3\xa9"}), permitted, "GET /v1/allowed/%C3%A9"},

		path("a space in the path", "/v1/allowed/a b"),
		path("a request line in the path", "/v1/allowed/a HTTP/1.1\r\nx-consumer: root\r\n\r\nGET /v1/secret/x"),
		path("a NUL in the path", "/v1/allowed/a\x00"),
		path("an empty path", ""),
		path("a path without its slash", "v1/allowed/a", http.StatusNotFound),
		path("an asterisk", "*", http.StatusNotFound),
		path("an absolute target", "https://open.example.org/v1/allowed/a", http.StatusNotFound, http.StatusMisdirectedRequest),
		path("dots", "/v1/allowed/../secret/x", http.StatusForbidden),
		path("a fragment", "/v1/allowed/a#/../../secret"),
		path("a backslash", `/v1/allowed\..\secret`, http.StatusForbidden),
		method("a method in lower case", "get", http.StatusForbidden),
		method("a method with a space", "GET /v1/secret/x HTTP/1.1"),
		method("an empty method", ""),
		method("a method with a line", "GET\r\nx: y"),
		method("TRACE", "TRACE", http.StatusMethodNotAllowed),
		method("trace", "trace", http.StatusForbidden, http.StatusMethodNotAllowed),
		method("CONNECT with a path", "CONNECT", http.StatusForbidden, http.StatusNotFound),
		{"CONNECT", []field{{":method", "CONNECT"}, {":authority", "api.example.org:443"}}, append(none, http.StatusForbidden, http.StatusNotFound), ""},
		{"extended CONNECT", request(map[string]string{":method": "CONNECT"}, field{":protocol", "websocket"}), append(none, http.StatusForbidden, http.StatusNotFound), ""},

		more("two methods", field{":method", "DELETE"}),
		more("two paths", field{":path", "/v1/secret/x"}),
		more("two authorities", field{":authority", "open.example.org"}),
		more("an unknown pseudo-header", field{":consumer", "root"}),
		more("a status in a request", field{":status", "200"}),
		more("a protocol without CONNECT", field{":protocol", "websocket"}),
		more("a pseudo-header behind a header", field{"x-a", "b"}, field{":authority", "api.example.org"}),
		more("capitals in a name", field{"X-Consumer", "root"}),
		more("an underscore in a name", field{"x_consumer", "root"}),
		more("a space in a name", field{"x-consumer ", "root"}),
		more("a colon in a name", field{"x-a: b\r\nx-consumer", "root"}),
		more("a line in a value", field{"x-a", "b\r\nx-consumer: root"}),
		more("a NUL in a value", field{"x-a", "b\x00"}),
		more("an empty name", field{"", "b"}),
		more("connection", field{"connection", "x-consumer"}),
		more("transfer-encoding", field{"transfer-encoding", "chunked"}),
		more("upgrade", field{"upgrade", "h2c"}),
		more("a length that is none", field{"content-length", "10"}),
		more("two lengths", field{"content-length", "0"}, field{"content-length", "5"}),
		more("two hosts", field{"host", "api.example.org"}, field{"host", "open.example.org"}),
		{"no path", without(":path", request(nil)), none, ""},
		{"no method", without(":method", request(nil)), none, ""},
		{"no authority and no host", without(":authority", request(nil)), append(none, http.StatusMisdirectedRequest), ""},
		{"another host beside the authority", request(nil, field{"host", "open.example.org"}), append(none, http.StatusOK), arrives},
		{"an authority with a user", request(map[string]string{":authority": "open.example.org@api.example.org"}), append(none, http.StatusMisdirectedRequest), ""},
		{"an empty authority", request(map[string]string{":authority": ""}), append(none, http.StatusMisdirectedRequest), ""},
	}
}

// trailers sends an identity behind the body.
func (a *attacked) trailers(t *testing.T) {
	const target = "/v1/allowed/t"
	a.forge(t, "POST", target, func() []int {
		f := a.frames(t, "api.example.org", "mapps")
		stream := f.next()
		f.headers(stream, false, request(map[string]string{":method": "POST", ":path": target}, field{"te", "trailers"}, field{"trailer", "x-consumer"})...)
		_ = f.framer.WriteData(stream, false, []byte("a"))
		f.headers(stream, true, field{"x-consumer", "root"}, field{"subject-distinguished-name", "CN=root"})
		return []int{f.status(stream)}
	}, true)
}

// coalesce asks on one connection for each host in turn, before and after a permitted request.
func (a *attacked) coalesce(t *testing.T) {
	for sni, certificate := range map[string]string{"api.example.org": "mapps", "open.example.org": "", "strict.example.org": "mapps"} {
		f := a.frames(t, sni, certificate)
		a.api.take()
		for _, host := range []string{sni, "api.example.org", "open.example.org", "strict.example.org", sni} {
			want := http.StatusMisdirectedRequest
			if host == sni {
				want = http.StatusOK
			}
			for _, authority := range []string{host, strings.ToUpper(host), host + ":443", host + "."} {
				if status := f.ask(request(map[string]string{":authority": authority})...); status != want {
					t.Errorf("%s over a connection for %s: %d, want %d", authority, sni, status, want)
				}
				if status := f.ask(without(":authority", request(nil, field{"host", authority}))...); status != want {
					t.Errorf("the host %s over a connection for %s: %d, want %d", authority, sni, status, want)
				}
			}
		}
		const good = 3 * 8 // twice by itself, and once in the list of all
		if seen := a.api.take(); len(seen) != good {
			t.Errorf("over a connection for %s, %d requests arrived, want %d", sni, len(seen), good)
		}
	}
}
