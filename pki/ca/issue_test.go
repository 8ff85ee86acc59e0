package ca

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	proxyURI    = "spiffe://example.org/proxy/edge/edge-1"
	serviceURI  = "spiffe://example.org/control-plane/main"
	operatorURI = "spiffe://example.org/operator/alice"
)

func TestIssueGivesEachProfileItsUsagesAndNames(t *testing.T) {
	authority := newTestAuthority(t, Options{})
	roots := x509.NewCertPool()
	roots.AddCert(authority.Certificate())
	client, server := x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth

	for name, test := range map[string]struct {
		request Request
		usages  []x509.ExtKeyUsage
	}{
		"server by name":    {Request{Profile: Server, DNSNames: []string{"api.example.org", "*.example.org"}}, []x509.ExtKeyUsage{server}},
		"server by address": {Request{Profile: Server, IPAddresses: []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}}, []x509.ExtKeyUsage{server}},
		"client by name":    {Request{Profile: Client, Subject: pkix.Name{CommonName: "mapps", Organization: []string{"Police"}}}, []x509.ExtKeyUsage{client}},
		"client by URI":     {Request{Profile: Client, URIs: []string{"spiffe://example.org/edge"}}, []x509.ExtKeyUsage{client}},
		"proxy":             {Request{Profile: Proxy, URIs: []string{proxyURI}}, []x509.ExtKeyUsage{client, server}},
		"control plane":     {Request{Profile: Service, URIs: []string{serviceURI}, DNSNames: []string{"localhost"}}, []x509.ExtKeyUsage{client, server}},
		"operator":          {Request{Profile: Operator, URIs: []string{operatorURI}}, []x509.ExtKeyUsage{client}},
		"authz":             {Request{Profile: Service, URIs: []string{"spiffe://example.org/authz/main"}}, []x509.ExtKeyUsage{client, server}},
	} {
		t.Run(name, func(t *testing.T) {
			pair, err := authority.Issue(test.request)
			if err != nil {
				t.Fatal(err)
			}
			leaf := pair.Certificate
			for _, usage := range test.usages {
				if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: noon, KeyUsages: []x509.ExtKeyUsage{usage}}); err != nil {
					t.Errorf("verify for usage %d: %v", usage, err)
				}
			}
			if !slices.Equal(leaf.ExtKeyUsage, test.usages) {
				t.Errorf("usages %v, want %v", leaf.ExtKeyUsage, test.usages)
			}
			if leaf.IsCA || leaf.KeyUsage != x509.KeyUsageDigitalSignature {
				t.Errorf("CA %v, key usage %b", leaf.IsCA, leaf.KeyUsage)
			}
			if !slices.Equal(leaf.DNSNames, test.request.DNSNames) || len(leaf.IPAddresses) != len(test.request.IPAddresses) || len(leaf.URIs) != len(test.request.URIs) {
				t.Errorf("names %v %v %v", leaf.DNSNames, leaf.IPAddresses, leaf.URIs)
			}
			if !bytes.Equal(leaf.AuthorityKeyId, authority.Certificate().SubjectKeyId) {
				t.Error("authority key identifier is not the issuer's")
			}
			if want := noon.Add(-time.Minute).Truncate(time.Second); !leaf.NotBefore.Equal(want) {
				t.Errorf("not before %s, want %s", leaf.NotBefore, want)
			}
			if got, err := ParsePrivateKey(pair.PrivateKeyPEM); err != nil || !Matches(leaf, got) {
				t.Errorf("the key in PEM does not match: %v", err)
			}
			if got, err := ParseCertificates(pair.CertificatePEM); err != nil || len(got) != 1 || !got[0].Equal(leaf) {
				t.Errorf("the certificate in PEM is another: %v", err)
			}
			if tlsPair := pair.TLS(); tlsPair.Leaf != leaf || tlsPair.PrivateKey == nil {
				t.Error("the TLS form is incomplete")
			}
		})
	}
}

func TestIssueNeverRepeatsASerialNumber(t *testing.T) {
	authority := newTestAuthority(t, Options{})
	seen := map[string]bool{}
	for range 20 {
		pair, err := authority.Issue(Request{Profile: Client, Subject: pkix.Name{CommonName: "a"}})
		if err != nil {
			t.Fatal(err)
		}
		if serial := pair.Certificate.SerialNumber.String(); seen[serial] {
			t.Fatalf("serial number %s was issued twice", serial)
		} else {
			seen[serial] = true
		}
	}
}

func TestIssueRefuses(t *testing.T) {
	authority := newTestAuthority(t, Options{Lifetime: time.Hour})
	name := pkix.Name{CommonName: "a"}
	for label, test := range map[string]struct {
		request Request
		want    string
	}{
		"no profile":                       {Request{Subject: name}, "unknown profile"},
		"server without a name":            {Request{Profile: Server, Subject: name}, "needs at least one DNS name"},
		"client without a name":            {Request{Profile: Client}, "needs a common name"},
		"proxy without a URI":              {Request{Profile: Proxy, Subject: name}, "exactly one URI"},
		"proxy with two URIs":              {Request{Profile: Proxy, URIs: []string{proxyURI, "https://example.org"}}, "exactly one URI"},
		"proxy as control plane":           {Request{Profile: Proxy, URIs: []string{serviceURI}}, "is another"},
		"proxy with another's SPIFFE ID":   {Request{Profile: Proxy, URIs: []string{"spiffe://example.org/edge"}}, "the path must be"},
		"service as proxy":                 {Request{Profile: Service, URIs: []string{proxyURI}}, "is another"},
		"a long common name":               {Request{Profile: Client, Subject: pkix.Name{CommonName: strings.Repeat("a", 65)}}, "64 bytes"},
		"a control character":              {Request{Profile: Client, Subject: pkix.Name{CommonName: "a\x00b"}}, "control characters"},
		"an empty DNS label":               {Request{Profile: Server, DNSNames: []string{"a..b"}}, "not a DNS name"},
		"a trailing dot":                   {Request{Profile: Server, DNSNames: []string{"a.b."}}, "not a DNS name"},
		"a wildcard within":                {Request{Profile: Server, DNSNames: []string{"a.*.b"}}, "not a DNS name"},
		"an address as DNS name":           {Request{Profile: Server, DNSNames: []string{"127.0.0.1"}}, "not a DNS name"},
		"a port":                           {Request{Profile: Server, DNSNames: []string{"a.b:443"}}, "not a DNS name"},
		"no address":                       {Request{Profile: Server, IPAddresses: []netip.Addr{{}}}, "not an IP address"},
		"a zone":                           {Request{Profile: Server, IPAddresses: []netip.Addr{netip.MustParseAddr("fe80::1%eth0")}}, "not an IP address"},
		"a relative URI":                   {Request{Profile: Client, URIs: []string{"edge"}}, "not an absolute URI"},
		"a URI that is written otherwise":  {Request{Profile: Client, URIs: []string{"SPIFFE://a/b"}}, "not an absolute URI"},
		"a negative lifetime":              {Request{Profile: Client, Subject: name, Lifetime: -1}, "must not be negative"},
		"a validity beyond the issuer's":   {Request{Profile: Client, Subject: name, Validity: &Validity{noon, noon.Add(2 * time.Hour)}}, "must not end after"},
		"a validity that ends before that": {Request{Profile: Client, Subject: name, Validity: &Validity{noon, noon.Add(-time.Hour)}}, "before it begins"},
	} {
		t.Run(label, func(t *testing.T) {
			_, err := authority.Issue(test.request)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestIssueNeverOutlivesTheIssuer(t *testing.T) {
	authority := newTestAuthority(t, Options{Lifetime: time.Hour})
	pair, err := authority.Issue(Request{Profile: Client, Subject: pkix.Name{CommonName: "a"}, Lifetime: 48 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if !pair.Certificate.NotAfter.Equal(authority.Certificate().NotAfter) {
		t.Errorf("valid until %s, its issuer until %s", pair.Certificate.NotAfter, authority.Certificate().NotAfter)
	}
}

func TestIssueRefusesOutsideTheIssuersValidity(t *testing.T) {
	pair := newTestAuthority(t, Options{Lifetime: time.Hour}).KeyPair()
	for name, at := range map[string]time.Time{"expired": noon.Add(2 * time.Hour), "not valid yet": noon.Add(-time.Hour)} {
		t.Run(name, func(t *testing.T) {
			authority, err := Load(pair.CertificatePEM, pair.PrivateKeyPEM, func() time.Time { return at })
			if err != nil {
				t.Fatal(err)
			}
			if _, err := authority.Issue(Request{Profile: Client, Subject: pkix.Name{CommonName: "a"}}); err == nil {
				t.Error("want an error")
			}
		})
	}
}

func TestIssueMakesBadCallersThatAreAskedFor(t *testing.T) {
	authority := newTestAuthority(t, Options{Development: true})
	subject := pkix.Name{CommonName: "mapps"}
	yesterday := &Validity{NotBefore: noon.Add(-48 * time.Hour), NotAfter: noon.Add(-24 * time.Hour)}

	expired, err := authority.Issue(Request{Profile: Client, Subject: subject, Validity: yesterday})
	if err != nil {
		t.Fatal(err)
	}
	if !expired.Certificate.NotAfter.Equal(yesterday.NotAfter.Truncate(time.Second)) {
		t.Errorf("valid until %s", expired.Certificate.NotAfter)
	}
	serverOnly, err := authority.Issue(Request{Profile: Client, Subject: subject, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	if err != nil {
		t.Fatal(err)
	}
	if got := serverOnly.Certificate.ExtKeyUsage; !slices.Equal(got, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}) {
		t.Errorf("usages %v", got)
	}
	none, err := authority.Issue(Request{Profile: Client, Subject: subject, Usages: []x509.ExtKeyUsage{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, extension := range none.Certificate.Extensions {
		if extension.Id.String() == "2.5.29.37" {
			t.Error("there is an extended key usage extension")
		}
	}
}

func TestKeyPairIsPrintedWithoutItsKey(t *testing.T) {
	pair, err := newTestAuthority(t, Options{}).Issue(Request{Profile: Client, Subject: pkix.Name{CommonName: "mapps"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format, pair); !strings.Contains(text, "CN=mapps") || len(text) > 200 {
			t.Errorf("%s prints %q", format, text)
		}
	}
}

func TestParseProfileFindsEachByName(t *testing.T) {
	for _, profile := range Profiles() {
		if got, err := ParseProfile(string(profile)); err != nil || got != profile {
			t.Errorf("ParseProfile(%q) = %q, %v", profile, got, err)
		}
	}
	if _, err := ParseProfile("root"); err == nil || !strings.Contains(err.Error(), "server, client, partner, proxy, service, operator") {
		t.Errorf("got %v", err)
	}
}
