package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2030, 1, 2, 12, 0, 0, 500, time.UTC)

func atNoon() time.Time { return noon }

func newTestAuthority(t *testing.T, options Options) *Authority {
	t.Helper()
	if options.CommonName == "" {
		options.CommonName = "test root"
	}
	if options.Clock == nil {
		options.Clock = atNoon
	}
	authority, err := Create(options)
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

func TestCreateMakesARootThatSignsLeavesOnly(t *testing.T) {
	certificate := newTestAuthority(t, Options{Organization: "Example"}).Certificate()

	if !certificate.IsCA || certificate.MaxPathLen != 0 || !certificate.MaxPathLenZero {
		t.Errorf("IsCA %v, path length %d (zero: %v)", certificate.IsCA, certificate.MaxPathLen, certificate.MaxPathLenZero)
	}
	if certificate.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign || len(certificate.ExtKeyUsage) != 0 {
		t.Errorf("key usage %b, extended %v", certificate.KeyUsage, certificate.ExtKeyUsage)
	}
	if key, ok := certificate.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
		t.Errorf("key %T", certificate.PublicKey)
	}
	if len(certificate.SubjectKeyId) == 0 {
		t.Error("no subject key identifier")
	}
	if bits := certificate.SerialNumber.BitLen(); bits < 64 || bits > 128 {
		t.Errorf("serial number of %d bits", bits)
	}
	if want := noon.Add(-time.Minute).Truncate(time.Second); !certificate.NotBefore.Equal(want) {
		t.Errorf("not before %s, want %s", certificate.NotBefore, want)
	}
	if want := noon.Add(DefaultAuthorityLifetime).Truncate(time.Second); !certificate.NotAfter.Equal(want) {
		t.Errorf("not after %s, want %s", certificate.NotAfter, want)
	}
	if IsDevelopment(certificate) {
		t.Error("it is marked as a development authority")
	}
}

func TestCreateRefuses(t *testing.T) {
	for name, options := range map[string]Options{
		"no common name":                              {},
		"a long common name":                          {CommonName: strings.Repeat("a", 65)},
		"negative lifetime":                           {CommonName: "a", Lifetime: -time.Second},
		"negative path length":                        {CommonName: "a", PathLength: -1},
		"the organization of development authorities": {CommonName: "a", Organization: DevelopmentOrganization},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Create(options); err == nil {
				t.Error("want an error")
			}
		})
	}
}

func TestDevelopmentAuthorityAndWhatItIssuesAreRecognised(t *testing.T) {
	development := newTestAuthority(t, Options{Development: true})
	if !development.IsDevelopment() || !IsDevelopment(development.Certificate()) {
		t.Error("the development authority is not recognised")
	}
	leaf, err := development.Issue(Request{Profile: Client, Subject: pkix.Name{CommonName: "a"}})
	if err != nil {
		t.Fatal(err)
	}
	if !IsDevelopment(leaf.Certificate) {
		t.Error("a leaf of a development authority is not recognised")
	}
	for _, extension := range development.Certificate().Extensions {
		if extension.Id.String() == "2.5.29.32" && extension.Critical {
			t.Error("the mark is critical")
		}
	}

	// Each mark is enough by itself.
	if !IsDevelopment(&x509.Certificate{Policies: []x509.OID{developmentPolicy}}) {
		t.Error("the policy alone is not recognised")
	}
	if !IsDevelopment(&x509.Certificate{Subject: pkix.Name{Organization: []string{DevelopmentOrganization}}}) {
		t.Error("the organization alone is not recognised")
	}
	leaf, err = newTestAuthority(t, Options{}).Issue(Request{Profile: Client, Subject: pkix.Name{CommonName: "a"}})
	if err != nil {
		t.Fatal(err)
	}
	if IsDevelopment(leaf.Certificate) {
		t.Error("a leaf of another authority is taken for development")
	}
}

func TestLoadTakesWhatCreateMade(t *testing.T) {
	pair := newTestAuthority(t, Options{Development: true}).KeyPair()
	loaded, err := Load(pair.CertificatePEM, pair.PrivateKeyPEM, atNoon)
	if err != nil {
		t.Fatal(err)
	}
	if !loaded.Certificate().Equal(pair.Certificate) || !loaded.IsDevelopment() {
		t.Error("another authority was loaded")
	}
	if _, err := loaded.Issue(Request{Profile: Client, Subject: pkix.Name{CommonName: "a"}}); err != nil {
		t.Error(err)
	}
}

// selfSigned makes a root of any kind, good or bad.
func selfSigned(t *testing.T, key crypto.Signer, change func(*x509.Certificate)) (certificatePEM, keyPEM []byte) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "made by hand"},
		NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(time.Hour),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: blockCertificate, Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: blockPKCS8, Bytes: keyDER})
}

func rsaKey(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	if bits < 2048 {
		t.Setenv("GODEBUG", "rsa1024min=0")
	}
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func ecKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestLoadTakesOtherKindsOfKey(t *testing.T) {
	rsaPair := rsaKey(t, 2048)
	ecPair := ecKey(t, elliptic.P384())
	ecDER, err := x509.MarshalECPrivateKey(ecPair)
	if err != nil {
		t.Fatal(err)
	}
	rsaCertificate, rsaPKCS8 := selfSigned(t, rsaPair, nil)
	ecCertificate, _ := selfSigned(t, ecPair, nil)
	for name, test := range map[string]struct{ certificate, key []byte }{
		"RSA 2048 in PKCS#8": {rsaCertificate, rsaPKCS8},
		"RSA 2048 in PKCS#1": {rsaCertificate, pem.EncodeToMemory(&pem.Block{Type: blockRSA, Bytes: x509.MarshalPKCS1PrivateKey(rsaPair)})},
		"P-384 as openssl writes it": {ecCertificate, append(
			pem.EncodeToMemory(&pem.Block{Type: blockECParameter, Bytes: []byte{6, 5, 43, 129, 4, 0, 34}}),
			pem.EncodeToMemory(&pem.Block{Type: blockEC, Bytes: ecDER})...)},
	} {
		t.Run(name, func(t *testing.T) {
			authority, err := Load(test.certificate, test.key, atNoon)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := authority.Issue(Request{Profile: Client, Subject: pkix.Name{CommonName: "a"}}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestLoadRefuses(t *testing.T) {
	good := ecKey(t, elliptic.P256())
	certificate, key := selfSigned(t, good, nil)
	_, otherKey := selfSigned(t, ecKey(t, elliptic.P256()), nil)
	leaf, leafKey := selfSigned(t, good, func(c *x509.Certificate) { c.IsCA, c.KeyUsage = false, x509.KeyUsageDigitalSignature })
	crlOnly, crlOnlyKey := selfSigned(t, good, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign })
	weak, weakKey := selfSigned(t, rsaKey(t, 1024), nil)
	sha1, sha1Key := selfSigned(t, rsaKey(t, 2048), func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA1WithRSA })
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ed, edKey := selfSigned(t, edwards, nil)
	p224, p224Key := selfSigned(t, ecKey(t, elliptic.P224()), nil)

	for name, test := range map[string]struct {
		certificate, key []byte
		want             string
	}{
		"another certificate's key":     {certificate, otherKey, "belongs to another certificate"},
		"a leaf":                        {leaf, leafKey, "not a certificate authority's"},
		"a CA that signs lists only":    {crlOnly, crlOnlyKey, "does not allow it to sign"},
		"RSA 1024":                      {weak, weakKey, "1024 bits"},
		"SHA-1":                         {sha1, sha1Key, "SHA1"},
		"Ed25519":                       {ed, edKey, "RSA or ECDSA"},
		"P-224":                         {p224, p224Key, "P-224"},
		"no certificate":                {nil, key, "no certificate"},
		"no key":                        {certificate, nil, "no private key"},
		"certificate and key exchanged": {key, certificate, "where only certificates belong"},
		"the same certificate twice":    {append(append([]byte{}, certificate...), certificate...), key, "stands there twice"},
		"two keys":                      {certificate, append(append([]byte{}, key...), key...), "more than one"},
		"a certificate as key":          {certificate, certificate, "where a private key belongs"},
		"an encrypted key":              {certificate, pem.EncodeToMemory(&pem.Block{Type: blockEncrypted, Bytes: []byte("x")}), "encrypted"},
		"a key of rubbish":              {certificate, pem.EncodeToMemory(&pem.Block{Type: blockPKCS8, Bytes: []byte("x")}), "cannot be parsed"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(test.certificate, test.key, atNoon)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}
