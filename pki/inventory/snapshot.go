package inventory

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"
)

// Snapshot is what is in force at one moment. It is immutable: share it, and change nothing in it.
type Snapshot struct {
	// Generation rises by one whenever Truststores, Certificates or Providers differ from those before. It is zero only before the
	// first Apply, and begins anew in each process.
	Generation uint64
	// Truststores by the name of their resource. One that never was good is absent.
	Truststores map[string]*Truststore
	// Certificates by the name of their resource. One that never was good is absent, and where Config says TruststoresOnly, all
	// are but those that Providers are shown.
	Certificates map[string]*KeyPair
	// Providers by the name of their resource; none where Config does not ask for them.
	Providers map[string]*Provider
	// Problems are what is wrong now, sorted by kind, name and text. They may change within a generation.
	Problems []Problem
}

// KeyPair is a certificate chain and private key to present. It is a secret: print its String, never its fields.
type KeyPair struct {
	Name string
	// Leaf is the first certificate of the chain, and the one whose key is PrivateKeyPEM.
	Leaf *x509.Certificate
	// CertificatePEM is the chain: the leaf, and each certificate's issuer after it, usually without the root.
	CertificatePEM []byte
	// PrivateKeyPEM is PKCS#8.
	PrivateKeyPEM []byte
	// Hash is the SHA-256 over chain and key in hexadecimal. It may be printed: a private key cannot be guessed from it.
	Hash string
}

// String names the certificate and holds nothing secret.
func (p KeyPair) String() string {
	return fmt.Sprintf("certificate %s (%s, sha256 %.12s)", p.Name, p.Leaf.Subject, p.Hash)
}

// GoString keeps the key out of %#v.
func (p KeyPair) GoString() string { return "inventory.KeyPair{" + p.String() + "}" }

// The kinds of resource that a Problem can be about.
const (
	KindAuthority   = "Authority"
	KindTruststore  = "Truststore"
	KindCertificate = "Certificate"
	KindProvider    = "Provider"
)

// Problem is something that is wrong with one resource, in words for the people who run it. A resource can have several.
type Problem struct {
	// Kind and Name say which resource it is.
	Kind, Name string
	Err        error
	// InForce says that the resource has a value nevertheless: what is good of it, or its last good one.
	InForce bool
	// Since is when this problem was first seen.
	Since time.Time
}

// Error is the problem in one line.
func (p Problem) Error() string {
	effect := "nothing is in force"
	if p.InForce {
		effect = "what was good of it stays in force"
	}
	return fmt.Sprintf("%s %s: %v (%s)", p.Kind, p.Name, p.Err, effect)
}

// Unwrap returns Err.
func (p Problem) Unwrap() error { return p.Err }

// contentHash is the SHA-256 over parts, each with its length before it, so that no two lists of parts are taken for the
// same.
func contentHash(parts ...[]byte) string {
	hash := sha256.New()
	for _, part := range parts {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		hash.Write(length[:])
		hash.Write(part)
	}
	return hex.EncodeToString(hash.Sum(nil))
}
