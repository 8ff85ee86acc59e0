package keyset

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sallyport-project/sallyport/authz/idp"
	"github.com/sallyport-project/sallyport/authz/jose"
)

// entry is one provider's set, and what is known about fetching it.
type entry struct {
	name, identity string
	static         bool
	current        atomic.Pointer[Set] // never nil

	// The registry's lock guards the rest.
	spec     Spec
	data     []byte // of the set in force, as it was fetched
	known    idp.Validator
	leftOut  []string
	fromDisk bool
	since    time.Time
	ended    bool // that the set has run out was told

	flight   chan struct{} // closed once the fetch under way has ended; nil: there is none
	asked    time.Time     // when the last fetch began
	missed   time.Time     // when the last fetch for an unknown key began
	next     time.Time     // when the next one is due
	failures int           // in a row
}

func newEntry(spec Spec, now time.Time) *entry {
	e := &entry{name: spec.Name, identity: spec.Identity, static: spec.Static != nil, spec: spec, since: now, next: now}
	e.current.Store(&Set{Problem: "the key set has not been fetched yet"})
	return e
}

// inForce returns the set, or none once it has run out, whoever has noticed that.
func (e *entry) inForce(now time.Time) Set {
	set := *e.current.Load()
	if set.KeySet == nil || set.Until.IsZero() || now.Before(set.Until) {
		return set
	}
	set.KeySet, set.Stale = nil, true
	reason := set.Problem
	if reason == "" {
		reason = "it was not fetched again"
	}
	set.Problem = fmt.Sprintf("the key set of %s counts no longer: %s", set.Fetched.UTC().Format(time.RFC3339), reason)
	return set
}

// adopt takes over what a configuration may change of a set that stays. Its caller holds the registry's lock.
func (e *entry) adopt(spec Spec, now time.Time) {
	e.spec = spec
	if e.static {
		return
	}
	if set := *e.current.Load(); set.KeySet != nil {
		set.Until = set.Fetched.Add(spec.MaxStale)
		e.current.Store(&set)
	}
	if e.failures > 0 { // the new configuration may be what it needed
		e.failures, e.next = 0, later(now, e.asked.Add(retryFirst))
	}
}

// usable parses a set. One without a single key that can be used is none.
func usable(data []byte) (*jose.KeySet, []string, error) {
	set, leftOut, err := jose.ParseKeySet(data)
	if err != nil {
		return nil, nil, fmt.Errorf("it cannot be used: %w", err)
	}
	if err := set.Usable(leftOut); err != nil {
		return nil, nil, err
	}
	return set, leftOut, nil
}

// put brings a set into force, and reports whether it has other keys than before. Its caller holds the registry's lock.
func (r *Registry) put(e *entry, set *jose.KeySet, fetched time.Time) bool {
	before := *e.current.Load()
	next := Set{KeySet: set, Generation: before.Generation, Fetched: fetched}
	if !e.static {
		next.Until = fetched.Add(e.spec.MaxStale)
	}
	other := before.KeySet.Hash() != set.Hash()
	if other {
		r.generation++
		next.Generation = r.generation
	}
	if before.Problem != "" {
		e.since = r.config.Clock()
	}
	e.current.Store(&next)
	e.ended = false
	return other
}

// spoil leaves what is in force, and notes the problem. It reports whether that is news. Its caller holds the registry's lock.
func (e *entry) spoil(now time.Time, problem string) bool {
	set := *e.current.Load()
	if set.Problem == problem {
		return false
	}
	if set.Problem == "" || !set.Stale {
		e.since = now
	}
	set.Stale, set.Problem = true, problem
	e.current.Store(&set)
	return true
}

// takeStatic brings material into force, and reports whether the keys are others. What cannot be used leaves what was there.
// Its caller holds the registry's lock.
func (r *Registry) takeStatic(e *entry, data []byte, now time.Time) bool {
	set, leftOut, err := usable(data)
	if err != nil {
		if e.spoil(now, "the key set of its material: "+err.Error()) {
			r.config.Logger.Warn("a key set that is material cannot be used", "provider", e.name, "error", err)
		}
		return false
	}
	e.leftOut = leftOut
	return r.put(e, set, now)
}

// restore begins with the set that an earlier process has kept. Its caller holds the registry's lock.
func (r *Registry) restore(e *entry, now time.Time) {
	data, fetched := r.keep.load(e.name, e.identity)
	if data == nil {
		return
	}
	age := now.Sub(fetched)
	set, leftOut, err := usable(data)
	switch {
	case err != nil:
	case age >= e.spec.MaxStale:
		err = fmt.Errorf("it is of %s, and counts for %v", fetched.UTC().Format(time.RFC3339), e.spec.MaxStale)
	case age < 0:
		err = fmt.Errorf("it is of %s, which is in the future: a clock is wrong, or was", fetched.UTC().Format(time.RFC3339))
	}
	if err != nil {
		r.config.Logger.Warn("the key set that was kept of a provider is not used", "provider", e.name, "error", err)
		return
	}
	r.put(e, set, fetched)
	e.data, e.leftOut, e.fromDisk = data, leftOut, true
}

// state is for status. Its caller holds the registry's lock.
func (e *entry) state(now time.Time) State {
	set := e.inForce(now)
	state := State{Name: e.name, Static: e.static, Set: set, Since: e.since, FromDisk: e.fromDisk, LeftOut: slices.Clone(e.leftOut)}
	if !e.static {
		state.Next = e.next
	}
	if set.KeySet != nil {
		state.KeyIDs = set.KeySet.KeyIDs()
	}
	return state
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
