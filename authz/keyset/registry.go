package keyset

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/sallyport-project/sallyport/authz/idp"
	"github.com/sallyport-project/sallyport/authz/jose"
)

// What holds where a Spec says nothing.
const (
	// DefaultMaxStale is how long a set counts while its provider is away.
	DefaultMaxStale = 24 * time.Hour
	// DefaultRefresh is how long a set is used before it is fetched again.
	DefaultRefresh = 5 * time.Minute
)

// Source is asked for a key set. An idp.Provider is one.
type Source interface {
	KeySet(ctx context.Context, known idp.Validator) (idp.Fetched, error)
}

// Config is what a Registry works with.
type Config struct {
	Logger hclog.Logger
	// Clock is time.Now if nil.
	Clock func() time.Time
	// Folder is where sets that were fetched outlive the process, in files of mode 0600. It is made if needed. Empty: nowhere.
	Folder string
	// Timeout is of one fetch, in which a source may ask several times. Default 15 s.
	Timeout time.Duration
	// Jitter shortens what the registry waits, so that many processes do not ask in step. Default: by up to a quarter.
	Jitter func(time.Duration) time.Duration
}

// Spec describes one provider's set.
type Spec struct {
	// Name is the provider's. No two have the same.
	Name string
	// Source is asked, unless the set is static.
	Source Source
	// Identity is what makes it another set, such as issuer and address. A set is not carried over to another identity.
	Identity string
	// MaxStale is how long a set counts after it was fetched. Default DefaultMaxStale.
	MaxStale time.Duration
	// Refresh is how long a set is used before it is fetched again, if the provider does not say. Default DefaultRefresh. What
	// it says counts between a minute and an hour.
	Refresh time.Duration
	// Static is a key set that is material. It is never fetched, never written to disk, and does not run out. Nil: none.
	Static []byte
}

// Set is what is in force for a provider. It does not change.
type Set struct {
	// KeySet is nil if none is in force: nothing that the provider signed can be judged, and Problem says why.
	KeySet *jose.KeySet
	// Generation is another one whenever the keys are others, across all providers and configurations of this process.
	// What is remembered under one counts only under that one. It is 0 before the first set.
	Generation uint64
	// Fetched is when the provider last vouched for the set.
	Fetched time.Time
	// Until is when the set stops counting; zero for one that does not.
	Until time.Time
	// Stale says that the last attempt to fetch it again has failed.
	Stale bool
	// Problem says why there is no set, or why it is stale. It is for people.
	Problem string
}

// Registry keeps the sets of all providers. Its methods may be called at the same time.
type Registry struct {
	config Config
	keep   keep
	index  atomic.Pointer[map[string]*entry]
	wake   chan struct{} // Run looks again at what is due

	mu         sync.Mutex // guards what follows, and in each entry what says so
	generation uint64
	changed    chan struct{}
}

// New returns a registry without any set.
func New(config Config) *Registry {
	if config.Logger == nil {
		config.Logger = hclog.NewNullLogger()
	}
	if config.Clock == nil {
		config.Clock = time.Now
	}
	if config.Timeout <= 0 {
		config.Timeout = fetchTimeout
	}
	if config.Jitter == nil {
		config.Jitter = sooner
	}
	r := &Registry{
		config:  config,
		keep:    keep{folder: config.Folder, logger: config.Logger},
		wake:    make(chan struct{}, 1),
		changed: make(chan struct{}),
	}
	r.index.Store(&map[string]*entry{})
	return r
}

// sooner returns between three quarters of a time and the whole.
func sooner(wait time.Duration) time.Duration {
	return wait - time.Duration(rand.Int64N(int64(wait/4)+1)) //nolint:gosec // nothing depends on it
}

// View is the sets of the providers that one Apply has named, as they are at each moment. A provider that has since become another,
// by its identity, has there what it had: whoever judges by the rules of one Apply meets the keys of no other. Its methods may be
// called at the same time.
type View struct {
	registry *Registry
	entries  map[string]*entry
}

// Apply replaces what is kept. A provider that is still the same, by name and identity, keeps its set, and may have another
// source. A new one begins with what is on disk. Nothing is fetched by Apply itself.
func (r *Registry) Apply(specs []Spec) *View {
	now := r.config.Clock()
	r.mu.Lock()
	defer r.mu.Unlock()
	before, after := *r.index.Load(), make(map[string]*entry, len(specs))
	changed := false
	for _, spec := range specs {
		spec = spec.withDefaults()
		e := before[spec.Name]
		if e == nil || e.identity != spec.Identity || e.static != (spec.Static != nil) {
			e = newEntry(spec, now)
			changed = true
			if !e.static {
				r.restore(e, now)
			}
		}
		if e.static {
			changed = r.takeStatic(e, spec.Static, now) || changed
		}
		e.adopt(spec, now)
		after[spec.Name] = e
	}
	r.index.Store(&after)
	if changed || len(before) != len(after) {
		r.tell()
	}
	r.wakeUp()
	return &View{registry: r, entries: after}
}

func (s Spec) withDefaults() Spec {
	if s.MaxStale <= 0 {
		s.MaxStale = DefaultMaxStale
	}
	if s.Refresh <= 0 {
		s.Refresh = DefaultRefresh
	}
	return s
}

// Keys returns what is in force for a provider, and false if there is no such provider. It takes no lock.
func (v *View) Keys(name string) (Set, bool) {
	e := v.entries[name]
	if e == nil {
		return Set{}, false
	}
	return e.inForce(v.registry.config.Clock()), true
}

// Watch returns a channel that is closed when some set has changed: another one, none any more, or of another provider. Ask
// for it before reading, and for the next one after.
func (r *Registry) Watch() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

// tell closes the channel that Watch has given out. Its caller holds the lock.
func (r *Registry) tell() {
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *Registry) wakeUp() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// State is what status tells of a provider's set.
type State struct {
	Name   string
	Static bool
	Set    Set
	// Since is when the present condition began: all is well, or the problem that Set tells.
	Since time.Time
	// Next is when it will be fetched again, if nothing needs it sooner; zero for a static one.
	Next time.Time
	// FromDisk says that the set is the one of an earlier process, and has not been fetched by this one.
	FromDisk bool
	// KeyIDs are those of the set, in order. Keys without one are counted in Set.KeySet alone.
	KeyIDs []string
	// LeftOut are the keys of the provider's set that cannot be used, each with the reason.
	LeftOut []string
}

// States returns all providers by name.
func (r *Registry) States() []State {
	now := r.config.Clock()
	r.mu.Lock()
	defer r.mu.Unlock()
	entries := *r.index.Load()
	states := make([]State, 0, len(entries))
	for _, e := range entries {
		states = append(states, e.state(now))
	}
	slices.SortFunc(states, func(a, b State) int { return strings.Compare(a.Name, b.Name) })
	return states
}
