package keyset

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-project/sallyport/authz/idp"
)

var errAway = errors.New("the connection failed (dial): connection refused")

// set returns a key set with the kids given; each kid has its own key, always the same.
func set(kids ...string) []byte {
	keys := []map[string]string{}
	for _, kid := range kids {
		seed := sha256.Sum256([]byte(kid))
		public, _ := ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)
		keys = append(keys, map[string]string{"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": base64.RawURLEncoding.EncodeToString(public)})
	}
	encoded, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		panic(err)
	}
	return encoded
}

// provider is a Source with fault switches. What it serves is its own ETag.
type provider struct {
	mu     sync.Mutex
	data   []byte
	err    error
	stuck  bool          // until the context ends
	takes  time.Duration // to answer
	maxAge time.Duration // told if not negative
	asked  []idp.Validator
}

func (p *provider) KeySet(ctx context.Context, known idp.Validator) (idp.Fetched, error) {
	p.mu.Lock()
	p.asked = append(p.asked, known)
	data, err, stuck, takes, maxAge := p.data, p.err, p.stuck, p.takes, p.maxAge
	p.mu.Unlock()
	var answers <-chan time.Time
	if !stuck {
		answers = time.After(takes)
	}
	select {
	case <-answers:
	case <-ctx.Done():
		return idp.Fetched{}, ctx.Err()
	}
	if err != nil {
		return idp.Fetched{}, err
	}
	fetched := idp.Fetched{Validator: idp.Validator{ETag: string(data)}, MaxAge: maxAge, MaxAgeTold: maxAge >= 0}
	if known.ETag == string(data) {
		fetched.Unchanged = true
		return fetched, nil
	}
	fetched.Data = data
	return fetched, nil
}

func (p *provider) change(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

func (p *provider) serve(kids ...string) {
	p.change(func() { p.data, p.err, p.stuck = set(kids...), nil, false })
}

func (p *provider) fail(err error) { p.change(func() { p.err = err }) }

func (p *provider) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.asked)
}

// registry is one over a provider named idp, within a bubble of its own time.
type registry struct {
	*testing.T
	*Registry
	*View
	*provider
	folder string
}

// Apply takes other providers into force.
func (r *registry) Apply(specs []Spec) { r.View = r.Registry.Apply(specs) }

func newRegistry(t *testing.T, folder string, kids ...string) *registry {
	r := &registry{T: t, folder: folder, provider: &provider{data: set(kids...), maxAge: -1}}
	r.restart()
	return r
}

// restart begins anew, as another process would, with nobody running it.
func (r *registry) restart() {
	r.Registry = New(Config{Folder: r.folder, Jitter: func(wait time.Duration) time.Duration { return wait }})
	r.Apply([]Spec{r.spec()})
}

func (r *registry) spec() Spec {
	return Spec{Name: "idp", Identity: "https://idp.example.org", Source: r.provider}
}

// run runs the registry until the function that it returns is called.
func (r *registry) run() (stop func()) {
	ctx, cancel := context.WithCancel(r.Context())
	done := make(chan error, 1)
	registry := r.Registry
	go func() { done <- registry.Run(ctx) }()
	synctest.Wait()
	return func() {
		cancel()
		if err := <-done; err != nil {
			r.Errorf("Run ended with %v", err)
		}
	}
}

// pass lets time pass, in which everything happens that is due.
func pass(duration time.Duration) {
	<-time.After(duration)
	synctest.Wait()
}

func (r *registry) keys() Set {
	r.Helper()
	got, found := r.Keys("idp")
	if !found {
		r.Fatal("the provider is unknown")
	}
	return got
}

func (r *registry) want(kids ...string) Set {
	r.Helper()
	got := r.keys()
	if len(kids) == 0 && (got.KeySet != nil || got.Problem == "") || !slices.Equal(got.KeySet.KeyIDs(), kids) {
		r.Errorf("got %v (%q), want %v", got.KeySet.KeyIDs(), got.Problem, kids)
	}
	return got
}

// changed reports whether a channel of Watch has been closed.
func changed(watch <-chan struct{}) bool {
	select {
	case <-watch:
		return true
	default:
		return false
	}
}
