package bearer_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/idp"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
)

// waiting is an Introspector that answers when it is let.
type waiting struct {
	asked   atomic.Int32
	arrived chan struct{}
	release chan struct{}
	fails   error
	// junk has it call every token inactive.
	junk atomic.Bool
}

func (w *waiting) Introspect(ctx context.Context, _, _ string) (*idp.Introspection, error) {
	w.asked.Add(1)
	w.arrived <- struct{}{}
	select {
	case <-w.release:
		if w.junk.Load() {
			return &idp.Introspection{}, w.fails
		}
		return active(), w.fails
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestManyWhoAskAboutOneTokenShareTheQuestion(t *testing.T) {
	w := &waiting{arrived: make(chan struct{}, 1), release: make(chan struct{})}
	v := asks(t, newKeys(), w, 0)
	v.Apply([]*config.Provider{corporate(introspects)})
	ask := func(ctx context.Context) reason.Reason {
		return reasonOf(v.Judge(ctx, []string{"corporate"}, nil, opaque, noon))
	}
	impatient, leave := context.WithCancel(t.Context())
	first := make(chan reason.Reason, 1)
	go func() { first <- ask(impatient) }()
	<-w.arrived
	leave() // the question goes on without the one who has put it
	if got := <-first; got != reason.ProviderUnavailable {
		t.Errorf("who did not wait is refused for %q", got)
	}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if got := ask(t.Context()); got != good {
				t.Errorf("refused for %q", got)
			}
		})
	}
	close(w.release)
	all.Wait()
	if asked := w.asked.Load(); asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

// crowd is callers of the corporate Provider, each with a token of its own, whose questions are not answered before they are let.
type crowd struct {
	testing.TB
	*verifier
	*waiting
	answered chan reason.Reason
	callers  sync.WaitGroup
}

func newCrowd(t testing.TB) *crowd {
	c := &crowd{TB: t, waiting: &waiting{arrived: make(chan struct{}, 10_000), release: make(chan struct{})}, answered: make(chan reason.Reason, 10_000)}
	k := newKeys()
	k.put("corporate", oneKey())
	c.verifier = asks(t, k, c.waiting, 1000)
	c.Apply([]*config.Provider{corporate(introspects)})
	return c
}

// come lets callers come, each with a token that nobody has seen.
func (c *crowd) come(ctx context.Context, what string, count int, now time.Time) {
	for i := range count {
		c.callers.Go(func() {
			c.answered <- reasonOf(c.Judge(ctx, []string{"corporate"}, nil, fmt.Sprintf("%s-%d", what, i), now))
		})
	}
}

// reach waits until so many questions were put.
func (c *crowd) reach(count int) {
	c.Helper()
	for range count {
		select {
		case <-c.arrived:
		case <-time.After(10 * time.Second):
			c.Fatalf("%d questions were put, want %d more", c.asked.Load(), count)
		}
	}
}

// want counts how many callers are told what.
func (c *crowd) want(count int, why reason.Reason) {
	c.Helper()
	for n := range count {
		select {
		case got := <-c.answered:
			if got != why {
				c.Fatalf("refused for %q, want %q", got, why)
			}
		case <-time.After(10 * time.Second):
			c.Fatalf("%d were told %q, want %d", n, why, count)
		}
	}
}

func TestAFloodOfMadeUpTokensIsBounded(t *testing.T) {
	c := newCrowd(t)
	before := runtime.NumGoroutine()
	patient, leave := context.WithCancel(t.Context())
	c.come(patient, "junk", 1000, noon)
	c.reach(48)
	c.want(1000-48-128, reason.ProviderUnavailable) // at once: as many wait as may
	leave()
	c.want(48+128, reason.ProviderUnavailable)
	if asked := c.asked.Load(); asked != 48 {
		t.Errorf("asked %d times", asked)
	}
	c.callers.Wait()
	if left := runtime.NumGoroutine() - before; left > 48+8 {
		t.Errorf("%d goroutines are left of those who have gone", left)
	}
	close(c.release)
}

func TestAFloodOfMadeUpTokensLeavesPlacesForTokensThatAreKnown(t *testing.T) {
	c := newCrowd(t)
	c.come(t.Context(), "known", 1, noon)
	c.reach(1)
	c.release <- struct{}{}
	c.want(1, good)

	c.come(t.Context(), "junk", 48, noon)
	c.reach(48)
	later := noon.Add(time.Minute) // when it has to be asked about anew
	c.come(t.Context(), "known", 1, later)
	c.reach(1)
	c.callers.Go(func() { // one that the Provider has signed
		c.answered <- reasonOf(c.Judge(t.Context(), []string{"corporate"}, nil, sign(oneKey(), nil, claims()), later))
	})
	c.reach(1)
	close(c.release)
	c.want(48+2, good)
}

func TestAProviderIsAskedAboutUnknownTokensNoMoreOftenThanItCanBear(t *testing.T) {
	c := newCrowd(t)
	close(c.release)
	told := map[reason.Reason]int{}
	ask := func(what string, count int, now time.Time) {
		for i := range count {
			told[reasonOf(c.Judge(t.Context(), []string{"corporate"}, nil, fmt.Sprintf("%s-%d", what, i), now))]++
		}
	}
	ask("first", 500, noon)
	if told[good] != 500 {
		t.Errorf("good ones, which are all new after a start: %v", told)
	}
	clear(told)
	c.junk.Store(true)
	ask("junk", 250, noon)
	if told[reason.TokenInactive] != 200 || told[reason.ProviderUnavailable] != 50 {
		t.Errorf("at once: %v", told)
	}
	c.Apply([]*config.Provider{corporate(introspects)}) // changes nothing
	ask("more", 250, noon.Add(time.Second))
	if told[reason.TokenInactive] != 300 {
		t.Errorf("within a second: %v", told)
	}
	clear(told)
	c.junk.Store(false)
	ask("first", 100, noon.Add(time.Second+time.Minute)) // are known, and asked about anew
	ask("first", 100, noon.Add(time.Second+2*time.Minute))
	if told[good] != 200 {
		t.Errorf("of those that are known: %v", told)
	}
}

func TestAProviderThatIsAwayIsLeftAloneForAWhile(t *testing.T) {
	now := noon
	w := &waiting{arrived: make(chan struct{}, 100), release: make(chan struct{}), fails: &idp.Error{Kind: idp.Unreachable}}
	close(w.release)
	made, err := bearer.NewVerifier(bearer.Config{Clock: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	k := newKeys()
	k.put("corporate", oneKey())
	v := made.View([]*config.Provider{corporate(introspects)}, k, w)
	asked := 0
	ask := func(token string, want reason.Reason, more int) {
		t.Helper()
		asked += more
		if got := reasonOf(v.Judge(t.Context(), []string{"corporate"}, nil, token, now)); got != want || int(w.asked.Load()) != asked {
			t.Errorf("refused for %q, asked %d times, want %q and %d", got, w.asked.Load(), want, asked)
		}
	}
	for i := range 3 {
		ask(fmt.Sprintf("junk-%d", i), reason.ProviderUnavailable, 1)
	}
	ask("junk-3", reason.ProviderUnavailable, 0)
	signed := sign(oneKey(), nil, claims())
	ask(signed, reason.ProviderUnavailable, 1) // for whom those of strangers do not count
	now = now.Add(5 * time.Second)
	ask("junk-4", reason.ProviderUnavailable, 1) // one tries
	ask("junk-5", reason.ProviderUnavailable, 0)
	w.fails = nil
	ask(signed, good, 1)
	now = now.Add(20 * time.Second)
	ask("junk-5", good, 1)
	ask("junk-6", good, 1)
	w.fails = &idp.Error{Kind: idp.BadAnswer, Status: 400} // which may be about the token
	for i := range 10 {
		ask(fmt.Sprintf("odd-%d", i), reason.ProviderUnavailable, 1)
	}
}

func TestAFaultInAQuestionIsAProviderThatIsNotAvailable(t *testing.T) {
	v := asks(t, newKeys(), faulty{}, 0)
	v.Apply([]*config.Provider{corporate(introspects)})
	if got := reasonOf(v.Judge(t.Context(), []string{"corporate"}, nil, opaque, noon)); got != reason.ProviderUnavailable {
		t.Errorf("refused for %q", got)
	}
}

// faulty is an Introspector with a fault.
type faulty struct{}

func (faulty) Introspect(context.Context, string, string) (*idp.Introspection, error) {
	panic("a fault that a test has planted")
}
