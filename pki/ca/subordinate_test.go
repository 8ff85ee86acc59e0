package ca

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// hiddenKey is a key that signs and cannot leave, like one in a key management service.
type hiddenKey struct{ crypto.Signer }

// newTestIssuing makes a root, an issuing authority below it as asked, and loads that with its chain.
func newTestIssuing(t *testing.T, root Options, request AuthorityRequest) (issuing, top *Authority) {
	t.Helper()
	if root.PathLength == 0 {
		root.PathLength = 1
	}
	top = newTestAuthority(t, root)
	if request.CommonName == "" {
		request.CommonName = "test issuing"
	}
	pair, err := top.IssueAuthority(request)
	if err != nil {
		t.Fatal(err)
	}
	issuing, err = LoadWith(slices.Concat(pair.ChainPEM(), top.CertificatePEM()), pair.PrivateKey, atNoon)
	if err != nil {
		t.Fatal(err)
	}
	return issuing, top
}

// verifyBelow verifies a key pair as a server does that trusts the root alone and is shown the pair's chain.
func verifyBelow(t *testing.T, root *x509.Certificate, pair KeyPair) error {
	t.Helper()
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(root)
	for _, der := range pair.TLS().Certificate[1:] {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		intermediates.AddCert(certificate)
	}
	_, err := pair.Certificate.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: intermediates, CurrentTime: noon, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return err
}

func TestIssuingAuthorityStandsBetweenRootAndLeaf(t *testing.T) {
	issuing, root := newTestIssuing(t, Options{CRLAddresses: []string{"http://pki.example.org/root.crl"}}, AuthorityRequest{
		CommonName: "Example partners issuing", Organization: "Example", OrganizationalUnit: "Partners", Country: "GB",
	})
	own := issuing.Certificate()
	if !own.IsCA || own.MaxPathLen != 0 || !own.MaxPathLenZero || own.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign {
		t.Errorf("CA %v, path length %d, key usage %b", own.IsCA, own.MaxPathLen, own.KeyUsage)
	}
	if want := "CN=Example partners issuing,OU=Partners,O=Example,C=GB"; own.Subject.String() != want {
		t.Errorf("subject %s, want %s", own.Subject, want)
	}
	if !slices.Equal(own.CRLDistributionPoints, []string{"http://pki.example.org/root.crl"}) {
		t.Errorf("revocation lists at %v", own.CRLDistributionPoints)
	}
	if !bytes.Equal(own.AuthorityKeyId, root.Certificate().SubjectKeyId) || len(own.SubjectKeyId) == 0 {
		t.Error("its key identifiers are wrong")
	}

	leaf, err := issuing.Issue(Request{Profile: Partner, Subject: pkix.Name{CommonName: "mapps"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := verifyBelow(t, root.Certificate(), leaf); err != nil {
		t.Error(err)
	}
	if chain, err := ParseCertificates(leaf.ChainPEM()); err != nil || len(chain) != 2 || !chain[0].Equal(leaf.Certificate) || !chain[1].Equal(own) {
		t.Errorf("the leaf's chain is not the leaf and its issuer: %v", err)
	}
	if chain, err := ParseCertificates(issuing.ChainPEM()); err != nil || len(chain) != 1 || !chain[0].Equal(own) {
		t.Errorf("the authority's chain is not itself alone: %v", err)
	}
	if issuing.Root() == nil || !issuing.Root().Equal(root.Certificate()) || len(root.ChainPEM()) != 0 || !root.Root().Equal(root.Certificate()) {
		t.Error("the root is not the chain's last, or stands in what is sent along")
	}
}

func TestIssuingAuthorityEndsWhereItsIssuerEnds(t *testing.T) {
	issuing, root := newTestIssuing(t, Options{Lifetime: 48 * time.Hour}, AuthorityRequest{})
	if !issuing.Certificate().NotAfter.Equal(root.Certificate().NotAfter) {
		t.Errorf("valid until %s, its issuer until %s", issuing.Certificate().NotAfter, root.Certificate().NotAfter)
	}
	leaf, err := issuing.Issue(Request{Profile: Partner, Subject: pkix.Name{CommonName: "mapps"}})
	if err != nil {
		t.Fatal(err)
	}
	if !leaf.Certificate.NotAfter.Equal(root.Certificate().NotAfter) {
		t.Errorf("the leaf is valid until %s", leaf.Certificate.NotAfter)
	}
}

func TestIssueAuthorityRefuses(t *testing.T) {
	root := newTestAuthority(t, Options{PathLength: 1})
	leavesOnly := newTestAuthority(t, Options{CommonName: "leaves only"})
	issuing, _ := newTestIssuing(t, Options{PathLength: 3}, AuthorityRequest{PathLength: 0})
	pair := root.KeyPair()
	expired, err := LoadWith(pair.CertificatePEM, pair.PrivateKey, func() time.Time { return noon.Add(20 * 365 * 24 * time.Hour) })
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		by      *Authority
		request AuthorityRequest
		want    string
	}{
		"below a root for leaves only":         {leavesOnly, AuthorityRequest{CommonName: "a"}, "path length"},
		"below an issuing authority":           {issuing, AuthorityRequest{CommonName: "a"}, "path length"},
		"as long a path as its issuer's":       {root, AuthorityRequest{CommonName: "a", PathLength: 1}, "path length"},
		"a negative path length":               {root, AuthorityRequest{CommonName: "a", PathLength: -1}, "must not be negative"},
		"no name":                              {root, AuthorityRequest{}, "1 to 64 bytes"},
		"a long name":                          {root, AuthorityRequest{CommonName: strings.Repeat("a", 65)}, "64 bytes"},
		"a long organization":                  {root, AuthorityRequest{CommonName: "a", Organization: strings.Repeat("a", 65)}, "64 bytes"},
		"a control character":                  {root, AuthorityRequest{CommonName: "a", OrganizationalUnit: "a\n"}, "control characters"},
		"a country in words":                   {root, AuthorityRequest{CommonName: "a", Country: "England"}, "two capital letters"},
		"the organization of development":      {root, AuthorityRequest{CommonName: "a", Organization: DevelopmentOrganization}, "is for development"},
		"its issuer's name":                    {root, AuthorityRequest{CommonName: "test root"}, "that of the authority itself"},
		"its issuer's key":                     {root, AuthorityRequest{CommonName: "a", PublicKey: root.Certificate().PublicKey}, "public key is that of the authority"},
		"a weak key":                           {root, AuthorityRequest{CommonName: "a", PublicKey: ecKey(t, elliptic.P224()).Public()}, "P-224"},
		"a long life":                          {root, AuthorityRequest{CommonName: "a", Lifetime: MaxIssuingLifetime + 1}, "longer than 3650 days"},
		"a negative life":                      {root, AuthorityRequest{CommonName: "a", Lifetime: -1}, "must not be negative"},
		"an expired issuer":                    {expired, AuthorityRequest{CommonName: "a"}, "is valid only"},
		"a constraint with a wildcard":         {root, AuthorityRequest{CommonName: "a", NameConstraints: NameConstraints{PermittedDNS: []string{"*.example.org"}}}, "without a wildcard"},
		"a constraint that is no name":         {root, AuthorityRequest{CommonName: "a", NameConstraints: NameConstraints{ExcludedURIDomains: []string{"spiffe://example.org"}}}, "not a DNS name"},
		"a constraint that is no range":        {root, AuthorityRequest{CommonName: "a", NameConstraints: NameConstraints{PermittedIPs: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/8")}}}, "not a range"},
		"a list's address that is no address":  {root, AuthorityRequest{CommonName: "a", CRLAddresses: []string{"ldap://example.org"}}, "http or https"},
		"a list's address with a password":     {root, AuthorityRequest{CommonName: "a", CRLAddresses: []string{"https://a:canary@example.org/a.crl"}}, "http or https"},
		"more addresses of lists than any use": {root, AuthorityRequest{CommonName: "a", CRLAddresses: slices.Repeat([]string{"http://a.example.org/"}, 5)}, "at most 4"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := test.by.IssueAuthority(test.request)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "canary") {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestWhatAnIntermediateOfADevelopmentAuthorityIssuesIsRecognised(t *testing.T) {
	issuing, _ := newTestIssuing(t, Options{Development: true}, AuthorityRequest{Organization: "Example"})
	leaf, err := issuing.Issue(Request{Profile: Client, Subject: pkix.Name{CommonName: "a"}})
	if err != nil {
		t.Fatal(err)
	}
	if !issuing.IsDevelopment() || !IsDevelopment(issuing.Certificate()) || !IsDevelopment(leaf.Certificate) {
		t.Error("the intermediate or its leaf is not recognised")
	}
}

func TestNameConstraintsBindWhatIsIssued(t *testing.T) {
	issuing, _ := newTestIssuing(t, Options{}, AuthorityRequest{NameConstraints: NameConstraints{
		PermittedDNS: []string{"example.org"}, ExcludedDNS: []string{"internal.example.org"},
		PermittedURIDomains: []string{"partners.example.org"}, ExcludedURIDomains: []string{".old.example.org"},
		PermittedIPs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")},
		ExcludedIPs:  []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")},
	}})
	if !issuing.Certificate().PermittedDNSDomainsCritical {
		t.Error("the constraints are not critical")
	}
	for name, test := range map[string]struct {
		request Request
		want    bool
	}{
		"a permitted DNS name":         {Request{Profile: Server, DNSNames: []string{"api.example.org"}}, true},
		"a DNS name elsewhere":         {Request{Profile: Server, DNSNames: []string{"api.example.com"}}, false},
		"an excluded DNS name":         {Request{Profile: Server, DNSNames: []string{"a.internal.example.org"}}, false},
		"a permitted URI":              {Request{Profile: Client, URIs: []string{"spiffe://partners.example.org/mapps"}}, true},
		"a URI elsewhere":              {Request{Profile: Client, URIs: []string{"spiffe://example.com/mapps"}}, false},
		"a permitted address":          {Request{Profile: Server, IPAddresses: []netip.Addr{netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("fd00::1")}}, true},
		"an address elsewhere":         {Request{Profile: Server, IPAddresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}, false},
		"an excluded address":          {Request{Profile: Server, IPAddresses: []netip.Addr{netip.MustParseAddr("10.9.2.3")}}, false},
		"a common name, bound by none": {Request{Profile: Partner, Subject: pkix.Name{CommonName: "mapps"}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := issuing.Issue(test.request)
			if (err == nil) != test.want {
				t.Errorf("issued: %v, %v; want %v", err == nil, err, test.want)
			}
		})
	}
}

func TestAKeyThatCannotLeaveStays(t *testing.T) {
	key := hiddenKey{ecKey(t, elliptic.P384())}
	root, err := CreateWith(Options{CommonName: "kept elsewhere", PathLength: 1, Clock: atNoon}, key)
	if err != nil {
		t.Fatal(err)
	}
	if root.KeyPair().PrivateKeyPEM != nil || root.KeyPair().PrivateKey == nil {
		t.Error("the key has a form in PEM, or is gone")
	}
	loaded, err := LoadWith(root.CertificatePEM(), key, atNoon)
	if err != nil {
		t.Fatal(err)
	}
	issuing := hiddenKey{ecKey(t, elliptic.P256())}
	pair, err := loaded.IssueAuthority(AuthorityRequest{CommonName: "kept elsewhere too", PublicKey: issuing.Public()})
	if err != nil {
		t.Fatal(err)
	}
	if pair.PrivateKey != nil || pair.PrivateKeyPEM != nil {
		t.Error("a private key was made for a public one that was given")
	}
	below, err := LoadWith(pair.ChainPEM(), issuing, atNoon)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := below.Issue(Request{Profile: Partner, Subject: pkix.Name{CommonName: "mapps"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := verifyBelow(t, root.Certificate(), leaf); err != nil {
		t.Error(err)
	}
	if below.Root() != nil {
		t.Error("a root that was not loaded is known")
	}
	if _, err := CreateWith(Options{CommonName: "a"}, ecKey(t, elliptic.P224())); err == nil {
		t.Error("a weak key was taken")
	}
}

func TestCrossSigningCarriesTrustFromTheOldRootToTheNew(t *testing.T) {
	constraints := NameConstraints{PermittedURIDomains: []string{"example.org"}}
	old := newTestAuthority(t, Options{CommonName: "old root", PathLength: 2, Lifetime: 90 * 24 * time.Hour})
	issuing, root := newTestIssuing(t, Options{CommonName: "new root", NameConstraints: constraints}, AuthorityRequest{})
	cross, err := old.CrossSign(root.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	if !cross.NotAfter.Equal(old.Certificate().NotAfter) || cross.MaxPathLen != 1 || !bytes.Equal(cross.RawSubject, root.Certificate().RawSubject) {
		t.Errorf("valid until %s, path length %d, subject %s", cross.NotAfter, cross.MaxPathLen, cross.Subject)
	}
	if !slices.Equal(cross.PermittedURIDomains, []string{"example.org"}) || !cross.PermittedDNSDomainsCritical {
		t.Error("the constraints are lost")
	}
	leaf, err := issuing.Issue(Request{Profile: Partner, Subject: pkix.Name{CommonName: "mapps"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := verifyBelow(t, old.Certificate(), leaf); err == nil {
		t.Error("the old root alone verifies a leaf of the new one")
	}
	leaf.Chain = append(leaf.Chain, cross)
	if err := verifyBelow(t, old.Certificate(), leaf); err != nil {
		t.Error(err)
	}

	for name, test := range map[string]struct {
		by    *Authority
		other *x509.Certificate
		want  string
	}{
		"itself":                   {old, old.Certificate(), "is that of the authority"},
		"a leaf":                   {old, leaf.Certificate, "not a certificate authority's"},
		"by one for leaves only":   {newTestAuthority(t, Options{CommonName: "leaves only"}), root.Certificate(), "path length"},
		"an authority for testing": {old, newTestAuthority(t, Options{CommonName: "d", Development: true}).Certificate(), "for development"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := test.by.CrossSign(test.other); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}
