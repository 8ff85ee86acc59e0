package inventory

import (
	"crypto/x509"
	"slices"
	"sync"

	"github.com/sallyport-project/sallyport/pki/register"
	"github.com/sallyport-project/sallyport/pki/signed"
)

// Issuance says whether the certificates of a truststore must be known to the registers of their authorities, and which
// are. The zero value asks nothing.
type Issuance struct {
	// Registered is set where a certificate that no register knows is refused. Elsewhere, where there are registers, it only
	// raises an alarm.
	Registered bool
	// Registers are the published indexes in force that an anchor has signed.
	Registers []RegisterState

	// unproven are indexes that no anchor has signed: an intermediate that a caller sends may have.
	unproven *unprovenIndexes
}

// RegisterState is a published index in force.
type RegisterState struct {
	*register.Index
	// Source is the reference that it came from.
	Source string
}

// Registration is what registers say about a certificate.
type Registration int

// The answers.
const (
	// NoRegister says that no register of the certificate's authority is here.
	NoRegister Registration = iota
	// Registered says that one knows the certificate.
	Registered
	// Unregistered says that there is one, and none knows the certificate.
	Unregistered
)

// Asks reports whether anybody wants to know what registers say.
func (i Issuance) Asks() bool {
	return i.Registered || len(i.Registers) > 0 || i.unproven != nil
}

// Find tells whether a certificate, by its SHA-256 in hexadecimal, is known to a register of the authority that issued it.
func (i Issuance) Find(certificateSHA256 string, issuer *x509.Certificate) Registration {
	answer := NoRegister
	key := signed.KeyID(issuer.PublicKey)
	consider := func(index *register.Index) {
		switch {
		case index == nil || answer == Registered || !slices.Contains(index.Signers, key):
		case index.Knows(certificateSHA256):
			answer = Registered
		default:
			answer = Unregistered
		}
	}
	for _, known := range i.Registers {
		consider(known.Index)
	}
	for _, index := range i.unproven.of(key, issuer) {
		consider(index)
	}
	return answer
}

// content is what the registers contribute to a truststore's hash.
func (i Issuance) content() []byte {
	parts := [][]byte{{0}}
	if i.Registered {
		parts[0][0] = 1
	}
	for _, known := range i.Registers {
		parts = append(parts, []byte(known.Hash))
	}
	if i.unproven != nil {
		parts = append(parts, i.unproven.published...)
	}
	return []byte(contentHash(parts...))
}

// unprovenIndexes reads an index for an authority once that authority is known, and remembers it: reading takes
// milliseconds. It is safe for concurrent use.
type unprovenIndexes struct {
	published [][]byte

	mu   sync.Mutex
	read map[string][]*register.Index // by the authority's key
}

// maxAuthorities is how many authorities' indexes are remembered. Only those of verified chains are asked about.
const maxAuthorities = 64

func newUnprovenIndexes(published [][]byte) *unprovenIndexes {
	if len(published) == 0 {
		return nil
	}
	return &unprovenIndexes{published: published, read: make(map[string][]*register.Index)}
}

func (u *unprovenIndexes) of(key string, issuer *x509.Certificate) []*register.Index {
	if u == nil {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if known, found := u.read[key]; found {
		return known
	}
	var indexes []*register.Index
	for _, data := range u.published {
		if index, err := register.ParseIndex(data, []*x509.Certificate{issuer}); err == nil {
			indexes = append(indexes, index)
		}
	}
	if len(u.read) < maxAuthorities {
		u.read[key] = indexes
	}
	return indexes
}
