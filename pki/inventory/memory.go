package inventory

import (
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
)

// memory is what a Keeper knows from one look to the next.
type memory struct {
	generation  uint64
	content     string // hash of what the generation holds
	next        time.Time
	problems    map[problemKey]time.Time
	authorities map[string]*authority
	truststores map[string]*Truststore
	pairs       map[string]*KeyPair
	issued      map[string]issuance
	// Development authorities stay in memory for good, so that one without a StateDir is the same when its resource
	// comes back.
	development map[developmentKey]*ca.Authority
}

func newMemory() memory {
	return memory{
		problems:    make(map[problemKey]time.Time),
		authorities: make(map[string]*authority),
		truststores: make(map[string]*Truststore),
		pairs:       make(map[string]*KeyPair),
		issued:      make(map[string]issuance),
		development: make(map[developmentKey]*ca.Authority),
	}
}

// problemKey tells one problem from another: the same text about the same resource is the same problem.
type problemKey struct{ kind, name, text string }
