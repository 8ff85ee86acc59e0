package material

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"
)

// remote is what is known of one place. The poller's lock guards what changes.
type remote struct {
	place    Reference
	owner    string
	refresh  time.Duration
	refused  error         // why it is never asked
	patience chan struct{} // closed when a Read waits no longer

	tried     chan struct{} // closed when the first attempt has ended
	triedOnce sync.Once

	busy  bool
	asked time.Time // when the last attempt began
	next  time.Time // when the next one is due

	data     []byte // fetched last; nil if nothing has been
	known    Validator
	good     []byte // accepted last
	fetched  time.Time
	changed  time.Time
	err      error // why it cannot be read now
	since    time.Time
	failures int // in a row
}

func newRemote(source Source, patience chan struct{}) *remote {
	return &remote{
		place:    source.Reference.place(),
		owner:    source.ExpectedOwner,
		refresh:  cmp.Or(source.Refresh, DefaultRefresh),
		patience: patience,
		tried:    make(chan struct{}),
	}
}

// join adds what another source for the same place demands.
func (r *remote) join(source Source) {
	r.refresh = min(r.refresh, cmp.Or(source.Refresh, DefaultRefresh))
	switch {
	case source.ExpectedOwner == "" || source.ExpectedOwner == r.owner:
	case r.owner == "":
		r.owner = source.ExpectedOwner
	default:
		r.refused = fmt.Errorf("its bucket is expected to belong to the account %s and to %s: name one of them", r.owner, source.ExpectedOwner)
	}
}

// sameAs reports whether what is known here holds for what is now asked for.
func (r *remote) sameAs(fresh *remote) bool {
	return r.owner == fresh.owner && r.refused == nil && fresh.refused == nil
}

// failed notes an attempt that failed, and reports whether there is something new to tell.
func (r *remote) failed(now time.Time, err error) bool {
	r.failures++
	wait := retryAfter(r.failures)
	if definite(err) {
		wait = jitter(r.refresh)
	}
	r.next = now.Add(wait)
	news := r.err == nil || r.err.Error() != err.Error()
	if r.err == nil {
		r.since = now
	}
	r.err = err
	return news
}

// succeeded notes an answer, and reports whether there is something new to tell.
func (r *remote) succeeded(now time.Time, fetched Fetched) bool {
	recovered := r.err != nil
	r.err, r.since, r.failures = nil, time.Time{}, 0
	r.fetched, r.next = now, now.Add(jitter(r.refresh))
	if fetched.Unchanged {
		return recovered
	}
	differs := r.data == nil || !bytes.Equal(r.data, fetched.Data)
	if differs {
		r.data, r.changed = fetched.Data, now
	}
	r.known = fetched.Validator
	return recovered || differs
}

// State tells how a remote reference fares.
type State struct {
	// Reference is the place: of a secret, without a field.
	Reference Reference
	// Fetched is when the place last confirmed what Read returns, and Changed when it became that; zero if never.
	Fetched, Changed time.Time
	// Version says which content it is, as the place told; zero if nothing has been fetched.
	Version Validator
	// Err is why it cannot be read now, and Since when that began; nil and zero if it can.
	Err   error
	Since time.Time
	// Kept says that there are last good bytes to begin with.
	Kept bool
}

func (p *poller) states() []State {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]State, 0, len(p.remotes))
	for _, r := range p.remotes {
		all = append(all, State{
			Reference: r.place, Fetched: r.fetched, Changed: r.changed, Version: r.known,
			Err: cmp.Or(r.refused, r.err), Since: r.since, Kept: r.good != nil,
		})
	}
	slices.SortFunc(all, func(a, b State) int { return cmp.Compare(a.Reference.String(), b.Reference.String()) })
	return all
}
