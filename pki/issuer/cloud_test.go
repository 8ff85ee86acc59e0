package issuer

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport-project/sallyport/internal/testcloud"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/material"
	"github.com/sallyport-project/sallyport/pki/material/aws"
	"github.com/sallyport-project/sallyport/pki/register"
)

// cloudConfig speaks to whatever the environment leads to.
func cloudConfig(dir string, clock *clock) Config {
	config, client := configOf(dir, clock), aws.New()
	config.Objects = func(owner string) material.Objects {
		return material.ByScheme{material.S3: client.Objects(owner), material.File: material.Files{}}
	}
	config.KMS = client.NewSigner
	return config
}

// orderly keeps reads of an object that is replaced from falling into the middle of a write: the server that stands for S3
// reads an object's content and its checksum one after the other. Objects that are only created, as the register's are,
// need no such care and get none.
type orderly struct {
	material.Objects
	mu *sync.RWMutex
}

func (o orderly) Get(ctx context.Context, reference material.Reference) (material.Content, error) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.Objects.Get(ctx, reference)
}

func (o orderly) Put(ctx context.Context, reference material.Reference, data []byte, condition material.Condition) (material.Version, error) {
	if strings.Contains(reference.String(), "/prod/") {
		o.mu.Lock()
		defer o.mu.Unlock()
	}
	return o.Objects.Put(ctx, reference, data, condition)
}

func TestTwoOperatorsShareARegisterInS3(t *testing.T) {
	store := testcloud.StartObjectStore(t, "example-authority")
	store.Use(t)
	clock, dir := newClock(), filepath.Join(t.TempDir(), "ca")
	config := cloudConfig(dir, clock)
	objects, order := config.Objects, new(sync.RWMutex)
	config.Objects = func(owner string) material.Objects { return orderly{objects(owner), order} }
	first, err := Init(t.Context(), config, Options{Settings: Settings{
		Name: "Partners", Register: "s3://example-authority/register", Publish: []string{"s3://example-authority/prod/partners.crl"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	second, err := Open(config)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	var mu sync.Mutex
	var issued []*x509.Certificate
	for n, issuer := range []*Issuer{first, second} {
		group.Go(func() {
			for round := range 5 {
				one, err := issuer.Issue(t.Context(), Order{Consumer: fmt.Sprintf("partner-%d-%d", n, round)})
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := issuer.Publish(t.Context()); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				issued = append(issued, one.Pair.Certificate)
				mu.Unlock()
			}
		})
	}
	group.Wait()

	third, err := Open(config)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := third.Register(t.Context())
	if err != nil || loaded.Head().Count != 11 { // the authority and ten
		t.Fatalf("%+v, %v", loaded.Head(), err)
	}
	standing := third.readPublished(t.Context())
	err = standing.failed()
	if err != nil {
		t.Fatal(err)
	}
	for _, certificate := range issued {
		if _, found := loaded.Certificate(digest(certificate)); !found || !standing.last.Knows(digest(certificate)) {
			t.Errorf("%s was lost", certificate.Subject)
		}
	}
	if due, err := third.Due(t.Context()); err != nil || !due.At.After(clock.Now()) {
		t.Errorf("due %+v, %v", due, err)
	}
}

func TestAnS3ThatIsAwayHandsOutNothing(t *testing.T) {
	store := testcloud.StartObjectStore(t, "example-authority")
	store.Use(t)
	clock, dir := newClock(), filepath.Join(t.TempDir(), "ca")
	made, err := Init(t.Context(), cloudConfig(dir, clock), Options{Settings: Settings{
		Name: "Partners", Register: "s3://example-authority/register", Publish: []string{"s3://example-authority/partners.crl"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range []testcloud.Fault{testcloud.Denied, testcloud.Broken} {
		store.Faults.Set(fault)
		if issued, err := made.Issue(t.Context(), Order{Consumer: "mapps"}); err == nil || issued.Pair.Certificate != nil {
			t.Errorf("fault %d: issued %s, %v", fault, issued.Pair, err)
		}
		if _, err := made.Publish(t.Context()); err == nil {
			t.Errorf("fault %d: published", fault)
		}
	}
	store.Faults.Heal()
	if _, err := made.Issue(t.Context(), Order{Consumer: "mapps"}); err != nil {
		t.Error(err)
	}
	if _, err := made.Publish(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAnAuthorityWhoseKeysAreInKMS(t *testing.T) {
	moto := testcloud.StartMoto(t)
	moto.Use(t)
	root := moto.CreateKey(t, "ECC_NIST_P384", "alias/root")
	issuing := moto.CreateKey(t, "ECC_NIST_P256", "alias/issuing")
	clock, dir := newClock(), filepath.Join(t.TempDir(), "ca")
	made, err := Init(t.Context(), cloudConfig(dir, clock), Options{
		Settings: Settings{Name: "Partners"}, RootKey: "awskms:" + root, IssuingKey: "awskms:" + issuing,
	})
	if err != nil {
		t.Fatal(err)
	}
	h := home{made, clock, dir}
	issued := h.mustIssue(t, "mapps")
	if _, err := h.Revoke(t.Context(), Revocation{Consumer: "mapps", Reason: ca.PrivilegeWithdrawn}); err != nil {
		t.Fatal(err)
	}
	h.mustPublish(t)
	if !isListed(h.lists(t)["Partners issuing"], issued.Pair.Certificate) || !h.index(t).Knows(digest(issued.Pair.Certificate)) {
		t.Error("the published list or index lacks it")
	}
	var signers []crypto.PublicKey
	for _, authority := range h.everyAuthority() {
		signers = append(signers, authority.PublicKey)
	}
	content, err := h.objects.Get(t.Context(), h.publish[0].Beside(HeadSuffix))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := register.ReadHead(content.Data, signers); err != nil {
		t.Error(err)
	}
}
