package ca

import (
	"crypto/x509"
	"errors"
	"fmt"
)

// CrossSign makes a second certificate for an authority that exists, usually a new root, signed by this one: whoever
// trusts this authority then trusts what the other issues, when that certificate is sent along. It has the other's
// subject, key, key identifier, usages and constraints, a path length that this authority allows, and ends where the
// first of the two ends. The two have different subjects, and are either both for development or neither.
func (a *Authority) CrossSign(other *x509.Certificate) (*x509.Certificate, error) {
	certificate, err := a.crossSign(other)
	if err != nil {
		return nil, fmt.Errorf("cross-sign %q by %q: %w", other.Subject, a.pair.Certificate.Subject, err)
	}
	return certificate, nil
}

func (a *Authority) crossSign(other *x509.Certificate) (*x509.Certificate, error) {
	if err := checkAdopted(other); err != nil {
		return nil, err
	}
	if IsDevelopment(other) != a.IsDevelopment() {
		return nil, errors.New("one of the two is for development and the other is not")
	}
	pathLength, err := a.crossPathLength(other)
	if err != nil {
		return nil, err
	}
	now := a.clock()
	validity, err := a.validityFromNow(max(0, other.NotAfter.Sub(now)))
	if err != nil {
		return nil, err
	}
	if !other.NotAfter.After(now) {
		return nil, errors.New("it has expired")
	}
	template := crossTemplate(other)
	template.NotBefore, template.NotAfter = validity.NotBefore, validity.NotAfter
	template.MaxPathLen, template.MaxPathLenZero = pathLength, pathLength == 0
	template.CRLDistributionPoints = a.crl
	certificate, err := a.sign(template, other.PublicKey)
	if err != nil {
		return nil, err
	}
	if err := checkSignedAuthority(certificate, template); err != nil {
		return nil, fmt.Errorf("check what was signed: %w", err)
	}
	return certificate, nil
}

// crossPathLength is the other's path length, or what this authority allows if that is less.
func (a *Authority) crossPathLength(other *x509.Certificate) (int, error) {
	limit := a.pathLength()
	switch {
	case limit == 0:
		return 0, errors.New("its issuer's path length allows no authority below it")
	case limit < 0:
		return other.MaxPathLen, nil
	case other.MaxPathLen < 0:
		return limit - 1, nil
	default:
		return min(other.MaxPathLen, limit-1), nil
	}
}

func crossTemplate(other *x509.Certificate) *x509.Certificate {
	template := &x509.Certificate{
		SerialNumber:          newSerial(),
		RawSubject:            other.RawSubject,
		KeyUsage:              other.KeyUsage,
		ExtKeyUsage:           other.ExtKeyUsage,
		UnknownExtKeyUsage:    other.UnknownExtKeyUsage,
		BasicConstraintsValid: true,
		IsCA:                  true,
		SubjectKeyId:          other.SubjectKeyId,
	}
	if template.KeyUsage == 0 {
		template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	}
	if IsDevelopment(other) {
		template.Policies = []x509.OID{developmentPolicy}
	}
	copyConstraints(template, other)
	return template
}

func copyConstraints(to, from *x509.Certificate) {
	to.PermittedDNSDomainsCritical = hasConstraints(from)
	to.PermittedDNSDomains, to.ExcludedDNSDomains = from.PermittedDNSDomains, from.ExcludedDNSDomains
	to.PermittedURIDomains, to.ExcludedURIDomains = from.PermittedURIDomains, from.ExcludedURIDomains
	to.PermittedIPRanges, to.ExcludedIPRanges = from.PermittedIPRanges, from.ExcludedIPRanges
	to.PermittedEmailAddresses, to.ExcludedEmailAddresses = from.PermittedEmailAddresses, from.ExcludedEmailAddresses
}
