package expiry

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"time"

	"github.com/sallyport-project/sallyport/authz/reason"
)

// Kind says what ends.
type Kind string

// The kinds.
const (
	// Consumer is a certificate that a gateway met and an authority of a truststore has signed.
	Consumer Kind = "consumer"
	// Gateway is a Certificate that a Gateway presents, and Upstream one that is presented to an Upstream; a Certificate that
	// nothing uses is Unused.
	Gateway  Kind = "gateway"
	Upstream Kind = "upstream"
	Unused   Kind = "certificate"
	// Truststore is an authority in a Truststore's bundle, List one of its revocation lists, and Manifest its manifest.
	Truststore Kind = "truststore"
	List       Kind = "revocation_list"
	Manifest   Kind = "manifest"
	// Proxy, ControlPlane and Authz are the certificates of our own processes; Authority is a CA that this process signs with,
	// or that those are of.
	Proxy        Kind = "proxy"
	ControlPlane Kind = "control_plane"
	Authz        Kind = "authz"
	Authority    Kind = "authority"
)

// Row is one thing that ends.
type Row struct {
	Kind Kind `json:"kind"`
	// Name of the resource or file that it belongs to; of a Consumer's certificate, the consumer's.
	Name string `json:"name"`
	// Gateway that presents it or met it.
	Gateway string `json:"gateway,omitempty"`
	// Consumer whose certificate it is, when that was last known.
	Consumer string `json:"consumer,omitempty"`
	Subject  string `json:"subject,omitempty"`
	Issuer   string `json:"issuer,omitempty"`
	// Serial is hexadecimal; of a revocation list, its number in decimal.
	Serial    string    `json:"serial,omitempty"`
	SHA256    string    `json:"sha256,omitempty"`
	NotBefore time.Time `json:"not_before,omitzero"`
	// NotAfter is when it ends; of a revocation list, its nextUpdate.
	NotAfter time.Time `json:"not_after"`
	// LastSeen, LastAllowed and LastReason are of the last request that came with it.
	LastSeen    time.Time     `json:"last_seen,omitzero"`
	LastAllowed bool          `json:"last_allowed,omitempty"`
	LastReason  reason.Reason `json:"last_reason,omitempty"`
	Requests    uint64        `json:"requests,omitempty"`
	// Superseded says that the consumer has been seen since with a certificate that ends later.
	Superseded bool    `json:"superseded,omitempty"`
	Urgency    Urgency `json:"urgency"`
}

// OfCertificate is the row of a certificate of our own.
func OfCertificate(kind Kind, name string, c *x509.Certificate) Row {
	sum := sha256.Sum256(c.Raw)
	return Row{
		Kind: kind, Name: name, Subject: c.Subject.String(), Issuer: c.Issuer.String(), Serial: c.SerialNumber.Text(16),
		SHA256: hex.EncodeToString(sum[:]), NotBefore: c.NotBefore, NotAfter: c.NotAfter,
	}
}

// id tells rows apart, in whatever place or order they stand. The same certificate at several gateways is told of once.
func (r Row) id() string {
	if r.Kind == List || r.Kind == Manifest {
		// Each list has its own end, and the next one of the same authority a later one.
		return string(r.Kind) + "/" + r.Name + "/" + r.Issuer + "/" + r.NotAfter.UTC().Format(time.RFC3339)
	}
	return string(r.Kind) + "/" + r.Name + "/" + r.SHA256
}

// title names the row for people.
func (r Row) title() string {
	switch {
	case r.Kind == List:
		return "the revocation list of " + r.Issuer
	case r.Kind == Manifest:
		return "the manifest"
	case r.Subject != "":
		return "the certificate " + r.Subject
	}
	return "the certificate with the serial number " + r.Serial
}
