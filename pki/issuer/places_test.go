package issuer

import (
	"context"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/material"
)

// away is Objects of which those with a suffix cannot be written, or not even read, for a while.
type away struct {
	material.Objects
	unwritable, unreadable string
}

var errAway = errors.New("503 slow down")

func (a *away) Get(ctx context.Context, reference material.Reference) (material.Content, error) {
	if a.unreadable != "" && strings.HasSuffix(reference.String(), a.unreadable) {
		return material.Content{}, errAway
	}
	return a.Objects.Get(ctx, reference)
}

func (a *away) Put(ctx context.Context, reference material.Reference, data []byte, condition material.Condition) (material.Version, error) {
	if a.unwritable != "" && strings.HasSuffix(reference.String(), a.unwritable) {
		return material.Version{}, errAway
	}
	return a.Objects.Put(ctx, reference, data, condition)
}

// newHomeOfTwoPlaces publishes to a.crl and to b.crl, which have a first publication.
func newHomeOfTwoPlaces(t *testing.T) (home, *away) {
	t.Helper()
	h := newHome(t, func(o *Options) { o.Settings.Publish = []string{"file:a.crl", "file:b.crl"} })
	objects := &away{Objects: h.objects}
	h.objects = objects
	h.mustPublish(t)
	return h, objects
}

// numberAt is the number of the issuing authority's list at a place, and how many revocations it has.
func (h home) numberAt(t *testing.T, place int) (number *big.Int, entries int) {
	t.Helper()
	content, err := h.objects.Get(t.Context(), h.publish[place])
	if err != nil {
		t.Fatal(err)
	}
	lists, err := parseLists(content.Data)
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		if list.Issuer.CommonName == "Partners issuing" {
			return list.Number, len(list.RevokedCertificateEntries)
		}
	}
	t.Fatal("there is no list")
	return nil, 0
}

func TestOnePlaceThatFailsKeepsNoOtherFromBeingPublished(t *testing.T) {
	for _, failing := range []int{0, 1} {
		for name, suffix := range map[string]string{"list": ".crl", "index": ".crl" + IndexSuffix, "head": ".crl" + HeadSuffix} {
			for _, unreadable := range []bool{false, true} {
				file := []string{"a", "b"}[failing] + suffix
				t.Run(file, func(t *testing.T) {
					h, objects := newHomeOfTwoPlaces(t)
					issued := h.mustIssue(t, "mapps")
					if _, err := h.Revoke(t.Context(), Revocation{Certificate: digest(issued.Pair.Certificate), Reason: ca.KeyCompromise}); err != nil {
						t.Fatal(err)
					}
					objects.unwritable = file
					if unreadable {
						objects.unreadable = file
					}
					if _, was, err := h.PublishIfDue(t.Context()); !errors.Is(err, errAway) || was {
						t.Errorf("the %s failed: %v, %v", name, was, err)
					}
					if number, entries := h.numberAt(t, 1-failing); number.Int64() != 2 || entries != 1 {
						t.Errorf("the other place has list %s with %d revocations", number, entries)
					}
					objects.unwritable, objects.unreadable = "", ""
					if due, err := h.Due(t.Context()); err != nil || due.At.After(h.clock.Now()) {
						t.Errorf("due %+v, %v", due, err)
					}
					if _, was, err := h.PublishIfDue(t.Context()); err != nil || !was {
						t.Errorf("%v, %v", was, err)
					}
					for place := range h.publish {
						if number, entries := h.numberAt(t, place); number.Int64() != 3 || entries != 1 {
							t.Errorf("%s has list %s with %d revocations", h.publish[place], number, entries)
						}
					}
					if due, err := h.Due(t.Context()); err != nil || !due.At.After(h.clock.Now()) {
						t.Errorf("due again: %+v, %v", due, err)
					}
				})
			}
		}
	}
}

func TestAPlaceThatIsPutBackIsPublishedAnew(t *testing.T) {
	for _, name := range []string{"b.crl", "b.crl" + IndexSuffix, "b.crl" + HeadSuffix} {
		t.Run(name, func(t *testing.T) {
			h, _ := newHomeOfTwoPlaces(t)
			path := filepath.Join(h.dir, name)
			old, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			h.mustIssue(t, "mapps")
			h.mustPublish(t)
			if due, err := h.Due(t.Context()); err != nil || !due.At.After(h.clock.Now()) {
				t.Fatalf("due %+v, %v", due, err)
			}
			if err := os.WriteFile(path, old, 0o600); err != nil {
				t.Fatal(err)
			}
			if due, err := h.Due(t.Context()); err != nil || due.At.After(h.clock.Now()) || !strings.Contains(due.Reason, "b.crl") {
				t.Errorf("due %+v, %v", due, err)
			}
		})
	}
}

func TestANewGenerationsListIsDueAtOnce(t *testing.T) {
	h := newHome(t, func(o *Options) { o.RootOnly = true })
	h.mustPublish(t)
	if _, err := h.Rotate(t.Context(), Options{RootOnly: true}); err != nil {
		t.Fatal(err)
	}
	if _, was, err := h.PublishIfDue(t.Context()); err != nil || !was {
		t.Errorf("%v, %v", was, err)
	}
}
