package integration

import (
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// enrolledEstate is an estate whose edge gets its certificates from a server with the role ca.
type enrolledEstate struct {
	*estate
	ca        *program
	enrolPort int
	// list is where the proxies' authority publishes.
	list string
}

// lives has the certificates of proxies be valid for a short time.
func newEnrolledEstate(t *testing.T, lives string, args ...string) *enrolledEstate {
	t.Helper()
	e := &enrolledEstate{estate: newEstate(t), enrolPort: freePort(t)}
	e.list = e.path("ca", "proxies", "crl.pem")
	e.amend("lifetimes: {proxy: " + lives + "}\n")
	e.ca = e.serve("ca", e.xdsSource, append([]string{
		"--ca-dir", e.path("ca", "proxies"), "--ca-dir", e.path("ca", "partners"), "--state", e.path("ca-state"),
		"--enrol-ca", "proxies", "--enrol-listen", local(e.enrolPort),
	}, args...)...)
	e.serve("xds", e.xdsSource, "--xds-listen", local(e.xdsPort), "--certificate", e.path("pki", "xds.pem"),
		"--private-key", e.path("pki", "xds-key.pem"), "--proxy-crl", "file:"+e.list)
	e.serve("authz", e.authzSource, "--authz-listen", local(e.authzPort), "--authz-certificate", e.path("pki", "authz.pem"),
		"--authz-private-key", e.path("pki", "authz-key.pem"), "--proxy-crl", "file:"+e.list, "--authz-connection-age", "1s")
	return e
}

// amend adds to the settings of the proxies' authority.
func (e *enrolledEstate) amend(lines string) {
	e.t.Helper()
	path := e.path("ca", "proxies", "ca.yaml")
	content, err := os.ReadFile(path)
	if err != nil {
		e.t.Fatal(err)
	}
	e.write(path, string(content)+lines)
}

// enrol gets the edge its first certificate and starts it.
func (e *enrolledEstate) enrol() {
	e.t.Helper()
	token := e.run("proxy", "token", "--admin-socket", e.path("ca.sock"), "--trust-domain", "example.org", "--group", "edge", "--name", "edge-9")
	e.write(e.path("token"), token)
	e.run("proxy", "enroll", "--token-file", e.path("token"), "--out", e.path("edge"),
		"--xds", local(e.xdsPort), "--authz", local(e.authzPort), "--admin-socket", e.path("edge.sock"))
	e.runEnvoy(e.path("edge", "bootstrap.json"))
}

// certificate is the edge's at present.
func (e *enrolledEstate) certificate() *x509.Certificate {
	e.t.Helper()
	content, err := os.ReadFile(e.path("edge", "identity.pem"))
	if err != nil {
		e.t.Fatal(err)
	}
	block, _ := pem.Decode(content)
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		e.t.Fatal(err)
	}
	return certificate
}

func TestAProxyRenewsItsCertificateWithoutARefusedRequest(t *testing.T) {
	e := newEnrolledEstate(t, "12s")
	e.enrol()
	client := e.client("mapps")
	eventually(t, "the edge serves", func() bool { code, _, _ := e.get(client, "/v1/a"); return code == http.StatusOK })
	first := e.certificate()
	daemon := start(t, e.folder, "proxy", "renew", "--dir", e.path("edge"), "--daemon")
	calls := e.loadFor(client, "/v1/a")
	eventually(t, "the first certificate has run out, and the second was renewed", func() bool {
		return time.Now().After(first.NotAfter.Add(2*time.Second)) && strings.Count(daemon.err.String(), "certificate renewed") > 1
	})
	calls.end()
	if calls.ok.Load() == 0 || calls.denied.Load()+calls.other.Load()+calls.failed.Load() > 0 {
		t.Errorf("%d answered, %d denied, %d otherwise, %d failed (%v)", calls.ok.Load(), calls.denied.Load(), calls.other.Load(), calls.failed.Load(), calls.lastFailure.Load())
	}
	if e.certificate().SerialNumber.Cmp(first.SerialNumber) == 0 {
		t.Error("the certificate is the first one")
	}
	if took := daemon.end(t, syscall.SIGTERM); daemon.failure != nil || took > 5*time.Second {
		t.Errorf("SIGTERM: %v after %s", daemon.failure, took)
	}
}

func TestARevokedProxyIsShutOut(t *testing.T) {
	e := newEnrolledEstate(t, "1h")
	e.enrol()
	client := e.client("mapps")
	eventually(t, "the edge serves", func() bool { code, _, _ := e.get(client, "/v1/a"); return code == http.StatusOK })
	daemon := start(t, e.folder, "proxy", "renew", "--dir", e.path("edge"), "--daemon")
	connected := func() bool {
		for _, proxy := range e.status().Proxies {
			if proxy.Identity == "spiffe://example.org/proxy/edge/edge-9" {
				return proxy.Connected
			}
		}
		return false
	}
	if !connected() {
		t.Fatal("the proxy is not connected")
	}
	e.run("proxy", "revoke", "edge/edge-9", "--trust-domain", "example.org", "--reason", "key_compromise", "--authority", "proxies", "--admin-socket", e.path("ca.sock"))
	eventually(t, "the stream is ended", func() bool { return !connected() })
	eventually(t, "the authorization service answers nothing", func() bool { code, _, _ := e.get(client, "/v1/a"); return code != http.StatusOK })
	for range 20 {
		if code, _, _ := e.get(client, "/v1/a"); code == http.StatusOK {
			t.Fatal("a request passed after the revocation")
		}
	}
	if connected() {
		t.Error("the proxy is connected again")
	}
	refused := start(t, e.folder, "proxy", "renew", "--dir", e.path("edge"), "--force")
	if code := refused.wait(t); code != 1 || !strings.Contains(refused.err.String(), "has been revoked") {
		t.Errorf("renewal: exit code %d: %s", code, refused.err.String())
	}
	daemon.end(t, syscall.SIGTERM)
	if text := e.run("proxy", "status", "--admin-socket", e.path("xds.sock")); !strings.Contains(text, "CN=proxies") {
		t.Errorf("proxy status does not show the list:\n%s", text)
	}
}

func TestTheRoleCAPublishesItsListBeforeItRunsOut(t *testing.T) {
	e := &enrolledEstate{estate: newEstate(t)}
	path := e.path("ca", "proxies", "ca.yaml")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	settings := strings.Replace(string(content), "list_lifetime: 7d", "list_lifetime: 1m", 1)
	e.write(path, strings.Replace(settings, "republish_ahead: 6d", "republish_ahead: 58s", 1))
	e.run("ca", "crl", "--ca", e.path("ca", "proxies"))
	e.serve("ca", e.xdsSource, "--ca-dir", e.path("ca", "proxies"))
	number := func() *big.Int {
		content, err := os.ReadFile(filepath.Join(e.path("ca", "proxies"), "crl.pem"))
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(content)
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if time.Now().After(list.NextUpdate) {
			t.Fatalf("the list ran out at %s", list.NextUpdate)
		}
		return list.Number
	}
	first := number()
	eventually(t, "two further lists", func() bool { return number().Cmp(new(big.Int).Add(first, big.NewInt(1))) > 0 })
}

func TestOneProcessFollowsItsOwnList(t *testing.T) {
	e := &enrolledEstate{estate: newEstate(t), enrolPort: freePort(t)}
	const roles = "xds,authz,ca"
	e.serve(roles, e.xdsSource, "--xds-listen", local(e.xdsPort), "--certificate", e.path("pki", "xds.pem"), "--private-key", e.path("pki", "xds-key.pem"),
		"--authz-listen", local(e.authzPort), "--authz-certificate", e.path("pki", "authz.pem"), "--authz-private-key", e.path("pki", "authz-key.pem"),
		"--ca-dir", e.path("ca", "proxies"), "--enrol-ca", "proxies", "--enrol-listen", local(e.enrolPort))
	for _, role := range []string{"ca", "xds"} { // where the helpers look
		if err := os.Symlink(e.path(roles+".sock"), e.path(role+".sock")); err != nil {
			t.Fatal(err)
		}
	}
	e.enrol()
	client := e.client("mapps")
	eventually(t, "the edge serves", func() bool { code, _, _ := e.get(client, "/v1/a"); return code == http.StatusOK })
	e.run("proxy", "revoke", "edge/edge-9", "--trust-domain", "example.org", "--admin-socket", e.path("ca.sock"))
	eventually(t, "the proxy is shut out", func() bool {
		code, _, _ := e.get(client, "/v1/a")
		return code != http.StatusOK && !e.status().Proxies[0].Connected
	})
}
