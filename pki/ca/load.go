package ca

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Load takes an authority that exists, ours or another's, from its certificate and private key in PEM. Certificates of
// authorities above it may follow its own, each issued by the next, up to the root. It refuses one that is not a CA's or
// may not sign certificates, one that CheckStrength refuses, a chain that is none, and a key that is not the first
// certificate's; an encrypted key is ErrEncrypted. An authority that has expired, or is not valid yet, loads and then
// issues nothing. Clock is time.Now if nil.
func Load(certificatePEM, privateKeyPEM []byte, clock func() time.Time) (*Authority, error) {
	chain, err := parseAuthorities(certificatePEM)
	if err != nil {
		return nil, err
	}
	key, err := ParsePrivateKey(privateKeyPEM)
	if err != nil {
		return nil, fmt.Errorf("load the authority %q: %w", chain[0].Subject, err)
	}
	return load(chain, key, clock)
}

// LoadWith is Load with a private key of any kind, which may live where it cannot leave.
func LoadWith(certificatePEM []byte, signer crypto.Signer, clock func() time.Time) (*Authority, error) {
	chain, err := parseAuthorities(certificatePEM)
	if err != nil {
		return nil, err
	}
	return load(chain, signer, clock)
}

func load(chain []*x509.Certificate, key crypto.Signer, clock func() time.Time) (*Authority, error) {
	if !Matches(chain[0], key) {
		for _, parent := range chain[1:] {
			if Matches(parent, key) {
				return nil, fmt.Errorf("load the authority %q: the private key is that of %q, whose certificate must stand first",
					chain[0].Subject, parent.Subject)
			}
		}
		return nil, fmt.Errorf("load the authority %q: the private key belongs to another certificate", chain[0].Subject)
	}
	return newAuthority(chain, key, clock)
}

func parseAuthorities(certificatePEM []byte) ([]*x509.Certificate, error) {
	chain, err := ParseCertificates(certificatePEM)
	if err != nil {
		return nil, fmt.Errorf("load the authority's certificate: %w", err)
	}
	for _, certificate := range chain {
		if err := checkAdopted(certificate); err != nil {
			return nil, fmt.Errorf("load the authority %q: %w", certificate.Subject, err)
		}
	}
	if err := checkChain(chain); err != nil {
		return nil, fmt.Errorf("load the authority %q: %w", chain[0].Subject, err)
	}
	return chain, nil
}

// checkAdopted is CheckAuthority and what an authority needs beside, so that others can verify what it issues.
func checkAdopted(certificate *x509.Certificate) error {
	if err := CheckAuthority(certificate); err != nil {
		return err
	}
	if len(certificate.Subject.Names) == 0 {
		return errors.New("it has no subject, and what it issues could not name its issuer")
	}
	if unknown := certificate.UnhandledCriticalExtensions; len(unknown) > 0 {
		return fmt.Errorf("its critical extension %s is not understood, so nothing that it issues would be trusted", unknown[0])
	}
	return nil
}

// checkChain wants each certificate to be issued by the next, and path lengths that allow it.
func checkChain(chain []*x509.Certificate) error {
	for i, issuer := range chain[1:] {
		issued := chain[i]
		switch {
		case issued.Equal(issuer):
			return errors.New("its certificate stands there twice")
		case IsSelfSigned(issued):
			return fmt.Errorf("the root %q must stand last: an authority's own certificate comes first, then its issuer's, and so on", issued.Subject)
		case !bytes.Equal(issued.RawIssuer, issuer.RawSubject) || issued.CheckSignatureFrom(issuer) != nil:
			return fmt.Errorf("%q was not issued by %q, which stands next: each certificate is followed by its issuer's", issued.Subject, issuer.Subject)
		case issuer.MaxPathLen >= 0 && issuer.MaxPathLen <= i:
			return fmt.Errorf("the path length of %q allows %d authorities below it, and there are %d", issuer.Subject, issuer.MaxPathLen, i+1)
		}
	}
	return nil
}

// IsSelfSigned reports whether a certificate is issued and signed by itself, as a root is.
func IsSelfSigned(certificate *x509.Certificate) bool {
	return bytes.Equal(certificate.RawSubject, certificate.RawIssuer) && certificate.CheckSignatureFrom(certificate) == nil
}

// withoutRoot leaves out the root at the end of a chain.
func withoutRoot(chain []*x509.Certificate) []*x509.Certificate {
	if last := len(chain) - 1; last >= 0 && IsSelfSigned(chain[last]) {
		return chain[:last]
	}
	return chain
}
