package truststore

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/manifest"
	"github.com/sallyport-project/sallyport/pki/material"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func authority(t *testing.T, name string, options ca.Options) *ca.Authority {
	t.Helper()
	options.CommonName, options.Clock = name, func() time.Time { return noon }
	made, err := ca.Create(options)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func leaf(t *testing.T, of *ca.Authority) []byte {
	t.Helper()
	pair, err := of.Issue(ca.Request{Profile: ca.Partner, Subject: pkix.Name{CommonName: "mapps"}})
	if err != nil {
		t.Fatal(err)
	}
	return pair.CertificatePEM
}

func pemOf(authorities ...*ca.Authority) []byte {
	var text []byte
	for _, a := range authorities {
		text = append(text, ca.EncodeCertificate(a.Certificate())...)
	}
	return text
}

func TestLint(t *testing.T) {
	root, other := authority(t, "root", ca.Options{}), authority(t, "other", ca.Options{})
	short := authority(t, "short", ca.Options{Lifetime: 30 * 24 * time.Hour})
	key, err := ca.EncodePrivateKey(root.KeyPair().PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	good := pemOf(root)
	for name, test := range map[string]struct {
		bundle []byte
		at     time.Time
		want   []string // each is in the finding at its place
	}{
		"good ones, with text before them":  {append([]byte("# Example root\n"), pemOf(root, other)...), noon, nil},
		"nothing":                           {nil, noon, []string{"error: it holds no certificate authority"}},
		"a private key among good ones":     {append(pemOf(root), key...), noon, []string{"error: it holds a private key"}},
		"a private key of a kind unknown":   {append(pemOf(root), "-----BEGIN SECRET PRIVATE KEY-----\n"...), noon, []string{"error: it holds a private key"}},
		"a stray leaf":                      {append(pemOf(root), leaf(t, root)...), noon, []string{"error: certificate 2 (CN=mapps): it is not a certificate authority's"}},
		"a leaf alone":                      {leaf(t, root), noon, []string{"error: certificate 1 (CN=mapps)", "error: it holds no certificate authority"}},
		"one that expired":                  {pemOf(root, short), noon.Add(31 * 24 * time.Hour), []string{"error: certificate 2 (CN=short): it expired at 2026-12-22"}},
		"one that ends soon":                {pemOf(root, short), noon, []string{"warning: certificate 2 (CN=short): it expires at 2026-12-22T12:00:00Z, in 30 days"}},
		"one that is not valid yet":         {good, noon.Add(-24 * time.Hour), []string{"warning: certificate 1 (CN=root): it is valid only from"}},
		"one twice":                         {pemOf(root, other, root), noon, []string{"warning: certificate 3 (CN=root): it is the same as certificate 1"}},
		"one that was cut":                  {append(pemOf(root), good[:len(good)/2]...), noon, []string{"error: certificate 2: it is not well-formed PEM"}},
		"something else in PEM":             {append(pemOf(root), "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"...), noon, []string{`error: certificate 2: it is a PEM block of type "X509 CRL"`}},
		"text after the last":               {append(pemOf(root), "garbage"...), noon, []string{"warning: there is text after the last certificate"}},
		"a development authority":           {pemOf(authority(t, "dev", ca.Options{Development: true})), noon, []string{"it is a development authority"}},
		"certificates that cannot be read":  {append(pemOf(root), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"...), noon, []string{"error: certificate 2: it cannot be read"}},
		"a terminal's commands in the text": {append(pemOf(root), "-----BEGIN \x1b[2J-----\nAAAA\n-----END \x1b[2J-----\n"...), noon, []string{"error: certificate 2: it is a PEM block of type"}},
	} {
		t.Run(name, func(t *testing.T) {
			findings := Lint(test.bundle, test.at)
			if len(findings) != len(test.want) {
				t.Fatalf("%d findings, want %d: %v", len(findings), len(test.want), findings)
			}
			for i, want := range test.want {
				if got := findings[i].String(); !strings.Contains(got, want) || strings.Contains(got, "\x1b") {
					t.Errorf("finding %d is %q, want %q", i, got, want)
				}
			}
		})
	}
}

func TestLintRenewedAuthority(t *testing.T) {
	root := authority(t, "root", ca.Options{})
	again, err := ca.CreateWith(ca.Options{CommonName: "root", Clock: func() time.Time { return noon.Add(time.Hour) }}, root.KeyPair().PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	findings := Lint(pemOf(root, again), noon.Add(2*time.Hour))
	if len(findings) != 1 || !strings.Contains(findings[0].String(), "the subject and the key of certificate 1") {
		t.Fatal(findings)
	}
}

func TestDiff(t *testing.T) {
	a, b, c := authority(t, "a", ca.Options{}), authority(t, "b", ca.Options{}), authority(t, "c", ca.Options{})
	change := Diff(Anchors(pemOf(a, b, a)), Anchors(pemOf(c, b)))
	if names(change.Added) != "c" || names(change.Removed) != "a" || names(change.Kept) != "b" || change.Empty() {
		t.Fatalf("added %s, removed %s, kept %s", names(change.Added), names(change.Removed), names(change.Kept))
	}
	if !Diff(Anchors(pemOf(a, b)), Anchors(pemOf(b, a))).Empty() {
		t.Fatal("another order is a change")
	}
}

func names(certificates []*x509.Certificate) string {
	var all []string
	for _, c := range certificates {
		all = append(all, c.Subject.CommonName)
	}
	return strings.Join(all, " ")
}

// faulty fails to write what ends with a suffix, once.
type faulty struct {
	material.Objects
	suffix string
}

func (f *faulty) Put(ctx context.Context, reference material.Reference, data []byte, condition material.Condition) (material.Version, error) {
	if f.suffix != "" && strings.HasSuffix(reference.Value, f.suffix) {
		f.suffix = ""
		return material.Version{}, errors.New("the disk is full")
	}
	return f.Objects.Put(ctx, reference, data, condition)
}

func publisher(t *testing.T) (Publisher, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bundle.pem")
	return Publisher{
		Objects: material.Files{}, Bundle: material.Reference{Scheme: material.File, Value: path}, Truststore: "partners",
		Clock: func() time.Time { return noon },
	}, path
}

func push(t *testing.T, p Publisher, bundle []byte) Published {
	t.Helper()
	current, err := p.Look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	published, err := p.Push(t.Context(), bundle, current)
	if err != nil {
		t.Fatal(err)
	}
	return published
}

func TestPushWritesBundleAndRisingManifest(t *testing.T) {
	p, path := publisher(t)
	signer := authority(t, "signer", ca.Options{}).KeyPair().PrivateKey
	p.Signer = signer
	first, second := pemOf(authority(t, "a", ca.Options{})), pemOf(authority(t, "b", ca.Options{}))
	for i, bundle := range [][]byte{first, second, second} {
		published := push(t, p, bundle)
		if published.Manifest.Generation != uint64(i+1) || published.BundleWritten != (i < 2) {
			t.Fatalf("push %d: %+v", i, published)
		}
		data, err := os.ReadFile(path + manifest.Suffix)
		if err != nil {
			t.Fatal(err)
		}
		written, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(written, bundle) {
			t.Fatal("the bundle was not written", err)
		}
		if _, err := manifest.Verify(data, manifest.Expected{
			Signers: []crypto.PublicKey{signer.Public()}, Bundle: bundle, Truststore: "partners", Now: noon, Floor: uint64(i + 1),
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPushRefusesWhatSomebodyElseHasChanged(t *testing.T) {
	p, path := publisher(t)
	a, b := pemOf(authority(t, "a", ca.Options{})), pemOf(authority(t, "b", ca.Options{}))
	for name, before := range map[string][]byte{"nothing was there": nil, "a bundle was there": a} {
		t.Run(name, func(t *testing.T) {
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			if before != nil {
				push(t, p, before)
			}
			seen, err := p.Look(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			push(t, p, b) // somebody else
			if _, err := p.Push(t.Context(), append(b, a...), seen); !errors.Is(err, material.ErrConflict) {
				t.Fatalf("want a conflict, got %v", err)
			}
			if written, err := os.ReadFile(path); err != nil || !bytes.Equal(written, b) {
				t.Fatal("what somebody else wrote is gone", err)
			}
		})
	}
}

func TestPushAgainAfterTheManifestFailed(t *testing.T) {
	p, _ := publisher(t)
	p.Signer = authority(t, "signer", ca.Options{}).KeyPair().PrivateKey
	a, b := pemOf(authority(t, "a", ca.Options{})), pemOf(authority(t, "b", ca.Options{}))
	push(t, p, a)
	p.Objects = &faulty{p.Objects, manifest.Suffix}
	current, err := p.Look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Push(t.Context(), b, current); !errors.Is(err, ErrManifest) {
		t.Fatalf("want the manifest to fail, got %v", err)
	}
	if again := push(t, p, b); again.BundleWritten || again.Manifest.Generation != 2 {
		t.Fatalf("%+v", again)
	}
}

func TestPushAndTheSignerBefore(t *testing.T) {
	p, _ := publisher(t)
	before := authority(t, "before", ca.Options{}).KeyPair().PrivateKey
	a := pemOf(authority(t, "a", ca.Options{}))
	p.Signer = before
	push(t, p, a)
	for name, test := range map[string]struct {
		change     func(*Publisher)
		generation uint64 // 0: refused
	}{
		"nobody signs":                     {func(p *Publisher) { p.Signer = nil }, 0},
		"another signs":                    {func(*Publisher) {}, 0},
		"another signs, who believes that": {func(p *Publisher) { p.Believed = append(p.Believed, before.Public()) }, 2},
		"another signs, with a generation": {func(p *Publisher) { p.Generation = 9 }, 9},
	} {
		t.Run(name, func(t *testing.T) {
			changed := p
			changed.Objects = dry{p.Objects}
			changed.Signer = authority(t, "after", ca.Options{}).KeyPair().PrivateKey
			test.change(&changed)
			current, err := changed.Look(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			published, err := changed.Push(t.Context(), a, current)
			if test.generation == 0 {
				if !errors.Is(err, ErrSigner) {
					t.Fatalf("want %v, got %v", ErrSigner, err)
				}
				return
			}
			if err != nil || published.Manifest.Generation != test.generation {
				t.Fatalf("%+v, %v", published.Manifest, err)
			}
		})
	}
}

// dry writes nothing.
type dry struct{ material.Objects }

func (dry) Put(context.Context, material.Reference, []byte, material.Condition) (material.Version, error) {
	return material.Version{}, nil
}

func TestPushPublishesNoPinnedVersion(t *testing.T) {
	pinned, err := material.Parse("s3://bucket/bundle.pem?version=1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (Publisher{Objects: material.Files{}, Bundle: pinned}).Look(t.Context()); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Fatal("a version was taken for a place", err)
	}
}

func FuzzLint(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	f.Add([]byte("-----BEGIN "))
	f.Fuzz(func(t *testing.T, bundle []byte) {
		findings := Lint(bundle, noon)
		if len(findings) == 0 && len(Anchors(bundle)) == 0 {
			t.Fatal("nothing to blame, and nothing in it")
		}
	})
}
