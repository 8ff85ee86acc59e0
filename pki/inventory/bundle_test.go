package inventory

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
)

func TestParseBundleKeepsTheGoodAndSaysWhatItLeavesOut(t *testing.T) {
	f := newFixture(t, nil)
	a, b := f.authority("a", 0), f.authority("b", 0)
	short := f.authority("short", time.Minute)
	leaf := f.issueBy(a, "leaf", 0).CertificatePEM
	aPEM, bPEM := a.CertificatePEM(), b.CertificatePEM()
	torn := bPEM[:len(bPEM)/2]
	rubbish := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("rubbish")})
	list := pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: []byte("list")})

	for name, test := range map[string]struct {
		data    []byte
		anchors []*ca.Authority
		leftOut []string
	}{
		"one":                       {aPEM, []*ca.Authority{a}, nil},
		"two, with words between":   {slices.Concat([]byte("# ours\n"), aPEM, []byte("\nand theirs\n"), bPEM), []*ca.Authority{a, b}, nil},
		"the same twice":            {slices.Concat(aPEM, aPEM), []*ca.Authority{a}, nil},
		"an expired one":            {slices.Concat(short.CertificatePEM(), aPEM), []*ca.Authority{a}, []string{"certificate 1 is left out: \"CN=short\": it expired"}},
		"a leaf":                    {slices.Concat(aPEM, leaf), []*ca.Authority{a}, []string{"certificate 2 is left out: \"CN=leaf\": it is not a certificate authority's"}},
		"one torn off at the end":   {slices.Concat(aPEM, torn), []*ca.Authority{a}, []string{"certificate 2 is left out: it is not well-formed PEM"}},
		"one torn off in between":   {slices.Concat(torn, []byte("\n"), aPEM), []*ca.Authority{a}, []string{"certificate 1 is left out: it is not well-formed PEM"}},
		"rubbish within":            {slices.Concat(rubbish, aPEM), []*ca.Authority{a}, []string{"certificate 1 is left out"}},
		"a revocation list":         {slices.Concat(aPEM, list), []*ca.Authority{a}, []string{`type "X509 CRL"`}},
		"line ends of another kind": {bytes.ReplaceAll(slices.Concat(aPEM, bPEM), []byte("\n"), []byte("\r\n")), []*ca.Authority{a, b}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseBundle(test.data, noon.Add(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Anchors) != len(test.anchors) {
				t.Errorf("%d anchors, want %d", len(got.Anchors), len(test.anchors))
			}
			for _, want := range test.anchors {
				if !slices.ContainsFunc(got.Anchors, want.Certificate().Equal) {
					t.Errorf("%s is missing", want.Certificate().Subject)
				}
			}
			if len(got.LeftOut) != len(test.leftOut) {
				t.Fatalf("left out %v, want %v", got.LeftOut, test.leftOut)
			}
			for i, want := range test.leftOut {
				if !strings.Contains(got.LeftOut[i].Error(), want) {
					t.Errorf("left out: %v, want %q", got.LeftOut[i], want)
				}
			}
		})
	}
}

func TestParseBundleRefusesAsAWhole(t *testing.T) {
	f := newFixture(t, nil)
	pair := f.authority("a", 0).KeyPair()
	for name, test := range map[string]struct {
		data    []byte
		want    error
		leftOut int
	}{
		"nothing":                  {nil, errNoAnchor, 0},
		"no PEM":                   {[]byte("<html>404</html>"), errNoAnchor, 0},
		"only a leaf":              {f.issueBy(f.authority("b", 0), "leaf", 0).CertificatePEM, errNoAnchor, 1},
		"a private key":            {slices.Concat(pair.CertificatePEM, pair.PrivateKeyPEM), errPrivateKey, 0},
		"a torn private key":       {slices.Concat(pair.CertificatePEM, pair.PrivateKeyPEM[:60]), errPrivateKey, 0},
		"an encrypted private key": {slices.Concat([]byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\r\n"), pair.CertificatePEM), errPrivateKey, 0},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseBundle(test.data, noon)
			if !errors.Is(err, test.want) || len(got.Anchors) != 0 || len(got.LeftOut) != test.leftOut {
				t.Errorf("got %d anchors, left out %v, error %v", len(got.Anchors), got.LeftOut, err)
			}
		})
	}
}

func TestTruststoreIsTheSameInWhateverOrder(t *testing.T) {
	f := newFixture(t, nil)
	a, b := f.authority("a", 0).CertificatePEM(), f.authority("b", 0).CertificatePEM()
	one, err := ParseBundle(slices.Concat(a, b), noon)
	if err != nil {
		t.Fatal(err)
	}
	two, err := ParseBundle(slices.Concat([]byte("a comment\n"), b, a, b), noon)
	if err != nil {
		t.Fatal(err)
	}
	first, second := sealed(one.Anchors), sealed(two.Anchors)
	if first.Hash != second.Hash || !bytes.Equal(first.PEM, second.PEM) || len(first.Hash) != 64 {
		t.Errorf("hashes %s and %s", first.Hash, second.Hash)
	}
}

func sealed(anchors []*x509.Certificate) *Truststore {
	t := &Truststore{Name: "t", Anchors: anchors}
	t.seal()
	return t
}

func FuzzParseBundle(f *testing.F) {
	authority, err := ca.Create(ca.Options{CommonName: "a", Clock: newClock().Now})
	if err != nil {
		f.Fatal(err)
	}
	pair := authority.KeyPair()
	f.Add(pair.CertificatePEM)
	f.Add(pair.PrivateKeyPEM)
	f.Add(slices.Concat([]byte("words\n"), pair.CertificatePEM[:100], []byte("\n"), pair.CertificatePEM))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		bundle, err := ParseBundle(data, noon)
		if (err == nil) != (len(bundle.Anchors) > 0) {
			t.Fatalf("%d anchors beside the error %v", len(bundle.Anchors), err)
		}
		for _, anchor := range bundle.Anchors {
			if checkAnchor(anchor, noon) != nil {
				t.Fatalf("a bad anchor was kept: %v", anchor.Subject)
			}
		}
		if err != nil {
			return
		}
		truststore := sealed(bundle.Anchors)
		again, err := ParseBundle(truststore.PEM, noon)
		if err != nil || len(again.LeftOut) != 0 || sealed(again.Anchors).Hash != truststore.Hash {
			t.Fatalf("what was written is read otherwise: %v, %v", again.LeftOut, err)
		}
	})
}
