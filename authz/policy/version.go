package policy

import (
	"slices"
	"strings"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/expression"
)

// version is one version of a policy, compiled. It refers to truststores, providers, roles and consumers by name alone, so that
// an earlier version is judged by what they are now: a consumer that was suspended since is suspended for it, too.
type version struct {
	policy, id string
	origin     config.Origin
	method     method
	// usesCertificates is set if some method of the policy looks at the certificate.
	usesCertificates bool
	// tokenMethods are the methods of the policy that look at a token.
	tokenMethods []*method
	// resourceMetadata is the address that a challenge names (RFC 9728), or empty.
	resourceMetadata string
	// rules let callers in; shadows are asked as well, and let nobody in.
	rules, shadows []rule
	// scopes and tokenRoles are those that some rule lets in; each once.
	scopes, tokenRoles []string
	// forwardsFacts is set if the value of some header that it sets must be evaluated.
	forwardsFacts bool
	// forwardsPath is set if one of them is made of the path.
	forwardsPath bool
	// forwarded are the names of the headers that it sets or lets pass.
	forwarded []string
}

// method is a way to authenticate: by certificate if truststores are named, by token if providers are, anonymous, or a combination.
type method struct {
	origin      config.Origin
	truststores []string
	providers   []string
	// audiences that count; empty for all of the providers'.
	audiences []string
	// presenters are the truststores that vouch for whoever presents a token of class hop; empty for the only one of the TLS entry.
	presenters []string
	// tokenKey tells the choice of providers and audiences apart from any other.
	tokenKey     string
	anonymous    bool
	anyOf, allOf []method
}

// rule lets callers in; exactly one form is set.
type rule struct {
	name        string
	origin      config.Origin
	permissions bool
	roles       []string
	consumers   map[string]bool
	// tokenRoles and scopes are of tokens, any one of which is enough.
	tokenRoles, scopes []string
	everyone           bool
	// when is the further condition, or nil.
	when       *expression.Condition
	whenOrigin config.Origin
}

func compileVersion(p *config.Policy) *version {
	v := &version{policy: p.Name, id: p.Version, origin: p.Origin, method: compileMethod(p.Authenticate)}
	v.usesCertificates = v.method.usesCertificates()
	v.tokenMethods = v.method.forTokens(nil)
	for provider := range p.Authenticate.Providers {
		if v.resourceMetadata == "" {
			v.resourceMetadata = provider.ResourceMetadata
		}
	}
	for _, r := range p.Authorize {
		if r.Shadow {
			v.shadows = append(v.shadows, compileRule(r))
			continue
		}
		v.rules = append(v.rules, compileRule(r))
		v.scopes = union(v.scopes, r.TokenScopes)
		v.tokenRoles = union(v.tokenRoles, r.TokenRoles)
	}
	for _, header := range p.Forward {
		v.forwarded = append(v.forwarded, header.Name)
		v.forwardsPath = v.forwardsPath || header.Value.ReadsPath()
		v.forwardsFacts = v.forwardsFacts || header.Value.Plain() == ""
	}
	v.forwarded = append(v.forwarded, p.Pass...)
	return v
}

func compileRule(r *config.AuthorizeRule) rule {
	compiled := rule{
		name: r.Name, origin: r.Origin, permissions: r.ConsumerPermissions, everyone: r.Everyone, when: r.When, whenOrigin: r.WhenOrigin,
		tokenRoles: r.TokenRoles, scopes: r.TokenScopes,
	}
	for _, role := range r.ConsumerRoles {
		compiled.roles = append(compiled.roles, role.Name)
	}
	for _, consumer := range r.Consumers {
		if compiled.consumers == nil {
			compiled.consumers = make(map[string]bool)
		}
		compiled.consumers[consumer.Name] = true
	}
	return compiled
}

func compileMethod(a config.Authenticate) method {
	m := method{origin: a.Origin, anonymous: a.Anonymous, audiences: a.Audiences}
	for _, truststore := range a.Certificate {
		m.truststores = append(m.truststores, truststore.Name)
	}
	for _, provider := range a.Tokens {
		m.providers = append(m.providers, provider.Name)
	}
	for _, truststore := range a.Presenters {
		m.presenters = append(m.presenters, truststore.Name)
	}
	m.tokenKey = strings.Join(m.providers, "\x00") + "\x00\x00" + strings.Join(m.audiences, "\x00")
	for _, one := range a.AnyOf {
		m.anyOf = append(m.anyOf, compileMethod(one))
	}
	for _, one := range a.AllOf {
		m.allOf = append(m.allOf, compileMethod(one))
	}
	return m
}

func (m method) usesCertificates() bool {
	return len(m.truststores) > 0 || slices.ContainsFunc(m.anyOf, method.usesCertificates) || slices.ContainsFunc(m.allOf, method.usesCertificates)
}

// forTokens appends the methods, of this one and those in it, that look at a token.
func (m *method) forTokens(found []*method) []*method {
	if len(m.providers) > 0 {
		found = append(found, m)
	}
	for i := range m.anyOf {
		found = m.anyOf[i].forTokens(found)
	}
	for i := range m.allOf {
		found = m.allOf[i].forTokens(found)
	}
	return found
}

// usesTokens tells whether some method of the policy looks at a token.
func (v *version) usesTokens() bool { return len(v.tokenMethods) > 0 }

// hasPermissions tells whether the permissions of roles decide in some rule.
func (v *version) hasPermissions() bool {
	return slices.ContainsFunc(v.rules, func(r rule) bool { return r.permissions })
}

// asksForConsumers tells whether some rule lets in Consumers.
func (v *version) asksForConsumers() bool {
	return slices.ContainsFunc(v.rules, func(r rule) bool { return r.permissions || len(r.roles) > 0 || len(r.consumers) > 0 })
}

// union appends what is not there yet.
func union(all, more []string) []string {
	for _, one := range more {
		if !slices.Contains(all, one) {
			all = append(all, one)
		}
	}
	return all
}
