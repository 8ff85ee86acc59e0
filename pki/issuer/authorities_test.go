package issuer

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-project/sallyport/pki/material"
	"github.com/sallyport-project/sallyport/pki/register"
)

func TestTheGenerationOfAnotherProcessIssuesAtOnce(t *testing.T) {
	h := newHome(t, nil)
	other := h.again(t)
	number, err := other.Rotate(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Activate(number); err != nil {
		t.Fatal(err)
	}
	if active, err := h.Active(); err != nil || active.Subject.CommonName != "Partners issuing 2" {
		t.Errorf("%v, %v", active, err)
	}
}

func TestAHomeWhoseActiveGenerationIsNotThereIsNotOpened(t *testing.T) {
	h := newHome(t, nil)
	if err := os.WriteFile(filepath.Join(h.dir, activeFile), []byte("7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Active(); err == nil || !strings.Contains(err.Error(), "names no generation") {
		t.Errorf("active: %v", err)
	}
	if _, err := Open(configOf(h.dir, h.clock)); err == nil || !strings.Contains(err.Error(), "write the number of one into it, or remove it") {
		t.Errorf("opened: %v", err)
	}
}

// A line that somebody else has appended, however well it follows the one before.
func TestALineThatNoneOfTheAuthoritiesSignedIsRefused(t *testing.T) {
	stranger := newHome(t, func(o *Options) { o.Settings.Name = "Others" })
	theirs := stranger.mustIssue(t, "mapps").Pair.Certificate
	for name, ours := range map[string]bool{"it says whose it is": false, "it says that it is ours": true} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t, nil)
			issuer := stranger.generations[0].signer()
			if ours {
				issuer = h.generations[0].signer()
			}
			written := register.NewFileStore(filepath.Join(h.dir, "register.jsonl"), register.Config{Clock: h.clock.Now})
			if _, err := written.Append(t.Context(), register.Always(register.Record{Issued: register.NewIssued(theirs, issuer)})); err != nil {
				t.Fatal(err)
			}
			for _, reader := range []*Issuer{h.Issuer, h.again(t)} {
				foreign := (*register.ForeignError)(nil)
				if _, err := reader.Register(t.Context()); !errors.As(err, &foreign) || foreign.Line != 2 {
					t.Errorf("read: %v", err)
				}
				if _, err := reader.Issue(t.Context(), Order{Consumer: "nsp"}); !errors.As(err, &foreign) {
					t.Errorf("issued: %v", err)
				}
				if _, err := reader.Publish(t.Context()); !errors.As(err, &foreign) {
					t.Errorf("published: %v", err)
				}
			}
		})
	}
}

func TestWhatAnotherProcessBroughtInIsReadInTheRegister(t *testing.T) {
	h := newHome(t, nil)
	serving := h.again(t)
	number, err := h.Rotate(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Activate(number); err != nil {
		t.Fatal(err)
	}
	issued := h.mustIssue(t, "mapps").Pair.Certificate
	current, err := serving.Register(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, found := current.Certificate(digest(issued)); !found {
		t.Error("it is not found")
	}
}

func TestAGenerationThatCannotBeEnteredIsNotBroughtIn(t *testing.T) {
	objects := &bucket{}
	h := newRemoteHome(t, objects)
	objects.beforePut = func(material.Reference) error { return errAway }
	if _, err := h.Rotate(t.Context(), Options{}); !errors.Is(err, errAway) {
		t.Fatal(err)
	}
	objects.beforePut = nil
	if signers := h.Signers(); len(signers) != 1 {
		t.Errorf("%d authorities", len(signers))
	}
	if number, err := h.Rotate(t.Context(), Options{}); err != nil || number != 2 {
		t.Errorf("%d, %v", number, err)
	}
}

// An operator who interrupts a rotation, just when the bucket has taken its entry, must not lose the keys that it tells of.
func TestAGenerationWhoseEntryIsThereStaysThoughTheAnswerWasLost(t *testing.T) {
	objects := &bucket{}
	h := newRemoteHome(t, objects)
	ctx, interrupt := context.WithCancel(t.Context())
	objects.answer = func(material.Reference) error {
		interrupt()
		return errAway
	}
	number, err := h.Rotate(ctx, Options{})
	if err != nil || number != 2 {
		t.Fatalf("%d, %v", number, err)
	}
	objects.answer = nil
	if signers := h.Signers(); len(signers) != 2 {
		t.Errorf("%d authorities", len(signers))
	}
	if _, err := h.Issue(t.Context(), Order{Consumer: "mapps"}); err != nil {
		t.Errorf("the home is of no use any more: %v", err)
	}
}

func TestAConsumerHasNoMoreCertificatesThanItMay(t *testing.T) {
	h := newHome(t, nil)
	order := Order{Consumer: "mapps", MostInForce: 2}
	first, err := h.Issue(t.Context(), order)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Renew(t.Context(), Renewal{Certificate: digest(first.Pair.Certificate), Overlap: day, MostInForce: 2}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Issue(t.Context(), order); !errors.Is(err, ErrTooMany) {
		t.Errorf("a third: %v", err)
	}
	if _, err := h.Renew(t.Context(), Renewal{Certificate: digest(first.Pair.Certificate), Overlap: day, MostInForce: 2}); !errors.Is(err, ErrTooMany) {
		t.Errorf("a third, in the place of the first: %v", err)
	}
	if _, err := h.Issue(t.Context(), Order{Consumer: "nsp", MostInForce: 2}); err != nil {
		t.Errorf("another's: %v", err)
	}
	h.clock.forward(day) // the first is superseded
	if _, err := h.Issue(t.Context(), order); err != nil {
		t.Errorf("once there is room: %v", err)
	}
}
