package config

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/sallyport-project/sallyport/config/document"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// DefaultAuthorizationTimeout is how long a proxy waits for a decision, unless its Gateway says otherwise.
const DefaultAuthorizationTimeout = 200 * time.Millisecond

// DefaultFetchTimeout is how long a proxy waits for a decision that may have to ask a Provider over a network, unless its Gateway says
// otherwise.
const DefaultFetchTimeout = 3 * time.Second

// DefaultConnectTimeout is how long a connection to an upstream may take, unless the Upstream says otherwise.
const DefaultConnectTimeout = 2 * time.Second

func (b *builder) gateway(d *document.Document, m *sallyportv1.Gateway) {
	g := &Gateway{Header: header(d, m.GetMetadata()), Group: m.GetSpec().GetGroup()}
	asked := m.GetSpec().GetAuthorization()
	g.AuthorizationTimeout = durationOr(asked.GetTimeout(), DefaultAuthorizationTimeout)
	g.FetchTimeout = max(durationOr(asked.GetFetchTimeout(), DefaultFetchTimeout), g.AuthorizationTimeout)
	if written := asked.GetFetchTimeout(); written != nil && written.AsDuration() < g.AuthorizationTimeout {
		b.fail(d, "spec.authorization.fetch_timeout", "is shorter than the timeout of decisions that ask nobody (%v)", g.AuthorizationTimeout)
	}
	names := map[string]bool{}
	for i, l := range m.GetSpec().GetListeners() {
		at := fmt.Sprintf("spec.listeners[%d]", i)
		if names[l.GetName()] {
			b.fail(d, at+".name", "there are two listeners %q in this gateway", l.GetName())
		}
		names[l.GetName()] = true
		g.Listeners = append(g.Listeners, b.listener(d, g, l, at))
	}
	b.model.gateways[d.Name] = g
}

func (b *builder) listener(d *document.Document, g *Gateway, m *sallyportv1.Listener, at string) *Listener {
	l := &Listener{
		Gateway: g, Name: m.GetName(), Origin: origin(d, at), Address: m.GetAddress(), Port: m.GetPort(),
		KeepEscapedSlashes: m.GetEscapedSlashes() == sallyportv1.EscapedSlashes_ESCAPED_SLASHES_KEEP,
	}
	switch {
	case m.GetPlaintext() && len(m.GetTls()) > 0:
		b.fail(d, at+".plaintext", "stands beside `tls`; a listener has one or the other")
	case m.GetPlaintext():
		l.Entries = []*Entry{{Listener: l, Name: PlaintextEntry, Origin: l.Origin, Hostnames: []string{"*"}}}
	case len(m.GetTls()) == 0:
		b.fail(d, at, "expected `tls`, or `plaintext: true` for a listener without it")
	}
	owners := map[string]int{}
	for i, t := range m.GetTls() {
		entry := b.entry(d, l, t, fmt.Sprintf("%s.tls[%d]", at, i))
		for j, hostname := range entry.Hostnames {
			if other, taken := owners[hostname]; taken {
				b.fail(d, fmt.Sprintf("%s.tls[%d].hostnames[%d]", at, i, j), "%q belongs to tls[%d] of this listener already", hostname, other)
			}
			owners[hostname] = i
		}
		l.Entries = append(l.Entries, entry)
	}
	for _, entry := range l.Entries {
		entry.Elsewhere = elsewhere(l, entry)
	}
	return l
}

func (b *builder) entry(d *document.Document, l *Listener, m *sallyportv1.ListenerTLS, at string) *Entry {
	e := &Entry{Listener: l, Name: m.GetHostnames()[0], Origin: origin(d, at), Hostnames: m.GetHostnames()}
	e.Certificate, _ = lookup(b, b.model.certificates, d, at+".certificate", "Certificate", m.GetCertificate())
	if issued := issuedSpec(e.Certificate); issued != nil && issued.GetProfile() != sallyportv1.CertificateProfile_CERTIFICATE_PROFILE_SERVER {
		b.fail(d, at+".certificate", "the Certificate %q (%s) is not of the profile server", e.Certificate.Name, e.Certificate.Origin)
	}
	auth := m.GetClientAuth()
	e.ClientAuth = ClientAuth{
		Mode:    ClientAuthMode(auth.GetMode()),
		Explain: auth.GetOnUntrusted() == sallyportv1.OnUntrusted_ON_UNTRUSTED_EXPLAIN,
	}
	e.ClientAuth.Truststores = lookupAll(b, b.model.truststores, d, at+".client_auth.truststores", "Truststore", auth.GetTruststores())
	switch {
	case e.ClientAuth.Mode == ClientAuthNone && len(auth.GetTruststores()) > 0:
		b.fail(d, at+".client_auth.truststores", "no certificate is asked for; set `mode: optional` or `mode: required`")
	case e.ClientAuth.Mode == ClientAuthNone && e.ClientAuth.Explain:
		b.fail(d, at+".client_auth.on_untrusted", "no certificate is asked for; set `mode: optional` or `mode: required`")
	case e.ClientAuth.Mode != ClientAuthNone && len(auth.GetTruststores()) == 0:
		b.fail(d, at+".client_auth", "expected `truststores`: which of them vouch for callers' certificates?")
	}
	return e
}

func issuedSpec(c *Certificate) *sallyportv1.IssuedCertificate {
	if c == nil {
		return nil
	}
	return c.Spec.GetIssued()
}

// elsewhere lists the hostnames of other entries that a wildcard of this one covers.
func elsewhere(l *Listener, e *Entry) []string {
	var hostnames []string
	for _, other := range l.Entries {
		if other == e {
			continue
		}
		for _, hostname := range other.Hostnames {
			if covered(hostname, e.Hostnames) {
				hostnames = append(hostnames, hostname)
			}
		}
	}
	return hostnames
}

// covered tells whether one of the hostnames, or a wildcard among them, takes this one.
func covered(hostname string, by []string) bool {
	for _, pattern := range by {
		if pattern == hostname || pattern == "*" {
			return true
		}
		if suffix, wildcard := strings.CutPrefix(pattern, "*"); wildcard && strings.HasSuffix(hostname, suffix) && hostname != pattern {
			return true
		}
	}
	return false
}

// listenersDistinct reports listeners of one proxy group that cannot be bound together.
func (b *builder) listenersDistinct() {
	bound := map[string]*Listener{}
	for _, g := range b.model.Gateways() {
		for i, l := range g.Listeners {
			key := g.Group + " " + net.JoinHostPort(l.Address, strconv.Itoa(int(l.Port)))
			if other := bound[key]; other != nil {
				b.fail(b.documents["Gateway"][g.Name], fmt.Sprintf("spec.listeners[%d].port", i),
					"%s:%d is taken in the group %q by the listener at %s", l.Address, l.Port, g.Group, other.Origin)
			}
			bound[key] = l
		}
	}
}

// placeOf is a hash of what is said of an upstream beside what it gets.
func placeOf(spec *sallyportv1.UpstreamSpec) string {
	place := proto.CloneOf(spec)
	place.Token = nil
	hash := contentHash(place)
	return hex.EncodeToString(hash[:16])
}

func (b *builder) upstream(d *document.Document, m *sallyportv1.Upstream) {
	spec := m.GetSpec()
	version := contentHash(spec)
	u := &Upstream{
		Header:         header(d, m.GetMetadata()),
		Version:        hex.EncodeToString(version[:16]),
		Place:          placeOf(spec),
		Addresses:      spec.GetEndpoints().GetAddresses().GetItems(),
		DNS:            spec.GetEndpoints().GetDns(),
		HTTP2:          spec.GetProtocol() == sallyportv1.UpstreamProtocol_UPSTREAM_PROTOCOL_HTTP2,
		ConnectTimeout: DefaultConnectTimeout,
	}
	for i, address := range u.Addresses {
		if parsed, err := netip.ParseAddrPort(address); err != nil || parsed.Port() == 0 {
			b.fail(d, fmt.Sprintf("spec.endpoints.addresses.items[%d]", i), "expected an IP address with a port, such as 10.0.0.7:8443, found %q; a name goes under `dns`", address)
		}
	}
	if _, port, ok := strings.Cut(u.DNS, ":"); ok {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			b.fail(d, "spec.endpoints.dns", "%q is no port", port)
		}
	}
	if timeout := spec.GetConnectTimeout(); timeout != nil {
		u.ConnectTimeout = timeout.AsDuration()
	}
	if tls := spec.GetTls(); tls != nil {
		u.TLS = &UpstreamTLS{ServerName: tls.GetServerName()}
		u.TLS.Truststore, _ = lookup(b, b.model.truststores, d, "spec.tls.truststore", "Truststore", tls.GetTruststore())
		if name := tls.GetClientCertificate(); name != "" {
			u.TLS.ClientCertificate, _ = lookup(b, b.model.certificates, d, "spec.tls.client_certificate", "Certificate", name)
			if issued := issuedSpec(u.TLS.ClientCertificate); issued != nil && issued.GetProfile() != sallyportv1.CertificateProfile_CERTIFICATE_PROFILE_CLIENT {
				b.fail(d, "spec.tls.client_certificate", "the Certificate %q (%s) is not of the profile client", name, u.TLS.ClientCertificate.Origin)
			}
		}
	}
	b.tokens(d, u, spec.GetToken())
	b.model.upstreams[d.Name] = u
}
