package inventory

import (
	"crypto/x509/pkix"
	"testing"

	"github.com/sallyport-project/sallyport/pki/ca"
)

func TestSubstituteNeedsNoMaterial(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Substitute = true })
	f.specs.Authorities["partner-ca"] = authorityMaterial("s3://bucket/ca.pem", "awskms:alias/ca")
	f.specs.Authorities["internal"] = developmentAuthority()
	f.specs.Truststores["partners"] = bundle("authority:partner-ca")
	f.specs.Truststores["others"] = bundle("s3://bucket/others.pem")
	f.specs.Truststores["upstream"] = bundle("file:upstream.pem")
	f.specs.Certificates["issued"] = issuedServer("internal", "api.example.org")
	f.specs.Certificates["server"] = certificateMaterial("file:server.pem", "file:server-key.pem")
	f.specs.Certificates["client"] = certificateMaterial("env:CLIENT", "env:CLIENT_KEY")
	f.specs.CertificateHosts = map[string][]string{"server": {"www.example.org", "127.0.0.1"}}
	f.specs.CertificateTruststores = map[string]string{"server": "upstream"}
	f.apply()
	f.wantNoProblem()

	for _, name := range []string{"partners", "others", "upstream"} {
		authority, found := f.TruststoreAuthority(name)
		if !found || !authority.IsDevelopment() {
			t.Fatalf("no development authority for truststore %s", name)
		}
		f.wantAnchors(name, authority)
		caller, err := authority.Issue(ca.Request{Profile: ca.Client, Subject: pkix.Name{CommonName: "caller"}})
		if err != nil {
			t.Fatal(err)
		}
		f.wantTrusted(caller.Certificate, name)
	}
	partner, found := f.Authority("partner-ca")
	if !found {
		t.Fatal("no Authority partner-ca")
	}
	f.wantAnchors("partners", partner)
	if others, _ := f.TruststoreAuthority("others"); others.Certificate().Subject.CommonName != "truststore-others" {
		t.Errorf("it is called %s", others.Certificate().Subject)
	}

	server := f.Current().Certificates["server"].Leaf
	if server.VerifyHostname("www.example.org") != nil || server.VerifyHostname("127.0.0.1") != nil {
		t.Errorf("names %v %v", server.DNSNames, server.IPAddresses)
	}
	f.wantTrusted(server, "upstream")
	if client := f.Current().Certificates["client"].Leaf; client.Subject.CommonName != "client" || len(client.DNSNames) != 0 {
		t.Errorf("client %s %v", client.Subject, client.DNSNames)
	}
	internal, _ := f.Authority("internal")
	if f.Current().Certificates["issued"].Leaf.CheckSignatureFrom(internal.Certificate()) != nil {
		t.Error("the issued certificate is not the authority's")
	}
}

func TestSubstituteTellsAnAuthorityFromATruststoreThatIsNamedAlike(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Substitute, c.StateDir = true, c.Base })
	f.specs.Authorities["truststore-partners"] = developmentAuthority()
	f.specs.Truststores["partners"] = bundle("file:partners.pem")
	f.apply()
	f.wantNoProblem()
	one, _ := f.Authority("truststore-partners")
	two, _ := f.TruststoreAuthority("partners")
	if one == nil || two == nil || one.Certificate().Equal(two.Certificate()) {
		t.Error("they are the same")
	}
}

func TestSubstituteIsUnchangedByApplyingAgain(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Substitute = true })
	f.specs.Truststores["partners"] = bundle("file:partners.pem")
	f.specs.Certificates["server"] = certificateMaterial("file:server.pem", "file:server-key.pem")
	before := f.apply()
	if after := f.apply(); after != before || after.Generation != 1 {
		t.Errorf("generation %d", after.Generation)
	}
}
