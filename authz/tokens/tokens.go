package tokens

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/errgroup"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/keyset"
	"github.com/sallyport-project/sallyport/authz/limit"
	"github.com/sallyport-project/sallyport/authz/mint"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/propagation"
	"github.com/sallyport-project/sallyport/authz/request"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

// Config is what Tokens need. Every field has a default.
type Config struct {
	// Logger is told of Providers that cannot be used. Silent if nil.
	Logger hclog.Logger
	// Clock is time.Now if nil.
	Clock func() time.Time
	// Folder keeps key sets that were fetched, so that a cold start does not depend on their Providers; empty: nothing is kept.
	Folder string
	// Timeout bounds one exchange with a Provider; idp.DefaultTimeout if zero.
	Timeout time.Duration
	// CacheSize is how many tokens of callers are remembered; bearer.DefaultCacheSize if zero.
	CacheSize int
	// OnwardCacheSize is how many exchanged tokens are held, and how many minted ones; propagation.DefaultCacheSize if zero.
	OnwardCacheSize int
	// Grace is how long it is remembered what earlier versions of an Upstream were to get; propagation.DefaultGrace if zero.
	Grace time.Duration
	// InUse, if not nil, tells whether some proxy may still have routes that lead to this version of an Upstream.
	InUse func(upstream, version string) bool
	// Uncounted leaves out of account how often a consumer asks the token endpoints: for simulations, whose clock stands still.
	Uncounted bool
	// Substitute, if not nil, stands for every Provider but those that are ourselves, and no network is used.
	Substitute Substitute
}

// Tokens are all parts together, with what is held for every View of them. They are safe for concurrent use.
type Tokens struct {
	settings   Config
	keys       *keyset.Registry
	verifier   *bearer.Verifier
	propagator *propagation.Propagator

	applying sync.Mutex // one Apply at a time
	current  atomic.Pointer[View]
	ownPairs pairs
}

// View is a Model, its material, and what was made of them: one generation of rules, upstreams and issuers. Whoever judges by its rules
// meets the keys of no issuer but its own, and asks no other, also once there is a later one. It is safe for concurrent use.
type View struct {
	tokens      *Tokens
	model       *config.Model
	material    *inventory.Snapshot
	connections map[string]*connection  // by Provider
	issuers     map[string]*mint.Issuer // by Provider; those alone that have keys
	grants      *limit.Buckets          // how often each consumer may ask the token endpoints
	judge       *bearer.View
	onward      *propagation.View
}

// New puts the parts together.
func New(settings Config) (*Tokens, error) {
	if settings.Logger == nil {
		settings.Logger = hclog.NewNullLogger()
	}
	if settings.Clock == nil {
		settings.Clock = time.Now
	}
	t := &Tokens{settings: settings}
	t.keys = keyset.New(keyset.Config{Logger: settings.Logger.Named("keys"), Clock: settings.Clock, Folder: settings.Folder})
	var err error
	t.verifier, err = bearer.NewVerifier(bearer.Config{Clock: settings.Clock, CacheSize: settings.CacheSize})
	if err != nil {
		return nil, err
	}
	t.propagator, err = propagation.New(propagation.Config{
		Logger: settings.Logger.Named("onward"), Clock: settings.Clock, CacheSize: settings.OnwardCacheSize, Grace: settings.Grace, InUse: settings.InUse,
	})
	if err != nil {
		return nil, err
	}
	t.current.Store(&View{material: new(inventory.Snapshot)})
	return t, nil
}

// Apply judges and gives tokens by this model and material, in the View that it returns. Connections, key sets and tokens that are
// held stay where their Providers are what they were. Secrets count from the next time that one is needed. Views of before still judge
// and give as they did, as long as somebody has one.
func (t *Tokens) Apply(model *config.Model, material *inventory.Snapshot) *View {
	t.applying.Lock()
	defer t.applying.Unlock()
	before := t.current.Load()
	after := &View{tokens: t, model: model, material: material, connections: make(map[string]*connection), issuers: make(map[string]*mint.Issuer)}
	after.grants = grantLimits(model, before.grants)
	var sets []keyset.Spec
	parties := make(map[string]propagation.Party)
	for _, p := range model.Providers() {
		set, party := t.take(p, before, after)
		if set != nil {
			sets = append(sets, *set)
		}
		parties[p.Name] = party
	}
	after.judge = t.verifier.View(model.Providers(), t.keys.Apply(sets), after)
	after.onward = t.propagator.Apply(model.Upstreams(), parties)
	t.current.Store(after)
	before.closeAllBut(after)
	return after
}

// take prepares one Provider: where its keys come from, nil if from nowhere, and who gives tokens of it.
func (t *Tokens) take(p *config.Provider, before, after *View) (*keyset.Spec, propagation.Party) {
	switch {
	case p.Mint != nil:
		return t.takeOwn(p, after)
	case t.settings.Substitute != nil:
		return t.takeSubstitute(p)
	}
	connected := t.connect(p, before, after.material)
	after.connections[p.Name] = connected
	set := &keyset.Spec{Name: p.Name, Identity: identityOfKeys(p, connected.roots), MaxStale: p.MaxStale, Source: connected.keys()}
	if p.KeySet != "" {
		set.Identity, set.Source = identityOfStatic(p), nil
		if found := after.material.Providers[p.Name]; found != nil {
			set.Static = found.KeySet
		}
	}
	party := propagation.Party{Version: identityOfClient(p, connected.roots)}
	if p.Client != nil {
		party.Client = connected.client()
	}
	return set, party
}

// takeOwn prepares a Provider that is ourselves. Without keys it neither makes tokens nor takes any.
func (t *Tokens) takeOwn(p *config.Provider, after *View) (*keyset.Spec, propagation.Party) {
	found := after.material.Providers[p.Name]
	if found == nil || found.SigningKeys == nil {
		t.settings.Logger.Warn("an issuer of our own has no signing keys, so its tokens are refused and none are made", "provider", p.Name)
		return nil, propagation.Party{}
	}
	issuer, err := mint.NewIssuer(p, found.SigningKeys)
	if err != nil {
		t.settings.Logger.Error("an issuer of our own cannot be used, so its tokens are refused and none are made", "provider", p.Name, "error", err)
		return nil, propagation.Party{}
	}
	after.issuers[p.Name] = issuer
	return &keyset.Spec{Name: p.Name, Identity: identityOfStatic(p), Static: issuer.KeySet()},
		propagation.Party{Minter: issuer, Version: identityOfIssuer(p, found.SigningKeys.Hash)}
}

// Run fetches key sets and replaces acquired tokens before they run out, until the context ends, and then returns nil. Without it
// both happen only where a request needs them.
func (t *Tokens) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return t.keys.Run(ctx) })
	group.Go(func() error { return t.propagator.Run(ctx) })
	err := group.Wait()
	t.current.Load().closeAllBut(&View{})
	return err
}

// Judge tells whose token it is, by the named Providers alone; see bearer.View.
func (v *View) Judge(ctx context.Context, providers, audiences []string, token string, now time.Time) *bearer.Verdict {
	return v.judge.Judge(ctx, providers, audiences, token, now)
}

// Onward decides what goes on with an admitted request; see propagation.View.
func (v *View) Onward(ctx context.Context, d *policy.Decision, now time.Time) (propagation.Onward, *propagation.Refusal) {
	return v.onward.For(ctx, d, now)
}

// Plan says what would go on, and gets nothing; see propagation.View.
func (v *View) Plan(d *policy.Decision) (propagation.Onward, *propagation.Refusal) {
	return v.onward.Plan(d)
}

// Knows tells whether it is known what goes where a proxy's route leads; see propagation.View.
func (v *View) Knows(at request.Context) bool { return v.onward.Knows(at.Upstream, at.UpstreamVersion) }

// States are how it stands with Providers, for people. They hold no secret and no token.
type States struct {
	// KeySets by Provider.
	KeySets []keyset.State
	// Acquired are the tokens that we have as clients.
	Acquired []propagation.State
}

// States returns how it stands now.
func (t *Tokens) States() States {
	return States{KeySets: t.keys.States(), Acquired: t.propagator.States()}
}
