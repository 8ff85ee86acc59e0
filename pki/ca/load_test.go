package ca

import (
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
)

// bare makes a root as small old tools did: a common name and basic constraints, without key identifier or key usage.
func bare(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage = false, false, 0 // crypto/x509 would add a key identifier to a CA
	c.ExtraExtensions = []pkix.Extension{{Id: oidBasicConstraints, Critical: true, Value: []byte{0x30, 0x03, 0x01, 0x01, 0xff}}}
}

func TestAnAdoptedAuthorityWithoutKeyIdentifierAndKeyUsageIssuesAndRevokes(t *testing.T) {
	certificate, key := selfSigned(t, rsaKey(t, 2048), bare)
	authority, err := Load(certificate, key, atNoon)
	if err != nil {
		t.Fatal(err)
	}
	if own := authority.Certificate(); len(own.SubjectKeyId) != 0 || own.KeyUsage != 0 || own.MaxPathLen != -1 {
		t.Fatalf("the fixture has key identifier %x, key usage %b, path length %d", own.SubjectKeyId, own.KeyUsage, own.MaxPathLen)
	}
	leaf, err := authority.Issue(Request{Profile: Partner, Subject: pkix.Name{CommonName: "mapps"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(leaf.Certificate.AuthorityKeyId) != 0 {
		t.Error("the leaf names a key identifier that its issuer does not have")
	}
	if err := verifyBelow(t, authority.Certificate(), leaf); err != nil {
		t.Error(err)
	}
	issuing, err := authority.IssueAuthority(AuthorityRequest{CommonName: "issuing", PathLength: 4})
	if err != nil || issuing.Certificate.MaxPathLen != 4 {
		t.Errorf("an authority below one without a limit: %v, %v", issuing, err)
	}
	der, err := authority.SignRevocationList(RevocationList{
		Number: big.NewInt(1), ThisUpdate: noon, NextUpdate: noon.Add(time.Hour),
		Entries: []Revoked{{leaf.Certificate.SerialNumber, noon, KeyCompromise}},
	})
	if err != nil {
		t.Fatal(err)
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	if err := list.CheckSignatureFrom(authority.Certificate()); err != nil || len(list.AuthorityKeyId) == 0 {
		t.Errorf("the list has key identifier %x: %v", list.AuthorityKeyId, err)
	}
}

func TestLoadTakesAChainAndRefusesWhatIsNone(t *testing.T) {
	issuing, root := newTestIssuing(t, Options{}, AuthorityRequest{})
	own, above, key := issuing.CertificatePEM(), root.CertificatePEM(), issuing.KeyPair().PrivateKeyPEM
	stranger := newTestAuthority(t, Options{CommonName: "stranger"}).CertificatePEM()
	sameName := newTestAuthority(t, Options{PathLength: 1}).CertificatePEM()
	leaf, err := issuing.Issue(Request{Profile: Partner, Subject: pkix.Name{CommonName: "mapps"}})
	if err != nil {
		t.Fatal(err)
	}
	nameless, namelessKey := selfSigned(t, ecKey(t, elliptic.P256()), func(c *x509.Certificate) { c.Subject = pkix.Name{} })
	foreign, foreignKey := selfSigned(t, ecKey(t, elliptic.P256()), func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
	})

	for name, chain := range map[string][]byte{"alone": own, "with its root": slices.Concat(own, above)} {
		t.Run(name, func(t *testing.T) {
			if loaded, err := Load(chain, key, atNoon); err != nil || !loaded.Certificate().Equal(issuing.Certificate()) {
				t.Errorf("%v", err)
			}
		})
	}
	for name, test := range map[string]struct {
		chain, key []byte
		want       string
	}{
		"the root first":                 {slices.Concat(above, own), key, "must stand last"},
		"the root's key":                 {slices.Concat(own, above), root.KeyPair().PrivateKeyPEM, "whose certificate must stand first"},
		"a stranger's root":              {slices.Concat(own, stranger), key, "was not issued by"},
		"a root of the same name":        {slices.Concat(own, sameName), key, "was not issued by"},
		"more after the root":            {slices.Concat(own, above, stranger), key, "must stand last"},
		"the root twice":                 {slices.Concat(own, above, above), key, "stands there twice"},
		"a leaf first":                   {slices.Concat(leaf.CertificatePEM, own, above), leaf.PrivateKeyPEM, "not a certificate authority's"},
		"an authority without a name":    {nameless, namelessKey, "no subject"},
		"an extension nobody knows":      {foreign, foreignKey, "1.2.3.4"},
		"an authority deeper than right": {deeperThanAllowed(t), key, "allows 0 authorities below it"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(test.chain, test.key, atNoon)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

// deeperThanAllowed is a chain in which a root for leaves only has signed an authority all the same.
func deeperThanAllowed(t *testing.T) []byte {
	t.Helper()
	root := newTestAuthority(t, Options{})
	template, err := authorityTemplate(authorityName{commonName: "too deep"}, false, 0, NameConstraints{})
	if err != nil {
		t.Fatal(err)
	}
	template.NotBefore, template.NotAfter = noon, noon.Add(time.Hour)
	certificate, err := root.sign(template, ecKey(t, elliptic.P256()).Public())
	if err != nil {
		t.Fatal(err)
	}
	return slices.Concat(EncodeCertificate(certificate), root.CertificatePEM())
}

func TestNothingIsIssuedOnceAnAuthorityAboveHasExpired(t *testing.T) {
	key := ecKey(t, elliptic.P256())
	rootPEM, rootKey := selfSigned(t, key, func(c *x509.Certificate) { c.MaxPathLen = 1 })
	root, err := Load(rootPEM, rootKey, atNoon)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := root.IssueAuthority(AuthorityRequest{CommonName: "issuing"})
	if err != nil {
		t.Fatal(err)
	}
	issuing, err := Load(slices.Concat(pair.ChainPEM(), rootPEM), pair.PrivateKeyPEM, func() time.Time { return noon.Add(2 * time.Hour) })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := issuing.Issue(Request{Profile: Partner, Subject: pkix.Name{CommonName: "mapps"}}); err == nil || !strings.Contains(err.Error(), "is valid only") {
		t.Errorf("got %v", err)
	}
}

func TestAddressesOfTheRevocationListAreWrittenIntoWhatIsIssued(t *testing.T) {
	plain := newTestAuthority(t, Options{})
	authority, err := plain.WithCRLAddresses("http://pki.example.org/partners.crl", "https://pki.example.org/partners.crl")
	if err != nil {
		t.Fatal(err)
	}
	partner := Request{Profile: Partner, Subject: pkix.Name{CommonName: "mapps"}}
	own, none, other := partner, partner, partner
	none.CRLAddresses = []string{}
	other.CRLAddresses = []string{"http://elsewhere.example.org/a.crl"}
	for name, test := range map[string]struct {
		by      *Authority
		request Request
		want    []string
	}{
		"the authority's":        {authority, own, []string{"http://pki.example.org/partners.crl", "https://pki.example.org/partners.crl"}},
		"none, by request":       {authority, none, nil},
		"another, by request":    {authority, other, []string{"http://elsewhere.example.org/a.crl"}},
		"none, by the authority": {plain, own, nil},
	} {
		t.Run(name, func(t *testing.T) {
			pair, err := test.by.Issue(test.request)
			if err != nil {
				t.Fatal(err)
			}
			if got := pair.Certificate.CRLDistributionPoints; !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
	for _, address := range []string{"", "partners.crl", "file:///partners.crl", "http:///a.crl", "https://a.example.org/#b", "http://" + strings.Repeat("a", 1100)} {
		if _, err := plain.WithCRLAddresses(address); err == nil {
			t.Errorf("%q was taken", address)
		}
	}
}
