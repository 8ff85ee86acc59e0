package inventory

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
)

func TestParseKeyPairReadsAChain(t *testing.T) {
	f := newFixture(t, nil)
	root := f.authority("root", 0)
	leaf := f.issueBy(root, "leaf", time.Hour)
	chain := slices.Concat([]byte("the leaf\n"), leaf.CertificatePEM, []byte("its issuer\n"), root.CertificatePEM())
	pair, err := ParseKeyPair("edge", chain, leaf.PrivateKeyPEM, noon)
	if err != nil {
		t.Fatal(err)
	}
	if !pair.Leaf.Equal(leaf.Certificate) || pair.Name != "edge" || len(pair.Hash) != 64 {
		t.Errorf("got %v", pair)
	}
	if want := string(leaf.CertificatePEM) + string(root.CertificatePEM()); string(pair.CertificatePEM) != want {
		t.Errorf("the chain is written as\n%s", pair.CertificatePEM)
	}
	for _, format := range []string{"%v", "%+v", "%#v"} {
		if text := fmt.Sprintf(format, *pair); !strings.Contains(text, "certificate edge (CN=leaf") || len(text) > 200 {
			t.Errorf("%s prints %s", format, text)
		}
	}
}

func TestParseKeyPairRefuses(t *testing.T) {
	f := newFixture(t, nil)
	root, stranger := f.authority("root", 0), f.authority("stranger", 0)
	leaf, other := f.issueBy(root, "leaf", time.Hour), f.issueBy(root, "other", time.Hour)
	for name, test := range map[string]struct {
		chain, key []byte
		at         time.Time
		want       string
	}{
		"another's key":         {leaf.CertificatePEM, other.PrivateKeyPEM, noon, "belongs to another certificate"},
		"an expired leaf":       {leaf.CertificatePEM, leaf.PrivateKeyPEM, noon.Add(2 * time.Hour), "expired"},
		"a leaf of the future":  {leaf.CertificatePEM, leaf.PrivateKeyPEM, noon.Add(-time.Hour), "not valid before"},
		"a chain upside down":   {slices.Concat(root.CertificatePEM(), leaf.CertificatePEM), leaf.PrivateKeyPEM, noon, "did not issue"},
		"a stranger as issuer":  {slices.Concat(leaf.CertificatePEM, stranger.CertificatePEM()), leaf.PrivateKeyPEM, noon, "did not issue"},
		"no certificate":        {nil, leaf.PrivateKeyPEM, noon, "no certificate"},
		"no key":                {leaf.CertificatePEM, nil, noon, "no private key"},
		"the key in both":       {leaf.PrivateKeyPEM, leaf.PrivateKeyPEM, noon, "only certificates"},
		"the same, by accident": {leaf.CertificatePEM, leaf.CertificatePEM, noon, "where a private key belongs"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseKeyPair("edge", test.chain, test.key, test.at)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func FuzzParseKeyPair(f *testing.F) {
	authority, err := ca.Create(ca.Options{CommonName: "a", Clock: newClock().Now})
	if err != nil {
		f.Fatal(err)
	}
	pair := authority.KeyPair()
	f.Add(pair.CertificatePEM, pair.PrivateKeyPEM)
	f.Add(pair.PrivateKeyPEM, pair.CertificatePEM)
	f.Add(pair.CertificatePEM, []byte("-----BEGIN EC PRIVATE KEY-----\n-----END EC PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, chain, key []byte) {
		got, err := ParseKeyPair("fuzz", chain, key, noon)
		if err != nil {
			return
		}
		again, err := ParseKeyPair("fuzz", got.CertificatePEM, got.PrivateKeyPEM, noon)
		if err != nil || again.Hash != got.Hash {
			t.Fatalf("what was written is read otherwise: %v", err)
		}
	})
}
