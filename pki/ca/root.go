package ca

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Options describe a new root.
type Options struct {
	// CommonName is required: 1 to 64 bytes.
	CommonName string
	// Organization, OrganizationalUnit and Country (two capital letters) may be empty. A development authority's
	// organization is DevelopmentOrganization.
	Organization, OrganizationalUnit, Country string
	// Development marks the authority as one that must not be used in earnest.
	Development bool
	// Lifetime is counted from now; DefaultAuthorityLifetime if zero, MaxAuthorityLifetime at most.
	Lifetime time.Duration
	// PathLength is how many subordinate authorities may stand between the root and a leaf. Zero, the default, is none; a
	// root with one issuing intermediate has one.
	PathLength int
	// NameConstraints bind what the authority, and those below it, may issue. Verifiers may pass over those of a root:
	// an intermediate's are surer.
	NameConstraints NameConstraints
	// CRLAddresses are where the authority's own revocation list is published, see WithCRLAddresses.
	CRLAddresses []string
	// Clock is time.Now if nil. It is kept for what the authority issues.
	Clock func() time.Time
}

// Create makes a self-signed root with a new ECDSA P-256 key. Nothing is written anywhere.
func Create(options Options) (*Authority, error) {
	key, err := generateKey()
	if err != nil {
		return nil, err
	}
	return CreateWith(options, key)
}

// CreateWith is Create with a key that exists: one that CheckStrength accepts, which may live where it cannot leave.
func CreateWith(options Options, signer crypto.Signer) (*Authority, error) {
	clock := orSystemClock(options.Clock)
	template, err := rootTemplate(options, clock().UTC())
	if err != nil {
		return nil, fmt.Errorf("create the authority %q: %w", options.CommonName, err)
	}
	if err := checkPublicKey(signer.Public()); err != nil {
		return nil, fmt.Errorf("create the authority %q: %w", options.CommonName, err)
	}
	if err := checkCRLAddresses(options.CRLAddresses); err != nil {
		return nil, fmt.Errorf("create the authority %q: %w", options.CommonName, err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("sign the authority %q: %w", options.CommonName, err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read back the authority %q: %w", options.CommonName, err)
	}
	if err := checkRoot(certificate, template, signer.Public()); err != nil {
		return nil, fmt.Errorf("check the signed authority %q: %w", options.CommonName, err)
	}
	authority, err := newAuthority([]*x509.Certificate{certificate}, signer, clock)
	if err != nil {
		return nil, err
	}
	return authority.WithCRLAddresses(options.CRLAddresses...)
}

func rootTemplate(options Options, now time.Time) (*x509.Certificate, error) {
	name := authorityName{options.CommonName, options.Organization, options.OrganizationalUnit, options.Country}
	template, err := authorityTemplate(name, options.Development, options.PathLength, options.NameConstraints)
	if err != nil {
		return nil, err
	}
	lifetime, err := rootRules.lifetimeOf(options.Lifetime)
	if err != nil {
		return nil, err
	}
	template.NotBefore, template.NotAfter = now.Add(-backdate), now.Add(lifetime)
	return template, nil
}

// checkRoot compares what was signed with what was meant.
func checkRoot(certificate, template *x509.Certificate, key crypto.PublicKey) error {
	if certificate.CheckSignatureFrom(certificate) != nil {
		return errors.New("its own key does not verify it")
	}
	if err := checkSigned(certificate, template, key); err != nil {
		return err
	}
	return checkSignedAuthority(certificate, template)
}
