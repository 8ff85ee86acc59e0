package integration

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// list is a revocation list to be signed.
type list struct {
	number     int64
	this, next time.Duration // from now
	revoked    []tls.Certificate
}

// current is a list of today.
func current(number int64, revoked ...tls.Certificate) list {
	return list{number, -time.Hour, time.Hour, revoked}
}

// sign makes the list in PEM.
func (l list) sign(t *testing.T, issuer tls.Certificate) []byte {
	t.Helper()
	parent, err := x509.ParseCertificate(issuer.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	made := &x509.RevocationList{Number: big.NewInt(l.number), ThisUpdate: now.Add(l.this), NextUpdate: now.Add(l.next)}
	for _, c := range l.revoked {
		leaf, err := x509.ParseCertificate(c.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		made.RevokedCertificateEntries = append(made.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: leaf.SerialNumber, RevocationTime: now.Add(l.this),
		})
	}
	der, err := x509.CreateRevocationList(rand.Reader, made, parent, issuer.PrivateKey.(crypto.Signer))
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}

// listing is an authority that may sign lists.
func listing(name string) *x509.Certificate {
	c := authority(name)
	c.KeyUsage |= x509.KeyUsageCRLSign
	return c
}

// listed is an authority with a good partner's certificate and one that its lists revoke.
type listed struct {
	authority, twin, stranger, good, gone tls.Certificate
}

func newListed(t *testing.T, name string) listed {
	t.Helper()
	l := listed{authority: mint(t, listing(name), nil), stranger: mint(t, listing("stranger"), nil)}
	anchor, err := x509.ParseCertificate(l.authority.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	l.twin = mint(t, template(func(c *x509.Certificate) {
		c.RawSubject, c.IsCA, c.BasicConstraintsValid, c.ExtKeyUsage = anchor.RawSubject, true, true, nil
		c.KeyUsage, c.SubjectKeyId = x509.KeyUsageCertSign|x509.KeyUsageCRLSign, anchor.SubjectKeyId
	}), nil)
	l.good, l.gone = mint(t, template(nil), nil, l.authority), mint(t, template(nil), nil, l.authority)
	return l
}

// listEntry is an entry whose truststore has one list, NAME.crl.
func listEntry(bundle, name, revocation string) entry {
	return entry{name: name, truststore: fmt.Sprintf(`{bundle: "file:../pki/%s.pem", revocation: {lists: ["file:../pki/%s.crl"]%s}}`, bundle, name, revocation)}
}

// listsAtStart is about what a process finds that has seen no list before.
func listsAtStart(g *guarded) area {
	t := g.t.(*testing.T)
	l := newListed(t, "at start")
	g.publishAuthorities("at-start.pem", l.authority)
	const required, whenPresent, grace = "", ", mode: when_present", ", grace: 1h"
	ranOut := list{2, -2 * time.Hour, -time.Minute, []tls.Certificate{l.gone}}
	longAgo := list{2, -5 * time.Hour, -2 * time.Hour, []tls.Certificate{l.gone}}
	future := list{2, time.Hour, 2 * time.Hour, []tls.Certificate{l.gone}}
	now := current(2, l.gone)
	cases := []struct {
		name, revocation string
		content          []byte // nil for no file
		good, gone       outcome
	}{
		{"current", required, now.sign(t, l.authority), letIn, isRevoked},
		{"current-if-any", whenPresent, now.sign(t, l.authority), letIn, isRevoked},
		{"off", ", mode: off", now.sign(t, l.authority), letIn, letIn},
		{"ran-out", required, ranOut.sign(t, l.authority), ourFault, isRevoked},
		{"ran-out-if-any", whenPresent, ranOut.sign(t, l.authority), letIn, isRevoked},
		{"in-grace", grace, ranOut.sign(t, l.authority), letIn, isRevoked},
		{"beyond-grace", grace, longAgo.sign(t, l.authority), ourFault, isRevoked},
		{"future", required, future.sign(t, l.authority), ourFault, isRevoked},
		{"missing", required, nil, ourFault, ourFault},
		{"missing-if-any", whenPresent, nil, letIn, letIn},
		{"empty", required, []byte{}, ourFault, ourFault},
		{"unparsable", required, []byte("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"), ourFault, ourFault},
		{"wrongly-signed", required, current(2).sign(t, l.twin), ourFault, ourFault},
		{"of-a-stranger", required, current(2).sign(t, l.stranger), ourFault, ourFault},
		{"a-certificate", required, bundleOf(l.authority), ourFault, ourFault},
	}
	a := area{name: "lists at a start"}
	var attempts []attempt
	for _, c := range cases {
		e := listEntry("at-start", "start-"+c.name, c.revocation)
		a.entries = append(a.entries, e)
		if c.content != nil {
			g.publish(e.name+".crl", c.content)
		}
		attempts = append(attempts,
			attempt{name: "a good certificate", entry: e.name, pair: &l.good, outcome: c.good},
			attempt{name: "a revoked one", entry: e.name, pair: &l.gone, outcome: c.gone})
	}
	a.test = func(t *testing.T, g *guarded) { g.judge(t, attempts) }
	return a
}

// listsReplaced is about what a running process makes of a list that takes a good one's place.
func listsReplaced(g *guarded) area {
	t := g.t.(*testing.T)
	l := newListed(t, "replaced")
	g.publishAuthorities("replaced.pem", l.authority)
	good := current(7, l.gone).sign(t, l.authority)
	replacements := map[string][]byte{
		"empty": {}, "cut": good[:len(good)/2], "wrongly-signed": current(8).sign(t, l.twin), "of-a-stranger": current(8).sign(t, l.stranger),
		"older": current(6).sign(t, l.authority), "of-the-same-number": current(7).sign(t, l.authority), "away": nil,
		"with-a-good-one": slices.Concat(current(8).sign(t, l.twin), current(8).sign(t, l.authority)),
	}
	a := area{name: "lists that are replaced"}
	var attempts []attempt
	for name := range replacements {
		e := listEntry("replaced", "replaced-"+name, "")
		a.entries = append(a.entries, e)
		g.publish(e.name+".crl", good)
		attempts = append(attempts,
			attempt{name: "a good certificate", entry: e.name, pair: &l.good, outcome: letIn},
			attempt{name: "a revoked one", entry: e.name, pair: &l.gone, outcome: isRevoked})
	}
	a.test = func(t *testing.T, g *guarded) {
		g.judge(t, attempts)
		var said []string
		for name, content := range replacements {
			path := g.path("pki", "replaced-"+name+".crl")
			said = append(said, "Truststore replaced-"+name)
			if content != nil {
				g.write(path, string(content))
			} else if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
		g.told(t, said...)
		g.judge(t, attempts)
		// A process that starts with them knows what was seen before, and has no good list.
		g.authz.end(t, syscall.SIGTERM)
		g.startDeciding()
		control := g.pair("mapps")
		eventually(t, "the control passes", func() bool { return g.ask(steady, &control).status == http.StatusOK })
		for _, name := range []string{"replaced-older", "replaced-of-the-same-number"} {
			g.judge(t, []attempt{{"a good certificate", name, &l.good, nil, ourFault}, {"a revoked one", name, &l.gone, nil, ourFault}})
		}
		// The next list counts, wherever the one before was bad.
		for name := range replacements {
			g.publish("replaced-"+name+".crl", current(9, l.gone).sign(t, l.authority))
			eventually(t, "the next list counts", func() bool { return g.ask("replaced-"+name, &l.good).status == http.StatusOK })
		}
		g.judge(t, attempts)
	}
	return a
}

// held is a way in which a caller holds on to what was once good.
type held struct {
	what   string
	client *http.Client
	// resumes is set where each request resumes a session on a new connection.
	resumes bool
}

func (g *guarded) holds(name string, pair tls.Certificate) []held {
	host := entry{name: name}.host()
	dial := func(change func(*tls.Config, *http.Transport)) *http.Client {
		settings := &tls.Config{
			RootCAs: g.pool("internal"), ServerName: host, ClientSessionCache: tls.NewLRUClientSessionCache(8),
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil },
		}
		transport := &http.Transport{TLSClientConfig: settings}
		change(settings, transport)
		g.t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport, Timeout: patience}
	}
	return []held{
		{"a live HTTP/2 connection", dial(func(_ *tls.Config, t *http.Transport) { t.ForceAttemptHTTP2 = true }), false},
		{"a live HTTP/1.1 connection", dial(func(*tls.Config, *http.Transport) {}), false},
		{"a session of TLS 1.3", dial(func(_ *tls.Config, t *http.Transport) { t.DisableKeepAlives = true }), true},
		{"a session of TLS 1.2", dial(func(c *tls.Config, t *http.Transport) {
			c.MaxVersion, t.DisableKeepAlives = tls.VersionTLS12, true
		}), true},
	}
}

// fetch asks as a holder.
func (g *guarded) fetch(ctx context.Context, client *http.Client, name string, body io.Reader) (status int, resumed bool) {
	g.t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+local(g.edgePort)+"/v1/held", body)
	if err != nil {
		g.t.Fatal(err)
	}
	request.Host = entry{name: name}.host()
	response, err := client.Do(request)
	if err != nil {
		return 0, false
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode, response.TLS.DidResume
}

// listsHeld is about connections and sessions of a partner whose certificate is revoked meanwhile.
func listsHeld(g *guarded) area {
	t := g.t.(*testing.T)
	l := newListed(t, "held")
	g.publishAuthorities("held.pem", l.authority)
	names := []string{"held-explained", "held-refused"}
	a := area{name: "what is held on to when a certificate is revoked"}
	for _, name := range names {
		e := listEntry("held", name, "")
		e.refuse = strings.HasSuffix(name, "refused")
		a.entries = append(a.entries, e)
		g.publish(name+".crl", current(1).sign(t, l.authority))
	}
	a.test = func(t *testing.T, g *guarded) {
		for _, name := range names {
			t.Run(name, func(t *testing.T) { g.revokeWhileHeld(t, name, l) })
		}
	}
	return a
}

func (g *guarded) revokeWhileHeld(t *testing.T, name string, l listed) {
	gone, good := g.holds(name, l.gone), g.holds(name, l.good)
	for _, h := range slices.Concat(gone, good) {
		var resumed bool
		for range 2 { // the second time, there is a session to resume
			var status int
			if status, resumed = g.fetch(t.Context(), h.client, name, http.NoBody); status != http.StatusOK {
				t.Fatalf("%s: before, answered %d", h.what, status)
			}
		}
		if resumed != h.resumes {
			t.Fatalf("%s: resumed is %t, so that there is nothing to test", h.what, resumed)
		}
	}
	g.publish(name+".crl", current(2, l.gone).sign(t, l.authority))
	eventually(t, "a new connection is refused", func() bool { return g.ask(name, &l.gone).status != http.StatusOK })
	g.api.take()
	for _, h := range gone {
		for range 2 {
			if status, resumed := g.fetch(t.Context(), h.client, name, http.NoBody); status != http.StatusForbidden && status != 0 {
				t.Errorf("%s (resumed: %t) is answered %d", h.what, resumed, status)
			}
		}
	}
	if seen := g.api.take(); len(seen) > 0 {
		t.Errorf("at the API arrived %q", lines(seen))
	}
	for _, h := range good {
		if status, _ := g.fetch(t.Context(), h.client, name, http.NoBody); status != http.StatusOK {
			t.Errorf("%s of somebody else is answered %d", h.what, status)
		}
	}
	if seen := g.api.take(); len(seen) != len(good) || slices.ContainsFunc(seen, func(r received) bool {
		return r.header.Get("x-consumer") != "mapps-"+name
	}) {
		t.Errorf("of somebody else, at the API arrived %q", lines(seen))
	}
}

// windows is about a certificate that runs out, and what is held on to then.
func windows(g *guarded) area {
	t := g.t.(*testing.T)
	l := newListed(t, "windows")
	g.publishAuthorities("windows.pem", l.authority)
	return area{
		name:    "what is held on to when a certificate or a consumer runs out",
		entries: []entry{{name: "windows", truststore: `{bundle: "file:../pki/windows.pem"}`}},
		test: func(t *testing.T, g *guarded) {
			until := time.Now().Add(5 * time.Second)
			short := mint(t, template(func(c *x509.Certificate) { c.NotAfter = until }), nil, l.authority)
			guest := mint(t, template(func(c *x509.Certificate) { c.Subject.CommonName = "nsp" }), nil, l.authority)
			holders := slices.Concat(g.holds("windows", short), g.holds("windows", guest))
			for _, h := range holders {
				if status, _ := g.fetch(t.Context(), h.client, "windows", http.NoBody); status != http.StatusOK {
					t.Fatalf("%s: before, answered %d", h.what, status)
				}
			}
			const match = "{certificates: [{truststore: windows, subject_common_name: nsp}]"
			g.write(g.path("authz", "edge.yaml"), strings.Replace(g.configuration(), match, match+", valid_until: \""+until.UTC().Format(time.RFC3339)+"\"", 1))
			for _, h := range holders {
				eventually(t, h.what+" is refused", func() bool {
					status, _ := g.fetch(t.Context(), h.client, "windows", http.NoBody)
					return status == http.StatusForbidden
				})
			}
			g.judge(t, []attempt{
				{name: "one that has run out", entry: "windows", pair: &short, outcome: isDenied("certificate_expired")},
				{name: "one whose consumer's time is over", entry: "windows", pair: &guest, outcome: isDenied("consumer_expired")},
				{name: "one that has not", entry: "windows", pair: &l.good, outcome: letIn},
			})
		},
	}
}
