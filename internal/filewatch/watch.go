// Package filewatch says when files or folders may have changed, wherever symbolic links lead on the way to them.
//
// It watches folders, not files, so that a file may be replaced, appear, vanish, or be swapped by a symbolic link above
// it, and the folder itself may vanish and come back. It reads nothing: its user reads again, and compares.
package filewatch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/hashicorp/go-hclog"
)

// Config is what a Watcher needs. The zero value will do.
type Config struct {
	// Logger is told what cannot be watched. Silent if nil.
	Logger hclog.Logger
	// Debounce is how long the files must be quiet before a change is reported; 100 ms if zero. A change is reported after
	// ten times that at the latest.
	Debounce time.Duration
	// Rescan is how often a change is reported without any sign of one, because network file systems give none, nor does
	// the renaming of a distant parent folder; 30 s if zero.
	Rescan time.Duration
}

// Watcher watches files and folders. It is safe for concurrent use.
type Watcher struct {
	config  Config
	changes chan struct{}

	mu      sync.Mutex
	files   []string
	folders []string
	watches *watches // nil unless Run is running
}

// New makes a Watcher. Nothing is watched until Run.
func New(config Config) *Watcher {
	if config.Logger == nil {
		config.Logger = hclog.NewNullLogger()
	}
	if config.Debounce == 0 {
		config.Debounce = 100 * time.Millisecond
	}
	if config.Rescan == 0 {
		config.Rescan = 30 * time.Second
	}
	return &Watcher{config: config, changes: make(chan struct{}, 1)}
}

// Changes receives a value when something that is watched may have changed: read again, and compare. One value stands
// for any number of changes since the last was taken. It is never closed, and meant for one receiver.
func (w *Watcher) Changes() <-chan struct{} { return w.changes }

func (w *Watcher) signal() {
	select {
	case w.changes <- struct{}{}:
	default: // one is waiting to be taken
	}
}

// Watch replaces what is watched: files, and folders with all that lies directly in them. Call it before reading, so that
// nothing that happens between the two is missed.
func (w *Watcher) Watch(files, folders []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.files, w.folders = absolute(files), absolute(folders)
	if w.watches != nil {
		w.watches.follow(w.files, w.folders)
	}
}

// absolute makes paths absolute without resolving links or `..`.
func absolute(paths []string) []string {
	all := make([]string, 0, len(paths))
	for _, path := range paths {
		if !filepath.IsAbs(path) {
			if here, err := os.Getwd(); err == nil {
				path = here + string(filepath.Separator) + path
			}
		}
		all = append(all, path)
	}
	return all
}

// Run watches until the context ends, and then returns nil. It reports one change when it begins, for whatever happened
// before. The error is that this system gives no more watches; call Run once.
func (w *Watcher) Run(ctx context.Context) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch files: %w", err)
	}
	defer func() { _ = watcher.Close() }() // nothing is lost

	w.begin(watcher)
	defer w.end()
	w.signal()

	quiet := newDebounce(w.config.Debounce)
	rescan := time.NewTicker(w.config.Rescan)
	defer rescan.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case event := <-watcher.Events:
			if w.concerns(event) {
				quiet.begin()
			}
		case err := <-watcher.Errors: // usually an overflow: events were lost
			w.config.Logger.Warn("file changes may have been missed, reading all again", "error", err)
			quiet.begin()
		case <-rescan.C:
			quiet.begin()
		case <-quiet.over():
			quiet.end()
			w.refresh()
			w.signal()
		}
	}
}

func (w *Watcher) begin(watcher *fsnotify.Watcher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watches = &watches{watcher: watcher, warn: w.config.Logger.Warn, folders: make(map[string]os.FileInfo)}
	w.watches.follow(w.files, w.folders)
}

func (w *Watcher) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watches = nil
}

// refresh looks again at where the paths lead now.
func (w *Watcher) refresh() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watches.follow(w.files, w.folders)
}

func (w *Watcher) concerns(event fsnotify.Event) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.watches.concerns(event)
}

// watches are the folders that are being watched. Its owner holds the lock.
type watches struct {
	watcher *fsnotify.Watcher
	warn    func(message string, keysAndValues ...any)
	places  places
	folders map[string]os.FileInfo // which folder it was that stood at a path when its watch was set
}

// follow watches wherever the paths lead, and nothing else. A folder can appear between the look and the watch, so it
// looks again until both agree; what still changes then is seen as an event.
func (w *watches) follow(files, folders []string) {
	const looks = 5
	for range looks {
		found := make(places)
		for _, path := range files {
			found.addPath(path)
		}
		for _, path := range folders {
			found.addFolder(path)
		}
		w.places = found
		if settled := w.watchPlaces(); settled {
			return
		}
	}
}

// watchPlaces sets and ends watches until they fit the places, and reports whether they did already.
func (w *watches) watchPlaces() (settled bool) {
	settled = true
	for folder := range w.folders {
		if _, wanted := w.places[folder]; !wanted {
			_ = w.watcher.Remove(folder) // it may be gone by itself
			delete(w.folders, folder)
		}
	}
	for folder := range w.places {
		info, err := os.Stat(folder)
		if err != nil {
			settled = false // it vanished since the look
			continue
		}
		if before, watched := w.folders[folder]; watched {
			if os.SameFile(before, info) {
				continue
			}
			_ = w.watcher.Remove(folder) // the watch is on the folder that stood here before
		}
		if err := w.watcher.Add(folder); err != nil {
			delete(w.folders, folder)
			w.warn("a folder cannot be watched, its files are looked at from time to time", "folder", folder, "error", err)
			continue
		}
		w.folders[folder] = info
		settled = false
	}
	return settled
}

// concerns reports whether an event is about a name that matters, or about a watched folder itself.
func (w *watches) concerns(event fsnotify.Event) bool {
	name := filepath.Clean(event.Name)
	if _, itself := w.folders[name]; itself {
		if event.Has(fsnotify.Remove) || event.Has(fsnotify.Rename) {
			delete(w.folders, name) // the watch ended with it
		}
		return true
	}
	return w.places.matter(filepath.Dir(name), filepath.Base(name))
}
