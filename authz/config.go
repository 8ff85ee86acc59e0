package authz

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/sallyport-project/sallyport/authz/asker"
	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/tokens"
)

// DefaultGrace is how long a version of a policy is kept that is not current any more, where nobody can tell whether a
// proxy still runs it.
const DefaultGrace = time.Hour

// Config is what a Service needs.
type Config struct {
	// Logger is told of faults; decisions go to Sink. Silent if nil.
	Logger hclog.Logger
	// Clock is time.Now if nil.
	Clock func() time.Time
	// Sink takes a record of every decision. Where it refuses one, the request is turned away. Required.
	Sink audit.Sink
	// Observer, if not nil, is shown every decision after its record was taken.
	Observer Observer
	// Identify tells who asks by the context of a call. Required; usually that of an asker.Identifier.
	Identify func(context.Context) (asker.Asker, error)
	// InUse, if not nil, tells whether some proxy may still run routes that were made with an earlier version of a policy.
	// Such a version is kept beyond the grace.
	InUse func(policy, version string) bool
	// Grace is how long an earlier version is kept at least, and how long a removed rule is remembered; DefaultGrace if zero.
	Grace time.Duration
	// Uncounted leaves the limits of Consumers out of account: for a Service that answers questions, and no proxies.
	Uncounted bool
	// Tokens judge callers' tokens, and give those that go on to upstreams. They are applied with the Service, so no two share them; whoever
	// made them runs them. If nil, no token but our own is taken, and none is got from anybody.
	Tokens *tokens.Tokens
	// Judge, if not nil, judges callers' tokens in the place of Tokens, and Planned has what goes on to upstreams told in the decision's
	// steps, and not got: for a Service that answers questions about what another has in force.
	Judge   Judge
	Planned bool
	// CacheSize is how many certificates are remembered; identity.DefaultCacheSize if zero.
	CacheSize int
}

// Judge judges a token by the named Providers at a moment; a tokens.View has one, and a Service.
type Judge func(ctx context.Context, providers, audiences []string, token string, now time.Time) *bearer.Verdict

// Observer sees decisions with the requests that they are about. It must be safe for concurrent use, and must neither block
// nor change anything: a request waits for it.
type Observer interface {
	Decided(decision *policy.Decision, at time.Time)
}

func (c *Config) complete() error {
	if c.Sink == nil || c.Identify == nil {
		return errors.New("authz: the configuration needs a sink and a way to identify askers")
	}
	if c.Grace < 0 || c.CacheSize < 0 {
		return errors.New("authz: neither grace nor cache size may be negative")
	}
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Grace == 0 {
		c.Grace = DefaultGrace
	}
	if c.Tokens != nil {
		return nil
	}
	var err error
	c.Tokens, err = tokens.New(tokens.Config{Logger: c.Logger.Named("tokens"), Clock: c.Clock, Grace: c.Grace, Substitute: tokens.Nobody{}})
	return err
}
