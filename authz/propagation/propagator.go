package propagation

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/sallyport-project/sallyport/authz/idp"
	"github.com/sallyport-project/sallyport/authz/mint"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/config"
)

// DefaultCacheSize is how many exchanged tokens are held, and how many minted ones. None has more than 8 KiB, most have one.
const DefaultCacheSize = 10_000

// Config is what a Propagator needs. Every field has a default.
type Config struct {
	// Logger is told where a Provider gives no token. Silent if nil.
	Logger hclog.Logger
	// Clock is time.Now if nil.
	Clock func() time.Time
	// Jitter returns numbers from 0 to 1, by which moments are spread; random if nil.
	Jitter func() float64
	// CacheSize is how many exchanged tokens are held, and how many minted ones; DefaultCacheSize if zero.
	CacheSize int
}

// Client asks one Provider for tokens. *idp.Provider is one.
type Client interface {
	// ClientCredentials gets a token in our own name.
	ClientCredentials(ctx context.Context, grant idp.Grant) (*idp.Token, error)
	// Exchange gets a token in place of another (RFC 8693).
	Exchange(ctx context.Context, exchange idp.Exchange) (*idp.Token, error)
	// OnBehalfOf gets a token for the user of another (RFC 7523).
	OnBehalfOf(ctx context.Context, grant idp.OnBehalfOf) (*idp.Token, error)
}

// Minter makes tokens of our own. *mint.Issuer is one.
type Minter interface {
	Mint(claims mint.Claims, now time.Time) (token string, expires time.Time, err error)
}

// Party is who a Provider is for us.
type Party struct {
	// Client and Minter: whichever the Provider is; nil for the other, and for one that cannot be asked.
	Client Client
	Minter Minter
	// Version tells who is asked, as whom, and with which keys is signed: tokens of another version are not used.
	Version string
}

// Propagator decides what goes on. It is safe for concurrent use. Before the first Apply nothing does.
type Propagator struct {
	settings Config
	applied  atomic.Pointer[applied]

	mu        sync.Mutex
	acquired  map[string]*holding
	exchanged *lru.Cache[string, *holding]
	minted    *lru.Cache[string, minted]
	queues    map[string]*queue // of exchanges, by Provider and version

	wake chan struct{}
}

// applied is what is in force, swapped as one.
type applied struct {
	upstreams map[string]*config.Upstream
	parties   map[string]Party
}

// New makes a Propagator.
func New(settings Config) (*Propagator, error) {
	if settings.CacheSize < 0 {
		return nil, errors.New("propagation: the cache size is negative")
	}
	if settings.CacheSize == 0 {
		settings.CacheSize = DefaultCacheSize
	}
	if settings.Logger == nil {
		settings.Logger = hclog.NewNullLogger()
	}
	if settings.Clock == nil {
		settings.Clock = time.Now
	}
	if settings.Jitter == nil {
		settings.Jitter = rand.Float64
	}
	p := &Propagator{settings: settings, acquired: make(map[string]*holding), queues: make(map[string]*queue), wake: make(chan struct{}, 1)}
	var err error
	if p.exchanged, err = lru.New[string, *holding](settings.CacheSize); err != nil {
		return nil, err
	}
	if p.minted, err = lru.New[string, minted](settings.CacheSize); err != nil {
		return nil, err
	}
	p.applied.Store(&applied{})
	return p, nil
}

// Apply takes the Upstreams, and by the names of their Providers who is asked, as they are from now on. What is held for a
// disposal, or by a version of a Provider, that is there no more is dropped.
func (p *Propagator) Apply(upstreams []*config.Upstream, parties map[string]Party) {
	next := &applied{upstreams: make(map[string]*config.Upstream, len(upstreams)), parties: parties}
	for _, u := range upstreams {
		next.upstreams[u.Name] = u
	}
	p.applied.Store(next)
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := next.keys()
	for key := range p.acquired {
		if !kept[key] {
			delete(p.acquired, key)
		}
	}
	for key := range p.queues {
		if !kept[key] {
			delete(p.queues, key)
		}
	}
}

// keys are those under which something may be held for long.
func (a *applied) keys() map[string]bool {
	keys := make(map[string]bool)
	for _, u := range a.upstreams {
		for _, d := range []config.TokenDisposal{u.Token.Anonymous, u.Token.Certificate, u.Token.User} {
			if d.Provider == nil {
				continue
			}
			version := a.parties[d.Provider.Name].Version
			keys[acquisitionKey(d, version)], keys[actorKey(d, version)], keys[queueKey(d, version)] = true, true, true
		}
	}
	return keys
}

// For decides what goes on with a request that was admitted. A request that is not, or that leads to no upstream, or to one that
// is not known, takes nothing along. It waits for tokens as long as the context lasts; exactly one of the results counts.
func (p *Propagator) For(ctx context.Context, d *policy.Decision, now time.Time) (Onward, *Refusal) {
	applied := p.applied.Load()
	upstream := applied.upstreams[d.Request.Upstream]
	if !d.Allowed || upstream == nil {
		return Onward{}, nil
	}
	disposal := of(upstream, d)
	switch disposal.Kind {
	case config.DisposalRemove:
		return Onward{}, nil
	case config.DisposalPass:
		if d.Token == nil {
			return Onward{}, unavailable(disposal, "there is no verified token to pass on")
		}
		return plan(disposal), nil
	}
	party, found := applied.parties[disposal.Provider.Name]
	if !found {
		return Onward{}, unavailable(disposal, "the Provider %s cannot be asked", quote(disposal.Provider.Name))
	}
	switch disposal.Kind {
	case config.DisposalMint:
		return p.mint(d, disposal, party, now)
	case config.DisposalAcquire:
		return p.acquire(ctx, disposal, party, now)
	case config.DisposalExchange:
		return p.exchange(ctx, d.Token, disposal, party, now)
	default:
		return Onward{}, unavailable(disposal, "what is to go on is not known")
	}
}

// Plan says what would go on with a request that was admitted, and gets nothing. It is for callers who are only presumed.
func (p *Propagator) Plan(d *policy.Decision) Onward {
	upstream := p.applied.Load().upstreams[d.Request.Upstream]
	if !d.Allowed || upstream == nil {
		return Onward{}
	}
	return plan(of(upstream, d))
}

// plan is what a disposal comes to, without a token.
func plan(disposal config.TokenDisposal) Onward {
	onward := Onward{How: disposal.Kind, Origin: disposal.Origin}
	switch disposal.Kind {
	case config.DisposalRemove:
	case config.DisposalPass:
		onward.Kind = Pass
	default:
		onward.Kind, onward.Provider = Set, disposal.Provider.Name
	}
	return onward
}

// of is what the upstream gets for this caller.
func of(upstream *config.Upstream, d *policy.Decision) config.TokenDisposal {
	switch d.Bearer() {
	case policy.CallerUser:
		return upstream.Token.User
	case policy.CallerCertificate:
		return upstream.Token.Certificate
	default:
		return upstream.Token.Anonymous
	}
}

// set is a token that goes on, if it can stand in a header.
func set(disposal config.TokenDisposal, token string, expires time.Time) (Onward, *Refusal) {
	if !sendable(token) {
		return Onward{}, unavailable(disposal, "the token of the Provider %s has characters that no header has", quote(disposal.Provider.Name))
	}
	onward := plan(disposal)
	onward.Authorization, onward.Expires = "Bearer "+token, expires
	return onward, nil
}

// sendable wants visible ASCII without spaces and commas.
func sendable(token string) bool {
	for _, c := range []byte(token) {
		if c <= ' ' || c >= 0x7f || c == ',' {
			return false
		}
	}
	return token != ""
}

func quote(name string) string { return `"` + name + `"` }
