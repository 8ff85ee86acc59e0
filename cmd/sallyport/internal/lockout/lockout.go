package lockout

import (
	"cmp"
	"encoding/pem"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

// Seen is a certificate with which somebody came.
type Seen struct {
	// Certificate in DER, and what its owner sends beside it.
	Certificate   []byte
	Intermediates [][]byte
	// Consumer whose it was and Gateway that met it; either may be empty. A certificate may be seen at several gateways.
	Consumer, Gateway string
	// LastSeen is zero where it is not known.
	LastSeen time.Time
	// Allowed says that the last request that came with it was, or that it is said to be in use.
	Allowed bool
}

// Judged is what would become of one certificate.
type Judged struct {
	Consumer string   `json:"consumer,omitempty"`
	Gateways []string `json:"gateways,omitempty"`
	Subject  string   `json:"subject"`
	Issuer   string   `json:"issuer"`
	Serial   string   `json:"serial"`
	SHA256   string   `json:"sha256"`
	// LastSeen is missing where it is not known.
	LastSeen time.Time `json:"last_seen,omitzero"`
	NotAfter time.Time `json:"not_after"`
	// Why the truststore would not vouch for it, or why that cannot be told.
	Why string `json:"why"`
}

// Result is what a change would do to those who came lately.
type Result struct {
	// LockedOut are accepted now and would not be any more, who was seen last first.
	LockedOut []Judged `json:"locked_out"`
	// Unknown were let in lately, and neither bundle vouches for them here: by way of intermediates that are not known, or
	// for want of a revocation list. An authority of theirs may be among those that go.
	Unknown []Judged `json:"unknown,omitempty"`
	// LetIn counts certificates that are not accepted now and would be, Unaffected the rest.
	LetIn      int `json:"let_in"`
	Unaffected int `json:"unaffected"`
}

// Certificates is how many certificates were judged.
func (r Result) Certificates() int {
	return len(r.LockedOut) + len(r.Unknown) + r.LetIn + r.Unaffected
}

// Of judges certificates by a truststore as it is and as it would be, whose name people are told. Either may be nil: it then
// vouches for nobody.
func Of(seen []Seen, name string, old, changed *inventory.Truststore, now time.Time) (Result, error) {
	verifier, err := identity.NewVerifier(identity.Config{CacheSize: 1})
	if err != nil {
		return Result{}, err
	}
	before, after := trust(name, old), trust(name, changed)
	result := Result{LockedOut: []Judged{}}
	for _, one := range merge(seen) {
		presented := identity.Presented{Certificate: encode(one.Certificate)}
		if len(one.Intermediates) > 0 {
			presented.Chain = encode(append([][]byte{one.Certificate}, one.Intermediates...)...)
		}
		was, is := verifier.Verify(presented, before, now), verifier.Verify(presented, after, now)
		_, refusedBefore := was.Vouchers([]string{name})
		_, refusedAfter := is.Vouchers([]string{name})
		switch {
		case refusedBefore == nil && refusedAfter != nil:
			result.LockedOut = append(result.LockedOut, one.judged(was, refusedAfter.Detail))
		case refusedBefore != nil && refusedAfter == nil:
			result.LetIn++
		case refusedBefore != nil && refusedAfter != nil && one.Allowed && !final(refusedBefore.Reason) && loses(old, changed):
			result.Unknown = append(result.Unknown, one.judged(was, "it was let in lately, and cannot be judged here: "+refusedBefore.Detail))
		default:
			result.Unaffected++
		}
	}
	byLastSeen := func(a, b Judged) int {
		return cmp.Or(b.LastSeen.Compare(a.LastSeen), cmp.Compare(a.Consumer, b.Consumer), cmp.Compare(a.SHA256, b.SHA256))
	}
	slices.SortFunc(result.LockedOut, byLastSeen)
	slices.SortFunc(result.Unknown, byLastSeen)
	return result, nil
}

// trust is the truststores of an entry that has this one alone.
func trust(name string, t *inventory.Truststore) *identity.Trust {
	material := &inventory.Snapshot{Truststores: map[string]*inventory.Truststore{}}
	if t != nil {
		material.Truststores[name] = t
	}
	asked := config.ClientAuth{Truststores: []*config.Truststore{{Header: config.Header{Name: name}}}}
	return identity.NewTrust(asked, material)
}

// final tells whether a refusal is the certificate's own, so that no truststore would change it. Others can be for want of
// what is not here: the intermediates that a caller sends, or a revocation list that could not be read.
func final(why reason.Reason) bool {
	switch why {
	case reason.CertificateExpired, reason.CertificateRevoked, reason.CertificateWeakKey, reason.CertificateIsCA, reason.CertificateMalformed:
		return true
	}
	return false
}

// loses tells whether an authority goes.
func loses(old, changed *inventory.Truststore) bool {
	if old == nil || changed == nil {
		return true
	}
	for _, anchor := range old.Anchors {
		if !slices.ContainsFunc(changed.Anchors, anchor.Equal) {
			return true
		}
	}
	return false
}

// encode writes certificates as a proxy passes them on.
func encode(certificates ...[]byte) string {
	var text []byte
	for _, der := range certificates {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return url.PathEscape(string(text))
}

// merged is a certificate with all gateways that met it.
type merged struct {
	Seen
	gateways []string
}

// merge brings the sightings of each certificate together: the latest tells whose it is.
func merge(seen []Seen) []*merged {
	found := make(map[string]*merged)
	var all []*merged
	for _, one := range seen {
		m := found[string(one.Certificate)]
		if m == nil {
			m = &merged{Seen: one}
			found[string(one.Certificate)], all = m, append(all, m)
		}
		if one.LastSeen.After(m.LastSeen) {
			consumer := cmp.Or(one.Consumer, m.Consumer)
			m.Seen, m.Consumer = one, consumer
		}
		if one.Gateway != "" && !slices.Contains(m.gateways, one.Gateway) {
			m.gateways = append(m.gateways, one.Gateway)
		}
	}
	return all
}

func (m *merged) judged(v *identity.Verdict, why string) Judged {
	j := Judged{Consumer: m.Consumer, Gateways: m.gateways, LastSeen: m.LastSeen, Why: why}
	if c := v.Certificate; c != nil {
		j.Subject, j.Issuer, j.Serial, j.SHA256, j.NotAfter = c.Subject, c.Issuer, c.Serial, c.SHA256, c.NotAfter
	}
	return j
}

// ReadCertificates reads certificates in PEM that somebody says are in use, each with its intermediates behind it.
func ReadCertificates(content []byte) ([]Seen, error) {
	certificates, err := ca.ParseCertificates(content)
	if err != nil {
		return nil, err
	}
	var seen []Seen
	for _, certificate := range certificates {
		last := len(seen) - 1
		switch {
		case !certificate.IsCA:
			seen = append(seen, Seen{Certificate: certificate.Raw, Allowed: true})
		case last < 0:
			return nil, fmt.Errorf("%q is an authority, and no caller's certificate stands before it", certificate.Subject)
		default:
			seen[last].Intermediates = append(seen[last].Intermediates, certificate.Raw)
		}
	}
	return seen, nil
}
