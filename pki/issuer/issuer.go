package issuer

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/material"
	"github.com/sallyport-project/sallyport/pki/register"
)

// Config is what an Issuer needs beside its home.
type Config struct {
	// Dir is the home's folder.
	Dir string
	// Passphrase asks for the passphrase of a private key. It is called once for each key, when that is first needed. Nil:
	// encrypted keys cannot be used.
	Passphrase func(ctx context.Context, prompt string) ([]byte, error)
	// Objects publishes, given the AWS account that must own the buckets (empty for any). Nil: to files alone.
	Objects func(expectedBucketOwner string) material.Objects
	// KMS returns a key that lives in a KMS, by its id. Nil: there is none.
	KMS func(ctx context.Context, keyID string) (crypto.Signer, error)
	// Clock is time.Now if nil.
	Clock func() time.Time
	// Logger is told what was issued, revoked and published; nil for nobody.
	Logger hclog.Logger
	// Poll is how often Run looks at the register; DefaultPoll if zero.
	Poll time.Duration
}

// DefaultPoll is how often Run looks at the register.
const DefaultPoll = 5 * time.Second

func (c Config) withDefaults() (Config, error) {
	if c.Objects == nil {
		c.Objects = func(string) material.Objects { return material.ByScheme{material.File: material.Files{}} }
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	if c.Poll == 0 {
		c.Poll = DefaultPoll
	}
	var err error
	if c.Dir, err = filepath.Abs(c.Dir); err != nil {
		return Config{}, fmt.Errorf("find the authority's home: %w", err)
	}
	return c, nil
}

// Issuer issues and revokes certificates, and publishes what others must know of that. Several may work on one home, or on
// one register, at once. It is safe for concurrent use.
type Issuer struct {
	config   Config
	settings Settings
	publish  []material.Reference
	objects  material.Objects
	store    register.Store
	// vouched is how many lines of the register this home had seen when it last began to read it.
	vouched atomic.Uint64

	mu          sync.Mutex
	generations []*generation
	retired     []*generation
	authorities map[authorityKey]*ca.Authority
}

// authorityKey names an authority of the home.
type authorityKey struct {
	generation int
	name       string
}

// Open opens a home that Init or Adopt has made. No key is read yet, and nothing is published.
func Open(config Config) (*Issuer, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	settings, err := readSettings(config.Dir)
	if err != nil {
		return nil, err
	}
	opened, err := newIssuer(config, settings)
	if err != nil {
		return nil, err
	}
	if err := opened.loadGenerations(); err != nil {
		return nil, fmt.Errorf("open the home %s: %w", config.Dir, err)
	}
	if _, err := opened.active(); err != nil {
		return nil, err
	}
	return opened, nil
}

// newIssuer is an Issuer without generations.
func newIssuer(config Config, settings Settings) (*Issuer, error) {
	publish, err := settings.inHome(config.Dir)
	if err != nil {
		return nil, err
	}
	place, err := placeOf(config.Dir, settings.Register)
	if err != nil {
		return nil, err
	}
	made := &Issuer{
		config: config, settings: settings, publish: publish,
		objects:     config.Objects(settings.ExpectedBucketOwner),
		authorities: map[authorityKey]*ca.Authority{},
	}
	storeConfig := register.Config{Clock: config.Clock, Logger: config.Logger.Named("register"), Verify: made.vouch}
	if place.Scheme == material.File {
		made.store = register.NewFileStore(place.Value, storeConfig)
	} else {
		made.store = register.NewObjectStore(segments{objects: made.objects, prefix: place}, storeConfig)
	}
	return made, nil
}

func (i *Issuer) loadGenerations() error {
	inForce, err := loadGenerations(i.config.Dir)
	if err != nil {
		return err
	}
	if len(inForce) == 0 {
		return errors.New("it holds no certificate authority: a folder 1 with root.pem is wanted")
	}
	retired, err := loadGenerations(filepath.Join(i.config.Dir, retiredDir))
	if err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.generations, i.retired = inForce, retired
	return nil
}

// Settings are those of the home.
func (i *Issuer) Settings() Settings { return i.settings }

// active is the generation that issues: the one that the file active names, else the oldest in force.
func (i *Issuer) active() (*generation, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	path := filepath.Join(i.config.Dir, activeFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return i.generations[0], nil
	}
	if err != nil {
		return nil, fmt.Errorf("find the generation that issues: %w", err)
	}
	number, err := strconv.Atoi(string(bytes.TrimSpace(data)))
	if err == nil {
		if found := i.generation(number); found != nil {
			return found, nil
		}
	}
	return nil, fmt.Errorf("%s names no generation that is in force: write the number of one into it, or remove it", path)
}

// generation returns the one in force with a number, nil if there is none. The caller holds the lock.
func (i *Issuer) generation(number int) *generation {
	for _, generation := range i.generations {
		if generation.number == number {
			return generation
		}
	}
	return nil
}

// inForce returns the generations in force, the oldest first.
func (i *Issuer) inForce() []*generation {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]*generation(nil), i.generations...)
}

// authority loads an authority with its key once.
func (i *Issuer) authority(ctx context.Context, g *generation, name string) (*ca.Authority, error) {
	if g.rootIssues() {
		name = rootName
	}
	key := authorityKey{g.number, name}
	i.mu.Lock()
	loaded := i.authorities[key]
	i.mu.Unlock()
	if loaded != nil {
		return loaded, nil
	}
	loaded, err := i.loadAuthority(ctx, g, name) // unlocked: a person may be asked
	if err != nil {
		return nil, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.authorities[key] = loaded
	return loaded, nil
}

// Register returns the register as it is now. It is held against what was known of it before: one whose end is missing is
// refused, and so is one with a certificate that no authority of the home has signed: the error wraps a
// *register.ForeignError.
func (i *Issuer) Register(ctx context.Context) (*register.Register, error) {
	known, err := i.readState() // before the register, which others may append to between
	if err != nil {
		return nil, err
	}
	i.vouched.Store(known.Head.Count)
	loaded, err := i.store.Load(ctx)
	if err != nil {
		return nil, err
	}
	if err := loaded.Check(known.Head); err != nil {
		return nil, err
	}
	return loaded, nil
}

// append enters records, once the register is seen to be whole.
func (i *Issuer) append(ctx context.Context, propose register.Proposal) ([]register.Entry, error) {
	known, err := i.readState() // before the register, as in Register
	if err != nil {
		return nil, err
	}
	i.vouched.Store(known.Head.Count)
	entries, err := i.store.Append(ctx, func(current *register.Register) ([]register.Record, error) {
		if err := current.Check(known.Head); err != nil {
			return nil, err
		}
		return propose(current)
	})
	if err != nil || len(entries) == 0 {
		return nil, err
	}
	last := entries[len(entries)-1]
	err = i.remember(state{Head: register.Head{Count: last.Sequence, Hash: last.Hash, Time: last.Time}})
	if err != nil {
		// The entry is kept; only a later loss of the register's end would be noticed less surely.
		i.config.Logger.Warn("how far the register has come cannot be remembered", "error", err)
	}
	return entries, nil
}

// segments keeps the register's objects under a prefix.
type segments struct {
	objects material.Objects
	prefix  material.Reference
}

// Read implements register.Segments.
func (s segments) Read(ctx context.Context, name string) ([]byte, error) {
	content, err := s.objects.Get(ctx, s.prefix.Beside("/"+name))
	return content.Data, err
}

// Create implements register.Segments.
func (s segments) Create(ctx context.Context, name string, data []byte) error {
	_, err := s.objects.Put(ctx, s.prefix.Beside("/"+name), data, material.Condition{IfAbsent: true})
	return err
}
