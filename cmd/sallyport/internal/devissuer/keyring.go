package devissuer

import (
	"sync"

	"github.com/go-jose/go-jose/v4"
)

// keyring holds the keys of all issuers, also of those that an edit took away for a while.
type keyring struct {
	folder string

	mu        sync.Mutex
	keys      map[string]*signingKey
	strangers map[jose.SignatureAlgorithm]*signingKey
}

func newKeyring(folder string) *keyring {
	return &keyring{folder: folder, keys: map[string]*signingKey{}, strangers: map[jose.SignatureAlgorithm]*signingKey{}}
}

// of is the key of an issuer.
func (k *keyring) of(name string, algorithm jose.SignatureAlgorithm) (*signingKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	id := name + " " + string(algorithm)
	if key := k.keys[id]; key != nil {
		return key, nil
	}
	key, err := keptKey(k.folder, name, algorithm)
	if err != nil {
		return nil, err
	}
	k.keys[id] = key
	return key, nil
}

// stranger is a key that is in no key set.
func (k *keyring) stranger(algorithm jose.SignatureAlgorithm) (*signingKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if key := k.strangers[algorithm]; key != nil {
		return key, nil
	}
	key, err := newKey(algorithm)
	if err != nil {
		return nil, err
	}
	k.strangers[algorithm] = key
	return key, nil
}
