package inventory

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/errgroup"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/material"
)

// Config is what a Keeper needs.
type Config struct {
	// Logger is told of problems when they come and go. Silent if nil.
	Logger hclog.Logger
	// Clock is time.Now if nil.
	Clock func() time.Time
	// Store reads and watches material. It belongs to the Keeper, which runs it. One without limits if nil.
	Store *material.Store
	// Base is the folder of the configuration, against which relative paths are resolved.
	Base string
	// KMS returns a private key that lives in AWS KMS, by its id. Nil: there is none.
	KMS func(ctx context.Context, keyID string) (crypto.Signer, error)
	// StateDir keeps development authorities and issued certificates over a restart: keys with mode 0600 in folders of
	// mode 0700. It is made if needed. If empty, they live in memory.
	StateDir string
	// Substitute replaces all material by development authorities and what they issue; see Keeper.
	Substitute bool
	// ForbiddenAnchors are authorities for our own processes, such as the proxies' CA. No Truststore or Authority may share
	// a key with one, issue it, or be issued by it.
	ForbiddenAnchors []*x509.Certificate
	// AllowDevelopment lets development authorities, and what they issued, be used. Substitute implies it.
	AllowDevelopment bool
	// TruststoresOnly leaves Certificates out, and reads no private key for them, for a process that presents none of them.
	TruststoresOnly bool
	// Providers reads what Providers name, for a process that judges, gets or makes tokens: clients' secrets and private keys,
	// key sets, and the keys that sign tokens of our own; with TruststoresOnly, also the Certificates that clients present to a
	// Provider. Without it, nothing of that is read. Substitute implies it.
	Providers bool
}

// Keeper keeps the inventory of a configuration up to date. It is safe for concurrent use.
//
// In substitute mode nothing is read from outside: each Authority becomes a development authority of the same name, each
// Truststore whose bundle is an authority trusts that one, every other Truststore trusts a development authority of its
// own, and each Certificate by material becomes one issued by a development authority. A client's secret is
// DevelopmentSecret, its private key and the keys that sign tokens are generated, and key sets are left out.
type Keeper struct {
	config  Config
	logger  hclog.Logger
	state   state
	applied chan struct{}                        // Run looks again when it is next needed
	after   func(time.Duration) <-chan time.Time // time.After, but for tests

	view atomic.Pointer[view]

	mu     sync.Mutex // guards what follows, and publishing
	specs  Specs
	memory memory
}

// view is a snapshot and what goes with it, swapped as one.
type view struct {
	snapshot    *Snapshot
	superseded  chan struct{} // closed when the next view is in place
	authorities map[string]*ca.Authority
	truststores map[string]*ca.Authority
}

// New makes a Keeper with an empty snapshot of generation zero.
func New(config Config) (*Keeper, error) {
	base, err := filepath.Abs(config.Base)
	if err != nil {
		return nil, fmt.Errorf("find the configuration's folder: %w", err)
	}
	config.Base = base
	if config.Logger == nil {
		config.Logger = hclog.NewNullLogger()
	}
	if config.Clock == nil {
		config.Clock = time.Now
	}
	if config.Store == nil {
		config.Store = material.NewStore(material.Config{Logger: config.Logger})
	}
	config.AllowDevelopment = config.AllowDevelopment || config.Substitute
	config.Providers = config.Providers || config.Substitute
	keeper := &Keeper{
		config:  config,
		logger:  config.Logger,
		state:   state{folder: config.StateDir},
		applied: make(chan struct{}, 1),
		after:   time.After,
		memory:  newMemory(),
	}
	keeper.view.Store(&view{snapshot: &Snapshot{}, superseded: make(chan struct{})})
	return keeper, nil
}

// Current returns the snapshot in force. It takes no lock.
func (k *Keeper) Current() *Snapshot { return k.view.Load().snapshot }

// Watch returns the snapshot in force and a channel that is closed once there is a newer one. A newer one of the same
// generation differs in its Problems only.
func (k *Keeper) Watch() (*Snapshot, <-chan struct{}) {
	current := k.view.Load()
	return current.snapshot, current.superseded
}

// Authority returns an Authority resource together with its key, if it has one here and may be used.
func (k *Keeper) Authority(name string) (*ca.Authority, bool) {
	authority, found := k.view.Load().authorities[name]
	return authority, found
}

// TruststoreAuthority returns the authority whose certificates a Truststore trusts, if it is one of ours and its key is
// here: in substitute mode that is every one.
func (k *Keeper) TruststoreAuthority(name string) (*ca.Authority, bool) {
	authority, found := k.view.Load().truststores[name]
	return authority, found
}

// Apply puts the resources of a new revision in place of those before and returns the snapshot that comes of them.
// Whatever is wrong is among its Problems. What a resource of the same kind and name last had stays in force while its
// new spec is broken, and what it issued stays while its request is the same. If the context ends meanwhile, nothing has
// changed.
func (k *Keeper) Apply(ctx context.Context, specs Specs) *Snapshot {
	k.mu.Lock()
	defer k.mu.Unlock()
	if ctx.Err() != nil {
		return k.Current()
	}
	k.specs = specs.narrowed(k.config)
	if !k.config.Substitute {
		k.config.Store.Watch(ctx, k.specs.sources(k.config.Base))
	}
	k.refresh() //nolint:contextcheck // a look belongs to no caller
	select {
	case k.applied <- struct{}{}:
	default:
	}
	return k.Current()
}

// Run watches the material, renews what was issued, after two thirds of its life, and rotates generated keys, until the
// context ends; then it returns nil. The error is that files cannot be watched at all. Apply may be called before and during Run; call Run once.
func (k *Keeper) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return k.config.Store.Run(ctx) })
	group.Go(func() error {
		k.follow(ctx)
		return nil
	})
	return group.Wait()
}

func (k *Keeper) follow(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.applied: // the next moment may be another
			continue
		case <-k.config.Store.Changes():
		case <-k.after(k.untilNext()):
		}
		k.mu.Lock()
		k.refresh() //nolint:contextcheck // a look belongs to no caller
		k.mu.Unlock()
	}
}

// Bounds of the time between two looks that nothing from outside asked for. The upper one is for clocks that are set.
const (
	soonest = time.Second
	latest  = time.Minute
)

func (k *Keeper) untilNext() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.memory.next.IsZero() {
		return latest
	}
	return min(max(k.memory.next.Sub(k.config.Clock()), soonest), latest)
}
