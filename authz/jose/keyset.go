package jose

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

const (
	// MaxKeySetSize is the longest key set that is read, in bytes.
	MaxKeySetSize = 256 << 10
	// maxKeys is how many keys a set may have, the unfit ones too.
	maxKeys = 100
	// maxCandidates is how many keys a token without kid is tried with, since each costs the time of a verification.
	maxCandidates = 8
)

// KeySet are the keys of an issuer that are fit for verifying tokens. It does not change, and is safe for concurrent use.
type KeySet struct {
	keys []Key // by kid, then thumbprint, then algorithm
	byID map[string][]Key
	hash string
}

// ParseKeySet reads a JWK set (RFC 7517 section 5) of at most 256 KiB and 100 keys. A key that cannot be used is left out, and
// the second result says of each which it was, and why: it is not for signatures, too weak, of an unknown type, private, or has
// the same kid as a different key. A set may so have no keys at all. The error says that it is not a set.
func ParseKeySet(data []byte) (*KeySet, []string, error) {
	if len(data) > MaxKeySetSize {
		return nil, nil, errors.New("the key set has more than 256 KiB")
	}
	members, err := readObject(string(data))
	if err != nil {
		return nil, nil, fmt.Errorf("the key set cannot be read: %w", err)
	}
	list, ok := members["keys"].([]any)
	if !ok {
		return nil, nil, errors.New("the key set has no list of keys")
	}
	if len(list) > maxKeys {
		return nil, nil, fmt.Errorf("the key set has %d keys: at most %d are taken", len(list), maxKeys)
	}
	var keys []Key
	var leftOut []string
	for i, element := range list {
		jwk, ok := element.(map[string]any)
		if !ok {
			return nil, nil, fmt.Errorf("key %d of the key set is not an object", i+1)
		}
		key, err := readKey(jwk)
		if err != nil {
			leftOut = append(leftOut, fmt.Sprintf("%s: %v", nameKey(i, jwk), err))
			continue
		}
		keys = append(keys, key)
	}
	keys, ambiguous := dropAmbiguous(keys)
	return newKeySet(keys), append(leftOut, ambiguous...), nil
}

// nameKey is how people are told of a key: by its place, and its kid if that can be shown.
func nameKey(i int, jwk map[string]any) string {
	if kid, ok := jwk["kid"].(string); ok && isPrintable(kid, maxKeyIDLength) {
		return fmt.Sprintf("key %d (kid %q)", i+1, kid)
	}
	return fmt.Sprintf("key %d", i+1)
}

// dropAmbiguous leaves out all keys that share their kid with a different key, since a token that names it could mean either.
// The same key may be there for several algorithms.
func dropAmbiguous(keys []Key) (kept []Key, leftOut []string) {
	first := make(map[string]string)
	ambiguous := make(map[string]bool)
	for _, key := range keys {
		if key.id == "" {
			continue
		}
		if thumbprint, there := first[key.id]; there && thumbprint != key.thumbprint {
			ambiguous[key.id] = true
		}
		first[key.id] = key.thumbprint
	}
	for _, key := range keys {
		if !ambiguous[key.id] {
			kept = append(kept, key)
		}
	}
	for kid := range ambiguous {
		leftOut = append(leftOut, fmt.Sprintf("kid %q: different keys have it, and none of them is used", kid))
	}
	slices.Sort(leftOut)
	return kept, leftOut
}

// newKeySet orders keys, so that equal sets are equal in whatever order they come.
func newKeySet(keys []Key) *KeySet {
	keys = slices.Clone(keys)
	sortKeys(keys)
	keys = slices.CompactFunc(keys, func(a, b Key) bool { return compareKeys(a, b) == 0 })
	s := &KeySet{keys: keys, byID: make(map[string][]Key)}
	sum := sha256.New()
	for _, key := range keys {
		if key.id != "" {
			s.byID[key.id] = append(s.byID[key.id], key)
		}
		// No part can be taken for another: thumbprints and algorithms have no spaces, kids no line feeds.
		_, _ = io.WriteString(sum, key.thumbprint+" "+string(key.algorithm)+" "+key.id+"\n")
	}
	s.hash = hex.EncodeToString(sum.Sum(nil))
	return s
}

func sortKeys(keys []Key) { slices.SortFunc(keys, compareKeys) }

func compareKeys(a, b Key) int {
	return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.thumbprint, b.thumbprint), cmp.Compare(a.algorithm, b.algorithm))
}

// Find are the keys that a token can have been signed with: of those that fit the algorithm, the ones whose kid is exactly the
// token's, or, where the token has none, all of them, but 8 at most. The set may be nil, and then has none.
func (s *KeySet) Find(kid string, a Algorithm) []Key {
	if s == nil {
		return nil
	}
	candidates := s.keys
	if kid != "" {
		candidates = s.byID[kid]
	}
	var found []Key
	for _, key := range candidates {
		if key.Fits(a) {
			if found = append(found, key); len(found) == maxCandidates {
				break
			}
		}
	}
	return found
}

// Len is the number of keys.
func (s *KeySet) Len() int {
	if s == nil {
		return 0
	}
	return len(s.keys)
}

// Usable is an error for a set without a key, which says why it has none; leftOut are the keys that ParseKeySet has left out.
func (s *KeySet) Usable(leftOut []string) error {
	switch {
	case s.Len() > 0:
		return nil
	case len(leftOut) > 0:
		return fmt.Errorf("none of its keys can be used: %s", leftOut[0])
	}
	return errors.New("it has no keys")
}

// Hash is a SHA-256 in hex over the keys, their kids and algorithms: the same for sets that verify the same, in whatever order
// and with whatever else they are written.
func (s *KeySet) Hash() string {
	if s == nil {
		return ""
	}
	return s.hash
}

// KeyIDs are the kids of the set in order, each once. Keys without one are not named.
func (s *KeySet) KeyIDs() []string {
	if s == nil {
		return nil
	}
	ids := make([]string, 0, len(s.byID))
	for id := range s.byID {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// MarshalKeySet writes keys as a JWK set to be published: public numbers, kid, alg, and use. It is the same text in whatever
// order the keys are given. Keys that could not be told apart when the set is read, because different ones have the same kid, or
// one has none, are an error.
func MarshalKeySet(keys []Key) ([]byte, error) {
	keys = slices.Clone(keys)
	sortKeys(keys)
	set := struct {
		Keys []wireKey `json:"keys"`
	}{Keys: make([]wireKey, 0, len(keys))}
	for i, key := range keys {
		if key.public == nil || key.id == "" {
			return nil, errors.New("writing a key set: a key is empty or has no kid")
		}
		if i > 0 && keys[i-1].id == key.id && keys[i-1].thumbprint != key.thumbprint {
			return nil, fmt.Errorf("writing a key set: different keys have the kid %q", key.id)
		}
		w := wire(key.public)
		w.Use, w.Algorithm, w.ID = "sig", string(key.algorithm), key.id
		set.Keys = append(set.Keys, w)
	}
	set.Keys = slices.Compact(set.Keys)
	text, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("writing a key set: %w", err)
	}
	return text, nil
}
