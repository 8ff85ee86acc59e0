package config

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sallyport-project/sallyport/config/document"
	"github.com/sallyport-project/sallyport/config/expression"
	"github.com/sallyport-project/sallyport/config/template"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// declareRole makes a role known by name; its permissions follow once the routes that they name are built.
func (b *builder) declareRole(d *document.Document, m *sallyportv1.Role) {
	b.model.roles[d.Name] = &Role{Header: header(d, m.GetMetadata())}
}

func (b *builder) permissions(d *document.Document, m *sallyportv1.Role) {
	role := b.model.roles[d.Name]
	for i, p := range m.GetSpec().GetPermissions() {
		at := fmt.Sprintf("spec.permissions[%d]", i)
		permission := &Permission{Role: role, Origin: origin(d, at), Methods: p.GetMethods()}
		permission.Routes = lookupAll(b, b.model.routes, d, at+".routes", "Route", p.GetRoutes())
		for j, path := range p.GetPaths() {
			compiled, err := template.Parse(path)
			if err != nil {
				b.fail(d, fmt.Sprintf("%s.paths[%d]", at, j), "%v", err)
				continue
			}
			permission.Paths = append(permission.Paths, compiled)
		}
		role.Permissions = append(role.Permissions, permission)
	}
}

func (b *builder) policy(d *document.Document, m *sallyportv1.Policy) {
	spec := m.GetSpec()
	version := contentHash(spec)
	p := &Policy{
		Header: header(d, m.GetMetadata()), Version: hex.EncodeToString(version[:16]),
		Authenticate: b.authenticate(d, spec.GetAuthenticate(), "spec.authenticate"),
		Pass:         spec.GetForward().GetPass(),
		Disclose:     spec.GetDeny().GetDisclose(), HideAsNotFound: spec.GetDeny().GetHideAsNotFound(),
	}
	names := map[string]bool{}
	for i, rule := range spec.GetAuthorize() {
		at := fmt.Sprintf("spec.authorize[%d]", i)
		if names[rule.GetName()] {
			b.fail(d, at+".name", "there are two rules %q in this policy", rule.GetName())
		}
		names[rule.GetName()] = true
		p.Authorize = append(p.Authorize, b.authorizeRule(d, rule, at))
	}
	b.forward(d, p, spec.GetForward().GetHeaders())
	b.model.policies[d.Name] = p
}

func (b *builder) authorizeRule(d *document.Document, m *sallyportv1.AuthorizeRule, at string) *AuthorizeRule {
	rule := &AuthorizeRule{
		Name: m.GetName(), Origin: origin(d, at),
		ConsumerPermissions: m.GetPermissions() == sallyportv1.PermissionSource_PERMISSION_SOURCE_CONSUMER_ROLES,
		ConsumerRoles:       lookupAll(b, b.model.roles, d, at+".consumer_roles.names", "Role", m.GetConsumerRoles().GetNames()),
		Consumers:           lookupAll(b, b.model.consumers, d, at+".consumers.names", "Consumer", m.GetConsumers().GetNames()),
		TokenRoles:          m.GetTokenRoles().GetNames(),
		TokenScopes:         m.GetScopes().GetNames(),
		Everyone:            m.GetEveryone(),
		Shadow:              m.GetShadow(),
	}
	if m.GetWhen() != "" {
		var err error
		if rule.When, err = expression.CompileCondition(m.GetWhen()); err != nil {
			b.fail(d, at+".when", "%v", err)
		}
		rule.WhenOrigin = origin(d, at+".when")
	}
	return rule
}

func (b *builder) authenticate(d *document.Document, m *sallyportv1.Authenticate, at string) Authenticate {
	a := Authenticate{Origin: origin(d, at), Anonymous: m.GetAnonymous() != nil}
	a.Certificate = lookupAll(b, b.model.truststores, d, at+".certificate.truststores", "Truststore", m.GetCertificate().GetTruststores())
	a.Tokens = lookupAll(b, b.model.providers, d, at+".jwt.providers", "Provider", m.GetJwt().GetProviders())
	a.Audiences = m.GetJwt().GetAudiences()
	a.Presenters = lookupAll(b, b.model.truststores, d, at+".jwt.truststores", "Truststore", m.GetJwt().GetTruststores())
	b.audiences(d, at+".jwt", a)
	if len(m.GetJwt().GetTruststores()) > 0 && !b.unresolved[d] && !a.takesHops() {
		b.fail(d, at+".jwt.truststores", "has no effect: no Provider here mints tokens of class `hop`")
	}
	for i, method := range m.GetAnyOf().GetMethods() {
		a.AnyOf = append(a.AnyOf, b.authenticate(d, method, fmt.Sprintf("%s.any_of.methods[%d]", at, i)))
	}
	for i, method := range m.GetAllOf().GetMethods() {
		a.AllOf = append(a.AllOf, b.authenticate(d, method, fmt.Sprintf("%s.all_of.methods[%d]", at, i)))
	}
	return a
}

// audiences wants the audiences of a method to be those of its Providers. Where one of these is ourselves they must be given: only the
// policy knows which upstream it stands before.
func (b *builder) audiences(d *document.Document, at string, a Authenticate) {
	for _, p := range a.Tokens {
		if p.Mint != nil && len(a.Audiences) == 0 {
			b.fail(d, at+".audiences", "is missing: the Provider %q (%s) makes tokens for several upstreams, and one upstream takes its own alone", p.Name, p.Origin)
		}
	}
	if slices.ContainsFunc(a.Tokens, func(p *Provider) bool { return p.Mint != nil }) {
		return
	}
	for i, audience := range a.Audiences {
		if len(a.Tokens) > 0 && !slices.ContainsFunc(a.Tokens, func(p *Provider) bool { return slices.Contains(p.Audiences, audience) }) {
			b.fail(d, fmt.Sprintf("%s.audiences[%d]", at, i), "no Provider here has the audience %q", audience)
		}
	}
}

// AsksForToken tells whether somebody may authenticate so with a bearer token.
func (a Authenticate) AsksForToken() bool {
	for range a.Providers {
		return true
	}
	return false
}

// Providers calls yield with each Provider whose tokens may identify a caller.
func (a Authenticate) Providers(yield func(*Provider) bool) {
	a.providers(yield)
}

func (a Authenticate) providers(yield func(*Provider) bool) bool {
	for _, p := range a.Tokens {
		if !yield(p) {
			return false
		}
	}
	for _, m := range append(slices.Clone(a.AnyOf), a.AllOf...) {
		if !m.providers(yield) {
			return false
		}
	}
	return true
}

// DemandsCertificate tells whether nobody authenticates so without a client certificate.
func (a Authenticate) DemandsCertificate() bool {
	switch {
	case len(a.AnyOf) > 0:
		return !slices.ContainsFunc(a.AnyOf, func(m Authenticate) bool { return !m.DemandsCertificate() })
	case len(a.AllOf) > 0:
		return slices.ContainsFunc(a.AllOf, Authenticate.DemandsCertificate)
	}
	return len(a.Certificate) > 0
}

// AsksForCertificate tells whether somebody may authenticate so with a client certificate.
func (a Authenticate) AsksForCertificate() bool {
	return len(a.Certificate) > 0 || slices.ContainsFunc(a.AnyOf, Authenticate.AsksForCertificate) ||
		slices.ContainsFunc(a.AllOf, Authenticate.AsksForCertificate)
}

// Truststores calls yield with each truststore that may vouch for a caller.
func (a Authenticate) Truststores(yield func(*Truststore) bool) {
	for _, t := range a.Certificate {
		if !yield(t) {
			return
		}
	}
	for _, m := range append(slices.Clone(a.AnyOf), a.AllOf...) {
		m.Truststores(yield)
	}
}

// forward checks which headers a policy sets and lets pass.
func (b *builder) forward(d *document.Document, p *Policy, headers []*sallyportv1.ForwardHeader) {
	seen := map[string]bool{}
	for i, h := range headers {
		at := fmt.Sprintf("spec.forward.headers[%d]", i)
		if seen[h.GetName()] {
			b.fail(d, at+".name", "the header %q is set twice", h.GetName())
		}
		seen[h.GetName()] = true
		b.forwardable(d, at+".name", h.GetName())
		value, err := expression.CompileText(h.GetValue())
		if err != nil {
			b.fail(d, at+".value", "%v", err)
		}
		p.Forward = append(p.Forward, ForwardHeader{Name: h.GetName(), Value: value, Origin: origin(d, at)})
	}
	for i, name := range p.Pass {
		at := fmt.Sprintf("spec.forward.pass[%d]", i)
		if seen[name] {
			b.fail(d, at, "the header %q is set by this policy and cannot be let pass as well", name)
		}
		b.forwardable(d, at, name)
		if b.unresolved[d] {
			continue // who it is believed from cannot be told
		}
		if !p.Authenticate.DemandsCertificate() || slices.ContainsFunc(p.Authorize, func(r *AuthorizeRule) bool { return len(r.Consumers) == 0 }) {
			b.fail(d, at, "a caller's own %q is believed only from named proxies: authenticate by certificate alone, and let every rule name `consumers`", name)
		}
	}
}

// neverForwarded are headers by which an API, or a server or framework before it, could be led to another path, method, host
// or address than those that were authorised, or take a caller's word for its certificate.
var neverForwarded = []string{
	// Another target: path, host, scheme, port.
	"forwarded", "x-forwarded-host", "x-forwarded-path", "x-forwarded-port", "x-forwarded-prefix", "x-forwarded-scheme",
	"x-forwarded-server", "x-forwarded-uri", "x-original-host", "x-original-uri", "x-original-url", "x-override-url",
	"x-rewrite-url", "x-waws-unencoded-url",
	// Another method.
	"x-forwarded-method", "x-http-method", "x-http-method-override", "x-method-override", "x-original-method",
	// Another caller: its certificate (RFC 9440 names the first two), its address, its credentials for a proxy.
	"client-cert", "client-cert-chain", "ssl-client-cert", "ssl-client-verify", "x-client-cert", "x-client-verify",
	"x-forwarded-client-cert", "x-forwarded-client-cert-chain", "x-ssl-client-cert", "x-ssl-client-verify",
	"proxy-authorization", "x-real-ip",
	// Read as the variable HTTP_PROXY where headers become variables (CGI, RFC 3875, section 4.1.18).
	"proxy",
}

// NeverForwarded returns the names, in lower case, of the headers that are removed from every request, whatever its policy
// says. No policy sets one or lets it pass.
func NeverForwarded() []string { return slices.Clone(neverForwarded) }

// reservedHeaders belong to HTTP, to the proxies or to authentication; a policy neither sets nor passes them, nor those
// that are never forwarded.
var reservedHeaders = []string{
	"authorization", "connection", "content-length", "cookie", "date", "expect", "host", "keep-alive", "proxy-connection",
	"te", "trailer", "transfer-encoding", "upgrade", "via", "x-request-id",
}

// forwardable checks that a header may be set or let pass by a policy.
func (b *builder) forwardable(d *document.Document, path, name string) {
	if slices.Contains(reservedHeaders, name) || slices.Contains(neverForwarded, name) ||
		strings.HasPrefix(name, "x-envoy-") || strings.HasPrefix(name, "x-forwarded-") {
		b.fail(d, path, "%q is reserved: it belongs to HTTP, to the proxies or to authentication", name)
	}
}

// forwardable collects every header that any policy sets or lets pass.
func forwardable(policies map[string]*Policy) []string {
	names := map[string]bool{}
	for _, p := range policies {
		for _, h := range p.Forward {
			names[h.Name] = true
		}
		for _, name := range p.Pass {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}
