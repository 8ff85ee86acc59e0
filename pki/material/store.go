package material

import (
	"context"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/errgroup"

	"github.com/sallyport-project/sallyport/internal/filewatch"
)

// DefaultRefresh is how often a remote reference is looked at if its Source does not say.
const DefaultRefresh = 5 * time.Second

// Config is what a Store needs. The zero value will do for files, variables and addresses.
type Config struct {
	// Logger is told what cannot be watched or kept. Silent if nil.
	Logger hclog.Logger
	// Allow limits what Read returns, and what is fetched.
	Allow AllowList
	// Debounce is how long the files must be quiet before a change is reported; 100 ms if zero. A change is reported after
	// ten times that at the latest. Of a remote reference, it is how long the others are given to be asked again.
	Debounce time.Duration
	// Rescan is how often a change is reported without any sign of one, because network file systems give none, nor does
	// the renaming of a distant parent folder; 30 s if zero.
	Rescan time.Duration
	// LookupEnv is os.LookupEnv if nil.
	LookupEnv func(string) (string, bool)

	// Fetchers get remote references, by scheme; package aws has those of S3 and SecretsManager. HTTP and HTTPS have one
	// unless another is given.
	Fetchers map[Scheme]Fetcher
	// Timeout ends an attempt to get a remote reference; 5 s if zero.
	Timeout time.Duration
	// ColdWait is how long after Watch a Read waits for the first attempt; 3 s if zero.
	ColdWait time.Duration
	// Keep is a folder in which the last good bytes of remote references outlive the process, in files of mode 0600. It is
	// made if needed, with mode 0700. Secrets are never kept in it. If empty, nothing is kept.
	Keep string
	// Clock is time.Now if nil.
	Clock func() time.Time
}

// Source is a reference and how it is to be watched.
type Source struct {
	Reference Reference
	// Refresh is how often a remote reference is looked at; DefaultRefresh if zero. Of several for the same one, the
	// shortest holds.
	Refresh time.Duration
	// ExpectedOwner is the AWS account that must own the bucket of an S3 reference (x-amz-expected-bucket-owner); empty for
	// any. It holds for everybody who reads that reference.
	ExpectedOwner string
}

// Store reads references, watches the files among them, and polls the remote ones. It is safe for concurrent use.
type Store struct {
	config  Config
	watcher *filewatch.Watcher
	poller  *poller
	changes chan struct{}
}

// NewStore makes a Store. Nothing is watched until Run.
func NewStore(config Config) *Store {
	if config.LookupEnv == nil {
		config.LookupEnv = os.LookupEnv
	}
	if config.Logger == nil {
		config.Logger = hclog.NewNullLogger()
	}
	if config.Debounce == 0 {
		config.Debounce = 100 * time.Millisecond
	}
	store := &Store{config: config, changes: make(chan struct{}, 1), watcher: filewatch.New(filewatch.Config{
		Logger: config.Logger, Debounce: config.Debounce, Rescan: config.Rescan,
	})}
	store.poller = newPoller(config, store.signal)
	return store
}

// Changes receives a value when something that is watched may have changed, or has begun or ceased to be readable: read
// again, and compare. One value stands for any number of changes since the last was taken. It is never closed, and meant
// for one receiver.
func (s *Store) Changes() <-chan struct{} { return s.changes }

func (s *Store) signal() {
	select {
	case s.changes <- struct{}{}:
	default: // one is waiting to be taken
	}
}

// Run watches and polls until the context ends, and then returns nil. It reports one change when it begins, for whatever
// happened before. The error is that this system gives no more watches; call Run once.
func (s *Store) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.watcher.Run(ctx) })
	group.Go(func() error {
		s.poller.run(ctx)
		return nil
	})
	group.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-s.watcher.Changes():
				s.signal()
			}
		}
	})
	return group.Wait()
}

// Watch replaces what is watched. Call it before Read, so that nothing that happens between the two is missed, and so
// that remote references are known at all: what is new among them is asked for at once, in the background. References
// that are not allowed are passed over, and so are variables: the environment of a process does not change.
func (s *Store) Watch(ctx context.Context, sources []Source) {
	var paths []string
	var remotes []Source
	for _, source := range sources {
		switch {
		case s.config.Allow.Check(source.Reference) != nil:
		case source.Reference.Scheme == File:
			paths = append(paths, source.Reference.Value)
		case source.Reference.Remote():
			remotes = append(remotes, source)
		}
	}
	s.watcher.Watch(paths, nil)
	s.poller.watch(ctx, remotes)
}

// Accept tells that bytes of a remote reference have proved good, so that LastGood returns them, after a restart too if
// Config says where to Keep them. For other references and for secrets it does nothing.
func (s *Store) Accept(reference Reference, data []byte) { s.poller.accept(reference, data) }

// LastGood returns what was accepted last for a watched reference, in this process or the one before: something to begin
// with while Read gives an error or nothing good. The caller shares the bytes and does not change them.
func (s *Store) LastGood(reference Reference) (data []byte, found bool) {
	if s.config.Allow.Check(reference) != nil {
		return nil, false
	}
	return s.poller.lastGood(reference)
}

// Allowed reports, as an error that wraps ErrNotAllowed, that the configuration may not use a reference, for those that are
// used in another way than by Read.
func (s *Store) Allowed(reference Reference) error { return s.config.Allow.Check(reference) }

// States tells how each remote reference that is watched fares, sorted by reference.
func (s *Store) States() []State { return s.poller.states() }
