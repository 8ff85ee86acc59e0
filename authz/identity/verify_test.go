package identity_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

// trusting is the trust of an entry with these truststores, of which the material has those that are not nil.
func trusting(names []string, present ...*inventory.Truststore) *identity.Trust {
	var auth config.ClientAuth
	for _, name := range names {
		auth.Truststores = append(auth.Truststores, &config.Truststore{Header: config.Header{Name: name}})
	}
	return identity.NewTrust(auth, fixture.Material(present...))
}

// presented is a certificate without any other beside it.
func presented(certificate string) identity.Presented {
	return identity.Presented{Certificate: certificate}
}

func newVerifier(t testing.TB) *identity.Verifier {
	t.Helper()
	v, err := identity.NewVerifier(identity.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestACertificateIsGoodOnlyWhereAnAnchorIssuedItForClients(t *testing.T) {
	partners, others := fixture.NewAuthority(t, "partners"), fixture.NewAuthority(t, "others")
	impostor := fixture.NewAuthority(t, "partners") // of the same name
	brief := fixture.NewAuthorityFor(t, "brief", time.Hour)
	trust := trusting([]string{"partners", "brief", "never-good"},
		fixture.Truststore("partners", partners), fixture.Truststore("brief", brief))
	day := 24 * time.Hour
	for name, test := range map[string]struct {
		certificate string
		at          time.Duration
		asked       []string // truststores of the policy; partners if nil
		want        reason.Reason
		vouchers    []string
	}{
		"a client's":                            {certificate: partners.Client("a"), vouchers: []string{"partners"}},
		"one without any usage":                 {certificate: partners.Client("a", fixture.Usages()), vouchers: []string{"partners"}},
		"one for any usage":                     {certificate: partners.Client("a", fixture.Usages(x509.ExtKeyUsageAny)), vouchers: []string{"partners"}},
		"one for servers and clients":           {certificate: partners.Client("a", fixture.Usages(x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth)), vouchers: []string{"partners"}},
		"one for servers":                       {certificate: partners.Client("a", fixture.Usages(x509.ExtKeyUsageServerAuth)), want: reason.CertificateUsage},
		"one for signing code":                  {certificate: partners.Client("a", fixture.Usages(x509.ExtKeyUsageCodeSigning)), want: reason.CertificateUsage},
		"another authority's":                   {certificate: others.Client("a"), want: reason.CertificateUntrusted},
		"one of an authority's namesake":        {certificate: impostor.Client("a"), want: reason.CertificateUntrusted},
		"a namesake's that has expired":         {certificate: impostor.Client("a"), at: 2 * day, want: reason.CertificateUntrusted},
		"one that has expired":                  {certificate: partners.Client("a"), at: 2 * day, want: reason.CertificateExpired},
		"one that expired before its CA":        {certificate: partners.Client("a", fixture.Valid(-2*day, -day)), want: reason.CertificateExpired},
		"one in its last second":                {certificate: partners.Client("a", fixture.Valid(0, day)), at: day, vouchers: []string{"partners"}},
		"one just after it":                     {certificate: partners.Client("a", fixture.Valid(0, day)), at: day + 1, want: reason.CertificateExpired},
		"one that is not valid yet":             {certificate: partners.Client("a", fixture.Valid(day, 2*day)), want: reason.CertificateNotYetValid},
		"one whose authority has expired":       {certificate: brief.Client("a", fixture.Valid(0, time.Hour)), at: time.Hour + 1, asked: []string{"brief"}, want: reason.CertificateExpired},
		"a truststore that is not the policy's": {certificate: partners.Client("a"), asked: []string{"brief"}, want: reason.CertificateUntrusted},
		"a truststore that is not the entry's":  {certificate: partners.Client("a"), asked: []string{"elsewhere"}, want: reason.CertificateUntrusted},
		"a truststore that never was good":      {certificate: partners.Client("a"), asked: []string{"never-good"}, want: reason.TruststoreMissing},
		"a missing truststore beside the right one": {certificate: partners.Client("a"), asked: []string{"never-good", "partners"},
			vouchers: []string{"partners"}},
		"a missing truststore beside a wrong one": {certificate: others.Client("a"), asked: []string{"partners", "never-good"}, want: reason.TruststoreMissing},
		"the authority's own":                     {certificate: fixture.Encode(partners.Certificate()), want: reason.CertificateIsCA},
		"no certificate":                          {certificate: "hello", want: reason.CertificateMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			asked := test.asked
			if asked == nil {
				asked = []string{"partners"}
			}
			verdict := newVerifier(t).Verify(presented(test.certificate), trust, fixture.Noon.Add(test.at))
			vouchers, refusal := verdict.Vouchers(asked)
			if !slices.Equal(vouchers, test.vouchers) {
				t.Errorf("vouchers %v, want %v", vouchers, test.vouchers)
			}
			if (refusal == nil) != (test.want == "") || refusal != nil && refusal.Reason != test.want {
				t.Errorf("refusal %+v, want %q", refusal, test.want)
			}
		})
	}
}

func TestAnAuthorityThatExpiredVouchesForNothingThatOutlivesIt(t *testing.T) {
	authority := newRawAuthority(t, func(c *x509.Certificate) { c.NotAfter = fixture.Noon.Add(time.Hour) })
	certificate := authority.issue(t, &x509.Certificate{NotAfter: fixture.Noon.Add(48 * time.Hour)})
	for at, want := range map[time.Duration]reason.Reason{0: "", 2 * time.Hour: reason.CertificateUntrusted} {
		verdict := newVerifier(t).Verify(presented(certificate), authority.trust(), fixture.Noon.Add(at))
		if _, refusal := verdict.Vouchers([]string{"raw"}); refusal == nil && want != "" || refusal != nil && refusal.Reason != want {
			t.Errorf("after %s: %+v, want %q", at, refusal, want)
		}
	}
}

func TestWeakAndOddCertificatesAreRefused(t *testing.T) {
	authority := newRawAuthority(t, nil)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	small, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		template *x509.Certificate
		key      any
		want     reason.Reason
	}{
		"RSA of 1024 bits":              {&x509.Certificate{}, weak.Public(), reason.CertificateWeakKey},
		"P-224":                         {&x509.Certificate{}, small.Public(), reason.CertificateWeakKey},
		"a leaf that is a CA":           {&x509.Certificate{IsCA: true, BasicConstraintsValid: true}, nil, reason.CertificateIsCA},
		"a NUL in the common name":      {&x509.Certificate{Subject: pkix.Name{CommonName: "mapps\x00.evil"}}, nil, reason.CertificateMalformed},
		"a line feed in the subject":    {&x509.Certificate{Subject: pkix.Name{Organization: []string{"a\nb"}}}, nil, reason.CertificateMalformed},
		"a NUL in a DNS name":           {&x509.Certificate{DNSNames: []string{"a.example.org\x00.evil"}}, nil, reason.CertificateMalformed},
		"a subject of 3 KiB":            {&x509.Certificate{Subject: pkix.Name{Organization: []string{strings.Repeat("a", 3<<10)}}}, nil, reason.CertificateMalformed},
		"a hundred alternative names":   {&x509.Certificate{DNSNames: slices.Repeat([]string{"a.example.org"}, 100)}, nil, ""},
		"one more alternative name":     {&x509.Certificate{DNSNames: slices.Repeat([]string{"a.example.org"}, 101)}, nil, reason.CertificateMalformed},
		"a critical extension":          {&x509.Certificate{ExtraExtensions: []pkix.Extension{{Id: []int{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}}, nil, reason.CertificateUntrusted},
		"nothing wrong":                 {&x509.Certificate{}, nil, ""},
		"nothing wrong with its usages": {&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			verdict := newVerifier(t).Verify(presented(authority.issueFor(t, test.template, test.key)), authority.trust(), fixture.Noon)
			_, refusal := verdict.Vouchers([]string{"raw"})
			if refusal == nil && test.want != "" || refusal != nil && refusal.Reason != test.want {
				t.Errorf("refusal %+v, want %q", refusal, test.want)
			}
		})
	}
}

func TestConstraintsOfTheAuthorityHold(t *testing.T) {
	constrained := newRawAuthority(t, func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"example.org"} })
	forServers := newRawAuthority(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	for name, test := range map[string]struct {
		authority *rawAuthority
		names     []string
		want      reason.Reason
	}{
		"a name that it may issue for":     {constrained, []string{"a.example.org"}, ""},
		"a name that it may not issue for": {constrained, []string{"a.example.com"}, reason.CertificateUntrusted},
		"an authority of servers' alone":   {forServers, []string{"a.example.org"}, reason.CertificateUntrusted},
	} {
		t.Run(name, func(t *testing.T) {
			certificate := test.authority.issue(t, &x509.Certificate{DNSNames: test.names})
			_, refusal := newVerifier(t).Verify(presented(certificate), test.authority.trust(), fixture.Noon).Vouchers([]string{"raw"})
			if refusal == nil && test.want != "" || refusal != nil && refusal.Reason != test.want {
				t.Errorf("refusal %+v, want %q", refusal, test.want)
			}
		})
	}
}

func TestWhatACertificateSaysIsReadExactly(t *testing.T) {
	authority := newRawAuthority(t, nil)
	certificate := authority.issue(t, &x509.Certificate{
		SerialNumber: big.NewInt(0x0abc),
		Subject:      pkix.Name{Country: []string{"GB"}, Organization: []string{"Łódź, Inc"}, CommonName: "mapps"},
		DNSNames:     []string{"a.example.org"},
	})
	got := newVerifier(t).Verify(presented(certificate), authority.trust(), fixture.Noon).Certificate
	if want := `CN=mapps,O=\C5\81\C3\B3d\C5\BA\, Inc,C=GB`; got.Subject != want {
		t.Errorf("subject %s, want %s", got.Subject, want)
	}
	if got.CommonName != "mapps" || got.Serial != "abc" || !slices.Equal(got.DNSNames, []string{"a.example.org"}) {
		t.Errorf("read %+v", got)
	}
	several := authority.issue(t, &x509.Certificate{Subject: pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{
		{Type: []int{2, 5, 4, 3}, Value: "evil"}, {Type: []int{2, 5, 4, 3}, Value: "mapps"},
	}}})
	got = newVerifier(t).Verify(presented(several), authority.trust(), fixture.Noon).Certificate
	if got.CommonName != "" || got.Subject != "CN=mapps,CN=evil" {
		t.Errorf("two common names are read as %q, subject %s", got.CommonName, got.Subject)
	}
}

func TestOnlyOneWellFormedPEMBlockIsACertificate(t *testing.T) {
	partners := fixture.NewAuthority(t, "partners")
	pem := string(ca.EncodeCertificate(partners.Issued("a")))
	trust := trusting([]string{"partners"}, fixture.Truststore("partners", partners))
	for name, test := range map[string]struct {
		encoded string
		good    bool
	}{
		"one":                         {fixture.EncodePEM(pem), true},
		"one that is not URL-encoded": {pem, true}, // `+` stays `+`
		"two":                         {fixture.EncodePEM(pem + pem), false},
		"text before it":              {fixture.EncodePEM("x\n" + pem), false},
		"text after it":               {fixture.EncodePEM(pem + "x"), false},
		"half of one":                 {fixture.EncodePEM(pem[:len(pem)/2]), false},
		"another type":                {fixture.EncodePEM(strings.ReplaceAll(pem, "CERTIFICATE", "X509 CRL")), false},
		"headers":                     {fixture.EncodePEM(strings.Replace(pem, "-----\n", "-----\nA: b\n\n", 1)), false},
		"a wrong escape":              {fixture.EncodePEM(pem) + "%zz", false},
		"40 KiB":                      {fixture.EncodePEM(pem) + strings.Repeat("%0A", 40<<10/3), false},
	} {
		t.Run(name, func(t *testing.T) {
			_, refusal := newVerifier(t).Verify(presented(test.encoded), trust, fixture.Noon).Vouchers([]string{"partners"})
			if test.good != (refusal == nil) || refusal != nil && refusal.Reason != reason.CertificateMalformed {
				t.Errorf("refusal %+v", refusal)
			}
		})
	}
}
