package integration

import (
	"bufio"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/envoy/process"
)

// guarded is an estate with a TLS entry, a truststore, a route and two consumers for each demand on certificates that is
// tested, all behind one proxy. It is judged at the API.
type guarded struct {
	*attacked
	entries []entry
	authz   *program
	envoy   *process.Admin
	// addresses is what certificates name as the places of lists and issuers: nobody may call there.
	addresses *unvisited
}

// entry is one of the TLS entries. NAME.example.org is its host; the truststore has its name, and the consumers are
// mapps-NAME and nsp-NAME, by the common names mapps and nsp.
type entry struct {
	name string
	// truststore is the specification in YAML's flow style.
	truststore string
	// refuse has strangers refused in the handshake.
	refuse bool
}

// area is a part of what is tested: the entries that it needs, and the test.
type area struct {
	name    string
	entries []entry
	test    func(*testing.T, *guarded)
}

// steady is the entry that every control goes to.
const steady = "steady"

// TestSecurityAtTheGateway tests what the gateway makes of certificates. Every case that must be refused is followed by one
// that must pass.
func TestSecurityAtTheGateway(t *testing.T) {
	g := &guarded{attacked: &attacked{estate: newEstate(t), api: newWitness(t)}, addresses: newUnvisited(t)}
	g.entries = []entry{{name: steady, truststore: `{bundle: "file:../pki/partners.pem"}`}}
	areas := []area{listsAtStart(g), listsReplaced(g), listsHeld(g), chains(g), manifests(g), issuance(g), addresses(g), windows(g), development(g)}
	for _, a := range areas {
		g.entries = append(g.entries, a.entries...)
	}
	g.serveEntries()
	for _, a := range areas {
		t.Run(a.name, func(t *testing.T) { a.test(t, g) })
	}
	if calls := g.addresses.calls(); calls > 0 {
		t.Errorf("%d connections were made to addresses that stand in certificates", calls)
	}
}

// serveEntries writes the configuration, starts everything and waits until the control passes.
func (g *guarded) serveEntries() {
	g.t.Helper()
	names := []string{}
	for _, e := range g.entries {
		names = append(names, "--dns", e.host())
	}
	g.issue("internal", "server", "entries", names...)
	g.configure("edge.yaml", g.configuration())
	g.startXDS()
	g.startDeciding()
	g.envoy = g.startEnvoy()
	control := g.pair("mapps")
	eventually(g.t, "the edge serves", func() bool { return g.ask(steady, &control).status == http.StatusOK })
	g.api.take()
}

// startDeciding starts the authorization service, which keeps what it has seen over a restart.
func (g *guarded) startDeciding() {
	g.t.Helper()
	g.authz = g.estate.serve("authz", g.authzSource, "--authz-listen", local(g.authzPort), "--authz-certificate", g.path("pki", "authz.pem"),
		"--authz-private-key", g.path("pki", "authz-key.pem"), "--state", g.path("state-authz"))
}

func (e entry) host() string { return e.name + ".example.org" }

func (g *guarded) configuration() string {
	var b strings.Builder
	document := func(kind, name, spec string) {
		fmt.Fprintf(&b, "---\napi_version: sallyport/v1\nkind: %s\nmetadata: {name: %s}\nspec: %s\n", kind, name, spec)
	}
	document("Certificate", "entries", `{material: {certificate: "file:../pki/entries.pem", private_key: "file:../pki/entries-key.pem"}}`)
	document("Upstream", "api", fmt.Sprintf("{endpoints: {addresses: [%q]}}", g.api.Listener.Addr().String()))
	var entries strings.Builder
	for _, e := range g.entries {
		mode := "mode: optional, on_untrusted: explain"
		if e.refuse {
			mode = "mode: required, on_untrusted: refuse"
		}
		fmt.Fprintf(&entries, "\n    - {hostnames: [%s], certificate: entries, client_auth: {%s, truststores: [%s]}}", e.host(), mode, e.name)
		document("Truststore", e.name, e.truststore)
		for _, name := range []string{"mapps", "nsp"} {
			document("Consumer", name+"-"+e.name, fmt.Sprintf("{certificates: [{truststore: %s, subject_common_name: %s}]}", e.name, name))
		}
		document("Policy", e.name, fmt.Sprintf(`
  authenticate: {certificate: {truststores: [%s]}}
  authorize: [{name: known, consumers: [mapps-%[1]s, nsp-%[1]s]}]
  forward: {headers: [{name: x-consumer, value: consumer.name}]}
  deny: {disclose: detail}`, e.name))
		document("Route", e.name, fmt.Sprintf("{gateway: edge, hostnames: [%s], rules: [{name: all, match: {prefix: /}, upstreams: [{name: api}], policy: %s}]}", e.host(), e.name))
	}
	document("Gateway", "edge", fmt.Sprintf(`
  group: edge
  authorization: {timeout: 2s}
  listeners:
  - name: https
    address: 127.0.0.1
    port: %d
    escaped_slashes: reject
    tls:%s`, g.edgePort, entries.String()))
	return b.String()
}

// answered is what came of a request. The status is 0 where the handshake was refused, or no answer came.
type answered struct {
	status int
	body   string
}

// ask calls an entry on a new connection over HTTP/1.1.
func (g *guarded) ask(name string, pair *tls.Certificate, header ...string) answered {
	g.t.Helper()
	host := entry{name: name}.host()
	connection, err := g.handshake(g.edgePort, host, "http/1.1", pair)
	if err != nil {
		return answered{}
	}
	defer func() { _ = connection.Close() }()
	if err := connection.SetDeadline(time.Now().Add(answerTime)); err != nil {
		g.t.Fatal(err)
	}
	payload := strings.Replace(get("/v1/a", header...), "api.example.org", host, 1)
	if _, err := io.WriteString(connection, payload); err != nil {
		return answered{}
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		return answered{}
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return answered{}
	}
	return answered{response.StatusCode, string(body)}
}

// What may come of a case.
var (
	letIn = outcome{statuses: []int{http.StatusOK}}
	// shutOut is an entry that nobody can be verified at, in the handshake or later.
	shutOut     = outcome{statuses: []int{0, http.StatusServiceUnavailable}}
	ourFault    = outcome{statuses: []int{http.StatusServiceUnavailable}}
	isRevoked   = isDenied("certificate_revoked")
	isUntrusted = isDenied("certificate_untrusted")
)

// outcome is what must come of a request.
type outcome struct {
	statuses []int
	// reason of a denial, as the caller is told it.
	reason string
}

func isDenied(reason string) outcome { return outcome{[]int{http.StatusForbidden}, reason} }

// attempt is a certificate at an entry, and what must come of it.
type attempt struct {
	name, entry string
	pair        *tls.Certificate
	header      []string
	outcome
}

// judge makes attempts. Where one must pass, exactly it arrives at the API, as its consumer; where not, nothing does. After
// each refusal, the control passes.
func (g *guarded) judge(t *testing.T, attempts []attempt) {
	t.Helper()
	control := g.pair("mapps")
	for _, a := range attempts {
		g.api.take()
		got := g.ask(a.entry, a.pair, a.header...)
		seen := g.api.take()
		if !slices.Contains(a.statuses, got.status) || !strings.Contains(got.body, a.reason) {
			t.Errorf("%s, at %s: answered %d %s, want %v %s", a.name, a.entry, got.status, got.body, a.statuses, a.reason)
		}
		if slices.Equal(a.statuses, letIn.statuses) {
			g.arrived(t, a.name, seen, a.entry)
			continue
		}
		if len(seen) > 0 {
			t.Errorf("%s, at %s: at the API arrived %q", a.name, a.entry, lines(seen))
		}
		if got := g.ask(steady, &control); got.status != http.StatusOK {
			t.Errorf("after %s, at %s: the control is answered %d %s", a.name, a.entry, got.status, got.body)
		}
		g.arrived(t, "the control after "+a.name, g.api.take(), steady)
	}
}

// arrived demands that one request arrived, as the consumer mapps of the entry, and without what the proxy says of chains.
func (g *guarded) arrived(t *testing.T, what string, seen []received, entry string) {
	t.Helper()
	if len(seen) != 1 {
		t.Errorf("%s: at the API arrived %q", what, lines(seen))
		return
	}
	if got := seen[0].header.Values("x-consumer"); !slices.Equal(got, []string{"mapps-" + entry}) {
		t.Errorf("%s: the API is told the consumer %q, want mapps-%s", what, got, entry)
	}
	if got, found := seen[0].header["X-Forwarded-Client-Cert"]; found {
		t.Errorf("%s: the API is sent X-Forwarded-Client-Cert: %q", what, got)
	}
}

// publish writes a file of pki/.
func (g *guarded) publish(name string, content []byte) {
	g.t.Helper()
	g.write(g.path("pki", name), string(content))
}

// publishAuthorities writes the certificates of authorities as a bundle.
func (g *guarded) publishAuthorities(name string, authorities ...tls.Certificate) []byte {
	g.t.Helper()
	bundle := bundleOf(authorities...)
	g.publish(name, bundle)
	return bundle
}

func bundleOf(authorities ...tls.Certificate) []byte {
	var bundle []byte
	for _, a := range authorities {
		bundle = append(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate[0]})...)
	}
	return bundle
}

// told waits until the authorization service's status says all the texts.
func (g *guarded) told(t *testing.T, texts ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("the status says %q", texts), func() bool {
		status := g.run("proxy", "status", "--admin-socket", g.path("authz.sock"))
		return !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(status, text) })
	})
}

// unvisited is an address on loopback where nobody may call.
type unvisited struct {
	net.Listener
	counted chan int
}

func newUnvisited(t *testing.T) *unvisited {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &unvisited{listener, make(chan int, 1)}
	go func() {
		count := 0
		for {
			connection, err := listener.Accept()
			if err != nil {
				u.counted <- count
				return
			}
			count++
			_ = connection.Close()
		}
	}()
	t.Cleanup(func() { _ = listener.Close() })
	return u
}

// url is of something that would be there.
func (u *unvisited) url(path string) string { return "http://" + u.Addr().String() + path }

// calls ends the listening, and returns how often somebody called.
func (u *unvisited) calls() int {
	_ = u.Close()
	return <-u.counted
}

// fingerprint is the SHA-256 of a certificate, as logs have it.
func fingerprint(pair *tls.Certificate) string {
	sum := sha256.Sum256(pair.Certificate[0])
	return hex.EncodeToString(sum[:])
}
