package inventory

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/manifest"
	"github.com/sallyport-project/sallyport/pki/material"
	"github.com/sallyport-project/sallyport/pki/revocation"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

func newSigner(t *testing.T) (signer crypto.Signer, publicPEM []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// manifestOf signs a manifest for a day from now on.
func (f *fixture) manifestOf(bundle []byte, generation uint64, signer crypto.Signer, change func(*manifest.Manifest)) []byte {
	f.Helper()
	m := manifest.Manifest{BundleSHA256: manifest.HashBundle(bundle), Generation: generation, Created: f.clock.Now(), Expires: f.clock.Now().Add(24 * time.Hour)}
	if change != nil {
		change(&m)
	}
	data, err := manifest.Sign(m, signer)
	if err != nil {
		f.Fatal(err)
	}
	return data
}

// signedPartners is a truststore whose bundle is accepted by a manifest of generation 3.
func signedPartners(t *testing.T, change func(*Config)) (f *fixture, first *ca.Authority, signer crypto.Signer) {
	t.Helper()
	f = newFixture(t, change)
	signer, public := newSigner(t)
	first = f.authority("first", 0)
	f.write("signer.pem", public)
	f.write("partners.pem", first.CertificatePEM())
	f.write("partners.pem.manifest", f.manifestOf(first.CertificatePEM(), 3, signer, nil))
	f.specs.Truststores["partners"] = &sallyportv1.TruststoreSpec{Bundle: "file:partners.pem", Signers: []string{"file:signer.pem"}}
	f.apply()
	f.wantNoProblem()
	f.wantAnchors("partners", first)
	return f, first, signer
}

func TestABundleIsAcceptedOnlyByItsManifest(t *testing.T) {
	f, first, signer := signedPartners(t, nil)
	if got := f.Current().Truststores["partners"].Manifest; got == nil || got.Generation != 3 || !got.Expires.Equal(noon.Add(24*time.Hour)) {
		t.Errorf("manifest %+v", got)
	}
	second := f.authority("second", 0)
	stranger, _ := newSigner(t)
	bundle := second.CertificatePEM()
	good := f.manifestOf(bundle, 4, signer, nil)
	for name, test := range map[string]struct {
		data  []byte
		words string
	}{
		"there is none":                    {nil, "cannot be read"},
		"it is rubbish":                    {[]byte("rubbish"), "because of its manifest"},
		"it is torn":                       {good[:len(good)/2], "because of its manifest"},
		"it is another bundle's":           {f.manifestOf(first.CertificatePEM(), 4, signer, nil), "for another bundle"},
		"a stranger has signed it":         {f.manifestOf(bundle, 4, stranger, nil), "because of its manifest"},
		"it is of an older generation":     {f.manifestOf(bundle, 2, signer, nil), "older generation"},
		"its generation is another's":      {f.manifestOf(bundle, 3, signer, nil), "was seen with another bundle"},
		"it is another truststore's":       {f.manifestOf(bundle, 4, signer, func(m *manifest.Manifest) { m.Truststore = "others" }), "another truststore"},
		"it was made in the future":        {f.manifestOf(bundle, 4, signer, func(m *manifest.Manifest) { m.Created = noon.Add(time.Hour) }), "in the future"},
		"it has expired":                   {f.manifestOf(bundle, 4, signer, func(m *manifest.Manifest) { m.Created, m.Expires = noon.Add(-2*time.Hour), noon }), "has expired"},
		"somebody has changed it":          {bytes.Replace(good, []byte(`"payload":"ey`), []byte(`"payload":"eY`), 1), "because of its manifest"},
		"it is good, and the bundle not":   {f.manifestOf([]byte("rubbish"), 4, signer, nil), "for another bundle"},
		"there are two documents in there": {slices.Concat(good, good), "because of its manifest"},
	} {
		t.Run(name, func(t *testing.T) {
			f.T = t
			f.write("partners.pem", bundle)
			f.remove("partners.pem.manifest")
			if test.data != nil {
				f.write("partners.pem.manifest", test.data)
			}
			f.apply()
			f.wantProblem(KindTruststore, "partners", test.words)
			f.wantAnchors("partners", first)
		})
	}
	f.T = t
	f.write("partners.pem.manifest", good)
	f.apply()
	f.wantNoProblem()
	f.wantAnchors("partners", second)
}

func TestAManifestThatRunsOutTakesNothingAway(t *testing.T) {
	f, first, _ := signedPartners(t, nil)
	f.clock.advance(25 * time.Hour)
	f.apply()
	f.wantProblem(KindTruststore, "partners", "has expired")
	f.wantAnchors("partners", first)
	if got := f.Current().Truststores["partners"].Manifest; got == nil || got.Generation != 3 {
		t.Errorf("manifest %+v", got)
	}
}

func TestAnOlderGenerationIsRefusedAfterARestart(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	_, first, signer := signedPartners(t, kept(folder))
	again := newFixture(t, kept(folder))
	public, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	again.write("signer.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
	again.write("partners.pem", first.CertificatePEM())
	again.write("partners.pem.manifest", again.manifestOf(first.CertificatePEM(), 2, signer, nil))
	again.specs.Truststores["partners"] = &sallyportv1.TruststoreSpec{Bundle: "file:partners.pem", Signers: []string{"file:signer.pem"}}
	again.apply()
	again.wantProblem(KindTruststore, "partners", "older generation")
	if again.Current().Truststores["partners"] != nil {
		t.Error("it is in force")
	}
}

func TestASignerThatCannotBeReadAcceptsNothing(t *testing.T) {
	f, _, signer := signedPartners(t, nil)
	second := f.authority("second", 0)
	f.write("partners.pem", second.CertificatePEM())
	f.write("partners.pem.manifest", f.manifestOf(second.CertificatePEM(), 4, signer, nil))
	for words, data := range map[string][]byte{"no such file": nil, "no public key": []byte("rubbish"), "where a public key": f.authority("x", 0).KeyPair().PrivateKeyPEM} {
		f.remove("signer.pem")
		if data != nil {
			f.write("signer.pem", data)
		}
		f.apply()
		f.wantProblem(KindTruststore, "partners", words)
		if slices.ContainsFunc(f.Current().Truststores["partners"].Anchors, second.Certificate().Equal) {
			t.Errorf("%s: the new bundle is in force", words)
		}
	}
}

func TestAManifestWithoutAPlaceIsAsked(t *testing.T) {
	f := newFixture(t, nil)
	_, public := newSigner(t)
	f.write("signer.pem", public)
	t.Setenv("PARTNERS", string(f.authority("a", 0).CertificatePEM()))
	f.specs.Truststores["partners"] = &sallyportv1.TruststoreSpec{Bundle: "env:PARTNERS", Signers: []string{"file:signer.pem"}}
	f.apply()
	f.wantProblem(KindTruststore, "partners", "say under `manifest`")
}

// shop is an object store of a test: nil is away.
type shop map[string][]byte

var errAway = errors.New("the object store answers 500")

func (s shop) Fetch(_ context.Context, request material.Request) (material.Fetched, error) {
	if s == nil {
		return material.Fetched{}, errAway
	}
	data, found := s[request.Reference.Object().Key]
	if !found {
		return material.Fetched{}, fs.ErrNotExist
	}
	return material.Fetched{Data: data}, nil
}

// remotely has a Keeper fetch from a shop, and keep what was good in a folder.
func remotely(s shop, folder string) func(*Config) {
	return func(c *Config) {
		c.StateDir = filepath.Join(folder, "state")
		c.Store = material.NewStore(material.Config{
			Debounce: 2 * time.Millisecond, Keep: filepath.Join(folder, "kept"),
			Fetchers: map[material.Scheme]material.Fetcher{material.S3: s},
		})
	}
}

func TestAColdStartGoesOnWithWhatWasGoodBefore(t *testing.T) {
	folder := t.TempDir()
	signer, public := newSigner(t)
	spec := &sallyportv1.TruststoreSpec{
		Bundle: "s3://partners/ca.pem?version=7", Signers: []string{"file:signer.pem"},
		Revocation: &sallyportv1.Revocation{Lists: []string{"s3://partners/ca.crl"}},
	}
	begin := func(objects shop) *fixture {
		f := newFixture(t, remotely(objects, folder))
		f.write("signer.pem", public)
		f.specs.Truststores["partners"] = spec
		f.apply()
		return f
	}
	first := begin(nil)
	authority := first.authority("partners", 0)
	revoked := first.issueBy(authority, "revoked", 0).Certificate
	if first.Current().Truststores["partners"] != nil {
		t.Fatal("something is in force that nobody has")
	}
	first.wantProblem(KindTruststore, "partners", errAway.Error())

	good := shop{
		"ca.pem": authority.CertificatePEM(), "ca.pem.manifest": first.manifestOf(authority.CertificatePEM(), 1, signer, nil),
		"ca.crl": first.list(authority, 5, revoked),
	}
	second := begin(good)
	second.wantNoProblem()
	second.wantStatus(revoked, authority, revocation.Revoked)

	for name, objects := range map[string]shop{
		"the store is away":         nil,
		"the store is empty":        {},
		"everything is rubbish":     {"ca.pem": []byte("x"), "ca.pem.manifest": []byte("x"), "ca.crl": []byte("x")},
		"an older list lies there":  {"ca.pem": good["ca.pem"], "ca.pem.manifest": good["ca.pem.manifest"], "ca.crl": first.list(authority, 4)},
		"a bundle without manifest": {"ca.pem": first.authority("evil", 0).CertificatePEM(), "ca.crl": good["ca.crl"]},
	} {
		again := begin(objects)
		if len(again.Current().Problems) == 0 {
			t.Errorf("%s: nobody is told", name)
		}
		if again.Current().Truststores["partners"] == nil {
			t.Fatalf("%s: nothing is in force: %v", name, again.Current().Problems)
		}
		again.wantAnchors("partners", authority)
		again.wantStatus(revoked, authority, revocation.Revoked)
		if t.Failed() {
			t.Fatal(name)
		}
	}
}
