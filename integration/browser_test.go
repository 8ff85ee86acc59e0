package integration

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	exampleWithUsers = "../examples/vessel-registry"
	// browserVariable names the Chromium to be driven. A browser is much to ask of a machine, so nobody needs one unasked.
	browserVariable = "SALLYPORT_BROWSER"
	// browserPatience bounds all visits together.
	browserPatience = 5 * time.Minute
)

// What the page does is told one by one in integration/browser/app.test.mjs.
func TestTheAppInARealBrowser(t *testing.T) {
	chromium := os.Getenv(browserVariable)
	if chromium == "" {
		t.Skipf("no browser was asked for: run `make test-browser`, or name a Chromium in $%s", browserVariable)
	}
	program := installProgram(t, "browser", "browser-driver")
	port, roots := serveApp(t)
	ctx, cancel := context.WithTimeout(t.Context(), browserPatience)
	defer cancel()
	command := exec.CommandContext(ctx, "node", "--test-reporter=spec", filepath.Join(program, "app.test.mjs"))
	// It ends its Chromium.
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 30 * time.Second
	screenshots := t.ArtifactDir()
	command.Env = append(os.Environ(), "CHROMIUM="+chromium, "SCREENSHOTS="+screenshots,
		fmt.Sprintf("APP=https://app.example.org:%d/", port),
		"TRUSTED_KEYS="+keyHash(t, roots, port, "app.example.org")+","+keyHash(t, roots, port, "api.example.org"))
	begin := time.Now()
	said, err := command.CombinedOutput()
	t.Logf("%v:\n%s", time.Since(begin).Round(time.Second), said)
	if err != nil {
		t.Errorf("%v; `make test-browser` keeps what was to be seen in %s", err, screenshots)
	}
}

// serveApp runs the example with an edge at a port of its own, and returns that and the roots of its certificates.
func serveApp(t *testing.T) (port int, roots *x509.CertPool) {
	t.Helper()
	folder := shortFolder(t)
	directory, state := filepath.Join(folder, "configuration"), filepath.Join(folder, "state")
	if err := os.CopyFS(directory, os.DirFS(exampleWithUsers)); err != nil {
		t.Fatal(err)
	}
	port = freePort(t)
	edit(t, filepath.Join(directory, "gateways.yaml"), "port: 8443", fmt.Sprintf("port: %d", port))
	edit(t, filepath.Join(directory, "routes.yaml"), `"https://app.example.org:8443"`, fmt.Sprintf(`"https://app.example.org:%d"`, port))
	p := start(t, folder, "dev", "--state", state, directory)
	eventually(t, "the example is up", func() bool {
		select {
		case <-p.ended:
			t.Fatal("the example has ended")
		default:
		}
		return strings.Contains(p.out.String(), "Decisions:")
	})
	encoded, err := os.ReadFile(filepath.Join(state, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	if !roots.AppendCertsFromPEM(encoded) {
		t.Fatal("the example has no roots")
	}
	return port, roots
}

// keyHash is the hash of the public key by which the edge serves a host, as Chromium takes it. The certificate is verified
// here, so that the browser is told of no key but the edge's.
func keyHash(t *testing.T, roots *x509.CertPool, port int, host string) string {
	t.Helper()
	connection, err := tls.Dial("tcp", local(port), &tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatalf("%s: %v", host, err)
	}
	defer func() { _ = connection.Close() }()
	sum := sha256.Sum256(connection.ConnectionState().PeerCertificates[0].RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}
