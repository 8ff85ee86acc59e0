package keyset

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sallyport-project/sallyport/authz/idp"
	"github.com/sallyport-project/sallyport/authz/jose"
)

// How long things take.
const (
	fetchTimeout = 15 * time.Second // two places of metadata and the set, at 5 s each
	coolDown     = 30 * time.Second // between fetches for unknown keys
	retryFirst   = time.Second      // after the first failure, and twice as long after each further one
	retryLast    = time.Minute
	refreshLeast = time.Minute // what a provider says counts between these
	refreshMost  = time.Hour
)

// What a source can do wrong beside failing.
var (
	errNoSource     = errors.New("nothing is configured to fetch the key set from")
	errNothingKnown = errors.New("the key set is said to be unchanged, but had not been fetched before")
)

// Run fetches what is due until the context ends; then it returns nil, once every fetch of its own has ended.
func (r *Registry) Run(ctx context.Context) error {
	var fetches sync.WaitGroup
	defer fetches.Wait()
	for {
		timer := time.NewTimer(r.begin(ctx, fetches.Go))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-r.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// begin starts what is due, tells of sets that have run out, and returns how long it is until either is next to do.
func (r *Registry) begin(ctx context.Context, start func(func())) time.Duration {
	now := r.config.Clock()
	r.mu.Lock()
	defer r.mu.Unlock()
	next := retryLast // in case the clock is set
	for _, e := range *r.index.Load() {
		if e.static {
			continue
		}
		if left, counts := e.left(now); counts {
			next = min(next, left)
		} else if !e.ended && e.current.Load().KeySet != nil {
			e.ended, e.since = true, now
			r.config.Logger.Error("a provider's key set counts no longer, so its tokens are refused", "provider", e.name, "problem", e.inForce(now).Problem)
			r.tell()
		}
		if e.flight != nil {
			continue
		}
		if wait := e.next.Sub(now); wait > 0 {
			next = min(next, wait)
			continue
		}
		r.start(ctx, e, now, start)
	}
	return next
}

// left returns how long a set counts yet, and false if there is none.
func (e *entry) left(now time.Time) (time.Duration, bool) {
	set := e.current.Load()
	left := set.Until.Sub(now)
	return left, set.KeySet != nil && left > 0
}

// start begins a fetch, of which an entry has one at a time. Its caller holds the lock.
func (r *Registry) start(ctx context.Context, e *entry, now time.Time, run func(func())) {
	e.flight, e.asked = make(chan struct{}), now
	source, known := e.spec.Source, e.known
	run(func() { r.fetch(ctx, e, source, known) })
}

// Missing is for a token whose key is in no set that Keys returned. It returns what is in force once that is known better:
// after the fetch that is under way, or one that it starts, of which there is one in 30 seconds at most for a provider,
// whatever the number of callers and keys. Within that time, and for a static set, it returns at once. It waits no longer than
// its context; the fetch goes on without it. It is false if there is no such provider. It needs no Run.
func (v *View) Missing(ctx context.Context, name, kid string) (Set, bool) {
	e := v.entries[name]
	if e == nil {
		return Set{}, false
	}
	flight := v.registry.flightFor(context.WithoutCancel(ctx), e, kid)
	if flight != nil {
		select {
		case <-flight:
		case <-ctx.Done():
		}
	}
	return e.inForce(v.registry.config.Clock()), true
}

// flightFor returns the fetch to wait for, or nil if there is none.
func (r *Registry) flightFor(ctx context.Context, e *entry, kid string) <-chan struct{} {
	now := r.config.Clock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.static || has(e.inForce(now).KeySet, kid) {
		return nil // it came meanwhile
	}
	if e.flight == nil {
		if !e.missed.IsZero() && now.Sub(e.missed) < coolDown {
			return nil
		}
		e.missed = now
		r.start(ctx, e, now, func(fetch func()) { go fetch() })
	}
	return e.flight
}

func has(set *jose.KeySet, kid string) bool {
	return kid != "" && set != nil && slices.Contains(set.KeyIDs(), kid)
}

// outcome is what a fetch has brought.
type outcome struct {
	fetched idp.Fetched
	set     *jose.KeySet // nil if it is unchanged
	leftOut []string
	err     error
}

// fetch asks once, notes what came of it, and keeps it on disk.
func (r *Registry) fetch(ctx context.Context, e *entry, source Source, known idp.Validator) {
	got := r.ask(ctx, source, known)
	r.mu.Lock()
	flight := e.flight
	if ctx.Err() != nil { // we are ending, which says nothing of the provider
		got.err = ctx.Err()
	} else {
		r.note(e, got)
	}
	data, fetched := e.data, e.current.Load().Fetched
	r.mu.Unlock()
	close(flight) // whoever waits need not wait for the disk
	if got.err == nil {
		r.keep.save(e.name, e.identity, data, fetched)
	}
	r.mu.Lock()
	e.flight = nil
	r.mu.Unlock()
	r.wakeUp()
}

func (r *Registry) ask(ctx context.Context, source Source, known idp.Validator) outcome {
	limited, cancel := context.WithTimeout(ctx, r.config.Timeout)
	defer cancel()
	var got outcome
	if source == nil {
		got.err = errNoSource
		return got
	}
	if got.fetched, got.err = source.KeySet(limited, known); got.err != nil {
		return got
	}
	if got.fetched.Unchanged {
		if known.ETag == "" {
			got.err = errNothingKnown
		}
		return got
	}
	if got.set, got.leftOut, got.err = usable(got.fetched.Data); got.err != nil {
		got.err = fmt.Errorf("the key set that was fetched: %w", got.err)
	}
	return got
}

// note changes an entry by what a fetch has brought. Its caller holds the lock.
func (r *Registry) note(e *entry, got outcome) {
	now := r.config.Clock()
	if got.err != nil {
		e.failures++
		e.next = now.Add(r.config.Jitter(retryAfter(e.failures)))
		if e.spoil(now, got.err.Error()) {
			r.warn(e, got.err)
		}
		return
	}
	before := e.inForce(now)
	set := got.set
	if set == nil {
		set = e.current.Load().KeySet
	} else {
		e.data, e.leftOut = got.fetched.Data, got.leftOut
	}
	e.known, e.failures, e.fromDisk = got.fetched.Validator, 0, false
	e.next = now.Add(r.config.Jitter(refreshAfter(e.spec, got.fetched)))
	if r.put(e, set, now) || before.KeySet == nil {
		r.config.Logger.Info("a provider has new keys", "provider", e.name, "keys", set.KeyIDs(), "left_out", e.leftOut)
		r.tell()
	} else if before.Stale {
		r.config.Logger.Info("a provider's key set is fetched again", "provider", e.name)
	}
}

// warn tells of a fetch that failed, and what that means for callers.
func (r *Registry) warn(e *entry, err error) {
	now := e.current.Load()
	if now.KeySet == nil {
		r.config.Logger.Warn("a provider's key set cannot be fetched, and there is none: its tokens are answered 503", "provider", e.name, "error", err)
		return
	}
	r.config.Logger.Warn("a provider's key set cannot be fetched: the last good one serves", "provider", e.name, "error", err, "until", now.Until)
}

// retryAfter is how long to wait after a number of failures in a row.
func retryAfter(failures int) time.Duration {
	if failures > 6 {
		return retryLast
	}
	return min(retryLast, retryFirst<<(failures-1))
}

// refreshAfter is how long a set is used before it is fetched again, and never so long that it would run out first.
func refreshAfter(spec Spec, fetched idp.Fetched) time.Duration {
	wait := spec.Refresh
	if fetched.MaxAgeTold {
		wait = min(max(fetched.MaxAge, refreshLeast), refreshMost)
	}
	return min(wait, spec.MaxStale/2)
}
