package ca

import (
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

// DefaultLifetime is how long a leaf is valid unless the Request says otherwise.
const DefaultLifetime = 24 * time.Hour

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
	// Lifetime is counted from now, DefaultLifetime if zero, and cut where the issuer's own validity ends.
	Lifetime time.Duration

	// Validity, if not nil, replaces Lifetime, for certificates that must be expired or not valid yet. It may begin before
	// its issuer's and must not end after it.
	Validity *Validity
	// Usages, if not nil, replace the profile's extended key usages. An empty list makes a certificate without the
	// extension.
	Usages []x509.ExtKeyUsage
}

// template checks a request and turns it into what is signed.
func (r Request) template(issuer *x509.Certificate, now time.Time) (*x509.Certificate, error) {
	if err := r.Profile.checkNames(r); err != nil {
		return nil, err
	}
	if err := checkCommonName(r.Subject.CommonName); err != nil {
		return nil, err
	}
	for _, name := range r.DNSNames {
		if err := checkDNSName(name); err != nil {
			return nil, err
		}
	}
	addresses, err := toIPs(r.IPAddresses)
	if err != nil {
		return nil, err
	}
	uris, err := toURIs(r.URIs)
	if err != nil {
		return nil, err
	}
	validity, err := r.validity(issuer, now)
	if err != nil {
		return nil, err
	}
	usages := r.Usages
	if usages == nil {
		usages = r.Profile.usages()
	}
	return &x509.Certificate{
		SerialNumber:          newSerial(),
		Subject:               r.Subject,
		NotBefore:             validity.NotBefore,
		NotAfter:              validity.NotAfter,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           usages,
		BasicConstraintsValid: true,
		DNSNames:              r.DNSNames,
		IPAddresses:           addresses,
		URIs:                  uris,
	}, nil
}

func (r Request) validity(issuer *x509.Certificate, now time.Time) (Validity, error) {
	if r.Validity != nil {
		switch {
		case r.Validity.NotAfter.Before(r.Validity.NotBefore):
			return Validity{}, errors.New("the validity ends before it begins")
		case r.Validity.NotAfter.After(issuer.NotAfter):
			return Validity{}, fmt.Errorf("the validity must not end after the issuer's, at %s", issuer.NotAfter.Format(time.RFC3339))
		}
		return *r.Validity, nil
	}
	if now.After(issuer.NotAfter) || now.Before(issuer.NotBefore) {
		return Validity{}, fmt.Errorf("the issuer is valid only from %s to %s",
			issuer.NotBefore.Format(time.RFC3339), issuer.NotAfter.Format(time.RFC3339))
	}
	lifetime := r.Lifetime
	if lifetime == 0 {
		lifetime = DefaultLifetime
	}
	if lifetime < 0 {
		return Validity{}, errors.New("the lifetime must not be negative")
	}
	validity := Validity{NotBefore: now.Add(-backdate), NotAfter: now.Add(lifetime)}
	if validity.NotAfter.After(issuer.NotAfter) {
		validity.NotAfter = issuer.NotAfter
	}
	return validity, nil
}

func checkCommonName(name string) error {
	if len(name) > maxCommonName {
		return fmt.Errorf("the common name %q has more than %d bytes", name, maxCommonName)
	}
	if !utf8.ValidString(name) || strings.ContainsFunc(name, isControl) {
		return fmt.Errorf("the common name %q has control characters", name)
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
