package ca

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// maxNameBytes is the length of the longest attribute of a subject, in bytes: ub-common-name, ub-organization-name and
// ub-organizational-unit-name of RFC 5280, appendix A.1.
const maxNameBytes = 64

// The bounds of what is written about revocation lists into a certificate: how many addresses, and of how many bytes.
const (
	maxCRLAddresses = 4
	maxCRLAddress   = 1024
)

// Validity is a certificate's window of time, both ends included, in whole seconds.
type Validity struct {
	NotBefore, NotAfter time.Time
}

// Request is what an authority is asked to issue. Nothing comes into a certificate that is not written here.
type Request struct {
	Profile Profile
	// Subject is usually just a common name, of at most 64 bytes.
	Subject pkix.Name
	// DNSNames may have a wildcard as their first label.
	DNSNames    []string
	IPAddresses []netip.Addr
	// URIs are absolute, and written into the certificate as they are.
	URIs []string
	// Lifetime is counted from now, the profile's DefaultLifetime if zero, its MaxLifetime at most, and cut where the
	// issuer's own validity ends.
	Lifetime time.Duration
	// PublicKey, if not nil, is the key that is certified, of the strength that CheckStrength wants. Otherwise an ECDSA
	// P-256 key is made.
	PublicKey crypto.PublicKey
	// CRLAddresses, if not nil, replace the authority's own (WithCRLAddresses).
	CRLAddresses []string

	// Validity, if not nil, replaces Lifetime, for certificates that must be expired or not valid yet. It may begin before
	// its issuer's, must not end after it, and is no longer than the profile's MaxLifetime.
	Validity *Validity
	// Usages, if not nil, replace the profile's extended key usages, where the profile allows that. An empty list makes a
	// certificate without the extension.
	Usages []x509.ExtKeyUsage
}

// template checks a request and turns it into what the authority signs.
func (r Request) template(authority *Authority) (*x509.Certificate, error) {
	rules, err := r.Profile.rules()
	if err != nil {
		return nil, err
	}
	usages, err := r.usages(rules)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          newSerial(),
		Subject:               r.Subject,
		KeyUsage:              rules.keyUsage,
		ExtKeyUsage:           usages,
		BasicConstraintsValid: true,
	}
	if err := r.putNames(rules, template); err != nil {
		return nil, err
	}
	validity, err := r.validity(rules, authority)
	if err != nil {
		return nil, err
	}
	template.NotBefore, template.NotAfter = validity.NotBefore, validity.NotAfter
	template.CRLDistributionPoints, err = authority.crlAddresses(r.CRLAddresses)
	return template, err
}

func (r Request) usages(rules *profileRules) ([]x509.ExtKeyUsage, error) {
	switch {
	case r.Usages == nil:
		return rules.usages, nil
	case rules.fixedUsages:
		return nil, fmt.Errorf("the %s profile's usages cannot be replaced", r.Profile)
	default:
		return r.Usages, nil
	}
}

// putNames writes the names into what will be signed, once the profile and their form allow them.
func (r Request) putNames(rules *profileRules, template *x509.Certificate) error {
	if err := rules.names(r); err != nil {
		return err
	}
	if err := checkNamePart("common name", r.Subject.CommonName); err != nil {
		return err
	}
	for _, name := range r.DNSNames {
		if err := checkDNSName(name); err != nil {
			return err
		}
	}
	addresses, err := toIPs(r.IPAddresses)
	if err != nil {
		return err
	}
	uris, err := toURIs(r.URIs)
	if err != nil {
		return err
	}
	template.DNSNames, template.IPAddresses, template.URIs = r.DNSNames, addresses, uris
	return nil
}

func (r Request) validity(rules *profileRules, authority *Authority) (Validity, error) {
	if r.Validity == nil {
		lifetime, err := rules.lifetimeOf(r.Lifetime)
		if err != nil {
			return Validity{}, err
		}
		return authority.validityFromNow(lifetime)
	}
	end := authority.window().NotAfter
	switch {
	case r.Validity.NotAfter.Before(r.Validity.NotBefore):
		return Validity{}, errors.New("the validity ends before it begins")
	case r.Validity.NotAfter.After(end):
		return Validity{}, fmt.Errorf("the validity must not end after the issuer's, at %s", end.Format(time.RFC3339))
	}
	_, err := rules.lifetimeOf(r.Validity.NotAfter.Sub(r.Validity.NotBefore))
	return *r.Validity, err
}

// crlAddresses are what is written into a certificate: those that were asked for, or the authority's own.
func (a *Authority) crlAddresses(asked []string) ([]string, error) {
	if asked == nil {
		return a.crl, nil
	}
	return asked, checkCRLAddresses(asked)
}

// checkCRLAddresses wants absolute http or https URLs (RFC 5280, section 4.2.1.13), few and short enough for anybody.
func checkCRLAddresses(addresses []string) error {
	if len(addresses) > maxCRLAddresses {
		return fmt.Errorf("there are %d addresses of the revocation list: at most %d are wanted", len(addresses), maxCRLAddresses)
	}
	uris, err := toURIs(addresses)
	if err != nil {
		return fmt.Errorf("the address of the revocation list: %w", err)
	}
	for _, uri := range uris {
		if (uri.Scheme != "http" && uri.Scheme != "https") || uri.Host == "" || uri.User != nil || uri.Fragment != "" || len(uri.String()) > maxCRLAddress {
			return fmt.Errorf("%q is not an address of a revocation list: an http or https URL is wanted, of at most %d bytes, without user and fragment",
				uri.Redacted(), maxCRLAddress)
		}
	}
	return nil
}

// checkNamePart judges one attribute of a subject.
func checkNamePart(what, text string) error {
	if len(text) > maxNameBytes {
		return fmt.Errorf("the %s %q has more than %d bytes", what, text, maxNameBytes)
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, isControl) {
		return fmt.Errorf("the %s %q has control characters", what, text)
	}
	return nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// checkDNSName wants a host name of RFC 1123, section 2.1 (underscores are let through, as verifiers do), with a wildcard
// as the whole first label at most (RFC 6125, section 6.4.3).
func checkDNSName(name string) error {
	labels := strings.Split(strings.TrimPrefix(name, "*."), ".")
	valid := len(name) <= 253
	for _, label := range labels {
		valid = valid && isDNSLabel(label)
	}
	if _, err := netip.ParseAddr(name); err == nil || !valid {
		return fmt.Errorf("%q is not a DNS name", name)
	}
	return nil
}

func isDNSLabel(label string) bool {
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for _, c := range []byte(label) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

func toIPs(addresses []netip.Addr) ([]net.IP, error) {
	var ips []net.IP
	for _, address := range addresses {
		if !address.IsValid() || address.Zone() != "" {
			return nil, fmt.Errorf("%q is not an IP address that a certificate can hold", address)
		}
		ips = append(ips, net.IP(address.Unmap().AsSlice()))
	}
	return ips, nil
}

// toURIs refuses a URI that net/url would write in another way than it was given.
func toURIs(texts []string) ([]*url.URL, error) {
	var uris []*url.URL
	for _, text := range texts {
		uri, err := url.Parse(text)
		if err != nil || !uri.IsAbs() || uri.String() != text {
			return nil, fmt.Errorf("%q is not an absolute URI in its normal form", text)
		}
		uris = append(uris, uri)
	}
	return uris, nil
}

// Check reports what keeps a request from being issued by whatever authority it is put to: names that its profile misses or
// does not want, their form, usages, a key that is too weak, and a lifetime that is too long.
func (r Request) Check() error {
	rules, err := r.Profile.rules()
	if err != nil {
		return err
	}
	if _, err := r.usages(rules); err != nil {
		return err
	}
	if r.PublicKey != nil {
		if err := checkPublicKey(r.PublicKey); err != nil {
			return fmt.Errorf("the public key: %w", err)
		}
	}
	if _, err := rules.lifetimeOf(r.Lifetime); err != nil {
		return err
	}
	return r.putNames(rules, &x509.Certificate{})
}
