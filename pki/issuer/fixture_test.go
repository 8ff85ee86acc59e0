package issuer

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/material"
	"github.com/sallyport-project/sallyport/pki/register"
)

// clock is moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2030, 1, 2, 12, 0, 0, 500, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) forward(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(by)
}

// home is a home under test.
type home struct {
	*Issuer
	clock *clock
	dir   string
}

const passphrase = "correct horse battery"

func configOf(dir string, clock *clock) Config {
	return Config{
		Dir: dir, Clock: clock.Now, Poll: time.Millisecond,
		Passphrase: func(context.Context, string) ([]byte, error) { return []byte(passphrase), nil },
	}
}

func newHome(t *testing.T, change func(*Options)) home {
	t.Helper()
	clock, dir := newClock(), filepath.Join(t.TempDir(), "ca")
	options := Options{Settings: Settings{Name: "Partners"}, Organization: "Example", RequestedBy: "ops"}
	if change != nil {
		change(&options)
	}
	made, err := Init(t.Context(), configOf(dir, clock), options)
	if err != nil {
		t.Fatal(err)
	}
	return home{made, clock, dir}
}

// again opens the same home once more, as another process would.
func (h home) again(t *testing.T) *Issuer {
	t.Helper()
	opened, err := Open(configOf(h.dir, h.clock))
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

func (h home) mustIssue(t *testing.T, consumer string) Issued {
	t.Helper()
	issued, err := h.Issue(t.Context(), Order{Consumer: consumer, RequestedBy: "ops"})
	if err != nil {
		t.Fatal(err)
	}
	return issued
}

func (h home) mustPublish(t *testing.T) Published {
	t.Helper()
	made, err := h.Publish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// lists are what is published, by the issuer's common name.
func (h home) lists(t *testing.T) map[string]*x509.RevocationList {
	t.Helper()
	content, err := h.objects.Get(t.Context(), h.publish[0])
	if err != nil {
		t.Fatal(err)
	}
	lists, err := parseLists(content.Data)
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]*x509.RevocationList{}
	for _, list := range lists {
		byName[list.Issuer.CommonName] = list
	}
	return byName
}

func (h home) index(t *testing.T) *register.Index {
	t.Helper()
	content, err := h.objects.Get(t.Context(), h.publish[0].Beside(IndexSuffix))
	if err != nil {
		t.Fatal(err)
	}
	index, err := register.ParseIndex(content.Data, h.everyAuthority())
	if err != nil {
		t.Fatal(err)
	}
	return index
}

func isListed(list *x509.RevocationList, certificate *x509.Certificate) bool {
	for _, entry := range list.RevokedCertificateEntries {
		if entry.SerialNumber.Cmp(certificate.SerialNumber) == 0 {
			return true
		}
	}
	return false
}

func digest(certificate *x509.Certificate) string { return register.Digest(certificate.Raw) }

// signingRequest is a partner's, for whatever name.
func signingRequest(t *testing.T, name string) *x509.CertificateRequest {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, key)
	if err != nil {
		t.Fatal(err)
	}
	request, err := ca.ParseCertificateRequest(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	if err != nil {
		t.Fatal(err)
	}
	return request
}

// bucket is Objects in memory.
type bucket struct {
	mu      sync.Mutex
	objects map[material.Reference]material.Content
	count   int
	// beforePut, if not nil, is called before each Put, unlocked.
	beforePut func(material.Reference) error
	// answer, if not nil, is what a Put that has been done says, unlocked.
	answer func(material.Reference) error
}

func (b *bucket) Get(_ context.Context, reference material.Reference) (material.Content, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	content, found := b.objects[reference]
	if !found {
		return material.Content{}, fmt.Errorf("%s: %w", reference, fs.ErrNotExist)
	}
	return content, nil
}

func (b *bucket) Put(ctx context.Context, reference material.Reference, data []byte, condition material.Condition) (material.Version, error) {
	version, err := b.put(reference, data, condition)
	if err == nil && b.answer != nil {
		return version, cmp.Or(b.answer(reference), ctx.Err())
	}
	return version, err
}

func (b *bucket) put(reference material.Reference, data []byte, condition material.Condition) (material.Version, error) {
	if b.beforePut != nil {
		if err := b.beforePut(reference); err != nil {
			return material.Version{}, err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	before, found := b.objects[reference]
	if condition.IfAbsent && found || condition.IfMatch != "" && before.ETag != condition.IfMatch {
		return material.Version{}, fmt.Errorf("%s: %w", reference, material.ErrConflict)
	}
	b.count++
	version := material.Version{ID: "v" + strconv.Itoa(b.count), ETag: strconv.Itoa(b.count)}
	if b.objects == nil {
		b.objects = map[material.Reference]material.Content{}
	}
	b.objects[reference] = material.Content{Data: bytes.Clone(data), Version: version}
	return version, nil
}

func (b *bucket) Versions(context.Context, material.Reference) ([]material.Version, error) {
	return nil, material.ErrNoVersions
}
