package scenario

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/estate"
	"github.com/sallyport-project/sallyport/config"
)

// ports is a configuration with several listeners.
const ports = "testdata/ports/configuration.yaml"

// load reads the configuration with texts in it replaced: what stands there, and what is to stand there, in turn.
func load(t *testing.T, replacements ...string) *config.Model {
	t.Helper()
	content, err := os.ReadFile(ports)
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	for i := 0; i < len(replacements); i += 2 {
		if strings.Count(text, replacements[i]) != 1 {
			t.Fatalf("%q is not in %s once", replacements[i], ports)
		}
		text = strings.Replace(text, replacements[i], replacements[i+1], 1)
	}
	directory := t.TempDir()
	if err := os.WriteFile(filepath.Join(directory, "configuration.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	model, problems, err := config.Load(directory)
	if err != nil || model == nil {
		t.Fatal(err, problems)
	}
	return model
}

// judgeAll simulates all cases.
func judgeAll(t *testing.T, model *config.Model) []Result {
	t.Helper()
	simulator, err := NewSimulator(t.Context(), model, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	var results []Result
	for _, c := range Cases(model) {
		result, err := simulator.Run(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		results = append(results, result)
	}
	return results
}

func TestTheSimulationTakesTheListenerOfTheURLsPortAndTheHeaviestUpstream(t *testing.T) {
	for _, result := range judgeAll(t, load(t)) {
		if !result.Passed() {
			t.Errorf("%s: %s", result.Case.Spec.GetName(), result.Mismatches)
		}
	}
}

func TestTheURLsPortChoosesTheListenerThatIsConfiguredWithIt(t *testing.T) {
	moved := func(l *config.Listener) uint32 { return l.Port + 1000 }
	for url, want := range map[string][2]string{ // with listeners as configured, and moved by a thousand
		"https://x.example.org/":      {"first", "first"},
		"https://x.example.org:80/":   {"second", "first"},
		"https://x.example.org:1080/": {"first", "second"},
		"https://x.example.org:8080/": {"first", "first"}, // another scheme's
		"https://elsewhere.test:80/":  {"second", "first"},
		"http://x.example.org:80/":    {"plain", "plain"},
	} {
		c := Cases(load(t, "https://x.example.org:80/a%2Fb", url))[0]
		if got := [2]string{Target(c, estate.AsConfigured).Name, Target(c, moved).Name}; got != want {
			t.Errorf("%s goes to %s, want %s", url, got, want)
		}
	}
}

func TestACaseThatNoListenerCanTakeIsAMistakeWithItsPlace(t *testing.T) {
	problems := Unserved(load(t, "  - {name: plain, address: 0.0.0.0, port: 8080, plaintext: true}\n", ""))
	if len(problems) != 1 || problems[0].Origin.Line == 0 ||
		!strings.HasSuffix(problems[0].Error(), `error: request.url: the Gateway "edge" has no listener in plaintext, which http:// needs`) {
		t.Errorf("problems: %v", problems)
	}
	if problems := Unserved(load(t)); len(problems) > 0 {
		t.Errorf("problems: %v", problems)
	}
}

// inPlaintext is the case that goes to the plaintext listener, at this address.
func inPlaintext(t *testing.T, address net.Addr) *config.TestCase {
	t.Helper()
	c := Cases(load(t))[3]
	host, port, err := net.SplitHostPort(address.String())
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	l := Target(c, estate.AsConfigured)
	l.Address, l.Port = host, uint32(number)
	return c
}

// listen listens on a free port of loopback, and does this with each connection.
func listen(t *testing.T, serve func(net.Conn)) net.Listener {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			serve(connection)
		}
	}()
	return listener
}

var live = &Live{Ports: estate.AsConfigured, Clock: time.Now, Reached: func() int64 { return 0 }}

func TestACaseThatCannotBeJudgedFailsAndTheOthersAreJudged(t *testing.T) {
	closed := listen(t, func(net.Conn) {})
	_ = closed.Close() // nobody is there
	result, err := live.Run(t.Context(), inPlaintext(t, closed.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	var table bytes.Buffer
	if err := WriteTable(&table, append(judgeAll(t, load(t)), result)); err != nil {
		t.Fatal(err)
	}
	for _, expected := range []string{"FAIL", "200       error", "it could not be judged: dial tcp", "4 passed, 1 failed"} {
		if !strings.Contains(table.String(), expected) {
			t.Errorf("%q is not in:\n%s", expected, table.String())
		}
	}
}

func TestAConnectionThatIsClosedIsARefusal(t *testing.T) {
	listener := listen(t, func(c net.Conn) { _ = c.Close() })
	result, err := live.Run(t.Context(), inPlaintext(t, listener.Addr()))
	if err != nil || !result.Outcome.Refused || result.Outcome.Why != "the connection was closed" {
		t.Errorf("outcome %+v, %v", result.Outcome, err)
	}
}

func TestACaseEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	listener := listen(t, func(net.Conn) { cancel() }) // and never answers
	begin := time.Now()
	if _, err := live.Run(ctx, inPlaintext(t, listener.Addr())); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if took := time.Since(begin); took > requestTimeout/2 {
		t.Errorf("it took %v", took)
	}
}

func TestTheTableTellsHostsApartAndCutsNothingOff(t *testing.T) {
	long := strings.Repeat("ä", 2*mostWhy)
	c := Cases(load(t))[0]
	var table bytes.Buffer
	if err := WriteTable(&table, []Result{{Case: c, Outcome: Outcome{Status: 403, Why: long}}}); err != nil {
		t.Fatal(err)
	}
	for _, expected := range []string{"GET x.example.org:80/a%2Fb ", long} {
		if !strings.Contains(table.String(), expected) {
			t.Errorf("%q is not in:\n%s", expected, table.String())
		}
	}
	if got := []rune(why(Outcome{Why: long}, mostWhy)); len(got) != mostWhy || got[mostWhy-1] != '…' || got[mostWhy-2] != 'ä' {
		t.Errorf("for a terminal it is %q", string(got))
	}
}

func TestOnlyAnEndOfTheOthersDoingIsARefusal(t *testing.T) {
	broken := &net.OpError{Op: "write", Err: os.NewSyscallError("write", syscall.EPIPE)}
	for err, want := range map[error]string{
		nil:                    "",
		broken:                 "the connection was closed",
		io.ErrUnexpectedEOF:    "the connection was closed",
		os.ErrDeadlineExceeded: "",
		net.ErrClosed:          "",
	} {
		if got, refused := refusal(err); got != want || refused != (want != "") {
			t.Errorf("%v: %q, %t", err, got, refused)
		}
	}
}

func TestWhyIsThatOfTheGatewayThatRefused(t *testing.T) {
	allowed := &policy.Decision{Allowed: true, Reason: "everyone", Detail: `the rule "users" lets everyone in`}
	denied := &policy.Decision{Reason: reason.TokenRoleMissing, Detail: "the token has none of the roles"}
	edge := estate.Passage{Hop: hopTo("edge"), Decision: allowed, Upstream: &config.Upstream{}}
	sidecar := hopTo("sidecar")
	for name, c := range map[string]struct {
		passages     []estate.Passage
		reason, want string
	}{
		"the first one": {
			[]estate.Passage{{Hop: hopTo("edge"), Decision: denied, Status: http.StatusForbidden}},
			"token_role_missing", "token_role_missing: the token has none of the roles",
		},
		"the one behind it": {
			[]estate.Passage{edge, {Hop: sidecar, Decision: denied, Status: http.StatusForbidden}},
			"everyone", "sidecar: token_role_missing: the token has none of the roles",
		},
		"the one behind it, in the handshake": {
			[]estate.Passage{edge, {Hop: sidecar, Refused: "the certificate is not trusted"}},
			"everyone", "sidecar: the certificate is not trusted",
		},
		"none": {
			[]estate.Passage{edge, {Hop: sidecar, Decision: allowed}},
			"everyone", `everyone: the rule "users" lets everyone in`,
		},
	} {
		outcome := outcomeOf(c.passages)
		if got := why(outcome, math.MaxInt); got != c.want || outcome.Reason != c.reason {
			t.Errorf("%s: %q, for the reason %q", name, got, outcome.Reason)
		}
	}
}

func hopTo(gateway string) estate.Hop {
	return estate.Hop{Listener: &config.Listener{Gateway: &config.Gateway{Header: config.Header{Name: gateway}}}}
}

func TestWhyIsThatOfTheGatewayThatRefusedALiveRequest(t *testing.T) {
	first := Decision{Gateway: "edge", Reason: "everyone", Detail: "everyone is let in", Upstream: "registry", Allowed: true}
	for name, c := range map[string]struct {
		allowed, denied bool
		want            string
	}{
		"behind the first one": {true, true, "sidecar: scope_missing: the token has no scope"},
		"none of ours":         {true, false, "everyone: everyone is let in"},
		"the first one":        {false, true, "everyone: everyone is let in"},
	} {
		listener := listen(t, func(conn net.Conn) {
			defer func() { _ = conn.Close() }()
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				_, _ = io.WriteString(conn, "HTTP/1.1 403 Forbidden\r\nx-request-id: 1\r\ncontent-length: 0\r\n\r\n")
			}
		})
		begin := time.Now()
		l := *live
		l.Decision = func(context.Context, string, string) (Decision, bool) {
			decision := first
			decision.Allowed = c.allowed
			return decision, true
		}
		l.Denial = func(gateway string, since time.Time) (Decision, bool) {
			if gateway != "edge" || since.Before(begin) {
				t.Errorf("%s: asked for denials at others than %s since %v", name, gateway, since)
			}
			return Decision{Gateway: "sidecar", Reason: "scope_missing", Detail: "the token has no scope"}, c.denied
		}
		result, err := l.Run(t.Context(), inPlaintext(t, listener.Addr()))
		if got := why(result.Outcome, math.MaxInt); err != nil || got != c.want || result.Outcome.Reason != "everyone" {
			t.Errorf("%s: %q, for the reason %q, %v", name, got, result.Outcome.Reason, err)
		}
	}
}
