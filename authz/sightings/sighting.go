package sightings

import (
	"time"

	"github.com/sallyport-project/sallyport/authz/reason"
)

// Sighting is one certificate at one gateway.
type Sighting struct {
	Gateway string `json:"gateway"`
	// SHA256 of the certificate, and SPKISHA256 of its public key, in lower-case hexadecimal.
	SHA256     string `json:"sha256"`
	SPKISHA256 string `json:"spki_sha256"`
	Subject    string `json:"subject,omitempty"`
	// Issuer is empty where nobody vouches for the certificate.
	Issuer    string    `json:"issuer,omitempty"`
	Serial    string    `json:"serial,omitempty"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	// DER is the certificate itself, where a truststore vouched for it.
	DER []byte `json:"der,omitempty"`
	// Intermediates, in DER, are what the caller sent beside it when it was met first; at most maxIntermediates of them.
	Intermediates [][]byte `json:"intermediates,omitempty"`

	// Consumer whose it was when that was last known, and the Truststore that vouched for it then.
	Consumer   string `json:"consumer,omitempty"`
	Truststore string `json:"truststore,omitempty"`

	FirstSeen time.Time `json:"first_seen"`
	// LastSeen is exact to the second.
	LastSeen time.Time `json:"last_seen"`
	// Requests that came with it.
	Requests uint64 `json:"requests"`
	// Allowed and Reason are of the last decision.
	Allowed bool          `json:"allowed"`
	Reason  reason.Reason `json:"reason"`

	// Handshakes that were refused to whoever presented this certificate, when that was last, and why. It need not have been
	// its owner: a refused handshake proves nothing.
	Handshakes       uint64        `json:"handshakes,omitempty"`
	HandshakeRefused time.Time     `json:"handshake_refused,omitzero"`
	HandshakeReason  reason.Reason `json:"handshake_reason,omitempty"`
}

// Vouched tells whether a truststore has vouched for the certificate.
func (s Sighting) Vouched() bool { return s.Truststore != "" }

// Ours tells whether an authority that a truststore trusts has signed the certificate: a truststore has vouched for it, or
// has refused it for what only the certificate of such an authority is refused for, such as one that was revoked before it
// was met first.
func (s Sighting) Ours() bool {
	switch s.Reason {
	case reason.CertificateExpired, reason.CertificateNotYetValid, reason.CertificateRevoked, reason.CertificateUnregistered:
		return true
	}
	return s.Vouched()
}

// Refusals counts the handshakes that a listener refused for one reason.
type Refusals struct {
	Gateway, Listener string
	Reason            reason.Reason
	Count             uint64
	// Last is when the last one was, and the rest what its caller presented, unproven.
	Last                    time.Time
	Subject, Serial, SHA256 string
	NotAfter                time.Time
	// Detail is the proxy's words.
	Detail string
}
