package kit

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"flag"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport-project/sallyport/pki/ca"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestTheReadmeReadsLikeItsGoldenFile(t *testing.T) {
	leaf := &x509.Certificate{
		Raw: []byte("a certificate"), SerialNumber: big.NewInt(0x2a4b6c), Subject: pkix.Name{CommonName: "mapps"}, Issuer: pkix.Name{CommonName: "partner | `ca`\n"},
		NotBefore: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), NotAfter: time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC),
		CRLDistributionPoints: []string{"http://crl.example.org/partners.crl"},
	}
	short := *leaf
	short.NotAfter, short.CRLDistributionPoints = leaf.NotBefore.Add(8*24*time.Hour), nil
	private := Config{
		Consumer: "mapps", Certificate: leaf, Chain: []*x509.Certificate{leaf}, GatewayCA: []*x509.Certificate{leaf},
		URLs: []string{"https://api.example.org/v1/persons/1/alerts", "https://events.example.org:8443/"}, Contact: "integration-team@example.org",
	}
	public := Config{Consumer: "nsp", Certificate: &short, URLs: []string{"https://api.example.org/v1/status"}}
	for name, c := range map[string]struct {
		config   Config
		delivery delivery
	}{
		"key-at-partner": {private, keyAtPartner}, "pkcs12": {private, keyInPKCS12}, "key-in-kit-public-authority": {public, keyInKit},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.config.readme(c.delivery)
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", "readme-"+name+".md")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if difference := cmp.Diff(string(want), string(got)); difference != "" {
				t.Errorf("run with -update, and read what changed (-want +got):\n%s", difference)
			}
		})
	}
}

// TestTheLinesOfTheReadmeWork runs every line for a shell and for Python, in the order of the README, in the folder of a kit.
// It needs bash, curl, openssl and python3.
func TestTheLinesOfTheReadmeWork(t *testing.T) {
	e := newEstate(t)
	pair := e.issue(t)
	t.Run("with a key that the partner made", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "mapps")
		if err := newKit(t, e.config(pair)).Write(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, PrivateKeyFile), pair.PrivateKeyPEM, 0o600); err != nil {
			t.Fatal(err)
		}
		e.follow(t, dir, "a password of the partner's")
	})
	t.Run("with a PKCS#12 file", func(t *testing.T) {
		config := e.config(pair)
		config.PrivateKey = pair.PrivateKey
		encrypted, password, err := newKit(t, config).PKCS12()
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), "mapps")
		if err := encrypted.Write(dir); err != nil {
			t.Fatal(err)
		}
		e.follow(t, dir, password)
	})
}

var block = regexp.MustCompile("(?s)\n```(sh|python)\n(.*?)```\n")

// follow does what the README in a folder says.
func (e *estate) follow(t *testing.T, dir, password string) {
	t.Helper()
	readme, err := os.ReadFile(filepath.Join(dir, ReadmeFile))
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	for _, found := range block.FindAllStringSubmatch(string(readme), -1) {
		command := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", found[2])
		if found[1] == "python" {
			command = exec.CommandContext(t.Context(), "python3", "-c", found[2])
		}
		command.Dir = dir
		command.Env = append(os.Environ(), "CREDENTIALS_PASSWORD="+password)
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%s\n%s\nends with %v", found[2], out, err)
		}
		if !strings.Contains(found[2], "/v1/persons") {
			continue
		}
		calls++
		if !strings.Contains(string(out), "welcome to /v1/persons/A%2F1/alerts?since=2026&x=$y") {
			t.Errorf("%s\nprints\n%s", found[2], out)
		}
		if shown := <-e.seen; len(shown) != 2 || shown[0].Subject.CommonName != "mapps" {
			t.Errorf("%s\nshows %d certificates", found[2], len(shown))
		}
	}
	if calls != 3 { // curl, openssl, Python
		t.Errorf("%d blocks of the README call the gateway", calls)
	}
	request, err := os.ReadFile(filepath.Join(dir, "mapps.csr"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ca.ParseCertificateRequest(request); err != nil {
		t.Errorf("the request for renewal: %v", err)
	}
	for _, name := range []string{"private-key-new.pem", CredentialsFile} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has the mode %v, %v", name, info.Mode(), err)
		}
	}
}
