package ca

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
)

// Issue makes a new ECDSA P-256 key and a leaf certificate for it. What was signed has been read again, verified against
// the authority and compared with the request before it is returned. The error says which part of the request cannot
// be had.
func (a *Authority) Issue(request Request) (KeyPair, error) {
	pair, err := a.issue(request)
	if err != nil {
		return KeyPair{}, fmt.Errorf("issue a %s certificate by %q: %w", request.Profile, a.pair.Certificate.Subject, err)
	}
	return pair, nil
}

func (a *Authority) issue(request Request) (KeyPair, error) {
	template, err := request.template(a.pair.Certificate, a.clock().UTC())
	if err != nil {
		return KeyPair{}, err
	}
	key, err := generateKey()
	if err != nil {
		return KeyPair{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.pair.Certificate, key.Public(), a.pair.PrivateKey)
	if err != nil {
		return KeyPair{}, fmt.Errorf("sign: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return KeyPair{}, fmt.Errorf("read back what was signed: %w", err)
	}
	if err := a.checkIssued(certificate, template, key); err != nil {
		return KeyPair{}, fmt.Errorf("check what was signed: %w", err)
	}
	return newKeyPair(certificate, key)
}

// checkIssued verifies a signed leaf against the authority, at a moment within its own validity, and compares each field
// with what was meant.
func (a *Authority) checkIssued(certificate, template *x509.Certificate, key crypto.Signer) error {
	if err := certificate.CheckSignatureFrom(a.pair.Certificate); err != nil {
		return fmt.Errorf("verify it against the authority: %w", err)
	}
	subject, err := asn1.Marshal(template.Subject.ToRDNSequence())
	if err != nil {
		return fmt.Errorf("encode the subject: %w", err)
	}
	switch {
	case certificate.IsCA:
		return errors.New("it is a certificate authority's")
	case !Matches(certificate, key):
		return errors.New("another public key was signed")
	case certificate.SerialNumber.Cmp(template.SerialNumber) != 0:
		return errors.New("another serial number was signed")
	case !bytes.Equal(certificate.RawSubject, subject):
		return errors.New("another subject was signed")
	case !sameSecond(certificate.NotBefore, template.NotBefore) || !sameSecond(certificate.NotAfter, template.NotAfter):
		return errors.New("another validity was signed")
	case certificate.NotAfter.After(a.pair.Certificate.NotAfter):
		return errors.New("it outlives its issuer")
	case certificate.KeyUsage != template.KeyUsage || !slices.Equal(certificate.ExtKeyUsage, template.ExtKeyUsage) || len(certificate.UnknownExtKeyUsage) != 0:
		return errors.New("other usages were signed")
	case !sameNames(certificate, template):
		return errors.New("other subject alternative names were signed")
	}
	return CheckStrength(certificate)
}

func sameNames(a, b *x509.Certificate) bool {
	return slices.Equal(a.DNSNames, b.DNSNames) &&
		slices.EqualFunc(a.IPAddresses, b.IPAddresses, net.IP.Equal) &&
		slices.EqualFunc(a.URIs, b.URIs, func(a, b *url.URL) bool { return a.String() == b.String() }) &&
		len(a.EmailAddresses) == 0
}
