package signingkey

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/sallyport-project/sallyport/internal/atomicfile"
	"github.com/sallyport-project/sallyport/pki/ca"
)

// kept is what the file holds.
type kept struct {
	Keys []keptKey `json:"keys"`
}

type keptKey struct {
	Begins     time.Time `json:"begins"`
	PrivateKey string    `json:"private_key"`
}

// load returns the keys that the file holds; none where there is no file.
func (r *Ring) load() ([]Key, error) {
	if r.path == "" {
		return r.keys, nil
	}
	data, err := os.ReadFile(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var keys []Key
	if err == nil {
		keys, err = decodeKeys(data)
	}
	if err != nil {
		return nil, fmt.Errorf("the signing keys in %s cannot be used: %w; put the file back, or remove it to have a new key made, by which no token from before is good", r.path, err)
	}
	return keys, nil
}

// decodeKeys reads a file. Its errors hold no part of it.
func decodeKeys(data []byte) ([]Key, error) {
	var held kept
	if json.Unmarshal(data, &held) != nil || len(held.Keys) == 0 {
		return nil, errors.New("it holds no keys")
	}
	keys := make([]Key, len(held.Keys))
	for i, one := range held.Keys {
		key, err := Parse([]byte(one.PrivateKey))
		switch {
		case err != nil:
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		case one.Begins.IsZero() || i > 0 && !one.Begins.After(keys[i-1].Begins):
			return nil, fmt.Errorf("key %d does not begin after the one before it", i+1)
		}
		keys[i], keys[i].Begins = key, one.Begins
	}
	return keys, nil
}

// save replaces the file as a whole. Its caller holds the lock.
func (r *Ring) save(keys []Key) error {
	if r.path == "" {
		return nil
	}
	held := kept{Keys: make([]keptKey, len(keys))}
	for i, key := range keys {
		encoded, err := ca.EncodePrivateKey(key.Signer)
		if err != nil {
			return err
		}
		held.Keys[i] = keptKey{Begins: key.Begins.UTC(), PrivateKey: string(encoded)}
	}
	data, err := json.Marshal(held)
	if err != nil {
		return fmt.Errorf("encode the signing keys: %w", err)
	}
	if err := atomicfile.Replace(r.path, data, 0o600); err != nil {
		return fmt.Errorf("keep the signing keys: %w", err)
	}
	return nil
}
