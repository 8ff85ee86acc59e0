// Package limit owns how often consumers may call: a token bucket for each Consumer that has a rate_limit, and others of one size for
// each Consumer (Uniform), for what all of them may do so often and no more.
//
// Every authorization process counts for itself, and so does every gateway that is not served by the same process: a limit of
// 100 is up to 200 where two processes share the load. What is counted are requests that their policy lets in, at each
// gateway whose policy recognises the consumer; a request that goes on from the edge to a sidecar is another consumer's there,
// the edge's. A request that is refused for its number spends nothing.
//
// There is one bucket for each Consumer of the configuration that is limited, and none for anybody else, so callers cannot make
// it grow. The package judges nobody; it counts.
package limit

import (
	"math"
	"time"

	"golang.org/x/time/rate"

	"github.com/sallyport-project/sallyport/config"
)

// Buckets are the buckets of all consumers. The set of them is fixed; they are safe for concurrent use.
type Buckets struct {
	byConsumer map[string]*bucket
}

type bucket struct {
	settings config.RateLimit
	limiter  *rate.Limiter
}

// New makes the buckets of these consumers. A bucket of the ones before, which may be nil, is kept as it stands where the
// consumer's limit is what it was; any other is full.
func New(consumers []*config.Consumer, before *Buckets) *Buckets {
	b := &Buckets{byConsumer: make(map[string]*bucket)}
	for _, c := range consumers {
		if c.RateLimit == nil {
			continue
		}
		b.add(c.Name, *c.RateLimit, before)
	}
	return b
}

// Uniform makes a bucket of one size for each of these consumers, whatever its own limit is. Those of before are kept as New keeps
// them.
func Uniform(consumers []*config.Consumer, each config.RateLimit, before *Buckets) *Buckets {
	b := &Buckets{byConsumer: make(map[string]*bucket, len(consumers))}
	for _, c := range consumers {
		b.add(c.Name, each, before)
	}
	return b
}

// add makes the bucket of a consumer, or keeps what is left of the one before.
func (b *Buckets) add(consumer string, settings config.RateLimit, before *Buckets) {
	made := &bucket{settings: settings}
	if before != nil {
		if old := before.byConsumer[consumer]; old != nil && old.sameAs(settings) {
			made.limiter = old.limiter
		}
	}
	if made.limiter == nil {
		made.limiter = rate.NewLimiter(rate.Limit(float64(settings.Requests)/settings.Per.Seconds()), settings.Burst)
	}
	b.byConsumer[consumer] = made
}

// sameAs tells whether a limit says the same, wherever it is written.
func (b *bucket) sameAs(limit config.RateLimit) bool {
	limit.Origin = b.settings.Origin
	return limit == b.settings
}

// Quota is what a consumer has left.
type Quota struct {
	// Requests may be made in Window, as configured.
	Requests int
	Window   time.Duration
	// Remaining are those that may be made at once.
	Remaining int
	// Reset is how long it takes until all that may be made at once can be made again.
	Reset time.Duration
	// RetryAfter is how long it takes until the next one is let in; zero where this one was.
	RetryAfter time.Duration
	// Origin is where the limit is written.
	Origin config.Origin
}

// Exceeded tells whether the request is one too many.
func (q *Quota) Exceeded() bool { return q.RetryAfter > 0 }

// Take counts a request of a consumer at a moment. It returns nil for one without a limit.
func (b *Buckets) Take(consumer string, now time.Time) *Quota {
	of := b.byConsumer[consumer]
	if of == nil {
		return nil
	}
	allowed := of.limiter.AllowN(now, 1)
	tokens := of.limiter.TokensAt(now)
	q := &Quota{
		Requests: of.settings.Requests, Window: of.settings.Per, Origin: of.settings.Origin,
		Remaining: int(math.Max(0, tokens)), Reset: of.timeFor(float64(of.settings.Burst) - tokens),
	}
	if !allowed {
		q.Remaining = 0
		q.RetryAfter = max(of.timeFor(1-tokens), time.Nanosecond)
	}
	return q
}

// timeFor is how long it takes for so many tokens to come.
func (b *bucket) timeFor(tokens float64) time.Duration {
	if tokens <= 0 {
		return 0
	}
	return time.Duration(math.Ceil(tokens / float64(b.limiter.Limit()) * float64(time.Second)))
}
