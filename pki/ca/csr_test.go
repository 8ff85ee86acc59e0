package ca

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// greedy asks for all that a request can ask for.
func greedy(t testing.TB) *x509.CertificateRequest {
	t.Helper()
	extension := func(id asn1.ObjectIdentifier, value any) pkix.Extension {
		der, err := asn1.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		return pkix.Extension{Id: id, Critical: true, Value: der}
	}
	return &x509.CertificateRequest{
		Subject:        pkix.Name{CommonName: "admin\n", Organization: []string{DevelopmentOrganization}},
		DNSNames:       []string{"*.example.org"},
		EmailAddresses: []string{"root@example.org"},
		IPAddresses:    []net.IP{net.IPv4(127, 0, 0, 1)},
		URIs:           []*url.URL{{Scheme: "spiffe", Host: "example.org", Path: "/proxy/edge/edge-1"}},
		ExtraExtensions: []pkix.Extension{
			extension(oidBasicConstraints, struct{ IsCA bool }{true}),
			extension(oidKeyUsage, asn1.BitString{Bytes: []byte{0x06}, BitLength: 7}),
			extension(oidExtKeyUsage, []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 1}}),
			extension(asn1.ObjectIdentifier{2, 5, 29, 30}, struct{}{}),
		},
	}
}

func signedRequest(t testing.TB, template *x509.CertificateRequest, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func inPEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func TestARequestThatAsksForEverythingGetsItsPublicKeyCertifiedAndNothingElse(t *testing.T) {
	key := ecKey(t, elliptic.P256())
	csr, err := ParseCertificateRequest(inPEM(blockRequest, signedRequest(t, greedy(t), key)))
	if err != nil {
		t.Fatal(err)
	}
	authority := newTestAuthority(t, Options{})
	pair, err := authority.Issue(Request{Profile: Partner, Subject: pkix.Name{CommonName: "mapps"}, PublicKey: csr.PublicKey})
	if err != nil {
		t.Fatal(err)
	}
	leaf := pair.Certificate
	if !Matches(leaf, key) || pair.PrivateKey != nil || pair.PrivateKeyPEM != nil {
		t.Error("another key was certified, or a private key was made")
	}
	if leaf.IsCA || leaf.KeyUsage != x509.KeyUsageDigitalSignature || !slices.Equal(leaf.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}) {
		t.Errorf("CA %v, key usage %b, extended %v", leaf.IsCA, leaf.KeyUsage, leaf.ExtKeyUsage)
	}
	if leaf.Subject.String() != "CN=mapps" || len(leaf.DNSNames)+len(leaf.EmailAddresses)+len(leaf.IPAddresses)+len(leaf.URIs) != 0 {
		t.Errorf("subject %s, names %v %v %v %v", leaf.Subject, leaf.DNSNames, leaf.EmailAddresses, leaf.IPAddresses, leaf.URIs)
	}
	if hasConstraints(leaf) || len(leaf.UnhandledCriticalExtensions) != 0 || IsDevelopment(leaf) {
		t.Error("an extension of the request came through")
	}
}

func TestParseCertificateRequestReadsPEMAndDER(t *testing.T) {
	key := ecKey(t, elliptic.P384())
	der := signedRequest(t, greedy(t), key)
	for name, data := range map[string][]byte{
		"PEM":                         inPEM(blockRequest, der),
		"PEM as keytool writes it":    inPEM(blockOldRequest, der),
		"PEM with text before it":     append([]byte("Certificate Request:\n    Data: ...\n"), inPEM(blockRequest, der)...),
		"DER":                         der,
		"DER with PEM in its subject": signedRequest(t, &x509.CertificateRequest{Subject: pkix.Name{Organization: []string{string(inPEM(blockRequest, der))}}}, key),
	} {
		t.Run(name, func(t *testing.T) {
			request, err := ParseCertificateRequest(data)
			if err != nil {
				t.Fatal(err)
			}
			if !samePublicKey(request.PublicKey, key.Public()) {
				t.Error("another key was read")
			}
		})
	}
}

// signedByAnother replaces the signature of one request with that of another key over the same content.
func signedByAnother(t testing.TB) []byte {
	t.Helper()
	type request struct {
		Content   asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	var honest, other request
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "mapps"}}
	if _, err := asn1.Unmarshal(signedRequest(t, template, ecKey(t, elliptic.P256())), &honest); err != nil {
		t.Fatal(err)
	}
	if _, err := asn1.Unmarshal(signedRequest(t, template, ecKey(t, elliptic.P256())), &other); err != nil {
		t.Fatal(err)
	}
	honest.Signature = other.Signature
	der, err := asn1.Marshal(honest)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestParseCertificateRequestRefuses(t *testing.T) {
	key := ecKey(t, elliptic.P256())
	plain := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "mapps"}}
	good := signedRequest(t, plain, key)
	certificate, keyPEM := selfSigned(t, key, nil)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"nothing":                          {nil, "none was found"},
		"text":                             {[]byte("please sign me"), "none was found"},
		"two":                              {slices.Concat(inPEM(blockRequest, good), inPEM(blockRequest, good)), "more than one"},
		"a private key beside it":          {slices.Concat(inPEM(blockRequest, good), keyPEM), "no longer secret"},
		"a certificate":                    {certificate, "only a certificate signing request belongs"},
		"a certificate in DER":             {newTestAuthority(t, Options{}).Certificate().Raw, "cannot be parsed"},
		"rubbish in PEM":                   {inPEM(blockRequest, []byte("x")), "cannot be parsed"},
		"trailing bytes":                   {inPEM(blockRequest, append(slices.Clone(good), 0)), "cannot be parsed"},
		"trailing bytes in DER":            {append(slices.Clone(good), 0), "none was found"},
		"a signature by another key":       {signedByAnother(t), "not signed by the key that it holds"},
		"a changed byte":                   {bytes.Replace(good, []byte("mapps"), []byte("nappa"), 1), "not signed by the key that it holds"},
		"RSA 1024":                         {signedRequest(t, plain, rsaKey(t, 1024)), "1024 bits"},
		"SHA-1":                            {signedRequest(t, &x509.CertificateRequest{SignatureAlgorithm: x509.SHA1WithRSA}, rsaKey(t, 2048)), "SHA1"},
		"P-224":                            {signedRequest(t, plain, ecKey(t, elliptic.P224())), "P-224"},
		"Ed25519, which Envoy cannot read": {signedRequest(t, plain, edwards), "RSA or ECDSA"},
		"more bytes than any needs":        {bytes.Repeat([]byte{' '}, MaxCertificateRequest+1), "more than 65536 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseCertificateRequest(test.data)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestIssueRefusesTheAuthoritysOwnKeyForSomebodyElse(t *testing.T) {
	issuing, root := newTestIssuing(t, Options{}, AuthorityRequest{})
	for name, above := range map[string]*Authority{"its own": issuing, "its root's": root} {
		t.Run(name, func(t *testing.T) {
			_, err := issuing.Issue(Request{Profile: Partner, Subject: pkix.Name{CommonName: "a"}, PublicKey: above.Certificate().PublicKey})
			if err == nil || !strings.Contains(err.Error(), "the public key is that of the authority") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestIgnoredSaysInWordsWhatARequestDoesNotGet(t *testing.T) {
	key := ecKey(t, elliptic.P256())
	ignored := func(template *x509.CertificateRequest) []string {
		request, err := ParseCertificateRequest(signedRequest(t, template, key))
		if err != nil {
			t.Fatal(err)
		}
		return Ignored(request)
	}
	if got := ignored(&x509.CertificateRequest{}); len(got) != 0 {
		t.Errorf("a request for nothing: %q", got)
	}
	want := []string{
		`the subject "CN=admin\n,O=Sallyport development CA"`,
		`the DNS names "*.example.org"`,
		`the e-mail addresses "root@example.org"`,
		`the IP addresses 127.0.0.1`,
		`the URIs "spiffe://example.org/proxy/edge/edge-1"`,
		`to be a certificate authority (CA:TRUE)`,
		`the key usage`,
		`the extended key usage`,
		`the extension 2.5.29.30`,
	}
	if got := ignored(greedy(t)); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestARequestThatOpensslMadeIsRead(t *testing.T) {
	openssl := opensslPath(t)
	dir := t.TempDir()
	settings := filepath.Join(dir, "openssl.cnf")
	if err := os.WriteFile(settings, []byte("[req]\nprompt = no\ndistinguished_name = dn\nattributes = at\nreq_extensions = ex\n"+
		"[dn]\nCN = mapps\n[at]\nchallengePassword = canary-password\n[ex]\nbasicConstraints = CA:FALSE\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "csr.pem")
	command := exec.CommandContext(t.Context(), openssl, "req", "-new", "-newkey", "rsa:2048", "-nodes", "-text",
		"-config", settings, "-keyout", filepath.Join(dir, "key.pem"), "-out", out)
	if text, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	request, err := ParseCertificateRequest(data)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`the subject "CN=mapps"`, "basic constraints (CA:FALSE)", "the challenge password"}
	if got := Ignored(request); !slices.Equal(got, want) {
		t.Errorf("ignored %q, want %q", got, want)
	}
}

// opensslPath finds openssl, the other side of our files in earnest, or skips the test where there is none.
func opensslPath(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	return path
}

func FuzzParseCertificateRequest(f *testing.F) {
	f.Add(inPEM(blockRequest, signedRequest(f, greedy(f), fuzzKey(f))))
	f.Add(signedRequest(f, &x509.CertificateRequest{}, fuzzKey(f)))
	f.Add(signedByAnother(f))
	f.Add([]byte("-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		request, err := ParseCertificateRequest(data)
		if err != nil {
			return
		}
		if err := request.CheckSignature(); err != nil {
			t.Errorf("taken without proof of possession: %v", err)
		}
		if err := checkPublicKey(request.PublicKey); err != nil {
			t.Errorf("taken with a weak key: %v", err)
		}
		for _, text := range Ignored(request) {
			if strings.ContainsFunc(text, isControl) {
				t.Errorf("%q has control characters", text)
			}
		}
	})
}

func fuzzKey(f *testing.F) crypto.Signer {
	f.Helper()
	key, err := generateKey()
	if err != nil {
		f.Fatal(err)
	}
	return key
}
