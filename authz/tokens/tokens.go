package tokens

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/errgroup"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/keyset"
	"github.com/sallyport-project/sallyport/authz/mint"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/propagation"
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
	// Substitute, if not nil, stands for every Provider but those that are ourselves, and no network is used.
	Substitute Substitute
}

// Tokens are all parts together. They are safe for concurrent use. Before the first Apply every token is refused, and nothing goes
// on.
type Tokens struct {
	settings   Config
	keys       *keyset.Registry
	verifier   *bearer.Verifier
	propagator *propagation.Propagator

	applying sync.Mutex // one Apply at a time
	// identities are those of the key sets in force, by Provider; guarded by applying.
	identities map[string]string
	applied    atomic.Pointer[applied]
	ownPairs   pairs
}

// applied is a Model, its material, and what was made of them.
type applied struct {
	model       *config.Model
	material    *inventory.Snapshot
	connections map[string]*connection  // by Provider
	issuers     map[string]*mint.Issuer // by Provider; those alone that have keys
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
	t.verifier, err = bearer.NewVerifier(bearer.Config{Keys: t.keys, Introspector: t, CacheSize: settings.CacheSize})
	if err != nil {
		return nil, err
	}
	t.propagator, err = propagation.New(propagation.Config{Logger: settings.Logger.Named("onward"), Clock: settings.Clock, CacheSize: settings.OnwardCacheSize})
	if err != nil {
		return nil, err
	}
	t.applied.Store(&applied{material: new(inventory.Snapshot)})
	return t, nil
}

// Apply judges and gives tokens by this model and material from now on. Connections, key sets and tokens that are held stay where
// their Providers are what they were. Secrets count from the next time that one is needed.
func (t *Tokens) Apply(model *config.Model, material *inventory.Snapshot) {
	t.applying.Lock()
	defer t.applying.Unlock()
	before := t.applied.Load()
	after := &applied{model: model, material: material, connections: make(map[string]*connection), issuers: make(map[string]*mint.Issuer)}
	var sets []keyset.Spec
	parties := make(map[string]propagation.Party)
	for _, p := range model.Providers() {
		set, party := t.take(p, before, after)
		if set != nil {
			sets = append(sets, *set)
		}
		parties[p.Name] = party
	}
	t.applied.Store(after)
	// Where a Provider has become another issuer's, neither the old rules may meet the new keys nor the other way round: for the moment
	// between the two it has none, and its tokens are 503.
	t.keys.Apply(slices.DeleteFunc(slices.Clone(sets), func(s keyset.Spec) bool { return t.identities[s.Name] != s.Identity }))
	t.verifier.Apply(model.Providers())
	t.keys.Apply(sets)
	t.identities = make(map[string]string, len(sets))
	for _, s := range sets {
		t.identities[s.Name] = s.Identity
	}
	t.propagator.Apply(model.Upstreams(), parties)
	before.closeAllBut(after)
}

// take prepares one Provider: where its keys come from, nil if from nowhere, and who gives tokens of it.
func (t *Tokens) take(p *config.Provider, before, after *applied) (*keyset.Spec, propagation.Party) {
	switch {
	case p.Mint != nil:
		return t.takeOwn(p, after)
	case t.settings.Substitute != nil:
		return t.takeSubstitute(p)
	}
	connected := t.connect(p, before, after.material)
	after.connections[p.Name] = connected
	set := &keyset.Spec{Name: p.Name, Identity: identityOfKeys(p), MaxStale: p.MaxStale, Source: connected.keys()}
	if p.KeySet != "" {
		set.Source = nil
		if found := after.material.Providers[p.Name]; found != nil {
			set.Static = found.KeySet
		}
	}
	party := propagation.Party{Version: identityOfClient(p)}
	if p.Client != nil {
		party.Client = connected.client()
	}
	return set, party
}

// takeOwn prepares a Provider that is ourselves. Without keys it neither makes tokens nor takes any.
func (t *Tokens) takeOwn(p *config.Provider, after *applied) (*keyset.Spec, propagation.Party) {
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
	return &keyset.Spec{Name: p.Name, Identity: identityOfKeys(p), Static: issuer.KeySet()},
		propagation.Party{Minter: issuer, Version: identityOfIssuer(p, found.SigningKeys.Hash)}
}

// Run fetches key sets and replaces acquired tokens before they run out, until the context ends, and then returns nil. Without it
// both happen only where a request needs them.
func (t *Tokens) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return t.keys.Run(ctx) })
	group.Go(func() error { return t.propagator.Run(ctx) })
	err := group.Wait()
	t.applied.Load().closeAllBut(&applied{})
	return err
}

// Judge tells whose token it is, by the named Providers alone; see bearer.Verifier.
func (t *Tokens) Judge(ctx context.Context, providers, audiences []string, token string, now time.Time) *bearer.Verdict {
	return t.verifier.Judge(ctx, providers, audiences, token, now)
}

// Onward decides what goes on with an admitted request; see propagation.Propagator.
func (t *Tokens) Onward(ctx context.Context, d *policy.Decision, now time.Time) (propagation.Onward, *propagation.Refusal) {
	return t.propagator.For(ctx, d, now)
}

// Plan says what would go on, and gets nothing; see propagation.Propagator.
func (t *Tokens) Plan(d *policy.Decision) propagation.Onward { return t.propagator.Plan(d) }

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
