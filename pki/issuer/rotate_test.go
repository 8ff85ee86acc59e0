package issuer

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/register"
)

func TestANewGenerationComesInAndTheOldOneGoes(t *testing.T) {
	h := newHome(t, nil)
	serving := h.again(t) // a process that runs all the while
	old := h.mustIssue(t, "mapps")
	h.mustPublish(t)

	number, err := h.Rotate(t.Context(), Options{RequestedBy: "ops"})
	if err != nil || number != 2 {
		t.Fatalf("%d, %v", number, err)
	}
	bundle, err := ca.ParseCertificates(h.Bundle())
	var trusted []string
	for _, certificate := range bundle {
		trusted = append(trusted, certificate.Subject.CommonName)
	}
	if want := []string{"Partners root", "Partners issuing", "Partners root 2", "Partners issuing 2"}; err != nil || !slices.Equal(trusted, want) {
		t.Errorf("the bundle holds %q, want %q, %v", trusted, want, err)
	}
	if onDisk, err := os.ReadFile(filepath.Join(h.dir, "bundle.pem")); err != nil || !bytes.Equal(onDisk, h.Bundle()) {
		t.Errorf("bundle.pem is another: %v", err)
	}
	if issued := h.mustIssue(t, "nsp"); issued.Pair.Certificate.Issuer.CommonName != "Partners issuing" {
		t.Errorf("issued by %s before it is active", issued.Pair.Certificate.Issuer)
	}
	if _, err := serving.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if lists := h.lists(t); len(lists) != 4 || lists["Partners issuing 2"] == nil || lists["Partners root 2"] == nil {
		t.Errorf("lists %v", lists)
	}

	if err := h.Retire(t.Context(), 2, false); err != nil {
		t.Errorf("retire the one that does not issue: %v", err)
	}
	if number, err = h.Rotate(t.Context(), Options{}); err != nil || number != 3 {
		t.Fatalf("a number is not given again: %d, %v", number, err)
	}
	if err := h.Activate(3); err != nil {
		t.Fatal(err)
	}
	renewed, err := serving.Renew(t.Context(), Renewal{Certificate: digest(old.Pair.Certificate), SameKey: true, Overlap: time.Hour})
	if err != nil || renewed.Pair.Certificate.Issuer.CommonName != "Partners issuing 3" {
		t.Fatalf("renewed %s, %v", renewed.Pair, err)
	}
	h.mustPublish(t)
	if index := h.index(t); !index.Knows(digest(old.Pair.Certificate)) || !index.Knows(digest(renewed.Pair.Certificate)) || len(index.Signers) != 2 {
		t.Errorf("index of %v", index.Signers)
	}

	if err := h.Retire(t.Context(), 3, true); err == nil {
		t.Error("the generation that issues was retired")
	}
	if err := h.Retire(t.Context(), 1, false); !errors.Is(err, ErrInUse) {
		t.Errorf("with certificates in force: %v", err)
	}
	if _, err := h.Revoke(t.Context(), Revocation{Consumer: "nsp", Reason: ca.Superseded}); err != nil {
		t.Fatal(err)
	}
	h.clock.forward(time.Hour)
	if err := h.Retire(t.Context(), 1, false); err != nil {
		t.Fatal(err)
	}
	h.mustPublish(t)
	if lists := h.lists(t); len(lists) != 2 || lists["Partners issuing 3"] == nil {
		t.Errorf("lists %v", lists)
	}
	if bundle, err := ca.ParseCertificates(h.Bundle()); err != nil || len(bundle) != 2 {
		t.Errorf("bundle %v, %v", bundle, err)
	}
	// What the retired one had issued can still be told apart from a stranger's.
	if entered, err := h.ImportCertificates(t.Context(), []Import{{Certificate: old.Pair.Certificate}}, "ops"); err != nil || entered != 0 {
		t.Errorf("entered %d, %v", entered, err)
	}
}

func TestAdoptAndImport(t *testing.T) {
	clock, dir := newClock(), filepath.Join(t.TempDir(), "ca")
	authority, err := ca.Create(ca.Options{CommonName: "Old CA", Clock: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	var imports []Import
	for _, consumer := range []string{"mapps", "nsp"} {
		order := ca.Request{Profile: ca.Partner}
		order.Subject.CommonName = consumer
		pair, err := authority.Issue(order)
		if err != nil {
			t.Fatal(err)
		}
		imports = append(imports, Import{Certificate: pair.Certificate, Consumer: consumer})
	}
	adopted, err := Adopt(t.Context(), configOf(dir, clock), Adoption{
		Certificates: authority.CertificatePEM(), PrivateKey: authority.KeyPair().PrivateKeyPEM, Passphrase: []byte(passphrase),
	})
	if err != nil {
		t.Fatal(err)
	}
	h := home{adopted, clock, dir}
	if h.Settings().Name != "Old CA" {
		t.Errorf("name %q", h.Settings().Name)
	}
	if key, err := os.ReadFile(filepath.Join(dir, "1", "root-key.pem")); err != nil || !strings.Contains(string(key), "ENCRYPTED") {
		t.Errorf("the key is not encrypted: %v", err)
	}

	stranger := newHome(t, nil).mustIssue(t, "stranger").Pair.Certificate
	if entered, err := h.ImportCertificates(t.Context(), append(imports, Import{Certificate: stranger}), "ops"); err == nil || entered != 0 || !strings.Contains(err.Error(), "stranger") {
		t.Errorf("entered %d, %v", entered, err)
	}
	for round, want := range []int{2, 0} {
		if entered, err := h.ImportCertificates(t.Context(), append(imports, imports[0]), "ops"); err != nil || entered != want {
			t.Errorf("round %d: entered %d, %v", round, entered, err)
		}
	}
	loaded, err := h.Register(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	known, found := loaded.Certificate(digest(imports[0].Certificate))
	if !found || known.Source != register.Imported || known.Consumer != "mapps" {
		t.Errorf("%+v", known)
	}
	renewed, err := h.Renew(t.Context(), Renewal{Consumer: "mapps", Overlap: time.Hour})
	if err != nil || renewed.Entry.Issued.Profile != string(ca.Partner) || renewed.Entry.Issued.Consumer != "mapps" {
		t.Errorf("renewed %+v, %v", renewed.Entry.Issued, err)
	}
}

func TestAdoptRefuses(t *testing.T) {
	h := newHome(t, nil)
	own, err := ca.Create(ca.Options{CommonName: "Own", Clock: h.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	leaf := h.mustIssue(t, "mapps").Pair
	key := own.KeyPair().PrivateKeyPEM
	for name, adoption := range map[string]Adoption{
		"nothing":                 {},
		"no key":                  {Certificates: own.CertificatePEM()},
		"another's key":           {Certificates: own.CertificatePEM(), PrivateKey: leaf.PrivateKeyPEM},
		"a leaf":                  {Certificates: leaf.CertificatePEM, PrivateKey: leaf.PrivateKeyPEM},
		"the root first":          {Certificates: append(own.CertificatePEM(), leaf.CertificatePEM...), PrivateKey: key},
		"a key that is not there": {Certificates: own.CertificatePEM(), Key: "file:/nonexistent/key.pem"},
		"a key in a variable":     {Certificates: own.CertificatePEM(), Key: "env:KEY"},
		"a KMS that is not there": {Certificates: own.CertificatePEM(), Key: "awskms:1234"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "ca")
			if _, err := Adopt(t.Context(), configOf(dir, h.clock), adoption); err == nil {
				t.Error("want an error")
			}
			if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("left behind: %v", err)
			}
		})
	}
}

func TestAdoptAnIntermediateWithItsRoot(t *testing.T) {
	h := newHome(t, nil)
	g := h.inForce()[0]
	key, err := os.ReadFile(filepath.Join(g.folder, "issuing-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		certificates []*x509.Certificate
		bundle       []*x509.Certificate
	}{
		"with":    {g.chain(), []*x509.Certificate{g.root, g.signer()}},
		"without": {g.issuing, []*x509.Certificate{g.signer()}},
	} {
		t.Run(name, func(t *testing.T) {
			var certificates []byte
			for _, certificate := range test.certificates {
				certificates = append(certificates, ca.EncodeCertificate(certificate)...)
			}
			dir := filepath.Join(t.TempDir(), "ca")
			adopted, err := Adopt(t.Context(), configOf(dir, h.clock), Adoption{Certificates: certificates, PrivateKey: key})
			if err != nil {
				t.Fatal(err)
			}
			var bundle []byte
			for _, certificate := range test.bundle {
				bundle = append(bundle, ca.EncodeCertificate(certificate)...)
			}
			if !bytes.Equal(adopted.Bundle(), bundle) {
				t.Error("another bundle")
			}
			if _, err := adopted.Issue(t.Context(), Order{Consumer: "mapps"}); err != nil {
				t.Error(err)
			}
			made, err := adopted.Publish(t.Context())
			if err != nil || (len(made.Warnings) > 0) != (test.bundle[0] == g.root) {
				t.Errorf("%+v, %v", made.Warnings, err)
			}
		})
	}
}

// kms is a place from which keys cannot be taken.
type kms struct{ crypto.Signer }

func TestKeysInAKMSNeverReachTheHome(t *testing.T) {
	clock, dir := newClock(), filepath.Join(t.TempDir(), "ca")
	keys := map[string]crypto.Signer{}
	config := configOf(dir, clock)
	config.KMS = func(_ context.Context, id string) (crypto.Signer, error) {
		if keys[id] == nil {
			made, err := ca.Create(ca.Options{CommonName: "x"})
			if err != nil {
				return nil, err
			}
			keys[id] = kms{made.KeyPair().PrivateKey}
		}
		return keys[id], nil
	}
	made, err := Init(t.Context(), config, Options{Settings: Settings{Name: "Partners"}, RootKey: "awskms:root", IssuingKey: "awskms:issuing"})
	if err != nil {
		t.Fatal(err)
	}
	if found, err := filepath.Glob(filepath.Join(dir, "*", "*-key.pem")); err != nil || len(found) != 0 {
		t.Errorf("keys in the home: %v, %v", found, err)
	}
	opened, err := Open(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := opened.Issue(t.Context(), Order{Consumer: "mapps"}); err != nil {
		t.Error(err)
	}
	if _, err := opened.Publish(t.Context()); err != nil {
		t.Error(err)
	}
	if err := made.RenewRootLists(t.Context()); err != nil {
		t.Error(err)
	}
}
