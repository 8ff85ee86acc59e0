package ca

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport-project/sallyport/pki/spiffe"
)

// Profile is what a leaf certificate is for. It decides its usages, its longest life and which names must stand in it.
type Profile string

// The profiles.
const (
	// Server is a listener's certificate: serverAuth, and at least one DNS name or IP address. No URI of it, nor of a Client
	// or Partner, is a spiffe.Identity of our own.
	Server Profile = "server"
	// Client is a caller's certificate: clientAuth, and a common name, or a DNS name or URI.
	Client Profile = "client"
	// Partner is the certificate of a consumer: clientAuth alone, the consumer's name as common name, and at most one URI.
	Partner Profile = "partner"
	// Proxy is the certificate of one of our Envoys: clientAuth and serverAuth, and exactly one URI, a proxy's spiffe.Identity.
	Proxy Profile = "proxy"
	// Service is the certificate of a control plane or authorization service: serverAuth and clientAuth, and exactly one
	// URI, the spiffe.Identity of either.
	Service Profile = "service"
	// Operator is the certificate of a person or pipeline that runs Sallyport from afar: clientAuth alone, and exactly one
	// URI, an operator's spiffe.Identity.
	Operator Profile = "operator"
)

const day = 24 * time.Hour

// DefaultLifetime is how long a leaf is valid unless the Request or its profile says otherwise.
const DefaultLifetime = day

// How long authorities are valid unless asked otherwise, and at most.
const (
	DefaultAuthorityLifetime = 10 * 365 * day
	MaxAuthorityLifetime     = 30 * 365 * day
	DefaultIssuingLifetime   = 5 * 365 * day
	MaxIssuingLifetime       = 10 * 365 * day
)

// profileRules are what a profile stands for.
type profileRules struct {
	profile Profile
	lifetimeRules
	keyUsage x509.KeyUsage
	usages   []x509.ExtKeyUsage
	// fixedUsages says that no request may replace the extended key usages.
	fixedUsages bool
	// names reports which names the profile misses in a request, or does not want there.
	names func(Request) error
}

// lifetimeRules bound how long a certificate is valid.
type lifetimeRules struct {
	// usual is for requests that do not say; longest is the most that can be asked for.
	usual, longest time.Duration
}

// The rules of everything that an authority signs, for review at one glance. A leaf is never an authority and has no path
// length; an authority has the key usages certSign and crlSign, and the path length that it was asked for, zero unless
// said otherwise.
var (
	clientAuth = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	serverAuth = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	bothAuth   = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}

	profiles = []profileRules{
		{Server, lifetimeRules{DefaultLifetime, 825 * day}, x509.KeyUsageDigitalSignature, serverAuth, false, serverNames},
		{Client, lifetimeRules{DefaultLifetime, 825 * day}, x509.KeyUsageDigitalSignature, clientAuth, false, clientNames},
		{Partner, lifetimeRules{365 * day, 825 * day}, x509.KeyUsageDigitalSignature, clientAuth, true, partnerNames},
		{Proxy, lifetimeRules{DefaultLifetime, 398 * day}, x509.KeyUsageDigitalSignature, bothAuth, false, identityOf(Proxy, spiffe.Proxy)},
		{Service, lifetimeRules{DefaultLifetime, 398 * day}, x509.KeyUsageDigitalSignature, bothAuth, false, identityOf(Service, spiffe.ControlPlane, spiffe.Authz)},
		{Operator, lifetimeRules{30 * day, 398 * day}, x509.KeyUsageDigitalSignature, clientAuth, true, identityOf(Operator, spiffe.Operator)},
	}

	rootRules    = lifetimeRules{DefaultAuthorityLifetime, MaxAuthorityLifetime}
	issuingRules = lifetimeRules{DefaultIssuingLifetime, MaxIssuingLifetime}
)

// Profiles lists the profiles in the order in which people should be told of them.
func Profiles() []Profile {
	names := make([]Profile, 0, len(profiles))
	for _, rules := range profiles {
		names = append(names, rules.profile)
	}
	return names
}

// ParseProfile finds a profile by its name.
func ParseProfile(name string) (Profile, error) {
	_, err := Profile(name).rules()
	if err != nil {
		return "", err
	}
	return Profile(name), nil
}

// DefaultLifetime is how long a certificate of the profile is valid unless the Request says otherwise, and zero for a
// profile that does not exist.
func (p Profile) DefaultLifetime() time.Duration {
	rules, err := p.rules()
	if err != nil {
		return 0
	}
	return rules.usual
}

// MaxLifetime is the longest that can be asked for, and zero for a profile that does not exist.
func (p Profile) MaxLifetime() time.Duration {
	rules, err := p.rules()
	if err != nil {
		return 0
	}
	return rules.longest
}

func (p Profile) rules() (*profileRules, error) {
	names := make([]string, 0, len(profiles))
	for i := range profiles {
		if profiles[i].profile == p {
			return &profiles[i], nil
		}
		names = append(names, string(profiles[i].profile))
	}
	return nil, fmt.Errorf("unknown profile %q: it is one of %s", string(p), strings.Join(names, ", "))
}

// lifetimeOf is how long a certificate is valid for which this was asked; zero asks for what is usual.
func (r lifetimeRules) lifetimeOf(asked time.Duration) (time.Duration, error) {
	switch {
	case asked < 0:
		return 0, errors.New("the lifetime must not be negative")
	case asked > r.longest:
		return 0, fmt.Errorf("the lifetime must not be longer than %d days", r.longest/day)
	case asked == 0:
		return r.usual, nil
	default:
		return asked, nil
	}
}

func serverNames(request Request) error {
	if len(request.DNSNames) == 0 && len(request.IPAddresses) == 0 {
		return errors.New("the server profile needs at least one DNS name or IP address")
	}
	return noIdentity(Server, request)
}

func clientNames(request Request) error {
	if request.Subject.CommonName == "" && len(request.DNSNames) == 0 && len(request.URIs) == 0 {
		return errors.New("the client profile needs a common name, a DNS name or a URI")
	}
	return noIdentity(Client, request)
}

func partnerNames(request Request) error {
	switch {
	case request.Subject.CommonName == "":
		return errors.New("the partner profile needs a common name, the consumer's name")
	case len(request.DNSNames)+len(request.IPAddresses) > 0:
		return errors.New("the partner profile has neither DNS names nor IP addresses")
	case len(request.URIs) > 1:
		return fmt.Errorf("the partner profile has at most one URI, and was given %d", len(request.URIs))
	}
	return noIdentity(Partner, request)
}

// noIdentity keeps the profiles for others from making an identity of our own processes or operators.
func noIdentity(profile Profile, request Request) error {
	for _, uri := range request.URIs {
		if identity, err := spiffe.Parse(uri); err == nil {
			return fmt.Errorf("%s is an identity of our own: the %s profile does not make those", identity, profile)
		}
	}
	return nil
}

// identityOf wants exactly one URI, an identity of one of the kinds.
func identityOf(profile Profile, kinds ...spiffe.Kind) func(Request) error {
	return func(request Request) error {
		if len(request.URIs) != 1 {
			return fmt.Errorf("the %s profile needs exactly one URI, a SPIFFE ID, and was given %d", profile, len(request.URIs))
		}
		identity, err := spiffe.Parse(request.URIs[0])
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
}
