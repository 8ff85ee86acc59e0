package material

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hashicorp/go-hclog"

	"github.com/sallyport-project/sallyport/internal/atomicfile"
)

// keep is the folder in which last good bytes outlive the process. A failure to keep them is told to the log alone: what
// is in force does not depend on it.
type keep struct {
	folder string
	logger hclog.Logger
}

// kept is what a file holds. The place and its owner are held against those asked for.
type kept struct {
	Place string `json:"place"`
	Owner string `json:"owner,omitempty"`
	Data  []byte `json:"data"`
}

// path names a file by a hash, which gives away neither bucket nor key.
func (k keep) path(place Reference, owner string) string {
	sum := sha256.Sum256([]byte(owner + "\n" + place.String()))
	return filepath.Join(k.folder, hex.EncodeToString(sum[:]))
}

// load returns nil if there is nothing.
func (k keep) load(place Reference, owner string) []byte {
	if k.folder == "" || place.Scheme == SecretsManager {
		return nil
	}
	encoded, err := readFile("", k.path(place, owner), 2*MaxSize) // it is longer than what it holds
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var found kept
	if err == nil {
		err = json.Unmarshal(encoded, &found)
	}
	if err == nil && (found.Place != place.String() || found.Owner != owner) {
		err = errors.New("it was kept for something else")
	}
	if err != nil {
		k.logger.Warn("what was kept of a remote reference cannot be used", "reference", place, "error", err)
		return nil
	}
	return found.Data
}

func (k keep) save(place Reference, owner string, data []byte) {
	if k.folder == "" {
		return
	}
	encoded, err := json.Marshal(kept{Place: place.String(), Owner: owner, Data: data})
	if err == nil {
		err = os.MkdirAll(k.folder, 0o700)
	}
	if err == nil {
		err = atomicfile.Replace(k.path(place, owner), encoded, 0o600)
	}
	if err != nil {
		k.logger.Warn("a remote reference cannot be kept for a restart", "reference", place, "error", err)
	}
}
