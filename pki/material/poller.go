package material

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"sync"
	"time"
)

// How long the poller waits.
const (
	fetchTimeout = 5 * time.Second
	coldWait     = 3 * time.Second
	retryFirst   = time.Second // after the first failure, and twice as long after each further one
	retryLast    = time.Minute
	retrySoonest = time.Second // between two attempts at one place, whatever asks for the second
)

// poller keeps what remote references point to. Each has one attempt under way at most.
type poller struct {
	config  Config
	keep    keep
	changed func() // somebody should read again

	mu      sync.Mutex
	remotes map[Reference]*remote // by place
	wake    chan struct{}         // run looks again at what is due
	telling bool                  // changed is about to be called
}

func newPoller(config Config, changed func()) *poller {
	if config.Timeout == 0 {
		config.Timeout = fetchTimeout
	}
	if config.ColdWait == 0 {
		config.ColdWait = coldWait
	}
	if config.Clock == nil {
		config.Clock = time.Now
	}
	fetchers := map[Scheme]Fetcher{HTTP: web, HTTPS: web}
	for scheme, fetcher := range config.Fetchers {
		fetchers[scheme] = fetcher
	}
	config.Fetchers = fetchers
	return &poller{
		config:  config,
		keep:    keep{folder: config.Keep, logger: config.Logger},
		changed: changed,
		remotes: make(map[Reference]*remote),
		wake:    make(chan struct{}, 1),
	}
}

// watch replaces what is polled, and begins with what is new. The context's end does not end what has begun, which the
// timeout does.
func (p *poller) watch(ctx context.Context, sources []Source) {
	wanted := make(map[Reference]*remote)
	patience := make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, source := range sources {
		place := source.Reference.place()
		if known := wanted[place]; known != nil {
			known.join(source)
			continue
		}
		wanted[place] = newRemote(source, patience)
	}
	begun := false
	for place, fresh := range wanted {
		if known := p.remotes[place]; known != nil && known.sameAs(fresh) {
			known.refresh = fresh.refresh
			wanted[place] = known
			continue
		}
		fresh.good = p.keep.load(place, fresh.owner)
		begun = true
	}
	p.remotes = wanted
	if begun {
		time.AfterFunc(p.config.ColdWait, func() { close(patience) })
	}
	p.begin(context.WithoutCancel(ctx), func(attempt func()) { go attempt() })
	p.wakeUp()
}

func (p *poller) wakeUp() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run polls until the context ends, and returns once every attempt has ended.
func (p *poller) run(ctx context.Context) {
	var attempts sync.WaitGroup
	defer attempts.Wait()
	for {
		p.mu.Lock()
		next := p.begin(ctx, attempts.Go)
		p.mu.Unlock()
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-p.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// begin starts an attempt for each remote that is due, and returns how long it is until the next one will be. Its caller
// holds the lock.
func (p *poller) begin(ctx context.Context, start func(attempt func())) time.Duration {
	now := p.config.Clock()
	next := retryLast
	for _, r := range p.remotes {
		if r.busy || r.refused != nil {
			continue
		}
		if wait := r.next.Sub(now); wait > 0 {
			next = min(next, wait)
			continue
		}
		r.busy, r.asked = true, now
		request := Request{Reference: r.place, ExpectedOwner: r.owner, Known: r.known, Limit: r.place.limit()}
		start(func() { p.attempt(ctx, r, request) })
	}
	return next
}

// attempt asks a place once and notes what came of it.
func (p *poller) attempt(ctx context.Context, r *remote, request Request) {
	fetched, err := p.fetch(ctx, request)
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.wakeUp()
	r.busy = false
	if ctx.Err() != nil {
		return // we are ending, which says nothing of the place
	}
	defer r.triedOnce.Do(func() { close(r.tried) })
	now := p.config.Clock()
	if err != nil {
		if r.failed(now, err) {
			p.tell()
		}
		return
	}
	first := r.data == nil && r.err == nil
	if r.succeeded(now, fetched) {
		if !first {
			p.hurry(now)
		}
		p.tell()
	}
}

func (p *poller) fetch(ctx context.Context, request Request) (Fetched, error) {
	fetcher := p.config.Fetchers[request.Reference.Scheme]
	if fetcher == nil {
		return Fetched{}, fmt.Errorf("%s: references cannot be read here", request.Reference.Scheme)
	}
	limited, cancel := context.WithTimeout(ctx, p.config.Timeout)
	defer cancel()
	fetched, err := fetcher.Fetch(limited, request)
	switch {
	case err != nil && limited.Err() != nil:
		return Fetched{}, fmt.Errorf("there was no answer within %v", p.config.Timeout)
	case err != nil:
		return Fetched{}, err
	case fetched.Unchanged:
		if request.Known == (Validator{}) {
			return Fetched{}, errors.New("it is said to be unchanged, but nothing had been fetched before")
		}
		return fetched, nil
	case len(fetched.Data) == 0:
		return Fetched{}, errEmpty
	case int64(len(fetched.Data)) > request.Limit:
		return Fetched{}, TooLarge(request.Limit)
	}
	return fetched, nil
}

// hurry brings the next attempts forward: what changes together, such as a bundle and its manifest, should be seen
// together, and where one place answers again, others will. Its caller holds the lock.
func (p *poller) hurry(now time.Time) {
	for _, r := range p.remotes {
		if soon := later(now, r.asked.Add(retrySoonest)); r.next.After(soon) {
			r.next = soon
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// tell calls changed, once the others have had a moment to answer too. Its caller holds the lock.
func (p *poller) tell() {
	if p.telling {
		return
	}
	p.telling = true
	time.AfterFunc(p.config.Debounce, func() {
		p.mu.Lock()
		p.telling = false
		p.mu.Unlock()
		p.changed()
	})
}

// find returns what is known of a reference, once its first attempt has ended or has taken too long.
func (p *poller) find(reference Reference) (*remote, error) {
	p.mu.Lock()
	r := p.remotes[reference.place()]
	p.mu.Unlock()
	if r == nil {
		return nil, errors.New("it is not watched, so it has not been fetched")
	}
	if r.refused != nil {
		return nil, r.refused
	}
	select {
	case <-r.tried:
	case <-r.patience:
	}
	return r, nil
}

// read returns what was fetched last, unless the place cannot be read now.
func (p *poller) read(reference Reference) ([]byte, error) {
	r, err := p.find(reference)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case r.err != nil:
		return nil, fmt.Errorf("%w (since %s)", r.err, r.since.UTC().Format(time.RFC3339))
	case r.data == nil:
		return nil, errors.New("it has not answered yet")
	}
	_, field := reference.Secret()
	return member(r.data, field)
}

func (p *poller) accept(reference Reference, data []byte) {
	if !reference.Remote() || reference.Scheme == SecretsManager || len(data) == 0 {
		return
	}
	p.mu.Lock()
	r := p.remotes[reference]
	fresh := r != nil && sha256.Sum256(r.good) != sha256.Sum256(data)
	if fresh {
		r.good = data
	}
	p.mu.Unlock()
	if fresh {
		p.keep.save(reference, r.owner, data)
	}
}

func (p *poller) lastGood(reference Reference) ([]byte, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.remotes[reference]
	if r == nil || r.good == nil || r.refused != nil {
		return nil, false
	}
	return r.good, true
}

// definite reports that a place has answered that there is nothing for us, so that asking again is no burden to it.
func definite(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)
}

// retryAfter is how long to wait after a number of failures in a row.
func retryAfter(failures int) time.Duration {
	wait := retryLast
	if failures <= 6 {
		wait = min(wait, retryFirst<<(failures-1))
	}
	return jitter(wait)
}

// jitter is between three quarters of a time and the whole, so that many processes do not ask in step.
func jitter(wait time.Duration) time.Duration {
	return wait - time.Duration(rand.Int64N(int64(wait/4)+1)) //nolint:gosec // nothing depends on it
}
