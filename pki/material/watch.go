package material

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Run watches until the context ends, and then returns nil. It reports one change when it begins, for whatever happened
// before. The error is that this system gives no more watches; call Run once.
//
// It watches folders, not files, so that a file may be replaced, appear, vanish, or be swapped by a symbolic link above
// it, and the folder itself may vanish and come back.
func (s *Store) Run(ctx context.Context) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch files: %w", err)
	}
	defer func() { _ = watcher.Close() }() // nothing is lost

	s.begin(watcher)
	defer s.end()
	s.signal()

	quiet := newDebounce(s.config.Debounce)
	rescan := time.NewTicker(s.config.Rescan)
	defer rescan.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case event := <-watcher.Events:
			if s.concerns(event) {
				quiet.begin()
			}
		case err := <-watcher.Errors: // usually an overflow: events were lost
			s.config.Logger.Warn("file changes may have been missed, reading all again", "error", err)
			quiet.begin()
		case <-rescan.C:
			quiet.begin()
		case <-quiet.over():
			quiet.end()
			s.refresh()
			s.signal()
		}
	}
}

func (s *Store) begin(watcher *fsnotify.Watcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watches = &watches{watcher: watcher, warn: s.config.Logger.Warn, folders: make(map[string]os.FileInfo)}
	s.watches.follow(s.paths)
}

func (s *Store) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watches = nil
}

// refresh looks again at where the paths lead now.
func (s *Store) refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watches.follow(s.paths)
}

func (s *Store) concerns(event fsnotify.Event) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.watches.concerns(event)
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
func (w *watches) follow(paths []string) {
	const looks = 5
	for range looks {
		found := make(places)
		for _, path := range paths {
			found.addPath(path)
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
	_, matters := w.places[filepath.Dir(name)][filepath.Base(name)]
	return matters
}
