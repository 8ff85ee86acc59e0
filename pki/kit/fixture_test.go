package kit

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sallyport-project/sallyport/pki/ca"
)

// estate is a gateway that asks for certificates, and the authorities on both sides.
type estate struct {
	root      *ca.Authority
	issuing   *ca.Authority
	gatewayCA *ca.Authority
	url       string
	// seen is sent the certificates of each caller, as the gateway was shown them.
	seen chan []*x509.Certificate
}

func authority(t *testing.T, options ca.Options) *ca.Authority {
	t.Helper()
	made, err := ca.Create(options)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// newEstate starts a gateway. The partners' certificates come from an issuing authority below a root.
func newEstate(t *testing.T) *estate {
	t.Helper()
	e := &estate{
		root:      authority(t, ca.Options{CommonName: "partners", PathLength: 1}),
		gatewayCA: authority(t, ca.Options{CommonName: "gateways"}),
		seen:      make(chan []*x509.Certificate, 10),
	}
	pair, err := e.root.IssueAuthority(ca.AuthorityRequest{CommonName: "partners, issuing"})
	if err != nil {
		t.Fatal(err)
	}
	if e.issuing, err = ca.LoadWith(pair.ChainPEM(), pair.PrivateKey, nil); err != nil {
		t.Fatal(err)
	}
	own, err := e.gatewayCA.Issue(ca.Request{Profile: ca.Server, DNSNames: []string{"localhost"}})
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(e.root.Certificate())
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.seen <- r.TLS.PeerCertificates
		_, _ = w.Write([]byte("welcome to " + r.URL.RequestURI()))
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{own.TLS()}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	e.url = strings.Replace(server.URL, "127.0.0.1", "localhost", 1) + "/v1/persons/A%2F1/alerts?since=2026&x=$y"
	return e
}

// issue makes a certificate for mapps, with a key.
func (e *estate) issue(t *testing.T) ca.KeyPair {
	t.Helper()
	pair, err := e.issuing.Issue(ca.Request{Profile: ca.Partner, Subject: pkix.Name{CommonName: "mapps"}})
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// config is a kit's for a key pair, whose key the partner has.
func (e *estate) config(pair ca.KeyPair) Config {
	return Config{
		Consumer: "mapps", Certificate: pair.Certificate, Chain: pair.Chain,
		GatewayCA: []*x509.Certificate{e.gatewayCA.Certificate()}, URLs: []string{e.url}, Contact: "integration-team@example.org",
	}
}

// withKey is a kit with a plain private key.
func (e *estate) withKey(t *testing.T) *Kit {
	t.Helper()
	pair := e.issue(t)
	config := e.config(pair)
	config.PrivateKey = pair.PrivateKey
	return newKit(t, config)
}

func newKit(t *testing.T, config Config) *Kit {
	t.Helper()
	made, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// data is the content of one of the kit's files.
func (k *Kit) data(name string) []byte {
	for _, f := range k.files {
		if f.name == name {
			return f.data
		}
	}
	return nil
}
