package material

import (
	"context"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/sallyport-project/sallyport/internal/filewatch"
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
	watcher *filewatch.Watcher
}

// NewStore makes a Store. Nothing is watched until Run.
func NewStore(config Config) *Store {
	if config.LookupEnv == nil {
		config.LookupEnv = os.LookupEnv
	}
	return &Store{config: config, watcher: filewatch.New(filewatch.Config{
		Logger: config.Logger, Debounce: config.Debounce, Rescan: config.Rescan,
	})}
}

// Changes receives a value when something that is watched may have changed: read again, and compare. It is meant for one
// receiver; see filewatch.Watcher.
func (s *Store) Changes() <-chan struct{} { return s.watcher.Changes() }

// Run watches until the context ends, and then returns nil. It reports one change when it begins, for whatever happened
// before. The error is that this system gives no more watches; call Run once.
func (s *Store) Run(ctx context.Context) error { return s.watcher.Run(ctx) }

// Watch replaces what is watched. Call it before Read, so that nothing that happens between the two is missed. References
// other than files are passed over: the environment of a process does not change.
func (s *Store) Watch(references []Reference) {
	var paths []string
	for _, reference := range references {
		if reference.Scheme == File && s.config.Allow.Check(reference) == nil {
			paths = append(paths, reference.Value)
		}
	}
	s.watcher.Watch(paths, nil)
}
