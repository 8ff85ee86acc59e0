package bearer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/sallyport-project/sallyport/authz/breaker"
	"github.com/sallyport-project/sallyport/authz/idp"
)

// How much one Provider is asked about tokens, so that a flood of made-up ones neither goes on to it whole nor keeps callers out whom
// it knows.
const (
	// flightTime is how long a question takes at most, whether anybody still waits for it or not.
	flightTime = 10 * time.Second
	// strangerFlights are the questions at a time about tokens that anybody could have made up. Others have these places and acquaintedFlights
	// more, which nobody takes from them.
	strangerFlights   = 48
	acquaintedFlights = 16
	// maxWaiting is how many requests of either kind wait for a place. One more is refused at once.
	maxWaiting = 128
	// strangersPerSecond and strangersAtOnce bound how often it is asked in vain about tokens that anybody could have made up. Good ones
	// that are new do not count: after a start, all are.
	strangersPerSecond = 100
	strangersAtOnce    = 200
)

var (
	errBusy    = errors.New("too many tokens have to be asked about")
	errResting = errors.New("it has failed several times and is not asked again yet")
)

// desk is where one Provider is asked. Requests about one token share the question. A goroutine is begun for a question alone, and
// not before there is a place for it: who waits for one does so in the call of its own, and leaves with it.
type desk struct {
	clock func() time.Time
	// strangers are tokens of which nothing is known yet; acquainted those that the Provider has called active before, or has signed.
	strangers, acquainted line
	rate                  *rate.Limiter

	mu      sync.Mutex
	flights map[[sha256.Size]byte]*flight
}

// line is one of the two at a desk. Neither the other's failures nor its crowd count against it.
type line struct {
	places, waiting chan struct{}
	breaker         *breaker.Breaker
}

func newDesk(clock func() time.Time) *desk {
	return &desk{
		clock: clock, strangers: newLine(strangerFlights), acquainted: newLine(acquaintedFlights),
		rate: rate.NewLimiter(strangersPerSecond, strangersAtOnce), flights: make(map[[sha256.Size]byte]*flight),
	}
}

func newLine(places int) line {
	return line{places: make(chan struct{}, places), waiting: make(chan struct{}, maxWaiting), breaker: breaker.New(flightTime)}
}

// query is a question that somebody wants to have answered.
type query struct {
	token [sha256.Size]byte
	// acquainted says that the token is not made up.
	acquainted bool
	at         time.Time
	// recall gives the answer if it came meanwhile, or nil.
	recall func() *answer
	// ask puts the question, and remembers what comes of it.
	ask func(context.Context) (*answer, error)
}

// flight is a question that is under way. What came of it may be read once done is closed.
type flight struct {
	done chan struct{}
	said *answer
	err  error
}

// wait waits for the answer as long as the context lasts.
func (f *flight) wait(ctx context.Context) (*answer, error) {
	select {
	case <-f.done:
		return f.said, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// get answers a question, or joins those who wait for its answer already. The question goes on when the request that put it ends,
// since others may wait for it.
func (d *desk) get(ctx context.Context, q query) (*answer, error) {
	if f := d.underWay(q.token); f != nil {
		return f.wait(ctx)
	}
	place, err := d.enter(ctx, q.acquainted)
	if err != nil {
		return nil, err
	}
	f, begun, err := d.begin(ctx, q, place)
	if !begun {
		<-place
	}
	if err != nil {
		return nil, err
	}
	return f.wait(ctx)
}

func (d *desk) underWay(token [sha256.Size]byte) *flight {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.flights[token]
}

func (d *desk) lineOf(acquainted bool) *line {
	if acquainted {
		return &d.acquainted
	}
	return &d.strangers
}

// enter takes a place, and says where to give it back.
func (d *desk) enter(ctx context.Context, acquainted bool) (place chan struct{}, err error) {
	own := d.lineOf(acquainted)
	var also chan struct{} // never ready for strangers
	if acquainted {
		also = d.strangers.places
	}
	select {
	case own.places <- struct{}{}:
		return own.places, nil
	case also <- struct{}{}:
		return also, nil
	default:
	}
	select {
	case own.waiting <- struct{}{}:
		defer func() { <-own.waiting }()
	default:
		return nil, errBusy
	}
	select {
	case own.places <- struct{}{}:
		return own.places, nil
	case also <- struct{}{}:
		return also, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// begin puts a question, which gives its place back; unless somebody has put the same meanwhile, or it may not be put now.
func (d *desk) begin(ctx context.Context, q query, place chan struct{}) (f *flight, begun bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.flights[q.token]; f != nil {
		return f, false, nil
	}
	if said := q.recall(); said != nil {
		f = &flight{done: make(chan struct{}), said: said}
		close(f.done)
		return f, false, nil
	}
	own := d.lineOf(q.acquainted)
	switch {
	case !q.acquainted && d.rate.TokensAt(q.at) < 1:
		return nil, false, errBusy
	case !own.breaker.Allows(d.clock()):
		return nil, false, errResting
	}
	f = &flight{done: make(chan struct{})}
	d.flights[q.token] = f
	go d.fly(context.WithoutCancel(ctx), q, f, own.breaker, place)
	return f, true, nil
}

func (d *desk) fly(ctx context.Context, q query, f *flight, by *breaker.Breaker, place chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, flightTime)
	defer cancel()
	f.said, f.err = q.once(ctx)
	if inVain := f.said == nil || f.said.claims == nil; inVain && !q.acquainted {
		d.rate.AllowN(q.at, 1)
	}
	if wait, failed := troubled(f.err); failed {
		by.Failed(d.clock(), rand.Float64(), wait) //nolint:gosec // nothing depends on it
	} else {
		by.Succeeded()
	}
	d.mu.Lock()
	delete(d.flights, q.token)
	d.mu.Unlock()
	close(f.done)
	<-place
}

// once keeps a fault from ending the process: it is a question without an answer.
func (q query) once(ctx context.Context) (said *answer, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			said, err = nil, fmt.Errorf("a fault in what asks about tokens: %T", fault)
		}
	}()
	return q.ask(ctx)
}

// troubled tells whether a failure is of the Provider, or of who we are to it, and not only of the token that was asked about; and how
// long it wants to be left alone.
func troubled(err error) (time.Duration, bool) {
	var failure *idp.Error
	if !errors.As(err, &failure) {
		return 0, false
	}
	switch failure.Kind {
	case idp.Unreachable, idp.Timeout, idp.Misconfigured:
		return failure.RetryAfter, true
	}
	switch failure.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests:
		return failure.RetryAfter, true
	}
	return failure.RetryAfter, failure.Status >= http.StatusInternalServerError
}
