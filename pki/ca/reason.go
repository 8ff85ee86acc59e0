package ca

import (
	"fmt"
	"strings"
)

// ReasonCode is why a certificate was revoked (CRLReason of RFC 5280, section 5.3.1). Its values are those of the
// standard. Two of them are missing on purpose: 7 is not used by anybody, and removeFromCRL (8) belongs to delta lists,
// which we neither make nor read.
type ReasonCode int

// The reasons.
const (
	// Unspecified is the absence of a reason: nothing is written into the list for it.
	Unspecified ReasonCode = 0
	// KeyCompromise says that somebody else has, or may have, the private key.
	KeyCompromise ReasonCode = 1
	// CACompromise is KeyCompromise for an authority.
	CACompromise ReasonCode = 2
	// AffiliationChanged says that what stands in the subject is no longer so.
	AffiliationChanged ReasonCode = 3
	// Superseded says that another certificate has taken its place.
	Superseded ReasonCode = 4
	// CessationOfOperation says that it is no longer needed.
	CessationOfOperation ReasonCode = 5
	// CertificateHold is a revocation that may be taken back.
	CertificateHold ReasonCode = 6
	// PrivilegeWithdrawn says that its holder may no longer do what it was for.
	PrivilegeWithdrawn ReasonCode = 9
)

// reasonNames are how people and files spell each reason, in the order in which people should be told of them.
var reasonNames = []struct {
	code ReasonCode
	name string
}{
	{Unspecified, "unspecified"},
	{KeyCompromise, "key_compromise"},
	{CACompromise, "ca_compromise"},
	{AffiliationChanged, "affiliation_changed"},
	{Superseded, "superseded"},
	{CessationOfOperation, "cessation_of_operation"},
	{CertificateHold, "certificate_hold"},
	{PrivilegeWithdrawn, "privilege_withdrawn"},
}

// Reasons lists the reasons in the order in which people should be told of them.
func Reasons() []ReasonCode {
	codes := make([]ReasonCode, 0, len(reasonNames))
	for _, reason := range reasonNames {
		codes = append(codes, reason.code)
	}
	return codes
}

// ParseReason finds a reason by the name that String gives.
func ParseReason(name string) (ReasonCode, error) {
	names := make([]string, 0, len(reasonNames))
	for _, reason := range reasonNames {
		if reason.name == name {
			return reason.code, nil
		}
		names = append(names, reason.name)
	}
	return Unspecified, fmt.Errorf("unknown reason %q: it is one of %s", name, strings.Join(names, ", "))
}

// String is the reason's name, such as key_compromise.
func (c ReasonCode) String() string {
	for _, reason := range reasonNames {
		if reason.code == c {
			return reason.name
		}
	}
	return fmt.Sprintf("reason %d", int(c))
}

// known reports whether the reason may stand in a list of ours.
func (c ReasonCode) known() bool {
	for _, reason := range reasonNames {
		if reason.code == c {
			return true
		}
	}
	return false
}

// MarshalText writes the reason's name, for files and records.
func (c ReasonCode) MarshalText() ([]byte, error) {
	if !c.known() {
		return nil, fmt.Errorf("%s cannot be written: it is not one of ours", c)
	}
	return []byte(c.String()), nil
}

// UnmarshalText reads what MarshalText writes.
func (c *ReasonCode) UnmarshalText(text []byte) error {
	code, err := ParseReason(string(text))
	if err != nil {
		return err
	}
	*c = code
	return nil
}
