package inventory

import (
	"bytes"
	"crypto/x509"
	"slices"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

func TestTruststoreKeepsItsLastGoodValue(t *testing.T) {
	f := newFixture(t, nil)
	a, b := f.authority("a", 0), f.authority("b", 0)
	f.write("partners.pem", a.CertificatePEM())
	f.specs.Truststores["partners"] = bundle("file:partners.pem")
	f.apply()
	f.wantNoProblem()
	f.wantAnchors("partners", a)
	f.wantGeneration(1)

	for name, test := range map[string]struct {
		damage func()
		words  string
	}{
		"the file is gone":          {func() { f.remove("partners.pem") }, "no such file"},
		"the file is empty":         {func() { f.write("partners.pem") }, "empty"},
		"the file is rubbish":       {func() { f.write("partners.pem", []byte("rubbish")) }, "no certificate authority"},
		"the file is torn":          {func() { f.write("partners.pem", a.CertificatePEM()[:200]) }, "not well-formed PEM"},
		"the file has 5 MB":         {func() { f.write("partners.pem", bytes.Repeat(a.CertificatePEM(), 5<<20/len(a.CertificatePEM())+1)) }, "larger than"},
		"the file is a list":        {func() { f.write("partners.pem", f.list(a, 1)) }, "no certificate authority"},
		"the file holds a key":      {func() { f.write("partners.pem", a.CertificatePEM(), a.KeyPair().PrivateKeyPEM) }, "private key"},
		"the file holds a leaf":     {func() { f.write("partners.pem", f.issueBy(a, "leaf", 0).CertificatePEM) }, "not a certificate authority's"},
		"the reference is unknown":  {func() { f.specs.Truststores["partners"] = bundle("vault:partners") }, "unknown scheme"},
		"the reference is not ours": {func() { f.specs.Truststores["partners"] = bundle("s3://bucket/partners.pem") }, "cannot be read here"},
		"no such authority":         {func() { f.specs.Truststores["partners"] = bundle("authority:nobody") }, "no good Authority"},
	} {
		t.Run(name, func(t *testing.T) {
			f.T = t
			test.damage()
			f.apply()
			f.wantAnchors("partners", a)
			f.wantGeneration(1)
			if problem := f.findProblem(KindTruststore, "partners", test.words); !problem.InForce {
				t.Error("the problem says that nothing is in force")
			}
			f.specs.Truststores["partners"] = bundle("file:partners.pem")
		})
	}

	f.T = t
	f.write("partners.pem", a.CertificatePEM(), b.CertificatePEM())
	f.apply()
	f.wantNoProblem()
	f.wantAnchors("partners", a, b)
	f.wantGeneration(2)
}

func TestTruststoreThatNeverWasGoodIsAbsent(t *testing.T) {
	f := newFixture(t, nil)
	f.specs.Truststores["partners"] = bundle("file:partners.pem")
	f.apply()
	if f.Current().Truststores["partners"] != nil {
		t.Error("it is there")
	}
	if problem := f.findProblem(KindTruststore, "partners", "no such file"); problem.InForce {
		t.Error("the problem says that something is in force")
	}
}

func TestTruststoreThatIsTakenOutOfTheConfigurationIsForgotten(t *testing.T) {
	f := newFixture(t, nil)
	f.write("partners.pem", f.authority("a", 0).CertificatePEM())
	f.specs.Truststores["partners"] = bundle("file:partners.pem")
	f.apply()
	f.specs.Truststores = nil
	f.apply()
	if len(f.Current().Truststores) != 0 {
		t.Error("it is still there")
	}
	f.wantGeneration(2)
	f.remove("partners.pem")
	f.specs.Truststores = map[string]*sallyportv1.TruststoreSpec{"partners": bundle("file:partners.pem")}
	f.apply()
	if len(f.Current().Truststores) != 0 {
		t.Error("its old value came back")
	}
}

func TestTruststoreLosesAnAnchorWhenItExpires(t *testing.T) {
	f := newFixture(t, nil)
	short, long := f.authority("short", time.Hour), f.authority("long", 0)
	f.write("partners.pem", short.CertificatePEM(), long.CertificatePEM())
	f.specs.Truststores["partners"] = bundle("file:partners.pem")
	f.apply()
	f.wantAnchors("partners", short, long)

	f.clock.advance(2 * time.Hour)
	f.apply()
	f.wantAnchors("partners", long)
	f.wantProblem(KindTruststore, "partners", "expired")
	f.wantGeneration(2)
}

func TestOneBrokenTruststoreHoldsNoOtherBack(t *testing.T) {
	f := newFixture(t, nil)
	a, b := f.authority("a", 0), f.authority("b", 0)
	f.write("a.pem", a.CertificatePEM())
	f.write("b.pem", a.CertificatePEM())
	f.specs.Truststores["a"], f.specs.Truststores["b"] = bundle("file:a.pem"), bundle("file:b.pem")
	f.apply()
	f.write("a.pem", []byte("rubbish"))
	f.write("b.pem", b.CertificatePEM())
	f.apply()
	f.wantAnchors("a", a)
	f.wantAnchors("b", b)
	f.wantGeneration(2)
}

func TestTruststoreThatIsBoundUpWithTheProxiesAuthorityIsRefused(t *testing.T) {
	proxies := newFixture(t, nil).create(ca.Options{CommonName: "proxies", PathLength: 1})
	f := newFixture(t, func(c *Config) { c.ForbiddenAnchors = []*x509.Certificate{proxies.Certificate()} })
	partner := f.authority("partner", 0)
	crossSigned := crossSign(t, partner, proxies)

	for name, data := range map[string][]byte{
		"the same certificate":            proxies.CertificatePEM(),
		"the same key in another":         renewed(t, proxies),
		"an authority that it has signed": ca.EncodeCertificate(crossSigned),
		"beside a good one":               slices.Concat(partner.CertificatePEM(), proxies.CertificatePEM()),
	} {
		t.Run(name, func(t *testing.T) {
			f.T = t
			f.write("partners.pem", data)
			f.specs.Truststores["partners"] = bundle("file:partners.pem")
			f.apply()
			f.wantProblem(KindTruststore, "partners", "our own proxies")
			if f.Current().Truststores["partners"] != nil {
				t.Error("it is in force")
			}
		})
	}

	t.Run("as an authority of the configuration", func(t *testing.T) {
		f.T = t
		f.write("ca.pem", proxies.CertificatePEM())
		f.write("ca-key.pem", proxies.KeyPair().PrivateKeyPEM)
		f.specs.Authorities["internal"] = authorityMaterial("file:ca.pem", "file:ca-key.pem")
		f.specs.Certificates["control-plane"] = issuedServer("internal", "localhost")
		f.apply()
		f.wantProblem(KindAuthority, "internal", "our own proxies")
		if len(f.Current().Certificates) != 0 {
			t.Error("it issued a certificate")
		}
	})

	t.Run("a good one is in force", func(t *testing.T) {
		f.T = t
		f.write("partners.pem", partner.CertificatePEM())
		f.apply()
		f.wantAnchors("partners", partner)
	})
}

func TestTruststoreThatIssuedTheProxiesAuthorityIsRefused(t *testing.T) {
	issuer := newFixture(t, nil).create(ca.Options{CommonName: "root of all", PathLength: 1})
	proxies := crossSign(t, newFixture(t, nil).authority("proxies", 0), issuer)
	f := newFixture(t, func(c *Config) { c.ForbiddenAnchors = []*x509.Certificate{proxies} })
	f.write("partners.pem", issuer.CertificatePEM())
	f.specs.Truststores["partners"] = bundle("file:partners.pem")
	f.apply()
	f.wantProblem(KindTruststore, "partners", "our own proxies")
}

func TestDevelopmentAuthorityIsRefusedInEarnest(t *testing.T) {
	f := newFixture(t, nil)
	development, earnest := f.create(ca.Options{CommonName: "dev", Development: true}), f.authority("earnest", 0)
	leaf := f.issueBy(development, "leaf", 0)
	f.write("dev.pem", development.CertificatePEM())
	f.write("dev-key.pem", development.KeyPair().PrivateKeyPEM)
	f.write("mixed.pem", development.CertificatePEM(), earnest.CertificatePEM())
	f.write("leaf.pem", leaf.CertificatePEM)
	f.write("leaf-key.pem", leaf.PrivateKeyPEM)
	f.specs.Authorities["made"] = developmentAuthority()
	f.specs.Authorities["brought"] = authorityMaterial("file:dev.pem", "file:dev-key.pem")
	f.specs.Truststores["made"] = bundle("authority:made")
	f.specs.Truststores["brought"] = bundle("file:dev.pem")
	f.specs.Truststores["mixed"] = bundle("file:mixed.pem")
	f.specs.Certificates["made"] = issuedServer("made", "localhost")
	f.specs.Certificates["brought"] = certificateMaterial("file:leaf.pem", "file:leaf-key.pem")
	f.apply()

	for _, name := range []string{"made", "brought"} {
		f.wantProblem(KindAuthority, name, "`serve` refuses a development authority")
		if f.Current().Truststores[name] != nil || f.Current().Certificates[name] != nil {
			t.Errorf("%s is in force", name)
		}
		if _, found := f.Authority(name); found {
			t.Errorf("Authority %s is there", name)
		}
	}
	f.wantProblem(KindTruststore, "brought", "`sallyport dev`")
	f.wantProblem(KindCertificate, "brought", "`sallyport dev`")
	f.wantProblem(KindTruststore, "mixed", "CN=dev")
	f.wantAnchors("mixed", earnest)
}

func TestProblemKeepsTheTimeWhenItWasFirstSeen(t *testing.T) {
	f := newFixture(t, nil)
	f.specs.Truststores["partners"] = bundle("file:partners.pem")
	f.apply()
	snapshot, superseded := f.Watch()
	f.clock.advance(time.Hour)
	f.apply()
	if problem := f.findProblem(KindTruststore, "partners", "no such file"); !problem.Since.Equal(noon) {
		t.Errorf("since %s, want %s", problem.Since, noon)
	}
	if f.Current() != snapshot {
		t.Error("the same problem made another snapshot")
	}
	select {
	case <-superseded:
		t.Error("the same problem was announced again")
	default:
	}

	f.write("partners.pem", []byte("rubbish"))
	f.apply()
	if problem := f.findProblem(KindTruststore, "partners", "no certificate authority"); !problem.Since.Equal(noon.Add(time.Hour)) {
		t.Errorf("since %s", problem.Since)
	}
	f.wantGeneration(1)
	select {
	case <-superseded:
	default:
		t.Error("another problem was not announced")
	}
}
