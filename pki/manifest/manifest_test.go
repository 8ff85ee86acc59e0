package manifest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/pki/signed"
)

var (
	noon   = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)
	bundle = []byte("-----BEGIN CERTIFICATE-----\n…")
)

type keys struct {
	ours, others crypto.Signer
	rsa          *rsa.PrivateKey
}

var theKeys = sync.OnceValue(func() keys {
	ours, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		panic(err)
	}
	others, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return keys{ours: ours, others: others, rsa: rsaKey}
})

func good() Manifest {
	return Manifest{Truststore: "partners", BundleSHA256: HashBundle(bundle), Generation: 7, Created: noon, Expires: noon.Add(time.Hour)}
}

func mustSign(t *testing.T, manifest Manifest, signer crypto.Signer) []byte {
	t.Helper()
	data, err := Sign(manifest, signer)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func expected(signers ...crypto.Signer) Expected {
	expected := Expected{Bundle: bundle, Truststore: "partners", Now: noon, Floor: 7}
	for _, signer := range signers {
		expected.Signers = append(expected.Signers, signer.Public())
	}
	return expected
}

func TestAManifestIsAcceptedFromEachSigner(t *testing.T) {
	keys := theKeys()
	for name, signer := range map[string]crypto.Signer{"P-384": keys.ours, "P-256": keys.others, "RSA": keys.rsa} {
		t.Run(name, func(t *testing.T) {
			got, err := Verify(mustSign(t, good(), signer), expected(keys.ours, keys.others, keys.rsa))
			if err != nil || got != good() {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestAManifestIsJudgedByWhatIsExpected(t *testing.T) {
	keys := theKeys()
	for name, test := range map[string]struct {
		change func(*Manifest, *Expected)
		want   error
	}{
		"as it should be":                    {func(*Manifest, *Expected) {}, nil},
		"a later generation":                 {func(m *Manifest, _ *Expected) { m.Generation++ }, nil},
		"for any truststore":                 {func(m *Manifest, _ *Expected) { m.Truststore = "" }, nil},
		"the last moment":                    {func(_ *Manifest, e *Expected) { e.Now = noon.Add(time.Hour - 1) }, nil},
		"a clock that is a little slow":      {func(_ *Manifest, e *Expected) { e.Now = noon.Add(-5 * time.Minute) }, nil},
		"an older generation":                {func(m *Manifest, _ *Expected) { m.Generation-- }, ErrOlder},
		"another bundle":                     {func(_ *Manifest, e *Expected) { e.Bundle = append(bytes.Clone(bundle), 'x') }, ErrBundle},
		"no bundle":                          {func(_ *Manifest, e *Expected) { e.Bundle = nil }, ErrBundle},
		"another truststore":                 {func(m *Manifest, _ *Expected) { m.Truststore = "others" }, ErrTruststore},
		"expired":                            {func(_ *Manifest, e *Expected) { e.Now = noon.Add(time.Hour) }, ErrExpired},
		"made in the future":                 {func(_ *Manifest, e *Expected) { e.Now = noon.Add(-6 * time.Minute) }, ErrNotYet},
		"by another signer":                  {func(_ *Manifest, e *Expected) { e.Signers = []crypto.PublicKey{keys.others.Public()} }, ErrUnknownSigner},
		"nobody is believed":                 {func(_ *Manifest, e *Expected) { e.Signers = nil }, ErrUnknownSigner},
		"another signer, and older, expired": {func(_ *Manifest, e *Expected) { e.Signers, e.Floor, e.Now = nil, 9, noon.Add(time.Hour) }, ErrUnknownSigner},
	} {
		t.Run(name, func(t *testing.T) {
			manifest, expected := good(), expected(keys.ours)
			test.change(&manifest, &expected)
			if _, err := Verify(mustSign(t, manifest, keys.ours), expected); !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
		})
	}
}

func TestAManifestThatWasChangedIsNotBelieved(t *testing.T) {
	data := mustSign(t, good(), theKeys().ours)
	for i := 0; i < len(data)-1; i += 5 { // each takes a verification
		changed := bytes.Clone(data)
		changed[i] ^= 1
		if got, err := Verify(changed, expected(theKeys().ours)); err == nil && got != good() {
			t.Fatalf("byte %d changed, and %+v was believed", i, got)
		}
	}
}

func TestADocumentOfAnotherTypeIsNoManifest(t *testing.T) {
	data, err := signed.Sign("application/json", []byte(`{}`), theKeys().ours)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(data, expected(theKeys().ours)); err == nil || !strings.Contains(err.Error(), "of type") {
		t.Errorf("error %v", err)
	}
}

func TestNobodySignsAManifestThatNobodyAccepts(t *testing.T) {
	for name, change := range map[string]func(*Manifest){
		"no bundle":                    func(m *Manifest) { m.BundleSHA256 = "" },
		"upper case":                   func(m *Manifest) { m.BundleSHA256 = strings.ToUpper(m.BundleSHA256) },
		"no generation":                func(m *Manifest) { m.Generation = 0 },
		"it expires before it is made": func(m *Manifest) { m.Expires = m.Created },
		"it was never made":            func(m *Manifest) { m.Created = time.Time{} },
	} {
		t.Run(name, func(t *testing.T) {
			manifest := good()
			change(&manifest)
			if _, err := Sign(manifest, theKeys().ours); err == nil {
				t.Error("want an error")
			}
		})
	}
}

func publicPEM(t *testing.T, key crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func TestSignersArePublicKeysOrCertificates(t *testing.T) {
	keys := theKeys()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "signer"}, NotAfter: noon}
	der, err := x509.CreateCertificate(rand.Reader, template, template, keys.others.Public(), keys.others)
	if err != nil {
		t.Fatal(err)
	}
	data := append(publicPEM(t, keys.ours.Public()), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	signers, err := ParseSigners(data)
	if err != nil || len(signers) != 2 || signed.KeyID(signers[0]) != signed.KeyID(keys.ours.Public()) || signed.KeyID(signers[1]) != signed.KeyID(keys.others.Public()) {
		t.Errorf("%v, %v", signers, err)
	}
}

func TestSignersAreRefused(t *testing.T) {
	private, err := x509.MarshalPKCS8PrivateKey(theKeys().ours)
	if err != nil {
		t.Fatal(err)
	}
	weak, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edwards, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"nothing":           nil,
		"no PEM":            []byte("key"),
		"a private key":     pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		"a broken key":      pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")}),
		"a curve too small": publicPEM(t, weak.Public()),
		"Ed25519":           publicPEM(t, edwards),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseSigners(data); err == nil {
				t.Error("want an error")
			}
		})
	}
}

func FuzzVerify(f *testing.F) {
	data, err := Sign(good(), theKeys().ours)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, err := Verify(data, expected(theKeys().ours)); err == nil && got != good() {
			t.Errorf("believed %+v", got)
		}
	})
}
