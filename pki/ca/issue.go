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
	"time"
)

// Issue makes a leaf certificate: for a new ECDSA P-256 key, or for the request's public key, in which case the key pair
// has no private key. What was signed has been read again, verified against the authority and those above it, and
// compared with the request before it is returned. The error says which part of the request cannot be had.
func (a *Authority) Issue(request Request) (KeyPair, error) {
	pair, err := a.issue(request)
	if err != nil {
		return KeyPair{}, fmt.Errorf("issue a %s certificate by %q: %w", request.Profile, a.pair.Certificate.Subject, err)
	}
	return pair, nil
}

func (a *Authority) issue(request Request) (KeyPair, error) {
	template, err := request.template(a)
	if err != nil {
		return KeyPair{}, err
	}
	return a.certify(template, request.PublicKey, checkSignedLeaf)
}

// certify signs what the template says of a public key, or of a new one if there is none, and holds what came out against a check of
// what only its kind of certificate has.
func (a *Authority) certify(template *x509.Certificate, of crypto.PublicKey, check func(signed, template *x509.Certificate) error) (KeyPair, error) {
	key, public, err := keyFor(of)
	if err != nil {
		return KeyPair{}, err
	}
	certificate, err := a.sign(template, public)
	if err != nil {
		return KeyPair{}, err
	}
	if err := check(certificate, template); err != nil {
		return KeyPair{}, fmt.Errorf("check what was signed: %w", err)
	}
	return newKeyPair(certificate, key, a.Chain())
}

// sign signs a certificate, reads it back, verifies it, and compares what all certificates have in common. An
// authority's own key, or one of those above it, is nobody else's.
func (a *Authority) sign(template *x509.Certificate, public crypto.PublicKey) (*x509.Certificate, error) {
	subject, err := subjectOf(template)
	if err != nil {
		return nil, err
	}
	for _, above := range a.Chain() {
		if samePublicKey(above.PublicKey, public) {
			return nil, fmt.Errorf("the public key is that of the authority %q", above.Subject)
		}
		if bytes.Equal(above.RawSubject, subject) {
			return nil, fmt.Errorf("the subject %q is that of the authority itself", above.Subject)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.pair.Certificate, public, a.pair.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read back what was signed: %w", err)
	}
	if err := checkSigned(certificate, template, public); err != nil {
		return nil, fmt.Errorf("check what was signed: %w", err)
	}
	if err := a.verify(certificate); err != nil {
		return nil, fmt.Errorf("verify what was signed: %w", err)
	}
	return certificate, nil
}

// verify wants a certificate to be issued by the authority within the constraints of all above it, for each of its
// usages. It is judged at the first moment at which all of them are valid: its own time has been compared with what was
// asked, which may be a time in the past.
func (a *Authority) verify(certificate *x509.Certificate) error {
	if err := certificate.CheckSignatureFrom(a.pair.Certificate); err != nil {
		return fmt.Errorf("against the authority: %w", err)
	}
	window := a.window()
	if certificate.NotAfter.After(window.NotAfter) {
		return errors.New("it outlives its issuer")
	}
	judged := *certificate
	judged.NotBefore, judged.NotAfter = window.NotBefore, window.NotAfter

	chain := a.Chain()
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(chain[len(chain)-1])
	for _, above := range chain[:len(chain)-1] {
		intermediates.AddCert(above)
	}
	usages := certificate.ExtKeyUsage
	if len(usages) == 0 {
		usages = []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
	}
	for _, usage := range usages {
		options := x509.VerifyOptions{
			Roots: roots, Intermediates: intermediates, CurrentTime: window.NotBefore, KeyUsages: []x509.ExtKeyUsage{usage},
		}
		if _, err := judged.Verify(options); err != nil {
			return fmt.Errorf("against the authority and those above it: %w", err)
		}
	}
	return nil
}

// checkSigned compares what every signed certificate has with what was meant.
func checkSigned(certificate, template *x509.Certificate, public crypto.PublicKey) error {
	subject, err := subjectOf(template)
	if err != nil {
		return err
	}
	switch {
	case !samePublicKey(certificate.PublicKey, public):
		return errors.New("another public key was signed")
	case certificate.SerialNumber.Cmp(template.SerialNumber) != 0:
		return errors.New("another serial number was signed")
	case !bytes.Equal(certificate.RawSubject, subject):
		return errors.New("another subject was signed")
	case !sameSecond(certificate.NotBefore, template.NotBefore) || !sameSecond(certificate.NotAfter, template.NotAfter):
		return errors.New("another validity was signed")
	case certificate.IsCA != template.IsCA:
		return errors.New("the mark of an authority is wrong")
	case certificate.KeyUsage != template.KeyUsage || !slices.Equal(certificate.ExtKeyUsage, template.ExtKeyUsage) || len(certificate.UnknownExtKeyUsage) != 0:
		return errors.New("other usages were signed")
	case !sameNames(certificate, template):
		return errors.New("other subject alternative names were signed")
	case !slices.Equal(certificate.CRLDistributionPoints, template.CRLDistributionPoints):
		return errors.New("other addresses of the revocation list were signed")
	}
	return CheckStrength(certificate)
}

// checkSignedLeaf compares a signed leaf with what was meant, beyond what checkSigned does.
func checkSignedLeaf(certificate, template *x509.Certificate) error {
	switch {
	case certificate.IsCA || certificate.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0:
		return errors.New("it is a certificate authority's")
	case hasConstraints(certificate):
		return errors.New("it has name constraints")
	case len(certificate.Policies) != len(template.Policies):
		return errors.New("other policies were signed")
	}
	return nil
}

func subjectOf(template *x509.Certificate) ([]byte, error) {
	if len(template.RawSubject) > 0 {
		return template.RawSubject, nil
	}
	subject, err := asn1.Marshal(template.Subject.ToRDNSequence())
	if err != nil {
		return nil, fmt.Errorf("encode the subject: %w", err)
	}
	return subject, nil
}

func sameNames(a, b *x509.Certificate) bool {
	return slices.Equal(a.DNSNames, b.DNSNames) &&
		slices.EqualFunc(a.IPAddresses, b.IPAddresses, net.IP.Equal) &&
		slices.EqualFunc(a.URIs, b.URIs, func(a, b *url.URL) bool { return a.String() == b.String() }) &&
		len(a.EmailAddresses) == 0
}

// validityFromNow is a validity of the given length, cut where the authority's own ends.
func (a *Authority) validityFromNow(lifetime time.Duration) (Validity, error) {
	now, window := a.clock().UTC(), a.window()
	if now.After(window.NotAfter) || now.Before(window.NotBefore) {
		return Validity{}, fmt.Errorf("the issuer is valid only from %s to %s",
			window.NotBefore.Format(time.RFC3339), window.NotAfter.Format(time.RFC3339))
	}
	validity := Validity{NotBefore: now.Add(-backdate), NotAfter: now.Add(lifetime)}
	if validity.NotAfter.After(window.NotAfter) {
		validity.NotAfter = window.NotAfter
	}
	return validity, nil
}
