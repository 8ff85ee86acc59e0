package lockout

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/inventory"
	"github.com/sallyport-project/sallyport/pki/material"
	"github.com/sallyport-project/sallyport/pki/material/aws"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// ErrUntold is wrapped where it cannot be told from here whether a truststore would vouch for what an authority issues.
var ErrUntold = errors.New("it cannot be told from here")

// Signer is an authority that is about to issue.
type Signer struct {
	// Certificate that it signs with.
	Certificate *x509.Certificate
	// Above are authorities that may stand above it, in any order; others are passed over.
	Above []*x509.Certificate
}

// Accepted returns nil where a truststore would vouch for what the signer issues to a caller who sends the authorities in
// between, as far as that depends on the signer. Lists, manifests and registers are not looked at. An error that wraps
// ErrUntold says that the truststore, or what stands above the signer, cannot be read; any other, why it certainly would not.
// Authorities are those of the configuration, by name, and the base is its folder.
func (s Signer) Accepted(ctx context.Context, name string, spec *sallyportv1.TruststoreSpec, authorities map[string]*sallyportv1.AuthoritySpec, base string, now time.Time) error {
	found, err := read(ctx, name, spec, authorities, base, now)
	if err != nil {
		return fmt.Errorf("%w whether the Truststore %q vouches for what %q issues: %w", ErrUntold, name, s.Certificate.Subject, err)
	}
	return s.under(found)
}

// read reads a truststore's bundle as a gateway does.
func read(ctx context.Context, name string, spec *sallyportv1.TruststoreSpec, authorities map[string]*sallyportv1.AuthoritySpec, base string, now time.Time) (*inventory.Truststore, error) {
	if reference, err := material.Parse(spec.GetBundle()); err == nil && reference.Scheme == material.Authority && authorities[reference.Value].GetDevelopment() != nil {
		return nil, fmt.Errorf("the Authority %q is made for development, and kept by the server that uses it", reference.Value)
	}
	keeper, err := inventory.New(inventory.Config{
		Base: base, TruststoresOnly: true, AllowDevelopment: true, Clock: func() time.Time { return now },
		Store: material.NewStore(material.Config{Fetchers: aws.New().Fetchers(), ColdWait: listsWait, Timeout: listsWait}),
	})
	if err != nil {
		return nil, err
	}
	plain := proto.CloneOf(spec)
	plain.Signers, plain.Manifest, plain.Revocation, plain.Issuance = nil, "", nil, nil
	snapshot := keeper.Apply(ctx, inventory.Specs{
		Authorities: authorities, Truststores: map[string]*sallyportv1.TruststoreSpec{name: plain},
	})
	if found := snapshot.Truststores[name]; found != nil {
		return found, nil
	}
	for _, problem := range snapshot.Problems {
		if problem.Kind == inventory.KindTruststore && problem.Name == name {
			return nil, problem.Err
		}
	}
	return nil, errors.New("its bundle cannot be read")
}

// under judges the signer by a truststore's anchors, from the signer upwards.
func (s Signer) under(t *inventory.Truststore) error {
	current := s.Certificate
	for between := 0; between <= len(s.Above); between++ {
		if holds(t.Anchors, current) {
			return s.depth(t, current, between)
		}
		for _, anchor := range t.Anchors {
			if current.CheckSignatureFrom(anchor) == nil {
				return s.depth(t, anchor, between+1)
			}
		}
		if ca.IsSelfSigned(current) {
			return fmt.Errorf("the Truststore %q does not trust %q: it trusts %s; have the certificate issued by one of these, or publish the authority's bundle with `sallyport truststore push` first",
				t.Name, s.Certificate.Subject, names(t.Anchors))
		}
		next := s.above(current)
		if next == nil {
			break
		}
		current = next
	}
	return fmt.Errorf("%w whether the Truststore %q vouches for what %q issues: what stands above %q is not known here", ErrUntold, t.Name, s.Certificate.Subject, current.Subject)
}

// depth judges so many authorities between a caller's certificate and an anchor.
func (s Signer) depth(t *inventory.Truststore, anchor *x509.Certificate, between int) error {
	switch {
	case between == 0:
		return nil
	case !t.Intermediates.FromCaller:
		return fmt.Errorf("the Truststore %q trusts %q, and not %q below it, which issues; and it takes no intermediates from callers: publish the authority's whole bundle with `sallyport truststore push`, or set intermediates.from_caller",
			t.Name, anchor.Subject, s.Certificate.Subject)
	case between > t.Intermediates.MaxDepth:
		return fmt.Errorf("%d authorities stand between a certificate of %q and the Truststore %q, which allows %d: raise intermediates.max_depth, or publish the authority's whole bundle",
			between, s.Certificate.Subject, t.Name, t.Intermediates.MaxDepth)
	}
	return nil
}

// above is the authority that signed another; nil if it is not known.
func (s Signer) above(below *x509.Certificate) *x509.Certificate {
	for _, candidate := range s.Above {
		if !candidate.Equal(below) && below.CheckSignatureFrom(candidate) == nil {
			return candidate
		}
	}
	return nil
}

// holds tells whether an authority is among others, be it with another certificate of the same name and key.
func holds(authorities []*x509.Certificate, one *x509.Certificate) bool {
	for _, authority := range authorities {
		if bytes.Equal(authority.RawSubject, one.RawSubject) && bytes.Equal(authority.RawSubjectPublicKeyInfo, one.RawSubjectPublicKeyInfo) {
			return true
		}
	}
	return false
}

// names are the subjects of authorities in quotes.
func names(authorities []*x509.Certificate) string {
	var text string
	for n, authority := range authorities {
		if n > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%q", authority.Subject)
	}
	return text
}
