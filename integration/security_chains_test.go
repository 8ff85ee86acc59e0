package integration

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
)

// from is a leaf for mapps by the first of some authorities, presented with all but the last.
func from(t *testing.T, change func(*x509.Certificate), issuers ...tls.Certificate) *tls.Certificate {
	t.Helper()
	pair := mint(t, template(change), nil, issuers...)
	return &pair
}

// below makes an authority by another, good in every respect but for what is changed.
func below(t *testing.T, name string, issuer tls.Certificate, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	made := listing(name)
	if change != nil {
		change(made)
	}
	return mint(t, made, nil, issuer)
}

// chains is about authorities that stand between a caller's certificate and the truststore's.
func chains(g *guarded) area {
	t := g.t.(*testing.T)
	root := mint(t, listing("root of chains"), nil)
	one := below(t, "one", root, nil)
	two := below(t, "two", one, nil)
	g.publishAuthorities("chains.pem", root)
	g.publishAuthorities("chains-both.pem", root, one)
	const bundle = `bundle: "file:../pki/chains.pem"`
	return area{
		name: "chains",
		entries: []entry{
			{name: "chain-none", truststore: "{" + bundle + "}"},
			{name: "chain-bundled", truststore: `{bundle: "file:../pki/chains-both.pem"}`},
			{name: "chain-one", truststore: "{" + bundle + ", intermediates: {from_caller: true}}"},
			{name: "chain-two", truststore: "{" + bundle + ", intermediates: {from_caller: true, max_depth: 2}}"},
			{name: "chain-listed", truststore: "{" + bundle + `, intermediates: {from_caller: true, max_depth: 2}, revocation: {lists: ["file:../pki/chain-root.crl", "file:../pki/chain-one.crl"]}}`},
		},
		test: func(t *testing.T, g *guarded) {
			g.judge(t, depths(t, root, one, two))
			g.judge(t, faultyIntermediates(t, root))
			g.judge(t, revokedIntermediates(t, g, root, one))
			g.judge(t, forgedChains(t, g, root, one))
			g.judge(t, longChains(t, root, one))
		},
	}
}

func depths(t *testing.T, root, one, two tls.Certificate) []attempt {
	direct, byOne, byTwo := from(t, nil, root), from(t, nil, one, root), from(t, nil, two, one, root)
	alone := from(t, nil, one)
	return []attempt{
		{"of the root", "chain-none", direct, nil, letIn},
		{"of an intermediate, where none may be", "chain-none", byOne, nil, isUntrusted},
		{"of an intermediate of the bundle", "chain-bundled", alone, nil, letIn},
		{"of one below the bundle's", "chain-bundled", byTwo, nil, isUntrusted},
		{"of the root, where one may be between", "chain-one", direct, nil, letIn},
		{"with one between", "chain-one", byOne, nil, letIn},
		{"with one between that is not sent", "chain-one", alone, nil, isUntrusted},
		{"with two between, where one may be", "chain-one", byTwo, nil, isUntrusted},
		{"with two between", "chain-two", byTwo, nil, letIn},
		{"with two between, the upper one not sent", "chain-two", from(t, nil, two, root), nil, isUntrusted},
	}
}

// faultyIntermediates are such that no certificate of theirs counts, each beside a like one that is good.
func faultyIntermediates(t *testing.T, root tls.Certificate) []attempt {
	by := func(change func(*x509.Certificate)) tls.Certificate { return below(t, "intermediate", root, change) }
	constrained := by(func(c *x509.Certificate) {
		c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{"partners.example.org"}
	})
	named := func(name string) *tls.Certificate {
		return from(t, func(c *x509.Certificate) { c.DNSNames = []string{name} }, constrained, root)
	}
	short := by(func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = 0, true })
	weak := mint(t, listing("weak"), keyOf(t, func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 1024) }), root)
	unknown := mint(t, listing("unknown"), nil)
	return []attempt{
		{"within its issuer's name constraints", "chain-two", named("mapps.partners.example.org"), nil, letIn},
		{"outside its issuer's name constraints", "chain-two", named("mapps.example.net"), nil, isUntrusted},
		{"of one whose path length is 0", "chain-two", from(t, nil, short, root), nil, letIn},
		{"below one whose path length is 0", "chain-two", from(t, nil, below(t, "below", short, nil), short, root), nil, isUntrusted},
		{"of one that is no authority", "chain-two", from(t, nil, mint(t, template(nil), nil, root), root), nil, isUntrusted},
		{"of one that may sign no certificates", "chain-two", from(t, nil, by(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }), root), nil, isUntrusted},
		{"of one that has expired", "chain-two", from(t, nil, by(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), root), nil, isUntrusted},
		{"of one that is not valid yet", "chain-two", from(t, nil, by(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }), root), nil, isUntrusted},
		{"of one for clients", "chain-two", from(t, nil, by(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), root), nil, letIn},
		{"of one for servers alone", "chain-two", from(t, nil, by(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), root), nil, isUntrusted},
		{"of one signed with SHA-1", "chain-two", from(t, nil, by(func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 }), root), nil, isUntrusted},
		{"of one with a weak key", "chain-two", from(t, nil, weak, root), nil, isUntrusted},
		{"of a stranger's, with the root beside it", "chain-two", from(t, nil, unknown, root, root), nil, isUntrusted},
		{"of one with an extension that nobody knows", "chain-two", from(t, nil, by(func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 3, 9999, 1}, Critical: true, Value: []byte{5, 0}}}
		}), root), nil, isUntrusted},
	}
}

func revokedIntermediates(t *testing.T, g *guarded, root, one tls.Certificate) []attempt {
	gone := below(t, "gone", root, nil)
	good, lost := from(t, nil, one, root), from(t, nil, one, root)
	g.publish("chain-root.crl", current(1, gone).sign(t, root))
	g.publish("chain-one.crl", current(1, *lost).sign(t, one))
	eventually(t, "the lists count", func() bool { return g.ask("chain-listed", good).status == 200 })
	g.api.take()
	return []attempt{
		{"of an intermediate with a list", "chain-listed", good, nil, letIn},
		{"in its intermediate's list", "chain-listed", lost, nil, isRevoked},
		{"of an intermediate in the root's list", "chain-listed", from(t, nil, gone, root), nil, isRevoked},
		{"below one in the root's list", "chain-listed", from(t, nil, below(t, "below", gone, nil), gone, root), nil, isRevoked},
		{"of an intermediate without a list", "chain-listed", from(t, nil, below(t, "listless", root, nil), root), nil, ourFault},
	}
}

// forgedChains are headers by which a caller says what only the proxy may say.
func forgedChains(t *testing.T, g *guarded, root, one tls.Certificate) []attempt {
	encoded := func(certificates ...[]byte) string {
		var text strings.Builder
		for _, der := range certificates {
			text.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
		}
		return strings.ReplaceAll(url.QueryEscape(text.String()), "+", "%20")
	}
	alone, whole := from(t, nil, one), from(t, nil, one, root)
	forged := func(leaf *tls.Certificate) []string {
		return []string{fmt.Sprintf("X-Forwarded-Client-Cert: Hash=00;Cert=%q;Chain=%q;Subject=%q",
			encoded(leaf.Certificate[0]), encoded(leaf.Certificate[0], one.Certificate[0], root.Certificate[0]), "CN=mapps")}
	}
	partner := g.pair("mapps")
	missing := isDenied("certificate_missing")
	return []attempt{
		{"the intermediate in a header", "chain-one", alone, forged(alone), isUntrusted},
		{"another's certificate in a header", "chain-one", from(t, nil, mint(t, listing("unknown"), nil)), forged(whole), isUntrusted},
		{"a good chain, and another in a header", "chain-one", whole, forged(alone), letIn},
		{"no certificate but in a header", "chain-one", nil, forged(whole), missing},
		{"no certificate but in a header, where no chain counts", steady, nil, forged(&partner), missing},
		{"a good certificate, and a header, where no chain counts", steady, &partner, forged(whole), letIn},
	}
}

// longChains are more than anybody needs, beside one that is as long as it may be.
func longChains(t *testing.T, root, one tls.Certificate) []attempt {
	beside := func(count, size int) *tls.Certificate {
		whole := from(t, nil, one, root)
		for range count {
			junk := mint(t, template(func(c *x509.Certificate) { c.Subject.Organization = []string{strings.Repeat("a", size)} }), nil)
			whole.Certificate = append(whole.Certificate, junk.Certificate[0])
		}
		return whole
	}
	nothing := outcome{statuses: []int{0, 400, 403, 431, 503}}
	return []attempt{
		{"with others beside it", "chain-one", beside(3, 10), nil, letIn},
		{"with too many beside it", "chain-one", beside(20, 10), nil, nothing},
		{"with too large ones beside it", "chain-one", beside(6, 30<<10), nil, nothing},
		{"with too large ones where no chain counts", "chain-none", beside(6, 30<<10), nil, nothing},
	}
}

// addresses is about places that stand in certificates: nobody calls there.
func addresses(g *guarded) area {
	t := g.t.(*testing.T)
	root := mint(t, listing("root of addresses"), nil)
	addressed := func(c *x509.Certificate) {
		c.CRLDistributionPoints, c.OCSPServer = []string{g.addresses.url("/list")}, []string{g.addresses.url("/ocsp")}
		c.IssuingCertificateURL = []string{g.addresses.url("/issuer")}
	}
	one := below(t, "addressed", root, addressed)
	g.publishAuthorities("addresses.pem", root)
	const bundle = `bundle: "file:../pki/addresses.pem"`
	return area{
		name: "addresses in certificates",
		entries: []entry{
			{name: "addresses", truststore: "{" + bundle + "}"},
			{name: "addresses-chained", truststore: "{" + bundle + ", intermediates: {from_caller: true}}"},
			{name: "addresses-listless", truststore: "{" + bundle + `, revocation: {lists: ["file:../pki/addresses-away.crl"]}}`},
			{name: "addresses-refused", truststore: "{" + bundle + "}", refuse: true},
		},
		test: func(t *testing.T, g *guarded) {
			direct := from(t, addressed, root)
			g.judge(t, []attempt{
				{"with addresses", "addresses", direct, nil, letIn},
				{"with addresses, judged in the handshake", "addresses-refused", direct, nil, letIn},
				{"of an intermediate with addresses", "addresses-chained", from(t, addressed, one, root), nil, letIn},
				{"with the address of its intermediate alone", "addresses-chained", from(t, addressed, one), nil, isUntrusted},
				{"with the address of a list that is missing", "addresses-listless", direct, nil, ourFault},
				{"of a stranger, with addresses", "addresses-chained", from(t, addressed, mint(t, listing("unknown"), nil)), nil, isUntrusted},
			})
		},
	}
}

// development is about authorities that are marked as made for development: they vouch for nobody.
func development(g *guarded) area {
	t := g.t.(*testing.T)
	marked, err := ca.Create(ca.Options{CommonName: "marked", Development: true})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := marked.Issue(ca.Request{Profile: ca.Partner, Subject: pkix.Name{CommonName: "mapps"}})
	if err != nil {
		t.Fatal(err)
	}
	root, issued := mint(t, listing("in earnest"), nil), pair.TLS()
	good := from(t, nil, root)
	g.publish("marked.pem", marked.CertificatePEM())
	g.publish("marked-beside.pem", append(bundleOf(root), marked.CertificatePEM()...))
	return area{
		name: "development authorities",
		entries: []entry{
			{name: "marked", truststore: `{bundle: "file:../pki/marked.pem"}`},
			{name: "marked-beside", truststore: `{bundle: "file:../pki/marked-beside.pem"}`},
		},
		test: func(t *testing.T, g *guarded) {
			g.judge(t, []attempt{
				{"of a marked authority", "marked", &issued, nil, shutOut},
				{"of a marked authority beside another", "marked-beside", &issued, nil, isUntrusted},
				{"of the other", "marked-beside", good, nil, letIn},
			})
			p := start(t, g.folder, "serve", "--roles", "authz", "--source", g.authzSource, "--trust-domain", "example.org", "--proxy-ca", g.path("pki", "marked.pem"),
				"--authz-certificate", g.path("pki", "authz.pem"), "--authz-private-key", g.path("pki", "authz-key.pem"), "--admin-socket", g.path("none.sock"), "--health-listen", "")
			if code := p.wait(t); code != 2 || !strings.Contains(p.err.String(), "development authority") {
				t.Errorf("as the proxies' authority: exit code %d: %s", code, p.err.String())
			}
		},
	}
}
