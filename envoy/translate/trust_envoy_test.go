package translate_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/envoy/translate"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/inventory"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// trusting is a configuration whose callers send intermediates, or are held against lists.
const trusting = `
api_version: sallyport/v1
kind: Gateway
metadata: {name: edge}
spec:
  group: edge
  authorization: {timeout: 2s}
  listeners:
  - name: https
    address: 127.0.0.1
    port: %[1]d
    tls:
    - {hostnames: [chained.example.org], certificate: server, client_auth: {mode: optional, truststores: [chained]}}
    - {hostnames: [listed.example.org], certificate: server, client_auth: {mode: required, truststores: [listed]}}
---
api_version: sallyport/v1
kind: Certificate
metadata: {name: server}
spec: {material: {certificate: "file:s.pem", private_key: "file:s-key.pem"}}
---
api_version: sallyport/v1
kind: Truststore
metadata: {name: chained}
spec: {bundle: "file:root.pem", intermediates: {from_caller: true}}
---
api_version: sallyport/v1
kind: Truststore
metadata: {name: listed}
spec: {bundle: "file:both.pem", revocation: {lists: ["file:root.crl", "file:issuing.crl"]}}
`

// hierarchy is a root with an issuing authority below it.
type hierarchy struct {
	*testing.T
	root, issuing *ca.Authority
}

func newHierarchy(t *testing.T) *hierarchy {
	t.Helper()
	root, err := ca.Create(ca.Options{CommonName: "root", PathLength: 1})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := root.IssueAuthority(ca.AuthorityRequest{CommonName: "issuing"})
	if err != nil {
		t.Fatal(err)
	}
	issuing, err := ca.Load(pair.CertificatePEM, pair.PrivateKeyPEM, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &hierarchy{t, root, issuing}
}

// client issues a certificate that is presented with the issuing authority's beside it.
func (h *hierarchy) client(name string) ca.KeyPair {
	h.Helper()
	pair, err := h.issuing.Issue(ca.Request{Profile: ca.Client, Subject: pkix.Name{CommonName: name}})
	if err != nil {
		h.Fatal(err)
	}
	return pair
}

func (h *hierarchy) tls(pair ca.KeyPair, beside ...*ca.Authority) tls.Certificate {
	presented := tls.Certificate{Certificate: [][]byte{pair.Certificate.Raw}, PrivateKey: pair.PrivateKey}
	for _, authority := range beside {
		presented.Certificate = append(presented.Certificate, authority.Certificate().Raw)
	}
	return presented
}

func (h *hierarchy) list(by *ca.Authority, revoked ...ca.KeyPair) []byte {
	h.Helper()
	now := time.Now()
	list := ca.RevocationList{Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.Add(time.Hour)}
	for _, pair := range revoked {
		list.Entries = append(list.Entries, ca.Revoked{Serial: pair.Certificate.SerialNumber, Time: now, Reason: ca.Superseded})
	}
	der, err := by.SignRevocationList(list)
	if err != nil {
		h.Fatal(err)
	}
	return ca.EncodeRevocationList(der)
}

// truststores are those of the configuration, as the inventory makes them of files.
func (h *hierarchy) truststores(model *config.Model, revoked ...ca.KeyPair) map[string]*inventory.Truststore {
	h.Helper()
	directory := h.TempDir()
	for name, content := range map[string][]byte{
		"root.pem": h.root.CertificatePEM(), "both.pem": slices.Concat(h.root.CertificatePEM(), h.issuing.CertificatePEM()),
		"root.crl": h.list(h.root), "issuing.crl": h.list(h.issuing, revoked...),
	} {
		if err := os.WriteFile(filepath.Join(directory, name), content, 0o600); err != nil {
			h.Fatal(err)
		}
	}
	keeper, err := inventory.New(inventory.Config{Base: directory, TruststoresOnly: true})
	if err != nil {
		h.Fatal(err)
	}
	specs := inventory.Specs{Truststores: map[string]*sallyportv1.TruststoreSpec{}}
	for _, truststore := range model.Truststores() {
		specs.Truststores[truststore.Name] = truststore.Spec
	}
	snapshot := keeper.Apply(context.Background(), specs)
	for _, problem := range snapshot.Problems {
		h.Error(problem)
	}
	return snapshot.Truststores
}

func TestEnvoyVerifiesByListsAndPassesIntermediatesOn(t *testing.T) {
	h := newHierarchy(t)
	good, revoked := h.client("good"), h.client("revoked")
	e := &edge{T: t, port: freePort(t), internal: newIssuer(t, "internal"), authorizer: &authorizer{}}
	model := build(t, fmt.Sprintf(trusting, e.port))
	material := &inventory.Snapshot{
		Truststores:  h.truststores(model, revoked),
		Certificates: map[string]*inventory.KeyPair{"server": inForce(e.internal.server("*.example.org"))},
	}
	authorization, _ := serveAuthorizer(t, e.authorizer)
	runEnvoy(t, translate.Group(model, material, "edge"), authorization)

	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			e.T = t
			presenting := func(certificate tls.Certificate) *tls.Config {
				return &tls.Config{
					RootCAs: e.internal.pool(), MinVersion: version, MaxVersion: version, ClientSessionCache: &anySession{},
					// Whatever authorities the server names, or else the client would hold its certificate back.
					GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificate, nil },
				}
			}
			chained := presenting(h.tls(good, h.issuing))
			for _, resumed := range []bool{false, true} {
				state, err := e.handshake(chained, "chained.example.org")
				if err != nil || state.DidResume != resumed {
					t.Fatalf("resumed %t, %v", state.DidResume, err)
				}
				e.wantChain(h, good)
			}
			if _, err := e.handshake(presenting(h.tls(good)), "chained.example.org"); err == nil {
				t.Error("a chain that nobody sent was accepted")
			}
			if _, err := e.handshake(presenting(h.tls(good)), "listed.example.org"); err != nil {
				t.Errorf("a good certificate is refused where lists are required: %v", err)
			}
			if _, err := e.handshake(presenting(h.tls(revoked)), "listed.example.org"); err == nil {
				t.Error("a revoked certificate is accepted")
			}
		})
	}
	e.T = t
	e.forgedChain(h, good)
}

// wantChain wants the service to be told of the leaf and its issuer, in the form that it reads.
func (e *edge) wantChain(h *hierarchy, leaf ca.KeyPair) {
	e.Helper()
	asked, _ := e.authorizer.last()
	value := asked.GetAttributes().GetRequest().GetHttp().GetHeaders()[translate.ForwardedCertificateHeader]
	quoted, found := strings.CutPrefix(value, fmt.Sprintf(`Hash=%x;Chain="`, sha256.Sum256(leaf.Certificate.Raw)))
	chain, ended := strings.CutSuffix(quoted, `"`)
	if !found || !ended {
		e.Fatalf("the service is told %q", value)
	}
	text, err := url.PathUnescape(chain)
	if want := string(leaf.CertificatePEM) + string(h.issuing.CertificatePEM()); err != nil || text != want {
		e.Errorf("the chain is %q, %v; want %q", text, err, want)
	}
}

// forgedChain wants what a caller writes into the header to be removed or overwritten.
func (e *edge) forgedChain(h *hierarchy, leaf ca.KeyPair) {
	e.Helper()
	get := func(certificate *tls.Certificate) {
		client := &http.Client{Timeout: deadline, Transport: &http.Transport{
			DisableKeepAlives: true, ForceAttemptHTTP2: true,
			TLSClientConfig: &tls.Config{RootCAs: e.internal.pool(), ServerName: "chained.example.org", GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				return certificate, nil
			}},
		}}
		request, err := http.NewRequestWithContext(e.Context(), http.MethodGet, fmt.Sprintf("https://127.0.0.1:%d/", e.port), http.NoBody)
		if err != nil {
			e.Fatal(err)
		}
		request.Host = "chained.example.org"
		request.Header.Set("X-Forwarded-Client-Cert", `Hash=00;Chain="forged"`)
		response, err := client.Do(request)
		if err != nil {
			e.Fatal(err)
		}
		_ = response.Body.Close()
	}
	get(&tls.Certificate{})
	asked, _ := e.authorizer.last()
	if value, found := asked.GetAttributes().GetRequest().GetHttp().GetHeaders()[translate.ForwardedCertificateHeader]; found {
		e.Errorf("without a certificate, the service is told %q", value)
	}
	presented := h.tls(leaf, h.issuing)
	get(&presented)
	e.wantChain(h, leaf)
}
