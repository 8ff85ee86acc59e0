package inventory

import (
	"context"
	"testing"
	"time"
)

// run runs the Keeper until the test ends.
func (f *fixture) run() {
	f.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Keeper.Run(ctx) }()
	f.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			f.Errorf("Run ended with %v", err)
		}
	})
}

// await waits for a snapshot that fits.
func (f *fixture) await(what string, fits func(*Snapshot) bool) *Snapshot {
	f.Helper()
	deadline := time.After(10 * time.Second)
	for {
		snapshot, superseded := f.Watch()
		if fits(snapshot) {
			return snapshot
		}
		select {
		case <-superseded:
		case <-deadline:
			f.Fatalf("never came: %s; generation %d, problems %v", what, snapshot.Generation, snapshot.Problems)
		}
	}
}

func TestKeeperBeginsEmpty(t *testing.T) {
	f := newFixture(t, nil)
	if got := f.Current(); got.Generation != 0 || len(got.Truststores) != 0 {
		t.Errorf("snapshot %+v", got)
	}
	if _, found := f.Authority("a"); found {
		t.Error("there is an authority")
	}
	f.apply()
	f.wantGeneration(1)
}

func TestApplyWithAnEndedContextChangesNothing(t *testing.T) {
	f := newFixture(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if got := f.Apply(ctx, f.specs); got.Generation != 0 {
		t.Errorf("generation %d", got.Generation)
	}
}

func TestRunTakesUpChangedMaterial(t *testing.T) {
	f := newFixture(t, nil)
	a, b := f.authority("a", 0), f.authority("b", 0)
	f.specs.Truststores["partners"] = bundle("file:partners.pem")
	f.apply()
	f.run()
	f.write("partners.pem", a.CertificatePEM())
	f.await("the first bundle", func(s *Snapshot) bool { return s.Truststores["partners"] != nil })
	f.wantNoProblem()
	f.write("partners.pem", []byte("rubbish"))
	f.await("the problem", func(s *Snapshot) bool { return len(s.Problems) == 1 })
	f.wantAnchors("partners", a)
	f.write("partners.pem", b.CertificatePEM())
	f.await("the second bundle", func(s *Snapshot) bool { return len(s.Problems) == 0 })
	f.wantAnchors("partners", b)
}

func TestRunWatchesWhatIsAppliedLater(t *testing.T) {
	f := newFixture(t, nil)
	f.run()
	f.specs.Truststores["partners"] = bundle("file:partners.pem")
	f.apply()
	f.write("partners.pem", f.authority("a", 0).CertificatePEM())
	f.await("the bundle", func(s *Snapshot) bool { return s.Truststores["partners"] != nil })
}

func TestRunRenewsByItself(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Substitute = true })
	ring := make(chan time.Time)
	f.after = func(time.Duration) <-chan time.Time { return ring }
	f.specs.Authorities["internal"] = developmentAuthority()
	f.specs.Certificates["edge"] = issuedServer("internal", "api.example.org")
	first := f.apply().Certificates["edge"]

	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); f.follow(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	f.clock.advance(41 * time.Minute)
	ring <- f.clock.Now()
	f.await("the renewed certificate", func(s *Snapshot) bool { return s.Certificates["edge"].Hash != first.Hash })
}

func TestUntilNextStaysWithinBounds(t *testing.T) {
	f := newFixture(t, nil)
	for _, test := range []struct {
		next time.Time
		want time.Duration
	}{
		{time.Time{}, latest},
		{noon.Add(-time.Hour), soonest},
		{noon.Add(20 * time.Second), 20 * time.Second},
		{noon.Add(time.Hour), latest},
	} {
		f.memory.next = test.next
		if got := f.untilNext(); got != test.want {
			t.Errorf("next %s: waits %s, want %s", test.next, got, test.want)
		}
	}
}
