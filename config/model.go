package config

import (
	"net"
	"strconv"
	"time"

	"github.com/sallyport-project/sallyport/config/document"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// Model is one valid configuration with every reference resolved. Only Build makes one, so whoever holds a Model need
// check nothing again. A Model and all that it leads to is read-only and may be shared between goroutines.
type Model struct {
	revision     string
	authorities  map[string]*Authority
	truststores  map[string]*Truststore
	certificates map[string]*Certificate
	providers    map[string]*Provider
	gateways     map[string]*Gateway
	roles        map[string]*Role
	consumers    map[string]*Consumer
	policies     map[string]*Policy
	upstreams    map[string]*Upstream
	routes       map[string]*Route
	tests        map[string]*Test
	forwardable  []string
	// documents that the Model was built from.
	documents []*document.Document
}

// Revision is a hash of the configuration's content: hexadecimal, the same for the same resources wherever their files
// are and in whatever order, and independent of comments, layout and origins.
func (m *Model) Revision() string { return m.revision }

// ForwardableHeaders are the names, in lower case and sorted, of all headers that any policy sets or lets pass. On each
// request those that the request's own policy does not set or let pass are removed.
func (m *Model) ForwardableHeaders() []string { return m.forwardable }

// Documents are what the Model was built from: one for each resource, with the place where it is written.
func (m *Model) Documents() []*document.Document { return m.documents }

// The accessors below return resources sorted by name, or one by name (nil where there is none).

// Authorities returns all Authorities by name.
func (m *Model) Authorities() []*Authority { return sorted(m.authorities) }

// Truststores returns all Truststores by name.
func (m *Model) Truststores() []*Truststore { return sorted(m.truststores) }

// Truststore returns the Truststore of that name, or nil.
func (m *Model) Truststore(name string) *Truststore { return m.truststores[name] }

// Certificates returns all Certificates by name.
func (m *Model) Certificates() []*Certificate { return sorted(m.certificates) }

// Certificate returns the Certificate of that name, or nil.
func (m *Model) Certificate(name string) *Certificate { return m.certificates[name] }

// Providers returns all Providers by name.
func (m *Model) Providers() []*Provider { return sorted(m.providers) }

// Provider returns the Provider of that name, or nil.
func (m *Model) Provider(name string) *Provider { return m.providers[name] }

// Gateways returns all Gateways by name.
func (m *Model) Gateways() []*Gateway { return sorted(m.gateways) }

// Gateway returns the Gateway of that name, or nil.
func (m *Model) Gateway(name string) *Gateway { return m.gateways[name] }

// Roles returns all Roles by name.
func (m *Model) Roles() []*Role { return sorted(m.roles) }

// Consumers returns all Consumers by name.
func (m *Model) Consumers() []*Consumer { return sorted(m.consumers) }

// Consumer returns the Consumer of that name, or nil.
func (m *Model) Consumer(name string) *Consumer { return m.consumers[name] }

// Policies returns all Policies by name.
func (m *Model) Policies() []*Policy { return sorted(m.policies) }

// Policy returns the Policy of that name, or nil.
func (m *Model) Policy(name string) *Policy { return m.policies[name] }

// Upstreams returns all Upstreams by name.
func (m *Model) Upstreams() []*Upstream { return sorted(m.upstreams) }

// Upstream returns the Upstream of that name, or nil.
func (m *Model) Upstream(name string) *Upstream { return m.upstreams[name] }

// Routes returns all Routes by name.
func (m *Model) Routes() []*Route { return sorted(m.routes) }

// Route returns the Route of that name, or nil.
func (m *Model) Route(name string) *Route { return m.routes[name] }

// Tests returns all Tests by name.
func (m *Model) Tests() []*Test { return sorted(m.tests) }

// Origin is where in the configuration something is written.
type Origin = document.Origin

// Header is what every resource has.
type Header struct {
	Name   string
	Labels map[string]string
	Origin Origin
}

// Authority is a certificate authority of ours. Its Spec is read by pki/inventory alone.
type Authority struct {
	Header
	Spec *sallyportv1.AuthoritySpec
}

// Truststore is a CA bundle. Its Spec is read by pki/inventory, and by nobody else but ClientAuth.
type Truststore struct {
	Header
	Spec *sallyportv1.TruststoreSpec
}

// Certificate is a key pair of ours. Its Spec is read by pki/inventory alone.
type Certificate struct {
	Header
	Spec *sallyportv1.CertificateSpec
}

// Gateway is a set of listeners served by one group of proxies.
type Gateway struct {
	Header
	Group string
	// AuthorizationTimeout bounds one check; always positive.
	AuthorizationTimeout time.Duration
	// FetchTimeout bounds one that may have to ask a Provider; never less than AuthorizationTimeout.
	FetchTimeout time.Duration
	// Listeners in the order of the file.
	Listeners []*Listener
}

// Listener returns the gateway's listener of that name, or nil.
func (g *Gateway) Listener(name string) *Listener {
	for _, l := range g.Listeners {
		if l.Name == name {
			return l
		}
	}
	return nil
}

// PlaintextEntry is the name of the only entry of a listener without TLS.
const PlaintextEntry = "plaintext"

// Listener is one address and port of a gateway.
type Listener struct {
	Gateway *Gateway
	Name    string
	Origin  Origin
	Address string
	Port    uint32
	// KeepEscapedSlashes is set where %2F and %5C in a path are kept, and not where they are answered 400.
	KeepEscapedSlashes bool
	// Entries are the listener's TLS entries; a plaintext listener has exactly one, without a Certificate.
	Entries []*Entry
}

// Entry returns the listener's entry of that name, or nil.
func (l *Listener) Entry(name string) *Entry {
	for _, e := range l.Entries {
		if e.Name == name {
			return e
		}
	}
	return nil
}

// HostPort is the listener's address and port.
func (l *Listener) HostPort() string { return net.JoinHostPort(l.Address, strconv.Itoa(int(l.Port))) }

// Serves tells whether some entry of the listener takes the hostname.
func (l *Listener) Serves(hostname string) bool { return l.EntryFor(hostname) != nil }

// Plaintext tells whether the listener is one without TLS.
func (l *Listener) Plaintext() bool { return l.Entries[0].Certificate == nil }

// Entry is the TLS of some hostnames on a listener, and the rules that serve them. It is the unit of trust: what a
// request may do is judged by the truststores of the very entry that it came in by.
type Entry struct {
	Listener *Listener
	// Name is the first hostname, or PlaintextEntry.
	Name   string
	Origin Origin
	// Hostnames that choose this entry, exact or `*.` wildcards; `*` alone on a plaintext listener.
	Hostnames []string
	// Certificate that is presented; nil on a plaintext listener.
	Certificate *Certificate
	ClientAuth  ClientAuth
	// VirtualHosts by hostname, sorted; each lists its rules in order of precedence.
	VirtualHosts []*VirtualHost
	// Elsewhere are the hostnames of the listener's other entries that a wildcard of this one would take: requests for
	// them are misdirected (RFC 9110, 15.5.20).
	Elsewhere []string
}

// VirtualHost is one hostname of an entry with its rules, the first that matches being the one that counts.
type VirtualHost struct {
	Hostname string
	// CORS is nil where no page of another origin may call.
	CORS  *CORS
	Rules []*Rule
}

// ClientAuthMode is whether a caller's certificate is asked for.
type ClientAuthMode int

// The modes.
const (
	ClientAuthNone ClientAuthMode = iota
	ClientAuthOptional
	ClientAuthRequired
)

// ClientAuth is what is demanded of a caller's certificate.
type ClientAuth struct {
	Mode ClientAuthMode
	// Truststores are empty exactly when Mode is ClientAuthNone.
	Truststores []*Truststore
	// Explain is set where an untrusted certificate passes the handshake and gets a 403 that says why.
	Explain bool
}

// TakesChain tells whether some truststore takes intermediate authorities that a caller sends.
func (c ClientAuth) TakesChain() bool {
	for _, t := range c.Truststores {
		if t.Spec.GetIntermediates().GetFromCaller() {
			return true
		}
	}
	return false
}

// Trusts tells whether the named truststore is one of these.
func (c ClientAuth) Trusts(truststore string) bool {
	for _, t := range c.Truststores {
		if t.Name == truststore {
			return true
		}
	}
	return false
}
