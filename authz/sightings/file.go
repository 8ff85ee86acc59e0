package sightings

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/sallyport-project/sallyport/internal/atomicfile"
)

// format is the version of the file.
const format = 1

// maxFile is the largest file that is read, in bytes.
const maxFile = 256 << 20

// kept is the content of the file. Strangers are not kept.
type kept struct {
	Format    int        `json:"format"`
	Sightings []Sighting `json:"sightings"`
}

// Run writes the file from time to time, and once more when the context ends; then it returns nil. Without a path it just
// waits. A file that cannot be written is logged, and tried again next time.
func (s *Sightings) Run(ctx context.Context) error {
	ticker := time.NewTicker(s.config.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.save()
		case <-ctx.Done():
			s.save()
			return nil
		}
	}
}

// save writes the file if anything has changed.
func (s *Sightings) save() {
	if s.config.Path == "" || !s.dirty.Swap(false) {
		return
	}
	content, err := json.Marshal(kept{Format: format, Sightings: s.vouched.list()})
	if err == nil {
		err = atomicfile.Replace(s.config.Path, content, 0o600)
	}
	if err != nil {
		s.dirty.Store(true)
		s.config.Logger.Warn("the certificates that were seen cannot be kept over a restart", "file", s.config.Path, "error", err)
	}
}

// load takes over what the file holds.
func (s *Sightings) load() {
	if s.config.Path == "" {
		return
	}
	content, err := read(s.config.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		s.config.Logger.Warn("the certificates that were seen before the start are forgotten", "file", s.config.Path, "error", err)
		return
	}
	for _, one := range content.Sightings {
		if one.SHA256 != "" && one.Vouched() {
			s.vouched.add(key{sha256: one.SHA256, gateway: one.Gateway}, restored(one))
		}
	}
}

func read(path string) (*kept, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("it has more than %d bytes", maxFile)
	}
	var content kept
	if err := json.Unmarshal(data, &content); err != nil {
		return nil, err
	}
	if content.Format != format {
		return nil, fmt.Errorf("it has the format %d, and %d is known", content.Format, format)
	}
	return &content, nil
}
