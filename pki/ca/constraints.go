package ca

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// NameConstraints say which names an authority, and those below it, may put into certificates (RFC 5280, section
// 4.2.1.10). The extension is critical. What is excluded is so even where it is permitted, and where a kind of name has
// permitted ones, every other of that kind is not. A kind binds names of that kind alone: a common name is bound by none.
type NameConstraints struct {
	// PermittedDNS and ExcludedDNS are DNS names; each stands for itself and all that is below it.
	PermittedDNS, ExcludedDNS []string
	// PermittedURIDomains and ExcludedURIDomains are hosts of URIs, such as the trust domain of SPIFFE IDs. With a leading
	// dot one stands for all hosts below it.
	PermittedURIDomains, ExcludedURIDomains []string
	// PermittedIPs and ExcludedIPs are ranges of IP addresses.
	PermittedIPs, ExcludedIPs []netip.Prefix
}

// apply checks the constraints and writes them into what will be signed.
func (c NameConstraints) apply(template *x509.Certificate) error {
	for _, name := range slices.Concat(c.PermittedDNS, c.ExcludedDNS) {
		if err := checkConstraintDomain(name); err != nil {
			return err
		}
	}
	for _, name := range slices.Concat(c.PermittedURIDomains, c.ExcludedURIDomains) {
		if err := checkConstraintDomain(strings.TrimPrefix(name, ".")); err != nil {
			return err
		}
	}
	permitted, permittedErr := toRanges(c.PermittedIPs)
	excluded, excludedErr := toRanges(c.ExcludedIPs)
	if err := errors.Join(permittedErr, excludedErr); err != nil {
		return err
	}
	template.PermittedDNSDomains, template.ExcludedDNSDomains = c.PermittedDNS, c.ExcludedDNS
	template.PermittedURIDomains, template.ExcludedURIDomains = c.PermittedURIDomains, c.ExcludedURIDomains
	template.PermittedIPRanges, template.ExcludedIPRanges = permitted, excluded
	template.PermittedDNSDomainsCritical = hasConstraints(template)
	return nil
}

func checkConstraintDomain(name string) error {
	if strings.HasPrefix(name, "*") {
		return fmt.Errorf("%q is no name constraint: it is written without a wildcard, and stands for what is below it too", name)
	}
	return checkDNSName(name)
}

func toRanges(prefixes []netip.Prefix) ([]*net.IPNet, error) {
	var ranges []*net.IPNet
	for _, prefix := range prefixes {
		if !prefix.IsValid() || prefix != prefix.Masked() || prefix.Addr().Is4In6() {
			return nil, fmt.Errorf("%q is not a range of IP addresses, such as 10.0.0.0/8", prefix)
		}
		ranges = append(ranges, &net.IPNet{
			IP:   prefix.Addr().AsSlice(),
			Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen()),
		})
	}
	return ranges, nil
}

// hasConstraints reports whether a certificate has name constraints of any kind that crypto/x509 knows.
func hasConstraints(c *x509.Certificate) bool {
	return len(c.PermittedDNSDomains)+len(c.ExcludedDNSDomains)+len(c.PermittedURIDomains)+len(c.ExcludedURIDomains)+
		len(c.PermittedIPRanges)+len(c.ExcludedIPRanges)+len(c.PermittedEmailAddresses)+len(c.ExcludedEmailAddresses) > 0
}

func sameConstraints(a, b *x509.Certificate) bool {
	return a.PermittedDNSDomainsCritical == b.PermittedDNSDomainsCritical &&
		slices.Equal(a.PermittedDNSDomains, b.PermittedDNSDomains) && slices.Equal(a.ExcludedDNSDomains, b.ExcludedDNSDomains) &&
		slices.Equal(a.PermittedURIDomains, b.PermittedURIDomains) && slices.Equal(a.ExcludedURIDomains, b.ExcludedURIDomains) &&
		slices.Equal(a.PermittedEmailAddresses, b.PermittedEmailAddresses) && slices.Equal(a.ExcludedEmailAddresses, b.ExcludedEmailAddresses) &&
		slices.EqualFunc(a.PermittedIPRanges, b.PermittedIPRanges, sameRange) && slices.EqualFunc(a.ExcludedIPRanges, b.ExcludedIPRanges, sameRange)
}

func sameRange(a, b *net.IPNet) bool { return a.String() == b.String() }
