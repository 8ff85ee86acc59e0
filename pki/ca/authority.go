package ca

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"slices"
	"time"
)

// backdate is by how much a certificate's notBefore lies in the past, for verifiers whose clock is a little slow.
const backdate = time.Minute

// Authority is a certificate authority with its private key: a root, or one that is subordinate to others. It is
// immutable and safe for concurrent use as far as its key is, which every key of the standard library is.
type Authority struct {
	pair KeyPair
	// parents are the authorities above it that are known, its issuer first. The last may be a root.
	parents []*x509.Certificate
	// crl are the addresses of its revocation list, written into what it issues.
	crl   []string
	clock func() time.Time
}

func newAuthority(chain []*x509.Certificate, key crypto.Signer, clock func() time.Time) (*Authority, error) {
	pair, err := newKeyPair(chain[0], key, chain[1:])
	if err != nil {
		return nil, err
	}
	return &Authority{pair: pair, parents: slices.Clone(chain[1:]), clock: orSystemClock(clock)}, nil
}

// WithCRLAddresses returns the same authority with other addresses of its revocation list, which it writes into each
// certificate that it issues (RFC 5280, section 4.2.1.13) unless the request has its own. They inform others: nothing
// of ours fetches an address that a certificate names. Each is an absolute http or https URL.
func (a *Authority) WithCRLAddresses(addresses ...string) (*Authority, error) {
	if err := checkCRLAddresses(addresses); err != nil {
		return nil, err
	}
	with := *a
	with.crl = slices.Clone(addresses)
	return &with, nil
}

// Certificate is the authority's own certificate. Do not change it.
func (a *Authority) Certificate() *x509.Certificate { return a.pair.Certificate }

// CertificatePEM is the authority's own certificate in PEM, in a copy of the caller's own.
func (a *Authority) CertificatePEM() []byte { return bytes.Clone(a.pair.CertificatePEM) }

// Chain is the authority's own certificate and those above it that are known, its issuer next. The last is a root where
// that was loaded too. The slice is the caller's own; do not change the certificates.
func (a *Authority) Chain() []*x509.Certificate {
	return append([]*x509.Certificate{a.pair.Certificate}, a.parents...)
}

// ChainPEM is what holders of the authority's certificates send along with them: the authority's own certificate and
// those above it, its issuer next, without the root. It is empty where the authority is itself a root.
func (a *Authority) ChainPEM() []byte { return encodeCertificates(withoutRoot(a.Chain())) }

// Root is the self-signed certificate at the top of the chain, and nil where it was not loaded.
func (a *Authority) Root() *x509.Certificate {
	chain := a.Chain()
	if top := chain[len(chain)-1]; IsSelfSigned(top) {
		return top
	}
	return nil
}

// KeyPair is the authority's certificate and private key, to be kept somewhere safe.
func (a *Authority) KeyPair() KeyPair { return a.pair }

// IsDevelopment reports whether this is a development authority, or subordinate to one.
func (a *Authority) IsDevelopment() bool { return slices.ContainsFunc(a.Chain(), IsDevelopment) }

// window is when every certificate of the chain is valid. It is empty, its end before its beginning, where they never are
// at the same time.
func (a *Authority) window() Validity {
	own := a.pair.Certificate
	window := Validity{NotBefore: own.NotBefore, NotAfter: own.NotAfter}
	for _, parent := range a.parents {
		if parent.NotBefore.After(window.NotBefore) {
			window.NotBefore = parent.NotBefore
		}
		if parent.NotAfter.Before(window.NotAfter) {
			window.NotAfter = parent.NotAfter
		}
	}
	return window
}

// CheckAuthority reports why a certificate cannot stand for a certificate authority: it is a leaf, it may not sign
// certificates, or CheckStrength refuses it. Dates are not judged.
func CheckAuthority(certificate *x509.Certificate) error {
	if !certificate.BasicConstraintsValid || !certificate.IsCA {
		return errors.New("it is not a certificate authority's: basic constraints do not say CA")
	}
	if certificate.KeyUsage != 0 && certificate.KeyUsage&x509.KeyUsageCertSign == 0 {
		return errors.New("its key usage does not allow it to sign certificates")
	}
	return CheckStrength(certificate)
}

func orSystemClock(clock func() time.Time) func() time.Time {
	if clock == nil {
		return time.Now
	}
	return clock
}

// sameSecond compares times as a certificate can hold them.
func sameSecond(a, b time.Time) bool { return a.Truncate(time.Second).Equal(b.Truncate(time.Second)) }
