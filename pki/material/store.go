package material

import (
	"os"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Config is what a Store needs. The zero value will do.
type Config struct {
	// Logger is told what cannot be watched. Silent if nil.
	Logger hclog.Logger
	// Allow limits what Read returns.
	Allow AllowList
	// Debounce is how long the files must be quiet before a change is reported; 100 ms if zero. A change is reported after
	// ten times that at the latest.
	Debounce time.Duration
	// Rescan is how often a change is reported without any sign of one, because network file systems give none, nor does
	// the renaming of a distant parent folder; 30 s if zero.
	Rescan time.Duration
	// LookupEnv is os.LookupEnv if nil.
	LookupEnv func(string) (string, bool)
}

// Store reads references and watches the files among them. It is safe for concurrent use.
type Store struct {
	config  Config
	changes chan struct{}

	mu      sync.Mutex
	paths   []string
	watches *watches // nil unless Run is running
}

// NewStore makes a Store. Nothing is watched until Run.
func NewStore(config Config) *Store {
	if config.Logger == nil {
		config.Logger = hclog.NewNullLogger()
	}
	if config.Debounce == 0 {
		config.Debounce = 100 * time.Millisecond
	}
	if config.Rescan == 0 {
		config.Rescan = 30 * time.Second
	}
	if config.LookupEnv == nil {
		config.LookupEnv = os.LookupEnv
	}
	return &Store{config: config, changes: make(chan struct{}, 1)}
}

// Changes receives a value when something that is watched may have changed: read again, and compare. One value stands
// for any number of changes since the last was taken. It is never closed, and meant for one receiver.
func (s *Store) Changes() <-chan struct{} { return s.changes }

func (s *Store) signal() {
	select {
	case s.changes <- struct{}{}:
	default: // one is waiting to be taken
	}
}

// Watch replaces what is watched. Call it before Read, so that nothing that happens between the two is missed. References
// other than files are passed over: the environment of a process does not change.
func (s *Store) Watch(references []Reference) {
	var paths []string
	for _, reference := range references {
		if reference.Scheme == File && s.config.Allow.Check(reference) == nil {
			paths = append(paths, reference.Value)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paths = paths
	if s.watches != nil {
		s.watches.follow(paths)
	}
}
