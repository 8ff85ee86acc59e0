package integration

import (
	"crypto/tls"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// says waits until a program's log holds a text.
func says(t *testing.T, p *program, text string) {
	t.Helper()
	eventually(t, "the log says "+text, func() bool { return strings.Contains(p.err.String(), text) })
}

func TestAnEmptiedFolderLeavesTheLastGoodConfigurationInForce(t *testing.T) {
	e := newEstate(t)
	p := e.startXDS()
	e.startAuthz()
	e.startEnvoy()
	revision := e.status().Revision
	if err := os.Remove(filepath.Join(e.xdsSource, "edge.yaml")); err != nil {
		t.Fatal(err)
	}
	says(t, p, "no .yaml or .yml file with a resource in it")
	if now := e.status().Revision; now != revision {
		t.Errorf("revision %s is in force, want %s", now, revision)
	}
	// A new connection: the listener is still there.
	client := e.client("mapps")
	eventually(t, "the edge serves", func() bool { code, _, _ := e.get(client, "/v1/a"); return code == http.StatusOK })
	if text := e.run("proxy", "status", "--admin-socket", e.path("xds.sock")); !strings.Contains(text, "no .yaml or .yml file") {
		t.Errorf("proxy status does not say that the folder is empty:\n%s", text)
	}
}

func TestServeTellsTheLogOfRefusedHandshakes(t *testing.T) {
	e := newEstate(t)
	xds, authz := e.startXDS(), e.startAuthz()
	partner := e.pair("mapps")
	for port, p := range map[int]*program{e.xdsPort: xds, e.authzPort: authz} {
		connection, err := tls.Dial("tcp", local(port), &tls.Config{
			// As Envoy does, it presents its certificate whatever the server asks for.
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &partner, nil },
			RootCAs:              e.pool("proxies"), ServerName: "127.0.0.1", MinVersion: tls.VersionTLS13,
		})
		if err == nil { // a client of TLS 1.3 is done before the server has judged it
			_, _ = connection.Read(make([]byte, 1))
			_ = connection.Close()
		}
		says(t, p, "a connection was refused: peer=127.0.0.1:")
		says(t, p, "certificate signed by unknown authority")
	}
}

func TestServeKeepsItsCertificateWhenTheNewOneIsNotForProxies(t *testing.T) {
	e := newEstate(t)
	p := e.startXDS()
	e.issue("proxies", "control-plane", "elsewhere", "--trust-domain", "example.net", "--ip", "127.0.0.1")
	for _, suffix := range []string{"-key.pem", ".pem"} {
		if err := os.Rename(e.path("pki", "elsewhere"+suffix), e.path("pki", "xds"+suffix)); err != nil {
			t.Fatal(err)
		}
	}
	says(t, p, "the last good certificate stays: error=\"--certificate:")
	says(t, p, "another trust domain than --trust-domain example.org")
}

func TestServeWarnsThatIssuedCertificatesAreNotKept(t *testing.T) {
	const warning = "give --state a folder"
	e := newEstate(t)
	e.configure("edge.yaml", strings.Replace(e.configuration(), `spec: {material: {certificate: "file:../pki/server.pem", private_key: "file:../pki/server-key.pem"}}`,
		`spec: {issued: {authority: internal, profile: server, dns_names: [api.example.org]}}
---
api_version: sallyport/v1
kind: Authority
metadata: {name: internal}
spec: {material: {certificate: "file:../pki/internal.pem", private_key: "file:../pki/internal-key.pem"}}`, 1))
	kept := e.serve("xds", e.xdsSource, "--xds-listen", local(e.xdsPort), "--certificate", e.path("pki", "xds.pem"),
		"--private-key", e.path("pki", "xds-key.pem"), "--state", e.path("issued"))
	kept.end(t, syscall.SIGTERM)
	if strings.Contains(kept.err.String(), warning) {
		t.Errorf("it warns although --state is given:\n%s", kept.err.String())
	}
	says(t, e.startXDS(), warning)
}

func TestServeSaysThatALaterGroupHasNoSocket(t *testing.T) {
	e := newEstate(t)
	p := e.serve("authz", e.authzSource, "--authz-listen", "", "--authz-socket-dir", e.path("sockets"))
	e.configure("inner.yaml", `
api_version: sallyport/v1
kind: Gateway
metadata: {name: inner}
spec: {group: inner, listeners: [{name: http, address: 127.0.0.1, port: 18080, plaintext: true}]}
`)
	says(t, p, "has no socket in --authz-socket-dir: restart to make it: group=inner")
}

func TestStatusOfAnAuthorizationServiceSaysWhatStaysInForce(t *testing.T) {
	e := newEstate(t)
	p := e.startAuthz()
	if err := os.Rename(e.path("pki", "partners.pem"), e.path("pki", "away.pem")); err != nil {
		t.Fatal(err)
	}
	says(t, p, "material is not as it should be")
	text := e.run("proxy", "status", "--admin-socket", e.path("authz.sock"))
	for _, want := range []string{"this server is no control plane", "its role is authz", "Truststore partners", "stays in force)"} {
		if !strings.Contains(text, want) {
			t.Errorf("proxy status does not say %q:\n%s", want, text)
		}
	}
}

func TestServeTellsEachMistakeOnceAndEndsWithoutAnError(t *testing.T) {
	e := newEstate(t)
	p := e.startXDS()
	e.write(filepath.Join(e.xdsSource, "edge.yaml"), strings.Replace(e.configuration(), "roles: [reader]", "roles: [raeder]", 1))
	const mistake = `there is no Role \"raeder\"`
	says(t, p, mistake)
	e.write(filepath.Join(e.xdsSource, "edge.yaml"), e.configuration()+"\n# mended\n")
	eventually(t, "the mistake is mended", func() bool {
		return !strings.Contains(e.run("proxy", "status", "--admin-socket", e.path("xds.sock")), "raeder")
	})
	p.end(t, syscall.SIGTERM)
	log := p.err.String()
	if told := strings.Count(log, mistake); told != 1 {
		t.Errorf("the mistake is told %d times:\n%s", told, log)
	}
	if strings.Contains(log, "nil") || !strings.Contains(log, "sallyport: ended") {
		t.Errorf("the end is not told as a good one:\n%s", log)
	}
}
