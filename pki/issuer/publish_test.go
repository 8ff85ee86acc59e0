package issuer

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/material"
	"github.com/sallyport-project/sallyport/pki/register"
)

// newRemoteHome keeps its register and publications in a bucket, and publishes to a file beside.
func newRemoteHome(t *testing.T, objects *bucket) home {
	t.Helper()
	clock, dir := newClock(), filepath.Join(t.TempDir(), "ca")
	made, err := Init(t.Context(), remoteConfig(dir, clock, objects), Options{Settings: Settings{
		Name: "Partners", Register: "s3://example-register/partners", ExpectedBucketOwner: "123456789012",
		Publish: []string{"s3://example-truststores/prod/partners.crl", "file:crl.pem"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return home{made, clock, dir}
}

func remoteConfig(dir string, clock *clock, objects *bucket) Config {
	config := configOf(dir, clock)
	config.Objects = func(owner string) material.Objects {
		if owner != "123456789012" {
			panic("the expected owner is not passed on")
		}
		return material.ByScheme{material.S3: objects, material.File: material.Files{}}
	}
	return config
}

func TestPublishingToABucketAndAFile(t *testing.T) {
	objects := &bucket{}
	h := newRemoteHome(t, objects)
	issued := h.mustIssue(t, "mapps")
	made := h.mustPublish(t)
	if len(made.Objects) != 6 || made.Objects[0].Version == "" || made.Objects[3].Version != "" {
		t.Errorf("published %+v", made.Objects)
	}
	for _, suffix := range []string{"", IndexSuffix, HeadSuffix} {
		remote, err := objects.Get(t.Context(), h.publish[0].Beside(suffix))
		if err != nil {
			t.Fatal(err)
		}
		local, err := os.ReadFile(filepath.Join(h.dir, "crl.pem"+suffix))
		if err != nil || !bytes.Equal(local, remote.Data) {
			t.Errorf("%q differs: %v", suffix, err)
		}
	}
	other, err := Open(remoteConfig(h.dir, h.clock, objects))
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := other.Register(t.Context())
	if err != nil || len(loaded.Find(digest(issued.Pair.Certificate))) != 1 {
		t.Errorf("the register of another operator: %+v, %v", loaded.Head(), err)
	}
}

func TestARegisterInUseIsNoNewAuthoritys(t *testing.T) {
	objects := &bucket{}
	h := newRemoteHome(t, objects)
	other := filepath.Join(t.TempDir(), "ca")
	_, err := Init(t.Context(), remoteConfig(other, h.clock, objects), Options{Settings: h.settings})
	if err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("error %v", err)
	}
}

func TestWhoComesSecondPublishesWhatBothKnow(t *testing.T) {
	objects := &bucket{}
	h := newRemoteHome(t, objects)
	h.mustIssue(t, "mapps")
	other, err := Open(remoteConfig(h.dir, h.clock, objects))
	if err != nil {
		t.Fatal(err)
	}
	// In the middle of our publication, somebody else issues and publishes.
	var once sync.Once
	var theirs Issued
	objects.beforePut = func(reference material.Reference) error {
		if strings.HasPrefix(reference.String(), "s3://example-truststores/") {
			once.Do(func() {
				objects.beforePut = nil
				if theirs, err = other.Issue(context.Background(), Order{Consumer: "nsp"}); err != nil {
					t.Error(err)
				}
				if _, err := other.Publish(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		return nil
	}
	if made := h.mustPublish(t); made.Number != 2 {
		t.Errorf("number %d", made.Number)
	}
	if index := h.index(t); index.Number != 2 || !index.Knows(digest(theirs.Pair.Certificate)) {
		t.Errorf("index %+v", index.Publication)
	}
}

func TestAPublicationThatWasInterruptedIsMadeAgain(t *testing.T) {
	objects := &bucket{}
	h := newRemoteHome(t, objects)
	fault := errors.New("500 internal error")
	objects.beforePut = func(reference material.Reference) error {
		if strings.HasSuffix(reference.String(), IndexSuffix) {
			return fault
		}
		return nil
	}
	if _, err := h.Publish(t.Context()); !errors.Is(err, fault) {
		t.Errorf("error %v", err)
	}
	objects.beforePut = nil
	made, was, err := h.PublishIfDue(t.Context())
	if err != nil || !was || made.Number != 2 {
		t.Errorf("%+v, %v, %v", made, was, err)
	}
}

func TestTheNumberRisesWhateverWasLost(t *testing.T) {
	h := newHome(t, nil)
	for range 3 {
		h.mustPublish(t)
	}
	published := []string{"crl.pem", "crl.pem.index", "crl.pem.head"}
	for name, lose := range map[string][]string{
		"the publications": published,
		"the state":        {stateFile},
		"the index":        {"crl.pem.index", stateFile},
		"nothing":          nil,
	} {
		t.Run(name, func(t *testing.T) {
			before := h.index(t).Number
			for _, file := range lose {
				if err := os.Remove(filepath.Join(h.dir, file)); err != nil {
					t.Fatal(err)
				}
			}
			made, err := h.again(t).Publish(t.Context())
			if err != nil || made.Number != before+1 {
				t.Errorf("number %d after %d, %v", made.Number, before, err)
			}
		})
	}
}

func TestWhatIsNotOursIsNotOverwritten(t *testing.T) {
	other := newHome(t, nil)
	other.mustPublish(t)
	for file, data := range map[string][]byte{
		"crl.pem":       []byte("my notes"),
		"crl.pem.index": []byte("{}"),
	} {
		t.Run("something else in "+file, func(t *testing.T) {
			h := newHome(t, nil)
			if err := os.WriteFile(filepath.Join(h.dir, file), data, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := h.Publish(t.Context()); err == nil {
				t.Error("want an error")
			}
		})
	}
	for _, file := range []string{"crl.pem", "crl.pem.index"} {
		t.Run("another's "+file, func(t *testing.T) {
			h := newHome(t, func(options *Options) { options.Settings.Name = "Others" })
			data, err := os.ReadFile(filepath.Join(other.dir, file))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(h.dir, file), data, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := h.Publish(t.Context()); err == nil || !strings.Contains(err.Error(), "another authority") {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestTheListOfAnOfflineRoot(t *testing.T) {
	h := newHome(t, nil)
	rootKey := filepath.Join(h.dir, "1", "root-key.pem")
	away := filepath.Join(t.TempDir(), "root-key.pem")
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	move(rootKey, away)

	if made := h.mustPublish(t); len(made.Warnings) != 0 {
		t.Errorf("warnings %v", made.Warnings)
	}
	first := h.lists(t)["Partners root"]
	h.clock.forward(310 * day)
	if made := h.mustPublish(t); len(made.Warnings) != 1 || !strings.Contains(made.Warnings[0], "runs out") {
		t.Errorf("warnings %v", made.Warnings)
	}
	if again := h.lists(t)["Partners root"]; again.Number.Cmp(first.Number) != 0 {
		t.Error("the root's list has changed")
	}
	issuing := h.inForce()[0].signer()
	if _, err := h.Revoke(t.Context(), Revocation{Certificate: digest(issuing), Reason: ca.CACompromise}); err != nil {
		t.Fatal(err)
	}
	if made := h.mustPublish(t); len(made.Warnings) != 2 {
		t.Errorf("warnings %v", made.Warnings)
	}
	if err := h.again(t).RenewRootLists(t.Context()); !errors.Is(err, ErrOffline) {
		t.Errorf("without the key: %v", err)
	}
	move(away, rootKey)
	if err := h.RenewRootLists(t.Context()); err != nil {
		t.Fatal(err)
	}
	if made := h.mustPublish(t); len(made.Warnings) != 0 {
		t.Errorf("warnings %v", made.Warnings)
	}
	renewed := h.lists(t)["Partners root"]
	if renewed.Number.Cmp(first.Number) <= 0 || !isListed(renewed, issuing) || renewed.CheckSignatureFrom(h.inForce()[0].root) != nil {
		t.Errorf("number %s, entries %v", renewed.Number, renewed.RevokedCertificateEntries)
	}
}

func TestExpiredCertificatesLeaveTheListAfterTheirLastOne(t *testing.T) {
	h := newHome(t, nil)
	issued, err := h.Issue(t.Context(), Order{Consumer: "mapps", Lifetime: day})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Revoke(t.Context(), Revocation{Consumer: "mapps", Reason: ca.Superseded}); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		forward time.Duration
		listed  bool
	}{{0, true}, {2 * day, true}, {5*day + 23*time.Hour, true}, {2 * time.Hour, false}} {
		h.clock.forward(step.forward)
		h.mustPublish(t)
		list, index := h.lists(t)["Partners issuing"], h.index(t)
		if isListed(list, issued.Pair.Certificate) != step.listed || index.Knows(digest(issued.Pair.Certificate)) != step.listed {
			t.Errorf("after %s: listed %v", step.forward, !step.listed)
		}
	}
}

func TestRunPublishesWhatIsDue(t *testing.T) {
	h := newHome(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	var ended atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := h.again(t).Run(ctx); err != nil {
			t.Error(err)
		}
		ended.Store(true)
	}()
	number := func() uint64 {
		data, err := os.ReadFile(filepath.Join(h.dir, "crl.pem.index"))
		if err != nil {
			return 0
		}
		index, err := register.ParseIndex(data, h.everyAuthority())
		if err != nil {
			return 0
		}
		return index.Number
	}
	wait := func(want uint64) {
		t.Helper()
		deadline := time.NewTimer(20 * time.Second)
		defer deadline.Stop()
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for number() < want {
			select {
			case <-deadline.C:
				t.Fatalf("number %d was not published", want)
			case <-tick.C:
			}
		}
	}
	wait(1)
	h.mustIssue(t, "mapps") // by another process
	wait(2)
	if _, err := h.Revoke(t.Context(), Revocation{Consumer: "mapps", Reason: ca.Superseded, At: h.clock.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	wait(3)
	h.clock.forward(time.Hour)
	wait(4)
	h.clock.forward(DefaultListLifetime - DefaultRepublishAhead)
	wait(5)
	cancel()
	<-done
	if !ended.Load() || number() != 5 {
		t.Errorf("number %d", number())
	}
}

func TestAnAdoptedAuthoritysNumbersGoOn(t *testing.T) {
	clock, dir := newClock(), filepath.Join(t.TempDir(), "ca")
	authority, err := ca.Create(ca.Options{CommonName: "Old CA", Clock: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	der, err := authority.SignRevocationList(ca.RevocationList{Number: big.NewInt(4711), ThisUpdate: clock.Now(), NextUpdate: clock.Now().Add(day)})
	if err != nil {
		t.Fatal(err)
	}
	adopted, err := Adopt(t.Context(), configOf(dir, clock), Adoption{Certificates: authority.CertificatePEM(), PrivateKey: authority.KeyPair().PrivateKeyPEM})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "crl.pem"), der, 0o600); err != nil {
		t.Fatal(err)
	}
	made, err := adopted.Publish(t.Context())
	if err != nil || made.Number != 4712 {
		t.Errorf("%+v, %v", made, err)
	}
	if list := (home{adopted, clock, dir}).lists(t)["Old CA"]; list == nil || list.Number.Int64() != 4712 {
		t.Errorf("list %v", list)
	}
}

func TestAPublishedHeadIsTheRegisters(t *testing.T) {
	h := newHome(t, nil)
	h.mustIssue(t, "mapps")
	h.mustPublish(t)
	data, err := os.ReadFile(filepath.Join(h.dir, "crl.pem.head"))
	if err != nil {
		t.Fatal(err)
	}
	head, err := register.ReadHead(data, publicKeys(h.everyAuthority()))
	loaded, loadErr := h.Register(t.Context())
	if err != nil || loadErr != nil || head != loaded.Head() {
		t.Errorf("head %+v, %v, %v", head, err, loadErr)
	}
}

func publicKeys(certificates []*x509.Certificate) (keys []crypto.PublicKey) {
	for _, certificate := range certificates {
		keys = append(keys, certificate.PublicKey)
	}
	return keys
}
