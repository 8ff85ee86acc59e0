// Package directory is a configuration source: a folder of YAML files, watched.
//
// It notices edits, files and folders that come and go, the swap of a symbolic link (as Kubernetes mounts and release
// folders do), and the folder itself vanishing and coming back. It reads and decodes; whether a configuration is good, and
// what becomes of it, is its user's business.
package directory

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/document"
	"github.com/sallyport-project/sallyport/internal/filewatch"
)

// Reading is the folder's content at one moment.
type Reading struct {
	Directory string
	Documents []*document.Document
	// Complete tells whether every file was read to its end.
	Complete bool
	Problems document.Problems
}

// Config is what a Source needs.
type Config struct {
	Directory string
	// Logger is told when the folder cannot be read. Silent if nil.
	Logger hclog.Logger
	// Debounce is how long the folder must be quiet before it is read again. Default 100ms.
	Debounce time.Duration
}

// Source reads a folder and follows its changes.
type Source struct {
	config  Config
	watcher *filewatch.Watcher
	last    [sha256.Size]byte
}

// New makes a source. Nothing is read until Read or Run.
func New(c Config) *Source {
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	return &Source{config: c, watcher: filewatch.New(filewatch.Config{Logger: c.Logger, Debounce: c.Debounce})}
}

// Read reads the folder now. Run will not report this content again.
func (s *Source) Read() (Reading, error) {
	reading, _, err := s.read()
	return reading, err
}

// Run calls load with each content that differs from the one before, until the context ends. While the folder is gone, or
// cannot be read, nothing is reported, so that what is in force stays.
func (s *Source) Run(ctx context.Context, load func(context.Context, Reading)) error {
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	watching := make(chan error, 1)
	s.watcher.Watch(nil, s.folders())
	go func() { watching <- s.watcher.Run(within) }()
	away := false
	for {
		select {
		case <-ctx.Done():
			return <-watching
		case err := <-watching:
			return err
		case <-s.watcher.Changes():
		}
		s.watcher.Watch(nil, s.folders())
		reading, changed, err := s.read()
		if err != nil {
			if !away {
				s.config.Logger.Warn("the configuration cannot be read; what is in force stays", "error", err)
			}
			away = true
			continue
		}
		away = false
		if changed {
			load(ctx, reading)
		}
	}
}

// read reads the folder and tells whether its content differs from that of the last time.
func (s *Source) read() (reading Reading, changed bool, err error) {
	files, err := config.ReadFiles(s.config.Directory)
	if err != nil {
		return Reading{}, false, err
	}
	content := fingerprint(files)
	changed = content != s.last
	s.last = content
	reading = Reading{Directory: s.config.Directory}
	reading.Documents, reading.Complete, reading.Problems = config.Decode(files)
	return reading, changed, nil
}

// fingerprint is a hash of all names and contents.
func fingerprint(files []config.File) [sha256.Size]byte {
	hash := sha256.New()
	for _, file := range files {
		fmt.Fprintf(hash, "%q %d %v\n", file.Path, len(file.Data), file.Err)
		hash.Write(file.Data)
	}
	return [sha256.Size]byte(hash.Sum(nil))
}

// folders are the folder and those below it; the folder alone while they cannot be listed.
func (s *Source) folders() []string {
	_, folders, err := config.Files(s.config.Directory)
	if err != nil {
		return []string{s.config.Directory}
	}
	return folders
}
