package register

import "time"

// Status is what a register says of a certificate at a moment.
type Status string

// The statuses.
const (
	// Active is valid and not revoked.
	Active Status = "active"
	// Scheduled is valid, and will be revoked before it expires.
	Scheduled Status = "scheduled"
	// RevokedNow is revoked.
	RevokedNow Status = "revoked"
	// Expired is past its notAfter and was not revoked before.
	Expired Status = "expired"
	// Pending is before its notBefore.
	Pending Status = "pending"
)

// Certificate is what a register knows of one certificate.
type Certificate struct {
	Issued
	// Sequence is the number of the entry that tells of it, and Recorded that entry's time.
	Sequence uint64
	Recorded time.Time
	// Revocation is the one that takes effect first; nil if there is none. Do not change it.
	Revocation *Revoked
}

// revoke takes a further revocation. Nothing puts one off: the earlier effect stands, and of two at the same moment the
// one that was entered first.
func (c *Certificate) revoke(revocation *Revoked) {
	if c.Revocation == nil || revocation.At.Before(c.Revocation.At) {
		c.Revocation = revocation
	}
}

// RevokedAt reports whether it is revoked at a moment.
func (c Certificate) RevokedAt(now time.Time) bool {
	return c.Revocation != nil && !now.Before(c.Revocation.At)
}

// StatusAt is what the register says of it at a moment. Revocation comes before dates.
func (c Certificate) StatusAt(now time.Time) Status {
	switch {
	case c.RevokedAt(now):
		return RevokedNow
	case now.After(c.NotAfter):
		return Expired
	case now.Before(c.NotBefore):
		return Pending
	case c.Revocation != nil && !c.Revocation.At.After(c.NotAfter):
		return Scheduled
	default:
		return Active
	}
}
