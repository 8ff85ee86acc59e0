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
	"github.com/sallyport-project/sallyport/config"
)

// DefaultCacheSize is how many exchanged tokens are held, and how many minted ones. None has more than 8 KiB, most have one.
const DefaultCacheSize = 10_000

// DefaultGrace is how long it is remembered what earlier versions of an Upstream were to get.
const DefaultGrace = time.Hour

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
	// Grace is how long it is remembered what earlier versions of an Upstream were to get; DefaultGrace if zero.
	Grace time.Duration
	// InUse, if not nil, tells whether some proxy may still have routes that lead to this version of an Upstream. Such a version is
	// remembered beyond the grace.
	InUse func(upstream, version string) bool
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

// Propagator holds tokens that go on, for all Views of it. It is safe for concurrent use.
type Propagator struct {
	settings Config
	current  atomic.Pointer[View] // of the last Apply

	mu        sync.Mutex
	acquired  map[string]*holding
	exchanged *lru.Cache[string, *holding]
	minted    *lru.Cache[string, minted]
	queues    map[string]*queue // of exchanges, by Provider and version

	wake chan struct{}
}

// New makes a Propagator.
func New(settings Config) (*Propagator, error) {
	if settings.CacheSize < 0 || settings.Grace < 0 {
		return nil, errors.New("propagation: neither cache size nor grace may be negative")
	}
	if settings.Grace == 0 {
		settings.Grace = DefaultGrace
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
	p.current.Store(&View{propagator: p})
	return p, nil
}

// Apply takes the Upstreams, and by the names of their Providers who is asked, as they are from now on. What is held for a
// disposal, or by a version of a Provider, that is there no more is dropped. A View of before still decides as it did.
func (p *Propagator) Apply(upstreams []*config.Upstream, parties map[string]Party) *View {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := p.newView(upstreams, parties, p.current.Load())
	p.current.Store(next)
	for key := range p.acquired {
		if !next.held[key] {
			delete(p.acquired, key)
		}
	}
	for key := range p.queues {
		if !next.held[key] {
			delete(p.queues, key)
		}
	}
	return next
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
