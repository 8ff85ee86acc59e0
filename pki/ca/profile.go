package ca

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/sallyport-project/sallyport/pki/spiffe"
)

// Profile is what a certificate is for. It decides the extended key usages and which names must stand in it.
type Profile string

// The profiles.
const (
	// Server is a listener's certificate: serverAuth, and at least one DNS name or IP address.
	Server Profile = "server"
	// Client is a caller's certificate: clientAuth, and a common name, or a DNS name or URI.
	Client Profile = "client"
	// Proxy is the certificate of one of our Envoys: clientAuth and serverAuth, and exactly one URI, a proxy's spiffe.Identity.
	Proxy Profile = "proxy"
	// Service is the certificate of a control plane or authorization service: serverAuth and clientAuth, and exactly one
	// URI, the spiffe.Identity of either.
	Service Profile = "service"
)

// Profiles lists the profiles in the order in which people should be told of them.
func Profiles() []Profile { return []Profile{Server, Client, Proxy, Service} }

// ParseProfile finds a profile by its name.
func ParseProfile(name string) (Profile, error) {
	names := make([]string, 0, len(Profiles()))
	for _, profile := range Profiles() {
		if string(profile) == name {
			return profile, nil
		}
		names = append(names, string(profile))
	}
	return "", fmt.Errorf("unknown profile %q: it is one of %s", name, strings.Join(names, ", "))
}

// usages are the profile's extended key usages (RFC 5280, section 4.2.1.12).
func (p Profile) usages() []x509.ExtKeyUsage {
	switch p {
	case Server:
		return []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	case Client:
		return []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	default:
		return []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	}
}

// checkNames reports which names the profile misses in a request, or does not want there.
func (p Profile) checkNames(request Request) error {
	switch p {
	case Server:
		if len(request.DNSNames) == 0 && len(request.IPAddresses) == 0 {
			return errors.New("the server profile needs at least one DNS name or IP address")
		}
	case Client:
		if request.Subject.CommonName == "" && len(request.DNSNames) == 0 && len(request.URIs) == 0 {
			return errors.New("the client profile needs a common name, a DNS name or a URI")
		}
	case Proxy:
		return checkIdentity(p, request.URIs, spiffe.Proxy)
	case Service:
		return checkIdentity(p, request.URIs, spiffe.ControlPlane, spiffe.Authz)
	default:
		_, err := ParseProfile(string(p))
		return err
	}
	return nil
}

func checkIdentity(profile Profile, uris []string, kinds ...spiffe.Kind) error {
	if len(uris) != 1 {
		return fmt.Errorf("the %s profile needs exactly one URI, a SPIFFE ID, and was given %d", profile, len(uris))
	}
	identity, err := spiffe.Parse(uris[0])
	if err != nil {
		return err
	}
	names := make([]string, 0, len(kinds))
	for _, kind := range kinds {
		if identity.Kind == kind {
			return nil
		}
		names = append(names, string(kind))
	}
	return fmt.Errorf("the %s profile is for a SPIFFE ID of kind %s, and %s is another", profile, strings.Join(names, " or "), identity)
}
