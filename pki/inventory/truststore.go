package inventory

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/revocation"
)

// Truststore is a bundle of trust anchors, at least one, with what else a certificate of theirs must be to be accepted.
type Truststore struct {
	Name string
	// Anchors are sorted by their SHA-256, each once. None had expired when it was read; verifiers must look at the dates
	// again.
	Anchors []*x509.Certificate
	// PEM holds the anchors, in that order, and nothing else.
	PEM []byte
	// BundleHash is the SHA-256 of PEM in hexadecimal.
	BundleHash string
	// Hash is a SHA-256 in hexadecimal over all that decides which certificates are accepted: anchors, lists, registers, and
	// how they are to be used.
	Hash string
	// Revocation is what lists say here. It is the zero value where there are none.
	Revocation Revocation
	// Intermediates says what may stand between a certificate and an anchor.
	Intermediates Intermediates
	// Issuance says whether a certificate must be known to a register.
	Issuance Issuance
	// Manifest is what the bundle was accepted by; nil where no signers are demanded.
	Manifest *Manifest
}

// RevocationMode is what becomes of a certificate whose issuer has no current list.
type RevocationMode int

// The modes.
const (
	// RevocationOff refuses nobody by a list.
	RevocationOff RevocationMode = iota
	// RevocationRequired refuses it.
	RevocationRequired
	// RevocationWhenPresent accepts it.
	RevocationWhenPresent
)

// Revocation is the revocation lists of a truststore, and what they mean.
type Revocation struct {
	Mode RevocationMode
	// Grace is for how long after its nextUpdate a list still counts.
	Grace time.Duration
	// Lists are those in force: of each authority the one of the highest number that was seen. Nil if there are none.
	Lists *revocation.Set
	// States tell of each list in force, sorted by issuer: of lists that wait for their authority, of the newest alone.
	States []ListState
	// Missing are the subjects of the anchors that have no list, sorted, whatever the mode.
	Missing []string
	// ProxyPEM holds the lists of all anchors, for proxies that verify handshakes themselves. It is empty unless lists are
	// required and every authority has one that is current now: with fewer, a proxy refuses good certificates. Proxies know
	// no grace.
	ProxyPEM []byte

	// What Lists holds and knows to be missing, to be hashed.
	contents []string
	gaps     [][]byte
}

// ListState is what people should know of a revocation list in force.
type ListState struct {
	// Issuer is the authority's name, Number the list's in decimal, Source the reference that it came from.
	Issuer, Number, Source string
	ThisUpdate, NextUpdate time.Time
	// Entries is how many certificates stand in it.
	Entries int
	// SHA256 is that of the signed content, in hexadecimal.
	SHA256 string
	// StaleSince is since when the source has not given this list or a newer one, so that the last good one is used; zero
	// while it does.
	StaleSince time.Time
	// Unproven says that the authority's certificate is not in the bundle, so that the list is verified when a caller
	// presents it.
	Unproven bool
}

// DefaultMaxDepth is how many intermediates of a caller may stand between its certificate and an anchor, unless the
// Truststore says otherwise.
const DefaultMaxDepth = 1

// Intermediates says which authorities may stand between a caller's certificate and an anchor. The zero value is none.
type Intermediates struct {
	// FromCaller takes those that the caller sends.
	FromCaller bool
	// MaxDepth is how many; zero exactly where FromCaller is not set.
	MaxDepth int
}

// Manifest is what a bundle's manifest says, where one is demanded.
type Manifest struct {
	Generation       uint64
	Created, Expires time.Time

	// document is the manifest itself, and signers the references to the keys that were believed.
	document []byte
	signers  []string
}

// seal fills in what follows from the other fields.
func (t *Truststore) seal() {
	for _, anchor := range t.Anchors {
		t.PEM = append(t.PEM, ca.EncodeCertificate(anchor)...)
	}
	sum := sha256.Sum256(t.PEM)
	t.BundleHash = hex.EncodeToString(sum[:])
	parts := [][]byte{
		t.PEM, number(int64(t.Revocation.Mode)), number(int64(t.Revocation.Grace)),
		number(int64(t.Intermediates.MaxDepth)), t.Revocation.ProxyPEM,
		[]byte("lists"),
	}
	for _, content := range t.Revocation.contents {
		parts = append(parts, []byte(content))
	}
	parts = append(parts, t.Revocation.gaps...)
	parts = append(parts, []byte("registers"), t.Issuance.content())
	if t.Manifest != nil {
		parts = append(parts, []byte("manifest"), number(int64(t.Manifest.Generation)), number(t.Manifest.Expires.Unix())) //nolint:gosec // hashed
	}
	t.Hash = contentHash(parts...)
}

func number(n int64) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(n)) //nolint:gosec // only to be hashed
}
