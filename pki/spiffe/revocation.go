package spiffe

import "crypto/x509"

// Revocation tells whether a certificate of one of our own processes still counts. It must be safe for concurrent use, and
// cheap: it is asked on each call.
type Revocation interface {
	// Check returns why a certificate that the authority has issued does not count now: it was revoked, or nobody can tell.
	Check(leaf, authority *x509.Certificate) error
	// Changed returns a channel that is closed when Check may answer otherwise than before.
	Changed() <-chan struct{}
}

// CheckChain asks about the first verified chain of a connection, which ServerTLS has made sure is a leaf and its authority.
// Without a Revocation nothing is revoked.
func CheckChain(revocation Revocation, chain []*x509.Certificate) error {
	if revocation == nil {
		return nil
	}
	if len(chain) != leafAndAuthority {
		return errNotDirect
	}
	return revocation.Check(chain[0], chain[1])
}
