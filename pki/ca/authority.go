package ca

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"time"
)

// DefaultAuthorityLifetime is how long a root is valid unless Options say otherwise: ten years.
const DefaultAuthorityLifetime = 10 * 365 * 24 * time.Hour

// backdate is by how much a certificate's notBefore lies in the past, for verifiers whose clock is a little slow.
const backdate = time.Minute

// maxCommonName is ub-common-name of RFC 5280, appendix A.1, in bytes.
const maxCommonName = 64

// Options describe a new root.
type Options struct {
	// CommonName is required: 1 to 64 bytes.
	CommonName string
	// Organization may be empty. A development authority's is DevelopmentOrganization.
	Organization string
	// Development marks the authority as one that must not be used in earnest.
	Development bool
	// Lifetime is counted from now; DefaultAuthorityLifetime if zero.
	Lifetime time.Duration
	// PathLength is how many subordinate authorities may stand between the root and a leaf. Zero, the default, is none.
	PathLength int
	// Clock is time.Now if nil. It is kept for what the authority issues.
	Clock func() time.Time
}

// Authority is a certificate authority with its private key. It is immutable and safe for concurrent use.
type Authority struct {
	pair  KeyPair
	clock func() time.Time
}

// Create makes a self-signed root with a new ECDSA P-256 key. Nothing is written anywhere.
func Create(options Options) (*Authority, error) {
	clock := orSystemClock(options.Clock)
	template, err := rootTemplate(options, clock().UTC())
	if err != nil {
		return nil, fmt.Errorf("create the authority %q: %w", options.CommonName, err)
	}
	key, err := generateKey()
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign the authority %q: %w", options.CommonName, err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read back the authority %q: %w", options.CommonName, err)
	}
	if err := checkRoot(certificate, template, key); err != nil {
		return nil, fmt.Errorf("check the signed authority %q: %w", options.CommonName, err)
	}
	return newAuthority(certificate, key, clock)
}

func rootTemplate(options Options, now time.Time) (*x509.Certificate, error) {
	if options.CommonName == "" || len(options.CommonName) > maxCommonName {
		return nil, fmt.Errorf("the common name must have 1 to %d bytes", maxCommonName)
	}
	if options.Lifetime < 0 || options.PathLength < 0 {
		return nil, errors.New("neither lifetime nor path length may be negative")
	}
	subject := pkix.Name{CommonName: options.CommonName}
	var policies []x509.OID
	switch {
	case options.Development:
		subject.Organization = []string{DevelopmentOrganization}
		policies = []x509.OID{developmentPolicy}
	case options.Organization == DevelopmentOrganization:
		return nil, fmt.Errorf("the organization %q is for development authorities", DevelopmentOrganization)
	case options.Organization != "":
		subject.Organization = []string{options.Organization}
	}
	lifetime := options.Lifetime
	if lifetime == 0 {
		lifetime = DefaultAuthorityLifetime
	}
	return &x509.Certificate{
		SerialNumber:          newSerial(),
		Subject:               subject,
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(lifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLen:            options.PathLength,
		MaxPathLenZero:        options.PathLength == 0,
		Policies:              policies,
		// The subject key identifier is made by crypto/x509 from the public key (RFC 7093, section 2, method 1).
	}, nil
}

// checkRoot compares what was signed with what was meant.
func checkRoot(certificate, template *x509.Certificate, key crypto.Signer) error {
	switch {
	case certificate.CheckSignatureFrom(certificate) != nil:
		return errors.New("its own key does not verify it")
	case !Matches(certificate, key):
		return errors.New("another public key was signed")
	case certificate.SerialNumber.Cmp(template.SerialNumber) != 0:
		return errors.New("another serial number was signed")
	case certificate.Subject.String() != template.Subject.String():
		return errors.New("another subject was signed")
	case !sameSecond(certificate.NotBefore, template.NotBefore) || !sameSecond(certificate.NotAfter, template.NotAfter):
		return errors.New("another validity was signed")
	case certificate.MaxPathLen != template.MaxPathLen || certificate.KeyUsage != template.KeyUsage:
		return errors.New("other constraints were signed")
	case len(certificate.SubjectKeyId) == 0:
		return errors.New("it has no subject key identifier")
	case IsDevelopment(certificate) != (len(template.Policies) > 0):
		return errors.New("the mark of development is wrong")
	}
	return CheckAuthority(certificate)
}

// Load takes an authority that exists, from one certificate and one private key in PEM. It refuses a certificate that is
// not a CA's or may not sign certificates, one that CheckStrength refuses, and a key that is not the certificate's. An
// authority that has expired, or is not valid yet, loads and then issues nothing. Clock is time.Now if nil.
func Load(certificatePEM, privateKeyPEM []byte, clock func() time.Time) (*Authority, error) {
	certificates, err := ParseCertificates(certificatePEM)
	if err != nil {
		return nil, fmt.Errorf("load the authority's certificate: %w", err)
	}
	if len(certificates) != 1 {
		return nil, fmt.Errorf("load the authority's certificate: %d were found where one is wanted", len(certificates))
	}
	certificate := certificates[0]
	if err := CheckAuthority(certificate); err != nil {
		return nil, fmt.Errorf("load the authority %q: %w", certificate.Subject, err)
	}
	key, err := ParsePrivateKey(privateKeyPEM)
	if err != nil {
		return nil, fmt.Errorf("load the authority %q: %w", certificate.Subject, err)
	}
	if !Matches(certificate, key) {
		return nil, fmt.Errorf("load the authority %q: the private key belongs to another certificate", certificate.Subject)
	}
	return newAuthority(certificate, key, clock)
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

func newAuthority(certificate *x509.Certificate, key crypto.Signer, clock func() time.Time) (*Authority, error) {
	pair, err := newKeyPair(certificate, key)
	if err != nil {
		return nil, err
	}
	return &Authority{pair: pair, clock: orSystemClock(clock)}, nil
}

// Certificate is the authority's own certificate. Do not change it.
func (a *Authority) Certificate() *x509.Certificate { return a.pair.Certificate }

// CertificatePEM is the authority's own certificate in PEM, in a copy of the caller's own.
func (a *Authority) CertificatePEM() []byte { return bytes.Clone(a.pair.CertificatePEM) }

// KeyPair is the authority's certificate and private key, to be kept somewhere safe.
func (a *Authority) KeyPair() KeyPair { return a.pair }

// IsDevelopment reports whether this is a development authority.
func (a *Authority) IsDevelopment() bool { return IsDevelopment(a.pair.Certificate) }

func orSystemClock(clock func() time.Time) func() time.Time {
	if clock == nil {
		return time.Now
	}
	return clock
}

// sameSecond compares times as a certificate can hold them.
func sameSecond(a, b time.Time) bool { return a.Truncate(time.Second).Equal(b.Truncate(time.Second)) }
