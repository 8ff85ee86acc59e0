package authority

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/sallyport-project/sallyport/pki/issuer"
	"github.com/sallyport-project/sallyport/pki/spiffe"
)

func TestTheServerPresentsACertificateOfAnotherProcessesGeneration(t *testing.T) {
	h := hold(t)
	own := h.Enrolment.config.Own
	if _, err := own.Get(); err != nil {
		t.Fatal(err)
	}
	other, err := Home{Dir: h.dir, Clock: h.clock.Now}.Open()
	if err != nil {
		t.Fatal(err)
	}
	number, err := other.Rotate(t.Context(), issuer.Options{RootOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Activate(number); err != nil {
		t.Fatal(err)
	}
	certificate, err := own.Get()
	if err != nil {
		t.Fatal(err)
	}
	if err := certificate.Leaf.CheckSignatureFrom(h.active()); err != nil {
		t.Error(err)
	}
}

// lockedOwn is of a home whose key nobody opens; it counts how often somebody is asked to.
func lockedOwn(t *testing.T, c *clock, asked *int) *Own {
	t.Helper()
	place := Home{Dir: filepath.Join(t.TempDir(), "proxies"), Clock: c.Now}
	if _, err := issuer.Init(t.Context(), place.Config(), issuer.Options{
		Settings: issuer.Settings{Name: "proxies"}, RootOnly: true, RootPassphrase: []byte("correct horse battery"),
	}); err != nil {
		t.Fatal(err)
	}
	place.Passphrase = func(context.Context, string) ([]byte, error) { *asked++; return nil, errors.New("nobody is here") }
	home, err := place.Open()
	if err != nil {
		t.Fatal(err)
	}
	return &Own{
		Issuer: home, Identity: spiffe.Identity{TrustDomain: "example.org", Kind: spiffe.ControlPlane, Name: "a"},
		Logger: hclog.NewNullLogger(), Clock: c.Now,
	}
}

func TestWhoeverConnectsWhileNothingCanBeIssuedCostsNothing(t *testing.T) {
	c, asked := &clock{}, 0
	own := lockedOwn(t, c, &asked)
	want := 0
	for _, pause := range []time.Duration{0, firstPause, 2 * firstPause, 4 * firstPause, lastPause, lastPause, lastPause} {
		c.Pass(pause)
		want++
		for range 50 {
			if certificate, err := own.Get(); err == nil || certificate != nil {
				t.Fatalf("%v, %v", certificate, err)
			}
		}
		if asked != want {
			t.Fatalf("after %s: tried %d times, want %d", pause, asked, want)
		}
	}
}
