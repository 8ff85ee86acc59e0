package server

import (
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/spiffe"
)

// noon is when these tests take place.
var noon = time.Date(2030, 6, 1, 12, 0, 0, 0, time.UTC)

func clock() time.Time { return noon }

func newAuthority(t *testing.T, name string) *ca.Authority {
	t.Helper()
	authority, err := ca.Create(ca.Options{CommonName: name, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

// controlPlane asks for a certificate that proxies of example.org accept.
func controlPlane() ca.Request {
	return ca.Request{Profile: ca.Service, URIs: []string{"spiffe://example.org/control-plane/main"}, Lifetime: time.Hour}
}

// writePair puts a new key pair in place of what the files in a folder hold.
func writePair(t *testing.T, folder string, by *ca.Authority, request ca.Request) {
	t.Helper()
	pair, err := by.Issue(request)
	if err != nil {
		t.Fatal(err)
	}
	files := ca.FilesIn(folder, "own")
	for path, content := range map[string][]byte{files.Certificate: pair.CertificatePEM, files.PrivateKey: pair.PrivateKeyPEM} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// settings are for the pair in a folder, of the control plane of example.org.
func settings(folder string, authority *ca.Authority) ownCertificateConfig {
	pool := x509.NewCertPool()
	pool.AddCert(authority.Certificate())
	files := ca.FilesIn(folder, "own")
	return ownCertificateConfig{
		Certificate: files.Certificate, CertificateFlag: "--certificate", Key: files.PrivateKey, KeyFlag: "--private-key",
		Kind: spiffe.ControlPlane, TrustDomain: "example.org", Authorities: pool, Clock: clock, Logger: hclog.NewNullLogger(),
	}
}

func TestACertificateThatNoProxyWouldAcceptIsRefusedByTheNameOfItsFlag(t *testing.T) {
	proxies, others := newAuthority(t, "proxies"), newAuthority(t, "others")
	for name, test := range map[string]struct {
		by     *ca.Authority
		change func(*ca.Request)
		want   string
	}{
		"a good one":           {proxies, func(*ca.Request) {}, ""},
		"another kind":         {proxies, func(r *ca.Request) { r.URIs = []string{"spiffe://example.org/authz/main"} }, "of the kind authz; `sallyport ca issue --profile control-plane`"},
		"a proxy's":            {proxies, func(r *ca.Request) { r.Profile, r.URIs = ca.Proxy, []string{"spiffe://example.org/proxy/edge/a"} }, "of the kind proxy"},
		"another trust domain": {proxies, func(r *ca.Request) { r.URIs = []string{"spiffe://example.net/control-plane/main"} }, "another trust domain than --trust-domain example.org"},
		"no identity":          {proxies, func(r *ca.Request) { *r = ca.Request{Profile: ca.Server, DNSNames: []string{"xds.internal"}} }, "0 URI SANs"},
		"not for servers":      {proxies, func(r *ca.Request) { r.Usages = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, "not a server's certificate of --proxy-ca"},
		"of another authority": {others, func(*ca.Request) {}, "not a server's certificate of --proxy-ca"},
		"one that is not yet due": {proxies, func(r *ca.Request) {
			r.Validity = &ca.Validity{NotBefore: noon.Add(time.Hour), NotAfter: noon.Add(2 * time.Hour)}
		}, "not yet valid"},
		"one that has expired": {proxies, func(r *ca.Request) {
			r.Validity = &ca.Validity{NotBefore: noon.Add(-2 * time.Hour), NotAfter: noon.Add(-time.Hour)}
		}, "expired"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			request := controlPlane()
			test.change(&request)
			writePair(t, folder, test.by, request)
			_, err := newOwnCertificate(settings(folder, proxies))
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var wrong *FlagError
			if !errors.As(err, &wrong) || wrong.Flag != "--certificate" || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one of --certificate with %q", err, test.want)
			}
		})
	}
}

func TestAPairThatCannotBeUsedLeavesTheLastGoodOneInForce(t *testing.T) {
	proxies := newAuthority(t, "proxies")
	folder := t.TempDir()
	writePair(t, folder, proxies, controlPlane())
	own, err := newOwnCertificate(settings(folder, proxies))
	if err != nil {
		t.Fatal(err)
	}
	before, _ := own.Get()

	writePair(t, folder, newAuthority(t, "others"), controlPlane())
	if err := own.read(); err == nil {
		t.Error("a certificate of another authority is taken")
	}
	if now, _ := own.Get(); now != before {
		t.Error("the certificate in force is another than the last good one")
	}
	writePair(t, folder, proxies, controlPlane())
	if err := own.read(); err != nil {
		t.Error(err)
	}
	if now, _ := own.Get(); now == before {
		t.Error("the new certificate is not in force")
	}
}

func TestFilesThatAreMissingAreNamedByTheirFlags(t *testing.T) {
	proxies := newAuthority(t, "proxies")
	folder := t.TempDir()
	writePair(t, folder, proxies, controlPlane())
	for flag, change := range map[string]func(*ownCertificateConfig, string){
		"--certificate": func(c *ownCertificateConfig, path string) { c.Certificate = path },
		"--private-key": func(c *ownCertificateConfig, path string) { c.Key = path },
	} {
		given := settings(folder, proxies)
		change(&given, filepath.Join(folder, "nope.pem"))
		_, err := newOwnCertificate(given)
		if wrong := (*FlagError)(nil); !errors.As(err, &wrong) || wrong.Flag != flag {
			t.Errorf("error %v, want one of %s", err, flag)
		}
	}
}
