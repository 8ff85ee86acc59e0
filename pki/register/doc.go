// Package register owns the register of what our authorities have issued: an append-only chain of entries, each of which
// holds the hash of the one before it, its signed head, and the signed index by which a gateway tells whether a
// certificate is known to the register.
//
// An entry is one line of canonical JSON. Its hash is the SHA-256 of that line without the hash itself, so that
//
//	jq -cj 'del(.hash)' | sha256sum
//
// finds it again. Who can write the register alone cannot change, drop, insert or reorder entries unseen; that its end was
// not cut off is told by the head, which is signed by the authority and published with each revocation list.
//
// The package never signs certificates, holds no private key, and never forgets an entry. Whether an entry should be made
// is its callers' business.
package register
