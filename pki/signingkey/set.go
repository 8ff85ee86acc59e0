package signingkey

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Set is an issuer's keys at one moment. It is immutable, and a secret: print its String, never its fields.
type Set struct {
	// Signing signs what is issued now.
	Signing Key
	// Published are the keys by which verifiers are to verify, sorted by ID, each once: the signing one, the one after it, and
	// those before it while tokens of theirs may be good.
	Published []Key
	// Hash is a SHA-256 in hexadecimal that tells the set from any other. It may be printed.
	Hash string
}

// String names the keys and holds nothing secret.
func (s *Set) String() string {
	if s == nil {
		return "no signing keys"
	}
	return fmt.Sprintf("%d signing keys (%s signs, sha256 %.12s)", len(s.Published), s.Signing.ID, s.Hash)
}

// GoString keeps the keys out of %#v.
func (s *Set) GoString() string { return "signingkey.Set{" + s.String() + "}" }

// FromMaterial makes a set of private keys in PEM, as Parse reads them: the first one signs, and all are published. To rotate
// them is left to whoever provides them: publish the next key behind the first for as long as verifiers keep key sets, and only
// then put it first; leave the former one behind it until its tokens have run out.
func FromMaterial(keys ...[]byte) (*Set, error) {
	if len(keys) == 0 {
		return nil, errors.New("there is no signing key")
	}
	all := make([]Key, len(keys))
	for i, text := range keys {
		key, err := Parse(text)
		if err != nil {
			return nil, fmt.Errorf("signing key %d: %w", i+1, err)
		}
		all[i] = key
	}
	return newSet(all[0], all), nil
}

func newSet(signing Key, published []Key) *Set {
	published = slices.Clone(published)
	slices.SortFunc(published, func(a, b Key) int { return cmp.Compare(a.ID, b.ID) })
	published = slices.CompactFunc(published, func(a, b Key) bool { return a.ID == b.ID })
	sum := sha256.New()
	_, _ = io.WriteString(sum, signing.ID+"\n") // a hash takes everything
	for _, key := range published {
		_, _ = io.WriteString(sum, key.ID+"\n") // IDs have no line feeds
	}
	return &Set{Signing: signing, Published: published, Hash: hex.EncodeToString(sum.Sum(nil))}
}
