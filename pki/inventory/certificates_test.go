package inventory

import (
	"crypto/x509"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sallyport-project/sallyport/pki/ca"
)

func TestCertificateByMaterialKeepsItsLastGoodValue(t *testing.T) {
	f := newFixture(t, nil)
	authority := f.authority("a", 0)
	first, second := f.issueBy(authority, "first", time.Hour), f.issueBy(authority, "second", 3*time.Hour)
	good := func(pair ca.KeyPair) {
		f.write("edge.pem", pair.CertificatePEM)
		f.write("edge-key.pem", pair.PrivateKeyPEM)
	}
	good(first)
	f.specs.Certificates["edge"] = certificateMaterial("file:edge.pem", "file:edge-key.pem")
	f.apply()
	f.wantNoProblem()
	f.wantGeneration(1)

	for name, test := range map[string]struct {
		damage func()
		words  string
	}{
		"the certificate is gone":     {func() { f.remove("edge.pem") }, "its certificate"},
		"the key is gone":             {func() { f.remove("edge-key.pem") }, "its private key"},
		"the key is another's":        {func() { f.write("edge-key.pem", second.PrivateKeyPEM) }, "belongs to another certificate"},
		"only the certificate is new": {func() { f.write("edge.pem", second.CertificatePEM) }, "if both are being replaced"},
		"the certificate is rubbish":  {func() { f.write("edge.pem", []byte("rubbish")) }, "no certificate"},
		"the certificate has expired": {func() { good(f.issueBy(authority, "short", time.Nanosecond)); f.clock.advance(2 * time.Second) }, "expired"},
		"there is no source":          {func() { f.specs.Certificates["edge"] = nil }, "no source"},
		"a reference is malformed":    {func() { f.specs.Certificates["edge"] = certificateMaterial("s3://b/k", "file:edge-key.pem") }, "bucket's name is malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			f.T = t
			test.damage()
			f.apply()
			if got := f.Current().Certificates["edge"]; got == nil || !got.Leaf.Equal(first.Certificate) {
				t.Errorf("in force: %v", got)
			}
			f.wantGeneration(1)
			f.wantProblem(KindCertificate, "edge", test.words)
			f.specs.Certificates["edge"] = certificateMaterial("file:edge.pem", "file:edge-key.pem")
			good(first)
		})
	}

	f.T = t
	good(second)
	f.apply()
	f.wantNoProblem()
	f.wantGeneration(2)
	if got := f.Current().Certificates["edge"]; !got.Leaf.Equal(second.Certificate) {
		t.Errorf("in force: %v", got)
	}
}

func TestCertificateThatNeverWasGoodIsAbsent(t *testing.T) {
	f := newFixture(t, nil)
	f.specs.Certificates["edge"] = certificateMaterial("file:edge.pem", "file:edge-key.pem")
	f.specs.Certificates["other"] = issuedServer("nobody", "localhost")
	f.apply()
	if len(f.Current().Certificates) != 0 {
		t.Error("something is in force")
	}
	f.wantProblem(KindCertificate, "edge", "nothing is in force")
	f.wantProblem(KindCertificate, "other", `no good Authority "nobody"`)
}

func TestIssuedCertificateIsWhatItsSpecAsksFor(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.AllowDevelopment = true })
	f.specs.Authorities["internal"] = developmentAuthority()
	f.specs.Truststores["internal"] = bundle("authority:internal")
	spec := issuedServer("internal", "api.example.org")
	spec.GetIssued().CommonName = "edge"
	spec.GetIssued().IpAddresses = []string{"127.0.0.1"}
	spec.GetIssued().Uris = []string{"spiffe://example.org/edge"}
	f.specs.Certificates["edge"] = spec
	f.apply()
	f.wantNoProblem()

	leaf := f.Current().Certificates["edge"].Leaf
	f.wantTrusted(leaf, "internal")
	if leaf.Subject.CommonName != "edge" || leaf.VerifyHostname("api.example.org") != nil || leaf.VerifyHostname("127.0.0.1") != nil ||
		len(leaf.URIs) != 1 || leaf.URIs[0].String() != "spiffe://example.org/edge" {
		t.Errorf("names %s %v %v %v", leaf.Subject, leaf.DNSNames, leaf.IPAddresses, leaf.URIs)
	}
	if len(leaf.ExtKeyUsage) != 1 || leaf.ExtKeyUsage[0] != x509.ExtKeyUsageServerAuth {
		t.Errorf("usages %v", leaf.ExtKeyUsage)
	}
	if want := noon.Add(time.Hour); !leaf.NotAfter.Equal(want) {
		t.Errorf("valid until %s, want %s", leaf.NotAfter, want)
	}
}

func TestIssuedCertificateIsRefusedForWhatCannotBeHad(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.AllowDevelopment = true })
	f.specs.Authorities["internal"] = developmentAuthority()
	nameless, hasty, addressed := issuedServer("internal"), issuedServer("internal", "a"), issuedServer("internal", "a")
	hasty.GetIssued().Lifetime = durationpb.New(time.Second)
	addressed.GetIssued().IpAddresses = []string{"localhost"}
	unprofiled := issuedServer("internal", "a")
	unprofiled.GetIssued().Profile = 0
	f.specs.Certificates["nameless"], f.specs.Certificates["hasty"] = nameless, hasty
	f.specs.Certificates["addressed"], f.specs.Certificates["unprofiled"] = addressed, unprofiled
	f.apply()
	f.wantProblem(KindCertificate, "nameless", "at least one DNS name")
	f.wantProblem(KindCertificate, "hasty", "one minute")
	f.wantProblem(KindCertificate, "addressed", "not an IP address")
	f.wantProblem(KindCertificate, "unprofiled", "profile")
	if len(f.Current().Certificates) != 0 {
		t.Error("something was issued")
	}
}

func TestIssuedCertificateIsKeptWhileOtherThingsChange(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.AllowDevelopment = true })
	f.specs.Authorities["internal"] = developmentAuthority()
	f.specs.Certificates["edge"] = issuedServer("internal", "api.example.org")
	f.apply()
	before := f.Current().Certificates["edge"]

	f.specs.Certificates["other"] = issuedServer("internal", "other.example.org")
	f.write("partners.pem", f.authority("a", 0).CertificatePEM())
	f.specs.Truststores["partners"] = bundle("file:partners.pem")
	f.apply()
	f.wantGeneration(2)
	if after := f.Current().Certificates["edge"]; after.Hash != before.Hash {
		t.Error("it was issued again because something else changed")
	}

	f.specs.Certificates["edge"] = issuedServer("internal", "api.example.org", "www.example.org")
	f.apply()
	f.wantGeneration(3)
	if after := f.Current().Certificates["edge"]; after.Hash == before.Hash || after.Leaf.VerifyHostname("www.example.org") != nil {
		t.Error("it was not issued again for another request")
	}
}

func TestIssuedCertificateIsRenewedAfterTwoThirdsOfItsLife(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.AllowDevelopment = true })
	f.specs.Authorities["internal"] = developmentAuthority()
	f.specs.Certificates["edge"] = issuedServer("internal", "api.example.org")
	f.apply()
	first := f.Current().Certificates["edge"]

	f.clock.advance(40*time.Minute - time.Second)
	f.apply()
	if f.Current().Certificates["edge"].Hash != first.Hash {
		t.Error("it was renewed early")
	}
	f.clock.advance(time.Second)
	f.apply()
	second := f.Current().Certificates["edge"]
	if second.Hash == first.Hash || !second.Leaf.NotAfter.Equal(f.clock.Now().Add(time.Hour)) {
		t.Errorf("it was not renewed: valid until %s", second.Leaf.NotAfter)
	}
	f.wantGeneration(2)
}

func TestIssuedCertificateIsNotRenewedForNoGain(t *testing.T) {
	f := newFixture(t, nil)
	authority := f.authority("short", 30*time.Minute)
	f.write("ca.pem", authority.CertificatePEM())
	f.write("ca-key.pem", authority.KeyPair().PrivateKeyPEM)
	f.specs.Authorities["internal"] = authorityMaterial("file:ca.pem", "file:ca-key.pem")
	f.specs.Certificates["edge"] = issuedServer("internal", "api.example.org")
	f.apply()
	first := f.Current().Certificates["edge"]
	f.clock.advance(29 * time.Minute)
	f.apply()
	f.wantGeneration(1)
	f.clock.advance(2 * time.Minute)
	f.apply()
	f.wantProblem(KindCertificate, "edge", "the issuer is valid only")
	if f.Current().Certificates["edge"].Hash != first.Hash {
		t.Error("its last good value is gone")
	}
}

func TestIssuedCertificateFollowsItsAuthority(t *testing.T) {
	f := newFixture(t, nil)
	old, next := f.authority("old", 0), f.authority("next", 0)
	use := func(authority *ca.Authority) {
		f.write("ca.pem", authority.CertificatePEM())
		f.write("ca-key.pem", authority.KeyPair().PrivateKeyPEM)
	}
	use(old)
	f.specs.Authorities["internal"] = authorityMaterial("file:ca.pem", "file:ca-key.pem")
	f.specs.Truststores["internal"] = bundle("authority:internal")
	f.specs.Certificates["edge"] = issuedServer("internal", "api.example.org")
	f.apply()
	f.wantNoProblem()
	f.wantTrusted(f.Current().Certificates["edge"].Leaf, "internal")
	first := f.Current().Certificates["edge"].Hash

	f.write("ca.pem", next.CertificatePEM()) // and not yet its key
	f.apply()
	f.wantProblem(KindAuthority, "internal", "belongs to another certificate")
	f.wantAnchors("internal", old)
	f.wantGeneration(1)

	use(next)
	f.apply()
	f.wantNoProblem()
	f.wantAnchors("internal", next)
	if f.Current().Certificates["edge"].Hash == first {
		t.Error("the certificate is still the old authority's")
	}
	f.wantTrusted(f.Current().Certificates["edge"].Leaf, "internal")
}

func TestAuthorityNeedsNoKeyToBeABundle(t *testing.T) {
	f := newFixture(t, nil)
	authority := f.authority("partners", 0)
	f.write("ca.pem", authority.CertificatePEM())
	f.specs.Authorities["partner-ca"] = authorityMaterial("file:ca.pem", "")
	f.specs.Truststores["partners"] = bundle("authority:partner-ca")
	f.apply()
	f.wantNoProblem()
	f.wantAnchors("partners", authority)
	if _, found := f.Authority("partner-ca"); found {
		t.Error("an authority without a key is handed out")
	}
	f.specs.Certificates["edge"] = issuedServer("partner-ca", "localhost")
	f.apply()
	f.wantProblem(KindAuthority, "partner-ca", "has no private_key")
}

func TestTruststoresOnlyReadsNoKey(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.TruststoresOnly = true })
	authority := f.authority("internal", 0)
	f.write("ca.pem", authority.CertificatePEM())
	f.specs.Authorities["internal"] = authorityMaterial("file:ca.pem", "file:ca-key.pem")
	f.specs.Truststores["internal"] = bundle("authority:internal")
	f.specs.Certificates["edge"] = issuedServer("internal", "localhost")
	f.specs.Certificates["other"] = certificateMaterial("file:other.pem", "file:other-key.pem")
	f.apply()
	f.wantNoProblem()
	f.wantAnchors("internal", authority)
	if len(f.Current().Certificates) != 0 {
		t.Error("there are certificates")
	}
}
