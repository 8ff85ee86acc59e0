package inventory

import (
	"crypto"
	"crypto/rand"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/signingkey"
)

// memory is what a Keeper knows from one look to the next.
type memory struct {
	generation  uint64
	content     string // hash of what the generation holds
	next        time.Time
	problems    map[problemKey]time.Time
	authorities map[string]*authority
	truststores map[string]*Truststore
	holdings    map[string]holdings // of truststores
	pairs       map[string]*KeyPair
	issued      map[string]issuance
	providers   map[string]heldProvider
	// salt makes hashes over secrets of no use to who guesses secrets.
	salt [32]byte
	// Keys that live in a KMS, by their id.
	kms map[string]crypto.Signer
	// Development authorities stay in memory for good, so that one without a StateDir is the same when its resource
	// comes back.
	development map[developmentKey]*ca.Authority
	// What was seen of a truststore stays for good as well.
	seen map[string]*seen
	// So do the keys that are generated for Providers, and for their clients in substitute mode.
	rings      map[string]*signingkey.Ring
	clientKeys map[string]signingkey.Key
	// And so does why files about that could not be moved aside, by truststore.
	unreadable map[string]error
}

func newMemory() memory {
	var salt [32]byte
	_, _ = rand.Read(salt[:]) // never fails, see crypto/rand
	return memory{
		providers:   make(map[string]heldProvider),
		salt:        salt,
		rings:       make(map[string]*signingkey.Ring),
		clientKeys:  make(map[string]signingkey.Key),
		problems:    make(map[problemKey]time.Time),
		authorities: make(map[string]*authority),
		truststores: make(map[string]*Truststore),
		holdings:    make(map[string]holdings),
		pairs:       make(map[string]*KeyPair),
		issued:      make(map[string]issuance),
		kms:         make(map[string]crypto.Signer),
		development: make(map[developmentKey]*ca.Authority),
		seen:        make(map[string]*seen),
		unreadable:  make(map[string]error),
	}
}

// problemKey tells one problem from another: the same text about the same resource is the same problem.
type problemKey struct{ kind, name, text string }
