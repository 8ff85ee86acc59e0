package propagation

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sallyport-project/sallyport/authz/breaker"
	"github.com/sallyport-project/sallyport/authz/idp"
	"github.com/sallyport-project/sallyport/config"
)

const (
	// flightTime bounds one request for a token. Nobody has to wait so long: each waits as long as its own call lasts.
	flightTime = 10 * time.Second
	// refusalTime is how long a refusal is remembered.
	refusalTime = 10 * time.Second
	// longestMargin is how long a token must be good yet to be sent; less for those that live a short time.
	longestMargin = 5 * time.Second
)

// holding is one token that is held, and the request for the next one.
type holding struct {
	keeper   *Propagator
	disposal config.TokenDisposal
	// ask gets the next token, where nobody has to want one for it to be got; nil otherwise.
	ask ask
	// exchanged says that the token is a caller's. What fails for one caller need not fail for another, and a refusal is an answer.
	exchanged bool
	// breaker is the holding's own, or that of all exchanges with the same Provider.
	breaker *breaker.Breaker

	mu      sync.Mutex
	token   *idp.Token
	expires time.Time
	margin  time.Duration
	refresh time.Time // when the next one is asked for
	used    time.Time
	flight  *flight // nil if nobody asks
	refusal *Refusal
	refused time.Time // until when the refusal counts
	problem string    // of the last request; empty if it brought a token
	since   time.Time // of the problem
	failed  int       // requests in a row, where a token is a caller's
}

// ask gets a token. One goroutine at a time calls it for a holding.
type ask func(context.Context) (*idp.Token, error)

// flight is a request for a token that is under way. What came of it may be read once done is closed.
type flight struct {
	done    chan struct{}
	token   *idp.Token
	expires time.Time
	refusal *Refusal
}

// get returns a token that is good, and when this request must not use it any more: at its end, or at a bound of the request's, which
// is zero for none. It waits for one as long as the context lasts.
func (h *holding) get(ctx context.Context, now, bound time.Time, by ask) (*idp.Token, time.Time, *Refusal) {
	h.mu.Lock()
	h.used = now
	if h.good(now) {
		if bound.IsZero() || h.expires.Before(bound) { // otherwise the next one could not be used for longer
			h.renew(ctx, now, by)
		}
		defer h.mu.Unlock()
		return h.token, notAfter(h.expires, bound), nil
	}
	if now.Before(h.refused) {
		defer h.mu.Unlock()
		return nil, time.Time{}, h.refusal
	}
	wait := h.flight
	if wait == nil {
		if !h.breaker.Allows(now) {
			defer h.mu.Unlock()
			return nil, time.Time{}, unavailable(h.disposal, "%s has failed to give a token several times and is not asked again yet: %s", h.provider(), h.lastProblem())
		}
		wait = h.begin(ctx, by)
	}
	h.mu.Unlock()
	select {
	case <-wait.done:
		return wait.token, notAfter(wait.expires, bound), wait.refusal
	case <-ctx.Done():
		return nil, time.Time{}, unavailable(h.disposal, "%s did not give a token within the time of the check", h.provider())
	}
}

// notAfter is a token's end, or a bound that comes before it.
func notAfter(end, bound time.Time) time.Time {
	if bound.IsZero() {
		return end
	}
	return earlier(end, bound)
}

func (h *holding) provider() string { return "the Provider " + quote(h.disposal.Provider.Name) }

// lastProblem says what it failed by last; by another holding's request if it was not this one's.
func (h *holding) lastProblem() string {
	if h.problem == "" {
		return "it failed for others"
	}
	return h.problem
}

// good tells whether the token can be sent.
func (h *holding) good(now time.Time) bool {
	return h.token != nil && now.Before(h.expires.Add(-h.margin))
}

// renew asks for the next token if it is time to, and nobody has failed to get it just now.
func (h *holding) renew(ctx context.Context, now time.Time, by ask) {
	if h.flight == nil && !now.Before(h.refresh) && !now.Before(h.refused) && h.breaker.Rested(now) {
		h.begin(ctx, by)
	}
}

// begin starts a request. It outlives the call that it is made in, because others wait for it as well.
func (h *holding) begin(ctx context.Context, by ask) *flight {
	f := &flight{done: make(chan struct{})}
	h.flight = f
	go h.fly(context.WithoutCancel(ctx), by, f)
	return f
}

func (h *holding) fly(ctx context.Context, by ask, f *flight) {
	ctx, cancel := context.WithTimeout(ctx, flightTime)
	defer cancel()
	token, err := by.once(ctx)
	h.settle(f, token, err)
	close(f.done)
	h.keeper.changed()
}

// once keeps a fault from ending the process: it is a request that brought nothing.
func (a ask) once(ctx context.Context) (token *idp.Token, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			token, err = nil, fmt.Errorf("a fault in what asks for tokens: %T", fault)
		}
	}()
	return a(ctx)
}

// settle takes what came of a request.
func (h *holding) settle(f *flight, token *idp.Token, err error) {
	now := h.keeper.settings.Clock()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.flight = nil
	if err == nil {
		err = h.take(token, now)
	}
	if err == nil {
		h.breaker.Succeeded()
		h.refusal, h.refused, h.problem, h.since, h.failed = nil, time.Time{}, "", time.Time{}, 0
		f.token, f.expires = h.token, h.expires
		return
	}
	var said bool
	if f.refusal, said = h.refusalOf(err); said {
		// The Provider answers, and says no about this caller: what it gave before counts no more.
		h.breaker.Succeeded()
		h.token, h.refusal, h.refused = nil, f.refusal, now.Add(refusalTime)
		return
	}
	if h.problem == "" {
		h.since = now
	}
	h.problem = err.Error()
	h.fail(f, err, now)
	if h.good(now) {
		f.token, f.expires, f.refusal = h.token, h.expires, nil
	}
}

// fail notes a request that brought nothing. One for a caller's token keeps that caller waiting for a while, and counts against the
// Provider only if it tells something of the Provider: nobody can make it fail for the others.
func (h *holding) fail(f *flight, err error, now time.Time) {
	if h.exchanged {
		h.refusal, h.refused = f.refusal, now.Add(min(breaker.FirstPause<<min(h.failed, 4), refusalTime))
		h.failed++
		if !ofProvider(err) {
			h.keeper.settings.Logger.Debug("a Provider gives no token for a caller", "provider", h.disposal.Provider.Name, "at", h.disposal.Origin.String(), "error", err)
			return
		}
	}
	failures := h.breaker.Failed(now, h.keeper.settings.Jitter(), retryAfter(err))
	h.keeper.settings.Logger.Warn("a Provider gives no token for an upstream", "provider", h.disposal.Provider.Name,
		"at", h.disposal.Origin.String(), "failures", failures, "last_token_good", h.good(now), "error", err)
}

// take holds a token that is good for a while.
func (h *holding) take(token *idp.Token, now time.Time) error {
	life := token.Expires.Sub(now)
	if life <= 0 {
		return errors.New("the token that came has run out already")
	}
	h.token, h.expires, h.margin = token, token.Expires, min(longestMargin, life/10)
	// At two thirds of its life, and a little earlier or later, so that not all are asked for at once.
	h.refresh = now.Add(life*2/3 + time.Duration((h.keeper.settings.Jitter()-0.5)*float64(life/10)))
	return nil
}
