package ca

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestPartnerCertificatesAreForClientsAndLastAYear(t *testing.T) {
	pair, err := newTestAuthority(t, Options{}).Issue(Request{
		Profile: Partner, Subject: pkix.Name{CommonName: "mapps"}, URIs: []string{"https://partners.example.org/mapps"},
	})
	if err != nil {
		t.Fatal(err)
	}
	leaf := pair.Certificate
	if len(leaf.ExtKeyUsage) != 1 || leaf.ExtKeyUsage[0] != x509.ExtKeyUsageClientAuth || leaf.KeyUsage != x509.KeyUsageDigitalSignature {
		t.Errorf("extended key usage %v, key usage %b", leaf.ExtKeyUsage, leaf.KeyUsage)
	}
	if want := noon.Add(365 * 24 * time.Hour).Truncate(time.Second); !leaf.NotAfter.Equal(want) {
		t.Errorf("valid until %s, want %s", leaf.NotAfter, want)
	}
}

func TestProfilesBoundWhatIsAskedOfThem(t *testing.T) {
	authority := newTestAuthority(t, Options{})
	partner := func(change func(*Request)) Request {
		request := Request{Profile: Partner, Subject: pkix.Name{CommonName: "mapps"}}
		change(&request)
		return request
	}
	for name, test := range map[string]struct {
		request Request
		want    string
	}{
		"a partner without a name":          {partner(func(r *Request) { r.Subject = pkix.Name{} }), "needs a common name"},
		"a partner with a DNS name":         {partner(func(r *Request) { r.DNSNames = []string{"example.org"} }), "neither DNS names"},
		"a partner with an address":         {partner(func(r *Request) { r.IPAddresses = []netip.Addr{netip.MustParseAddr("192.0.2.1")} }), "neither DNS names"},
		"a partner with two URIs":           {partner(func(r *Request) { r.URIs = []string{"https://a.example.org/", "https://b.example.org/"} }), "at most one URI"},
		"a partner as one of our proxies":   {partner(func(r *Request) { r.URIs = []string{proxyURI} }), "identity of our own"},
		"a partner with a server's usage":   {partner(func(r *Request) { r.Usages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), "cannot be replaced"},
		"a partner without usages":          {partner(func(r *Request) { r.Usages = []x509.ExtKeyUsage{} }), "cannot be replaced"},
		"a partner for three years":         {partner(func(r *Request) { r.Lifetime = 3 * 365 * 24 * time.Hour }), "longer than 825 days"},
		"a partner for three years exactly": {partner(func(r *Request) { r.Validity = &Validity{noon, noon.Add(3 * 365 * 24 * time.Hour)} }), "longer than 825 days"},
		"a partner with the issuer's name":  {partner(func(r *Request) { r.Subject.CommonName = "test root" }), "that of the authority itself"},
		"a client as an operator":           {Request{Profile: Client, URIs: []string{operatorURI}}, "identity of our own"},
		"a server as a control plane":       {Request{Profile: Server, DNSNames: []string{"a.example.org"}, URIs: []string{serviceURI}}, "identity of our own"},
		"a partner as an operator":          {partner(func(r *Request) { r.URIs = []string{operatorURI} }), "identity of our own"},
		"an operator as a proxy":            {Request{Profile: Operator, URIs: []string{proxyURI}}, "is another"},
		"a proxy as an operator":            {Request{Profile: Proxy, URIs: []string{operatorURI}}, "is another"},
		"an operator with a server's usage": {Request{Profile: Operator, URIs: []string{operatorURI}, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, "cannot be replaced"},
		"a proxy for two years":             {Request{Profile: Proxy, URIs: []string{proxyURI}, Lifetime: 2 * 365 * 24 * time.Hour}, "longer than 398 days"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := authority.Issue(test.request)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestEveryProfileHasALifeWithinItsBounds(t *testing.T) {
	for _, profile := range Profiles() {
		if usual, longest := profile.DefaultLifetime(), profile.MaxLifetime(); usual <= 0 || usual > longest {
			t.Errorf("%s: usually %s, %s at most", profile, usual, longest)
		}
	}
	if Profile("root").DefaultLifetime() != 0 || Profile("root").MaxLifetime() != 0 {
		t.Error("a profile that does not exist has a life")
	}
	if _, err := Create(Options{CommonName: "a", Lifetime: MaxAuthorityLifetime + 1}); err == nil {
		t.Error("a root for longer than any was made")
	}
}
