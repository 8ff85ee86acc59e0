package bearer

import (
	"crypto/sha256"
	"fmt"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/sallyport-project/sallyport/authz/jose"
)

// DefaultCacheSize is how many accepted tokens are remembered, unless told otherwise. Of each no more is kept than that its signature
// is good, 200 bytes; of every tenth, those that came last, also how it reads, which is 4 KiB as a rule. All together stay below 100 MB
// then; tokens of 8 KiB, which their issuers have to sign, could take several times that.
const DefaultCacheSize = 100_000

// tenth is the size of the smaller caches: of accepted tokens as they read, of tokens whose signature is bad, and of Providers' answers
// of either kind. It is never nothing.
func tenth(size int) int { return max(1, size/10) }

// memory is what is remembered of tokens. Both facts depend on nothing but what they are kept under: whether a signature is good, on
// the token and the key set; how a token reads, on the token. So neither ever has to be forgotten.
type memory struct {
	// Good and bad ones are kept apart, so that strangers cannot displace callers.
	good, bad *lru.Cache[signature, struct{}]
	// whole are tokens as they read, of which a Provider once signed each.
	whole *lru.Cache[[sha256.Size]byte, *jose.Token]
}

// signature is a token, and the hash of the key set that judged it.
type signature struct {
	token  [sha256.Size]byte
	keySet string
}

func newMemory(size int) (*memory, error) {
	good, err := lru.New[signature, struct{}](size)
	if err != nil {
		return nil, fmt.Errorf("make a cache of %d tokens: %w", size, err)
	}
	bad, err := lru.New[signature, struct{}](tenth(size))
	if err != nil {
		return nil, fmt.Errorf("make a cache of tokens: %w", err)
	}
	whole, err := lru.New[[sha256.Size]byte, *jose.Token](tenth(size))
	if err != nil {
		return nil, fmt.Errorf("make a cache of tokens: %w", err)
	}
	return &memory{good, bad, whole}, nil
}

// read is how a token reads. The error is jose.Parse's.
func (m *memory) read(sum [sha256.Size]byte, raw string) (*jose.Token, error) {
	if whole, ok := m.whole.Get(sum); ok {
		return whole, nil
	}
	return jose.Parse(raw)
}

// verified tells whether one of the keys, which the set has for this token, made its signature.
func (m *memory) verified(of signature, token *jose.Token, keys []jose.Key) bool {
	if _, ok := m.good.Get(of); ok {
		m.whole.Add(of.token, token)
		return true
	}
	if _, ok := m.bad.Get(of); ok {
		return false
	}
	for _, key := range keys {
		if token.Verify(key) == nil {
			m.good.Add(of, struct{}{})
			m.whole.Add(of.token, token)
			return true
		}
	}
	m.bad.Add(of, struct{}{})
	return false
}
