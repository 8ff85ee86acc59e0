package integration

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/sallyport-project/sallyport/envoy/process"
)

// estate is a deployment in small: authorities in files, a control plane and an authorization service as processes of
// their own, an edge Envoy, and an API.
type estate struct {
	t      testing.TB
	folder string
	// sources are the configurations of the control plane and the authorization service: two folders, so that one can be
	// ahead of the other.
	xdsSource, authzSource string
	// ports of the edge's listener and of the servers.
	edgePort, xdsPort, authzPort int
	api                          *api
}

// api answers with the request's path and counts.
type api struct {
	*httptest.Server
	requests atomic.Int64
}

func newEstate(t testing.TB) *estate {
	t.Helper()
	e := &estate{t: t, folder: shortFolder(t), edgePort: freePort(t), xdsPort: freePort(t), authzPort: freePort(t), api: &api{}}
	e.xdsSource, e.authzSource = e.path("xds"), e.path("authz")
	e.api.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.api.requests.Add(1)
		w.Header().Set("x-received-consumer", r.Header.Get("x-consumer"))
		_, _ = io.WriteString(w, r.RequestURI)
	}))
	t.Cleanup(e.api.Close)
	for _, name := range []string{"partners", "internal", "proxies"} {
		e.found(name)
	}
	e.issue("proxies", "control-plane", "xds", "--trust-domain", "example.org", "--ip", "127.0.0.1")
	e.issue("proxies", "authz", "authz", "--trust-domain", "example.org", "--ip", "127.0.0.1")
	e.issue("proxies", "proxy", "edge-1", "--trust-domain", "example.org", "--group", "edge")
	e.issue("internal", "server", "server", "--dns", "api.example.org")
	e.issue("partners", "client", "mapps", "--common-name", "mapps")
	e.issue("partners", "client", "nsp", "--common-name", "nsp")
	e.configure("edge.yaml", e.configuration())
	return e
}

func (e *estate) path(elements ...string) string {
	return filepath.Join(append([]string{e.folder}, elements...)...)
}

func (e *estate) run(args ...string) string {
	e.t.Helper()
	return succeed(e.t, e.folder, args...)
}

// found founds an authority: its home is ca/NAME, and its certificate and key are in pki/ too, as files to refer to.
func (e *estate) found(name string) {
	e.t.Helper()
	e.run("ca", "init", e.path("ca", name), "--name", name, "--root-only", "--unencrypted")
	for from, to := range map[string]string{"root.pem": name + ".pem", "root-key.pem": name + "-key.pem"} {
		content, err := os.ReadFile(e.path("ca", name, "1", from))
		if err != nil {
			e.t.Fatal(err)
		}
		e.write(e.path("pki", to), string(content))
	}
}

// issue makes a certificate in pki/.
func (e *estate) issue(authority, profile, name string, args ...string) {
	e.t.Helper()
	e.run(append([]string{"ca", "issue", "--ca", e.path("ca", authority), "--profile", profile, "--out", e.path("pki"), "--name", name}, args...)...)
}

// configure writes a file into both sources.
func (e *estate) configure(name, content string) {
	e.t.Helper()
	e.write(filepath.Join(e.xdsSource, name), content)
	e.write(filepath.Join(e.authzSource, name), content)
}

// write replaces a file as careful editors do: at once.
func (e *estate) write(path, content string) {
	e.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		e.t.Fatal(err)
	}
	temporary := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	if err := os.WriteFile(temporary, []byte(content), 0o600); err != nil {
		e.t.Fatal(err)
	}
	if err := os.Rename(temporary, path); err != nil {
		e.t.Fatal(err)
	}
}

// configuration is the estate's, with both consumers allowed to read everything under /v1.
func (e *estate) configuration() string {
	return fmt.Sprintf(`
api_version: sallyport/v1
kind: Truststore
metadata: {name: partners}
spec: {bundle: "file:../pki/partners.pem"}
---
api_version: sallyport/v1
kind: Certificate
metadata: {name: server}
spec: {material: {certificate: "file:../pki/server.pem", private_key: "file:../pki/server-key.pem"}}
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
    escaped_slashes: keep
    tls:
    - hostnames: [api.example.org]
      certificate: server
      client_auth: {mode: optional, truststores: [partners], on_untrusted: explain}
---
api_version: sallyport/v1
kind: Role
metadata: {name: reader}
spec: {permissions: [{routes: [api], methods: [GET], paths: ["/v1/{rest=**}"]}]}
---
api_version: sallyport/v1
kind: Consumer
metadata: {name: mapps}
spec: {certificates: [{truststore: partners, subject_common_name: mapps}], roles: [reader]}
---
api_version: sallyport/v1
kind: Consumer
metadata: {name: nsp}
spec: {certificates: [{truststore: partners, subject_common_name: nsp}]}
---
api_version: sallyport/v1
kind: Policy
metadata: {name: partners}
spec:
  authenticate: {certificate: {truststores: [partners]}}
  authorize: [{name: granted, permissions: consumer_roles}]
  forward: {headers: [{name: x-consumer, value: consumer.name}]}
  deny: {disclose: detail}
---
api_version: sallyport/v1
kind: Upstream
metadata: {name: api}
spec: {endpoints: {addresses: ["%s"]}}
---
api_version: sallyport/v1
kind: Route
metadata: {name: api}
spec:
  gateway: edge
  hostnames: [api.example.org]
  rules:
  - {name: all, match: {prefix: /v1}, upstreams: [{name: api}], policy: partners}
`, e.edgePort, strings.TrimPrefix(e.api.URL, "http://"))
}

// startXDS starts the control plane and waits until it is ready.
func (e *estate) startXDS() *program {
	e.t.Helper()
	return e.serve("xds", e.xdsSource, "--xds-listen", local(e.xdsPort), "--certificate", e.path("pki", "xds.pem"), "--private-key", e.path("pki", "xds-key.pem"))
}

// startAuthz starts the authorization service and waits until it is ready.
func (e *estate) startAuthz() *program {
	e.t.Helper()
	return e.serve("authz", e.authzSource, "--authz-listen", local(e.authzPort), "--authz-certificate", e.path("pki", "authz.pem"), "--authz-private-key", e.path("pki", "authz-key.pem"))
}

func (e *estate) serve(role, source string, args ...string) *program {
	e.t.Helper()
	health := local(freePort(e.t))
	p := start(e.t, e.folder, append([]string{
		"serve", "--roles", role, "--source", source, "--trust-domain", "example.org", "--proxy-ca", e.path("pki", "proxies.pem"),
		"--admin-socket", e.path(role + ".sock"), "--health-listen", health,
	}, args...)...)
	eventually(e.t, role+" is ready", func() bool {
		select {
		case <-p.ended:
			e.t.Fatalf("%s has ended: %s", role, p.err.String())
		default:
		}
		response, err := (&http.Client{Timeout: patience}).Get("http://" + health + "/readyz")
		if err != nil {
			return false
		}
		defer func() { _ = response.Body.Close() }()
		return response.StatusCode == http.StatusOK
	})
	return p
}

// startEnvoy starts the edge's Envoy and waits until it serves.
func (e *estate) startEnvoy() *process.Admin {
	e.t.Helper()
	admin := e.path("envoy.sock")
	bootstrap := strings.TrimSpace(e.run("bootstrap", "--trust-domain", "example.org", "--group", "edge", "--name", "edge-1",
		"--xds", local(e.xdsPort), "--authz", local(e.authzPort), "--ca", e.path("pki", "proxies.pem"),
		"--certificate", e.path("pki", "edge-1.pem"), "--private-key", e.path("pki", "edge-1-key.pem"),
		"--admin-socket", admin, "--out", e.path("envoy")))
	e.runEnvoy(bootstrap)
	return process.NewAdmin(admin)
}

// runEnvoy runs an Envoy with a bootstrap until the end of the test, and waits until the edge accepts connections.
func (e *estate) runEnvoy(bootstrap string) {
	e.t.Helper()
	p, err := process.New(process.Config{Binary: envoy, BootstrapPath: bootstrap, Name: "edge", Logger: hclog.NewNullLogger(), Concurrency: 1})
	if err != nil {
		e.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	e.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			e.t.Errorf("the Envoy: %v", err)
		}
	})
	eventually(e.t, "the edge accepts connections", func() bool {
		connection, err := net.Dial("tcp", local(e.edgePort))
		if err != nil {
			return false
		}
		_ = connection.Close()
		return true
	})
}

// client calls the edge as the named certificate in pki/, or without one, over HTTP/2.
func (e *estate) client(name string) *http.Client {
	e.t.Helper()
	settings := &tls.Config{RootCAs: e.pool("internal"), ServerName: "api.example.org"}
	if name != "" {
		settings.Certificates = []tls.Certificate{e.pair(name)}
	}
	transport := &http.Transport{TLSClientConfig: settings, ForceAttemptHTTP2: true}
	e.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

func (e *estate) pair(name string) tls.Certificate {
	e.t.Helper()
	pair, err := tls.LoadX509KeyPair(e.path("pki", name+".pem"), e.path("pki", name+"-key.pem"))
	if err != nil {
		e.t.Fatal(err)
	}
	return pair
}

func (e *estate) pool(authority string) *x509.CertPool {
	e.t.Helper()
	content, err := os.ReadFile(e.path("pki", authority+".pem"))
	if err != nil {
		e.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(content)
	return pool
}

// get asks the edge for a path; the status is 0 where no answer came.
func (e *estate) get(client *http.Client, path string) (status int, body string, err error) {
	request, err := http.NewRequest(http.MethodGet, "https://"+local(e.edgePort)+path, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	request.Host = "api.example.org"
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	return response.StatusCode, string(content), err
}

// mustGet asks the edge and demands a status.
func (e *estate) mustGet(client *http.Client, path string, want int) string {
	e.t.Helper()
	status, body, err := e.get(client, path)
	if err != nil || status != want {
		e.t.Fatalf("GET %s: status %d, want %d (%v): %s", path, status, want, err, body)
	}
	return body
}

// status is what `proxy status` of the control plane says.
func (e *estate) status() (s struct {
	Revision string
	Proxies  []struct {
		Identity, Group string
		Connected       bool
		Types           []struct {
			Type              string
			Accepted, Pending int
			Refused           []struct{ Name, Message string }
		}
	}
}) {
	e.t.Helper()
	if err := json.Unmarshal([]byte(e.run("proxy", "status", "--admin-socket", e.path("xds.sock"), "--output", "json")), &s); err != nil {
		e.t.Fatal(err)
	}
	return s
}

// givenPorts are those that freePort has given out: the system may name one twice that nobody listens on yet.
var givenPorts sync.Map

// freePort is a port of loopback that was free a moment ago, another one each time.
func freePort(t testing.TB) int {
	t.Helper()
	for {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := listener.Addr().(*net.TCPAddr).Port
		_ = listener.Close()
		if _, given := givenPorts.LoadOrStore(port, true); !given {
			return port
		}
	}
}

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// load calls the edge over and over until it is told to stop, and counts what came of it.
type load struct {
	stop              chan struct{}
	stopped           chan struct{}
	ok, denied, other atomic.Int64
	failed            atomic.Int64
	lastFailure       atomic.Value
}

// loadFor begins a load with one client, which keeps its connection, at some hundred requests a second at most.
func (e *estate) loadFor(client *http.Client, path string) *load {
	l := &load{stop: make(chan struct{}), stopped: make(chan struct{})}
	go func() {
		defer close(l.stopped)
		ticker := time.NewTicker(3 * time.Millisecond)
		defer ticker.Stop()
		const most = 20_000
		for range most {
			select {
			case <-l.stop:
				return
			case <-ticker.C:
			}
			status, _, err := e.get(client, path)
			switch {
			case err != nil:
				l.failed.Add(1)
				l.lastFailure.Store(err.Error())
			case status == http.StatusOK:
				l.ok.Add(1)
			case status == http.StatusServiceUnavailable || status == http.StatusForbidden:
				l.denied.Add(1)
			default:
				l.other.Add(1)
			}
		}
	}()
	e.t.Cleanup(l.end)
	return l
}

func (l *load) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	<-l.stopped
}
