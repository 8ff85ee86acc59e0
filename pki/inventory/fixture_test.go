package inventory

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/material"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

// clock is a clock that stands still until it is set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: noon} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(by)
}

// fixture is a Keeper over a folder of its own.
type fixture struct {
	*testing.T
	*Keeper
	clock *clock
	dir   string
	specs Specs
}

func newFixture(t *testing.T, change func(*Config)) *fixture {
	t.Helper()
	f := &fixture{T: t, clock: newClock(), dir: t.TempDir(), specs: Specs{
		Authorities:  map[string]*sallyportv1.AuthoritySpec{},
		Truststores:  map[string]*sallyportv1.TruststoreSpec{},
		Certificates: map[string]*sallyportv1.CertificateSpec{},
	}}
	config := Config{Clock: f.clock.Now, Base: f.dir, Store: material.NewStore(material.Config{Debounce: 2 * time.Millisecond})}
	if change != nil {
		change(&config)
	}
	keeper, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	f.Keeper = keeper
	return f
}

// apply applies the fixture's specs; a test that changes a file and applies again looks at it again.
func (f *fixture) apply() *Snapshot {
	f.Helper()
	return f.Apply(context.Background(), f.specs)
}

func (f *fixture) write(name string, data ...[]byte) {
	f.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), slices.Concat(data...), 0o600); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) remove(name string) {
	f.Helper()
	if err := os.RemoveAll(filepath.Join(f.dir, name)); err != nil {
		f.Fatal(err)
	}
}

// authority makes a CA that is none of the configuration's.
func (f *fixture) authority(name string, lifetime time.Duration) *ca.Authority {
	f.Helper()
	return f.create(ca.Options{CommonName: name, Lifetime: lifetime})
}

func (f *fixture) create(options ca.Options) *ca.Authority {
	f.Helper()
	options.Clock = f.clock.Now
	authority, err := ca.Create(options)
	if err != nil {
		f.Fatal(err)
	}
	return authority
}

func (f *fixture) issueBy(authority *ca.Authority, name string, lifetime time.Duration) ca.KeyPair {
	f.Helper()
	pair, err := authority.Issue(ca.Request{Profile: ca.Client, Subject: pkix.Name{CommonName: name}, Lifetime: lifetime})
	if err != nil {
		f.Fatal(err)
	}
	return pair
}

// wantProblem wants a problem of one resource whose text holds a few words.
func (f *fixture) wantProblem(kind, name, words string) {
	f.Helper()
	_ = f.findProblem(kind, name, words)
}

// findProblem returns what wantProblem wants.
func (f *fixture) findProblem(kind, name, words string) Problem {
	f.Helper()
	for _, problem := range f.Current().Problems {
		if problem.Kind == kind && problem.Name == name && strings.Contains(problem.Error(), words) {
			return problem
		}
	}
	f.Errorf("no problem of %s %s with %q among %v", kind, name, words, f.Current().Problems)
	return Problem{}
}

func (f *fixture) wantNoProblem() {
	f.Helper()
	for _, problem := range f.Current().Problems {
		f.Errorf("unexpected problem: %v", problem)
	}
}

// wantAnchors wants a truststore to hold exactly these.
func (f *fixture) wantAnchors(name string, want ...*ca.Authority) {
	f.Helper()
	truststore := f.Current().Truststores[name]
	if truststore == nil {
		f.Errorf("truststore %s is absent", name)
		return
	}
	if len(truststore.Anchors) != len(want) {
		f.Errorf("truststore %s has %d anchors, want %d", name, len(truststore.Anchors), len(want))
	}
	for _, authority := range want {
		if !slices.ContainsFunc(truststore.Anchors, authority.Certificate().Equal) {
			f.Errorf("truststore %s misses %s", name, authority.Certificate().Subject)
		}
	}
}

func (f *fixture) wantGeneration(want uint64) {
	f.Helper()
	if got := f.Current().Generation; got != want {
		f.Errorf("generation %d, want %d", got, want)
	}
}

// wantTrusted wants a leaf to verify against a truststore.
func (f *fixture) wantTrusted(leaf *x509.Certificate, truststore string) {
	f.Helper()
	roots := x509.NewCertPool()
	for _, anchor := range f.Current().Truststores[truststore].Anchors {
		roots.AddCert(anchor)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: f.clock.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		f.Errorf("%s is not trusted by %s: %v", leaf.Subject, truststore, err)
	}
}

func bundle(reference string) *sallyportv1.TruststoreSpec {
	return &sallyportv1.TruststoreSpec{Bundle: reference}
}

func developmentAuthority() *sallyportv1.AuthoritySpec {
	return &sallyportv1.AuthoritySpec{Source: &sallyportv1.AuthoritySpec_Development{Development: &sallyportv1.DevelopmentAuthority{}}}
}

func authorityMaterial(certificate, key string) *sallyportv1.AuthoritySpec {
	return &sallyportv1.AuthoritySpec{Source: &sallyportv1.AuthoritySpec_Material{Material: &sallyportv1.AuthorityMaterial{Certificate: certificate, PrivateKey: key}}}
}

func certificateMaterial(certificate, key string) *sallyportv1.CertificateSpec {
	return &sallyportv1.CertificateSpec{Source: &sallyportv1.CertificateSpec_Material{Material: &sallyportv1.CertificateMaterial{Certificate: certificate, PrivateKey: key}}}
}

// issuedServer asks an authority for a server certificate that lives for an hour.
func issuedServer(authority string, names ...string) *sallyportv1.CertificateSpec {
	return &sallyportv1.CertificateSpec{Source: &sallyportv1.CertificateSpec_Issued{Issued: &sallyportv1.IssuedCertificate{
		Authority: authority,
		Profile:   sallyportv1.CertificateProfile_CERTIFICATE_PROFILE_SERVER,
		DnsNames:  names,
		Lifetime:  durationpb.New(time.Hour),
	}}}
}
