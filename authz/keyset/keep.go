package keyset

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/internal/atomicfile"
	"github.com/sallyport-project/sallyport/pki/material"
)

// format is the version of the files.
const format = 1

// keep is the folder in which sets outlive the process. A failure to keep one is told to the log alone: what is in force does
// not depend on it.
type keep struct {
	folder string
	logger hclog.Logger
}

// kept is what a file holds. Name and identity are held against those asked for.
type kept struct {
	Format   int       `json:"format"`
	Name     string    `json:"name"`
	Identity string    `json:"identity"`
	Fetched  time.Time `json:"fetched"`
	Data     []byte    `json:"data"`
}

// path names a file by a hash, in which no name can lead out of the folder.
func (k keep) path(name, identity string) string {
	sum := sha256.Sum256([]byte(fmt.Sprintf("%d %s%s", len(name), name, identity)))
	return filepath.Join(k.folder, hex.EncodeToString(sum[:])+".json")
}

// load returns nil if there is nothing.
func (k keep) load(name, identity string) ([]byte, time.Time) {
	if k.folder == "" {
		return nil, time.Time{}
	}
	found, err := read(k.path(name, identity))
	if err == nil && (found.Name != name || found.Identity != identity) {
		err = errors.New("it was kept for something else")
	}
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			k.logger.Warn("what was kept of a provider's key set cannot be read", "provider", name, "error", err)
		}
		return nil, time.Time{}
	}
	return found.Data, found.Fetched
}

func read(path string) (kept, error) {
	file, err := os.Open(path)
	if err != nil {
		return kept{}, err
	}
	defer func() { _ = file.Close() }()                              // it was only read
	encoded, err := material.ReadLimited(file, 2*jose.MaxKeySetSize) // it is longer than what it holds
	if err != nil {
		return kept{}, err
	}
	var found kept
	if err := json.Unmarshal(encoded, &found); err != nil {
		return kept{}, err
	}
	if found.Format != format {
		return kept{}, fmt.Errorf("it has the format %d, and %d is known", found.Format, format)
	}
	return found, nil
}

func (k keep) save(name, identity string, data []byte, fetched time.Time) {
	if k.folder == "" {
		return
	}
	encoded, err := json.Marshal(kept{Format: format, Name: name, Identity: identity, Fetched: fetched.UTC(), Data: data})
	if err == nil {
		err = os.MkdirAll(k.folder, 0o700)
	}
	if err == nil {
		err = atomicfile.Replace(k.path(name, identity), encoded, 0o600)
	}
	if err != nil {
		k.logger.Warn("a provider's key set cannot be kept for a restart", "provider", name, "error", err)
	}
}
