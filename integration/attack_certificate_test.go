package integration

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"io"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// template is a certificate for the consumer mapps, good in every respect but for what is changed.
func template(change func(*x509.Certificate)) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(err) // the system's randomness does not fail
	}
	made := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "mapps"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if change != nil {
		change(made)
	}
	return made
}

// mint has an authority sign a certificate for a key; for a new key on P-256 if it is nil. The issuers are presented
// behind the leaf but for the last, which a server has.
func mint(t *testing.T, made *x509.Certificate, key crypto.Signer, issuers ...tls.Certificate) tls.Certificate {
	t.Helper()
	if key == nil {
		key = fresh(t)
	}
	parent, signer := made, key
	if len(issuers) > 0 {
		var err error
		if parent, err = x509.ParseCertificate(issuers[0].Certificate[0]); err != nil {
			t.Fatal(err)
		}
		signer = issuers[0].PrivateKey.(crypto.Signer)
	}
	der, err := x509.CreateCertificate(rand.Reader, made, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	chain := [][]byte{der}
	for _, issuer := range issuers[:max(len(issuers)-1, 0)] {
		chain = append(chain, issuer.Certificate[0])
	}
	return tls.Certificate{Certificate: chain, PrivateKey: key}
}

func fresh(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// keyOf makes a key by a generator of the standard library.
func keyOf[K crypto.Signer](t *testing.T, generate func() (K, error)) crypto.Signer {
	t.Helper()
	key, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func authority(name string) *x509.Certificate {
	return template(func(c *x509.Certificate) {
		c.Subject, c.IsCA, c.BasicConstraintsValid = pkix.Name{CommonName: name}, true, true
		c.KeyUsage, c.ExtKeyUsage = x509.KeyUsageCertSign, nil
	})
}

// TestAttackCertificates presents certificates to an entry that lets strangers in to be told, and to one that refuses
// them in the handshake.
func TestAttackCertificates(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0") // to make a weak key at all
	a := newAttacked(t).serve()
	partners := a.pair("partners")
	for name, certificate := range a.goodCertificates(t, partners) {
		t.Run(name, func(t *testing.T) { a.present(t, &certificate, true) })
	}
	for name, certificate := range a.badCertificates(t, partners) {
		t.Run(name, func(t *testing.T) { a.present(t, &certificate, false) })
	}
	t.Run("no certificate", func(t *testing.T) { a.present(t, nil, false) })
	t.Run("the same name under another truststore", func(t *testing.T) {
		rival := a.pair("rival-mapps")
		a.present(t, &rival, false)
		if statuses := a.raw(a.edgePort, "api.example.org", &rival, get("/v1/rival/x")); !slices.Equal(statuses, permitted) {
			t.Errorf("what it may is answered %v", statuses)
		}
		if seen := a.api.take(); len(seen) != 1 || seen[0].header.Get("x-consumer") != "rival" {
			t.Errorf("at the API arrived %q, which is not the rival's", seen)
		}
	})
}

// present calls both entries as a certificate. Where it is not good, nothing may arrive, and the answer is a denial or a
// handshake that is refused.
func (a *attacked) present(t *testing.T, certificate *tls.Certificate, good bool) {
	t.Helper()
	a.api.take()
	for _, host := range []string{"api.example.org", "strict.example.org"} {
		payload := strings.Replace(get("/v1/allowed/c"), "api.example.org", host, 1)
		status := 0
		if connection, err := a.handshake(a.edgePort, host, "http/1.1", certificate); err == nil {
			_ = connection.Close()
			if statuses := a.raw(a.edgePort, host, certificate, payload); len(statuses) > 0 {
				status = statuses[0]
			}
		}
		want := []int{http.StatusForbidden, 0}
		if good {
			want = permitted
		}
		if !slices.Contains(want, status) {
			t.Errorf("%s answers %d, want one of %v", host, status, want)
		}
	}
	seen := a.api.take()
	if good != (len(seen) == 2) || !good && len(seen) > 0 {
		t.Errorf("at the API arrived %q", lines(seen))
	}
	for _, r := range seen {
		if r.header.Get("x-consumer") != "mapps" {
			t.Errorf("the API is told the consumer %q", r.header.Values("x-consumer"))
		}
	}
}

func (a *attacked) goodCertificates(t *testing.T, partners tls.Certificate) map[string]tls.Certificate {
	return map[string]tls.Certificate{
		"a good one":     mint(t, template(nil), nil, partners),
		"without usages": mint(t, template(func(c *x509.Certificate) { c.ExtKeyUsage = nil }), nil, partners),
		"for client and server": mint(t, template(func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
		}), nil, partners),
		"RSA 2048": mint(t, template(nil), keyOf(t, func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) }), partners),
		"P-384":    mint(t, template(nil), keyOf(t, func() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P384(), rand.Reader) }), partners),
		"with the anchor behind": func() tls.Certificate {
			c := mint(t, template(nil), nil, partners)
			c.Certificate = append(c.Certificate, partners.Certificate[0])
			return c
		}(),
	}
}

func (a *attacked) badCertificates(t *testing.T, partners tls.Certificate) map[string]tls.Certificate {
	changed := func(change func(*x509.Certificate)) tls.Certificate {
		return mint(t, template(change), nil, partners)
	}
	named := func(name string) tls.Certificate {
		return changed(func(c *x509.Certificate) { c.Subject.CommonName = name })
	}
	usages := func(usages ...x509.ExtKeyUsage) tls.Certificate {
		return changed(func(c *x509.Certificate) { c.ExtKeyUsage = usages })
	}
	anchor, err := x509.ParseCertificate(partners.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	twin := mint(t, template(func(c *x509.Certificate) {
		c.RawSubject, c.IsCA, c.BasicConstraintsValid, c.KeyUsage = anchor.RawSubject, true, true, x509.KeyUsageCertSign
		c.SubjectKeyId = anchor.SubjectKeyId
	}), nil)
	intermediate := mint(t, authority("intermediate"), nil, partners)
	common := asn1.ObjectIdentifier{2, 5, 4, 3}
	return map[string]tls.Certificate{
		"for servers": usages(x509.ExtKeyUsageServerAuth),
		"for code":    usages(x509.ExtKeyUsageCodeSigning),
		"for an unknown usage": changed(func(c *x509.Certificate) {
			c.ExtKeyUsage, c.UnknownExtKeyUsage = nil, []asn1.ObjectIdentifier{{1, 3, 9999}}
		}),
		"expired":               changed(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }),
		"not valid yet":         changed(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }),
		"an authority's":        changed(func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }),
		"the anchor itself":     partners,
		"signed by itself":      mint(t, template(nil), nil),
		"of an unknown CA":      mint(t, template(nil), nil, mint(t, authority("unknown"), nil)),
		"of an anchor's twin":   mint(t, template(nil), nil, twin),
		"of a twin, with both":  mint(t, template(nil), nil, twin, partners, partners),
		"of an intermediate":    mint(t, template(nil), nil, intermediate, partners),
		"of a leaf":             mint(t, template(nil), nil, a.pair("mapps"), partners),
		"for our own processes": a.pair("edge-1"),
		"RSA 1024":              mint(t, template(nil), keyOf(t, func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 1024) }), partners),
		"signed with SHA-1":     changed(func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 }),
		"a critical extension that nobody knows": changed(func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 9999, 1}, Critical: true, Value: []byte{5, 0}}}
		}),
		"a NUL behind the name":  named("mapps\x00"),
		"a NUL within the name":  named("mapps\x00.example.org"),
		"a line in the name":     named("mapps\r\nx-consumer: root"),
		"a tab in the name":      named("mapps\t"),
		"a space behind":         named("mapps "),
		"capitals":               named("MAPPS"),
		"no name":                named(""),
		"a letter that looks so": named("m\u0430pps"),
		"two names": changed(func(c *x509.Certificate) {
			c.Subject = pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{{Type: common, Value: "mapps"}, {Type: common, Value: "nsp"}}}
		}),
		"the same name twice": changed(func(c *x509.Certificate) {
			c.Subject = pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{{Type: common, Value: "mapps"}, {Type: common, Value: "mapps"}}}
		}),
		"the name as a DNS name only": changed(func(c *x509.Certificate) { c.Subject.CommonName, c.DNSNames = "", []string{"mapps"} }),
		"the name as an organization": changed(func(c *x509.Certificate) { c.Subject = pkix.Name{Organization: []string{"mapps"}} }),
		"the name within another":     named("x,CN=mapps"),
		"a NUL in a DNS name":         changed(func(c *x509.Certificate) { c.DNSNames = []string{"mapps\x00.example.org"} }),
		"a name of 10 KiB":            changed(func(c *x509.Certificate) { c.Subject.Organization = []string{strings.Repeat("a", 10<<10)} }),
	}
}

// caller has what a partner may hold on to: a live connection, and a session to be resumed.
type caller struct {
	live, resuming *http.Client
}

func (a *attacked) caller(pair tls.Certificate) caller {
	settings := &tls.Config{
		RootCAs: a.pool("internal"), ServerName: "api.example.org", ClientSessionCache: tls.NewLRUClientSessionCache(8),
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil },
	}
	live := &http.Transport{TLSClientConfig: settings.Clone(), ForceAttemptHTTP2: true}
	resuming := &http.Transport{TLSClientConfig: settings, DisableKeepAlives: true}
	a.t.Cleanup(live.CloseIdleConnections)
	return caller{&http.Client{Transport: live, Timeout: patience}, &http.Client{Transport: resuming, Timeout: patience}}
}

// call asks as a caller; resumed tells whether the TLS session was an earlier one.
func (a *attacked) call(client *http.Client, path string) (status int, resumed bool) {
	a.t.Helper()
	request, err := http.NewRequest(http.MethodGet, "https://"+local(a.edgePort)+path, http.NoBody)
	if err != nil {
		a.t.Fatal(err)
	}
	request.Host = "api.example.org"
	response, err := client.Do(request)
	if err != nil {
		return 0, false
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode, response.TLS.DidResume
}

// TestAttackWithWhatIsHeldOnTo keeps connections and sessions of a caller whom the configuration turns away meanwhile.
func TestAttackWithWhatIsHeldOnTo(t *testing.T) {
	a := newAttacked(t).serve()
	const path = "/v1/allowed/held"
	partner, rival := a.caller(a.pair("mapps")), a.caller(a.pair("rival-mapps"))
	passes := func(when string) {
		t.Helper()
		for range 2 { // the second time, there is a session to resume
			for client, path := range map[*http.Client]string{partner.live: path, partner.resuming: path, rival.live: "/v1/rival/x"} {
				if status, _ := a.call(client, path); status != http.StatusOK {
					t.Fatalf("%s: a good caller is answered %d", when, status)
				}
			}
		}
		if _, resumed := a.call(partner.resuming, path); !resumed {
			t.Fatalf("%s: the session is not resumed, so that there is nothing to test", when)
		}
	}
	// turnedAway waits until the change is in force for the live connection itself, and demands the same of the rest.
	turnedAway := func(why string, mayResume bool) {
		t.Helper()
		eventually(t, why, func() bool {
			status, _ := a.call(a.caller(a.pair("mapps")).live, path)
			return status == http.StatusForbidden
		})
		a.api.take()
		if status, _ := a.call(partner.live, path); status != http.StatusForbidden {
			t.Errorf("%s: the live connection is answered %d", why, status)
		}
		for range 3 {
			if status, resumed := a.call(partner.resuming, path); status != http.StatusForbidden || resumed && !mayResume {
				t.Errorf("%s: a connection (resumed: %t) is answered %d", why, resumed, status)
			}
		}
		if seen := a.api.take(); len(seen) > 0 {
			t.Errorf("%s: at the API arrived %q", why, lines(seen))
		}
		if status, _ := a.call(rival.live, "/v1/rival/x"); status != http.StatusOK {
			t.Errorf("%s: somebody else is answered %d", why, status)
		}
	}

	passes("at first")
	original := a.configuration()
	a.configure("edge.yaml", strings.Replace(original, "subject_common_name: mapps}], roles: [reader]}", "subject_common_name: mapps}], roles: [reader], suspended: true}", 1))
	turnedAway("the consumer is suspended", true)

	a.configure("edge.yaml", original)
	eventually(t, "the consumer is back", func() bool { status, _ := a.call(partner.live, path); return status == http.StatusOK })
	passes("after the suspension")

	// Another authority takes the place of the partners'.
	a.found("successor")
	a.issue("successor", "client", "new-mapps", "--common-name", "mapps")
	a.write(a.path("pki", "partners.pem"), a.read("pki", "successor.pem"))
	turnedAway("the authority is replaced", true)
	successor := a.caller(a.pair("new-mapps"))
	eventually(t, "the successor's partner passes", func() bool { status, _ := a.call(successor.live, path); return status == http.StatusOK })
}
