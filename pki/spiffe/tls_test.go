package spiffe_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/pki/spiffe"
)

// issued is a certificate with its key, and those above it.
type issued struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	chain       [][]byte
}

// issue makes a certificate; a nil issuer makes it self-signed.
func issue(t *testing.T, issuer *issued, authority bool, uri string) *issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: uri},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: authority, BasicConstraintsValid: true,
	}
	if authority {
		template.KeyUsage = x509.KeyUsageCertSign
	} else {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
		template.URIs = []*url.URL{{Scheme: "spiffe", Host: "example.org", Path: uri}}
	}
	parent, signer := template, key
	var above [][]byte
	if issuer != nil {
		parent, signer, above = issuer.certificate, issuer.key, issuer.chain
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issued{certificate: certificate, key: key, chain: append([][]byte{der}, above...)}
}

func (i *issued) tls() tls.Certificate {
	return tls.Certificate{Certificate: i.chain, PrivateKey: i.key}
}

// connected are the two ends of a connection.
func connected(t *testing.T) (server, client net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	if client, err = net.Dial("tcp", listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = server.Close(), client.Close() })
	return server, client
}

func TestOnlyWhatTheAuthorityIssuedItselfIsLetIn(t *testing.T) {
	root := issue(t, nil, true, "proxies")
	below := issue(t, root, true, "somebody's authority below it")
	pool := x509.NewCertPool()
	pool.AddCert(root.certificate)
	own := issue(t, root, false, "/control-plane/one").tls()
	settings, err := spiffe.ServerTLS(spiffe.TLSConfig{
		Authorities: pool, Clock: time.Now, Certificate: func() (*tls.Certificate, error) { return &own, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		client *issued
		want   bool
	}{
		"a proxy of the authority":                {issue(t, root, false, "/proxy/edge/one"), true},
		"one of an authority below it":            {issue(t, below, false, "/proxy/edge/evil"), false},
		"one of an authority that nobody trusts":  {issue(t, nil, false, "/proxy/edge/evil"), false},
		"the authority's own certificate as leaf": {root, false},
	} {
		t.Run(name, func(t *testing.T) {
			server, client := connected(t)
			go func() {
				_ = tls.Client(client, &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{test.client.tls()}}).Handshake()
			}()
			if err := tls.Server(server, settings).Handshake(); (err == nil) != test.want {
				t.Errorf("the handshake: %v", err)
			}
		})
	}
}

func TestAnIncompleteTLSConfigurationIsRefused(t *testing.T) {
	if _, err := spiffe.ServerTLS(spiffe.TLSConfig{Clock: time.Now}); err == nil {
		t.Error("it lets anybody in")
	}
}
