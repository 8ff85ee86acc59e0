// Package spiffe owns the identities of Sallyport's own processes and of those who run them: proxies, control plane,
// authorization service, operators. Each is a SPIFFE ID in the one URI SAN of a certificate.
//
// It never judges whether a certificate is trusted: verify the chain first, then ask whose it is. It knows nothing of
// partners' certificates, whose URI SANs are matched as text elsewhere.
package spiffe

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Scheme is the URI scheme of every SPIFFE ID.
const Scheme = "spiffe"

// Bounds of the SPIFFE-ID specification, section 2, in bytes.
const (
	maxURI         = 2048
	maxTrustDomain = 255
)

// Kind says which of our processes an identity belongs to. Its text is the first segment of the path.
type Kind string

// The kinds of identity. A proxy is in a group; the others stand alone.
const (
	Proxy        Kind = "proxy"
	ControlPlane Kind = "control-plane"
	Authz        Kind = "authz"
	// Operator is a person or a pipeline that runs Sallyport from afar.
	Operator Kind = "operator"
)

// Identity is one of our processes. The zero value is nobody. Identities are comparable with ==.
type Identity struct {
	TrustDomain string
	Kind        Kind
	// Group is the group of proxies that share a configuration; empty for every other kind.
	Group string
	Name  string
}

// Parse reads an identity from its only accepted spelling:
//
//	spiffe://<trust domain>/proxy/<group>/<name>
//	spiffe://<trust domain>/control-plane/<name>
//	spiffe://<trust domain>/authz/<name>
//	spiffe://<trust domain>/operator/<name>
//
// There is no second spelling of the same identity: no upper-case scheme or trust domain, port, user information,
// query, fragment, percent-encoding, empty or dot segment is accepted (SPIFFE-ID sections 2.1 and 2.2).
func Parse(uri string) (Identity, error) {
	identity, err := parse(uri)
	if err != nil {
		return Identity{}, fmt.Errorf("SPIFFE ID %q: %w", uri, err)
	}
	return identity, nil
}

func parse(uri string) (Identity, error) {
	if len(uri) > maxURI {
		return Identity{}, fmt.Errorf("longer than %d bytes", maxURI)
	}
	rest, found := strings.CutPrefix(uri, Scheme+"://")
	if !found {
		return Identity{}, errors.New("must begin with spiffe://")
	}
	trustDomain, path, _ := strings.Cut(rest, "/")
	identity := Identity{TrustDomain: trustDomain}
	segments := strings.Split(path, "/")
	switch kind := Kind(segments[0]); {
	case kind == Proxy && len(segments) == 3:
		identity.Kind, identity.Group, identity.Name = kind, segments[1], segments[2]
	case (kind == ControlPlane || kind == Authz || kind == Operator) && len(segments) == 2:
		identity.Kind, identity.Name = kind, segments[1]
	default:
		return Identity{}, errors.New("the path must be /proxy/<group>/<name>, /control-plane/<name>, /authz/<name> or /operator/<name>")
	}
	return identity, identity.Validate()
}

// Validate reports what keeps an identity that was put together by hand from being written as a SPIFFE ID. An identity
// returned by Parse or FromCertificate is valid.
func (i Identity) Validate() error {
	if err := ValidateTrustDomain(i.TrustDomain); err != nil {
		return err
	}
	if err := validateSegment("name", i.Name); err != nil {
		return err
	}
	switch i.Kind {
	case Proxy:
		if err := validateSegment("group", i.Group); err != nil {
			return err
		}
	case ControlPlane, Authz, Operator:
		if i.Group != "" {
			return fmt.Errorf("a %s has no group", i.Kind)
		}
	default:
		return fmt.Errorf("unknown kind %q", string(i.Kind))
	}
	if length := len(i.String()); length > maxURI {
		return fmt.Errorf("longer than %d bytes", maxURI)
	}
	return nil
}

// ValidateTrustDomain reports what keeps a trust domain from standing in a SPIFFE ID: it has 1 to 255 bytes of
// lower-case letters, digits, dots, hyphens and underscores.
func ValidateTrustDomain(trustDomain string) error {
	if trustDomain == "" || len(trustDomain) > maxTrustDomain {
		return fmt.Errorf("the trust domain must have 1 to %d bytes", maxTrustDomain)
	}
	for _, c := range []byte(trustDomain) {
		if !isTrustDomainByte(c) {
			return fmt.Errorf("the trust domain has %q: lower-case letters, digits, '.', '-' and '_' are allowed", c)
		}
	}
	return nil
}

func validateSegment(what, segment string) error {
	if segment == "" || segment == "." || segment == ".." {
		return fmt.Errorf("the %s %q must be neither empty nor a dot segment", what, segment)
	}
	for _, c := range []byte(segment) {
		if !isTrustDomainByte(c) && (c < 'A' || c > 'Z') {
			return fmt.Errorf("the %s has %q: letters, digits, '.', '-' and '_' are allowed", what, c)
		}
	}
	return nil
}

func isTrustDomainByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_'
}

// String writes the identity as its SPIFFE ID; Parse reads it back to an equal identity.
func (i Identity) String() string { return Scheme + "://" + i.TrustDomain + i.path() }

// URI is String in the form that x509.Certificate wants.
func (i Identity) URI() *url.URL {
	return &url.URL{Scheme: Scheme, Host: i.TrustDomain, Path: i.path()}
}

func (i Identity) path() string {
	if i.Kind == Proxy {
		return "/" + string(i.Kind) + "/" + i.Group + "/" + i.Name
	}
	return "/" + string(i.Kind) + "/" + i.Name
}
