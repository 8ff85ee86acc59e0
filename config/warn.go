package config

import (
	"slices"
	"strings"

	"github.com/sallyport-project/sallyport/config/template"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// warn looks, in a configuration without errors, for what can never take effect.
func (b *builder) warn() {
	b.warnOfTruststores()
	b.warnOfTruststoreSpecs()
	b.warnOfUpstreamTruststores()
	b.warnOfPolicies()
	b.warnOfExpressions()
	b.warnOfPermissions()
	b.warnOfConsumers()
	b.warnOfServerNames()
	b.warnOfTokens()
}

// warnOfTruststores finds policies that ask for a certificate at an entry which none can come by.
func (b *builder) warnOfTruststores() {
	warned := map[[2]any]bool{}
	for _, rule := range b.rules() {
		for _, e := range rule.entries {
			pair := [2]any{rule.Rule, e}
			if warned[pair] || !rule.Policy.Authenticate.DemandsCertificate() {
				continue
			}
			warned[pair] = true
			trusted := false
			for t := range rule.Policy.Authenticate.Truststores {
				trusted = trusted || e.ClientAuth.Trusts(t.Name)
			}
			if !trusted {
				b.warnAt(rule.Origin, "nobody can pass at %q (%s): the policy %q demands a certificate of a truststore that this entry does not ask for",
					e.Name, e.Origin, rule.Policy.Name)
			}
		}
	}
}

// warnOfPolicies finds rules of policies that let nobody in.
func (b *builder) warnOfPolicies() {
	used := map[*Policy]bool{}
	for _, rule := range b.rules() {
		used[rule.Policy] = true
	}
	for _, p := range b.model.Policies() {
		if !used[p] {
			b.warnAt(p.Origin, "no rule of any Route uses the Policy %q", p.Name)
		}
		if !slices.ContainsFunc(p.Authorize, func(r *AuthorizeRule) bool { return !r.Shadow }) {
			b.warnAt(p.Origin, "the Policy %q lets nobody in: all of its rules are `shadow: true`", p.Name)
		}
		for _, rule := range p.Authorize {
			if !rule.Everyone && !p.Authenticate.AsksForCertificate() && !p.Authenticate.AsksForToken() {
				b.warnAt(rule.Origin, "the rule %q lets nobody in: callers of the Policy %q are all anonymous, and no Consumer", rule.Name, p.Name)
			}
		}
	}
}

// warnOfPermissions finds permissions that no request can use.
func (b *builder) warnOfPermissions() {
	for _, role := range b.model.Roles() {
		for _, permission := range role.Permissions {
			for _, path := range permission.Paths {
				if !slices.ContainsFunc(permission.Routes, func(r *Route) bool { return reaches(r, permission, path) }) {
					b.warnAt(permission.Origin, "the permission for %s never takes effect: no rule of its routes takes such a request under a policy with `permissions: consumer_roles`", path)
				}
			}
		}
	}
}

// reaches tells whether some rule of the route takes requests that the permission is about, and lets permissions decide.
func reaches(r *Route, permission *Permission, path *template.Template) bool {
	return slices.ContainsFunc(r.Rules, func(rule *Rule) bool {
		decides := slices.ContainsFunc(rule.Policy.Authorize, func(a *AuthorizeRule) bool { return a.ConsumerPermissions })
		methods := len(rule.Match.Methods) == 0 || len(permission.Methods) == 0 ||
			slices.ContainsFunc(permission.Methods, func(m string) bool { return slices.Contains(rule.Match.Methods, m) })
		return decides && methods && template.Overlap(path, rule.Match.Template, rule.Match.Kind == MatchPrefix)
	})
}

// warnOfConsumers finds consumers that nobody can be.
func (b *builder) warnOfConsumers() {
	for _, c := range b.model.Consumers() {
		if len(c.Certificates)+len(c.Tokens) == 0 {
			b.warnAt(c.Origin, "nobody can be the Consumer %q: it has no certificates and no tokens", c.Name)
		}
		for _, match := range c.Certificates {
			asked := slices.ContainsFunc(b.model.Gateways(), func(g *Gateway) bool {
				return slices.ContainsFunc(g.Listeners, func(l *Listener) bool {
					return slices.ContainsFunc(l.Entries, func(e *Entry) bool { return e.ClientAuth.Trusts(match.Truststore.Name) })
				})
			})
			if !asked {
				b.warnAt(match.Origin, "no listener asks for certificates of the Truststore %q", match.Truststore.Name)
			}
		}
	}
}

// warnOfServerNames finds issued certificates that callers will refuse for a hostname that they serve.
func (b *builder) warnOfServerNames() {
	for _, g := range b.model.Gateways() {
		for _, l := range g.Listeners {
			for _, e := range l.Entries {
				issued := issuedSpec(e.Certificate)
				for _, hostname := range e.Hostnames {
					if issued != nil && !namedBy(hostname, issued) {
						b.warnAt(e.Origin, "callers of %s will refuse the Certificate %q (%s): it has no such DNS name", hostname, e.Certificate.Name, e.Certificate.Origin)
					}
				}
			}
		}
	}
}

func namedBy(hostname string, issued *sallyportv1.IssuedCertificate) bool {
	if slices.Contains(issued.GetDnsNames(), hostname) {
		return true
	}
	_, domain, ok := strings.Cut(hostname, ".")
	return ok && slices.Contains(issued.GetDnsNames(), "*."+domain)
}

// placedRule is a rule with the entries that serve it.
type placedRule struct {
	*Rule
	entries []*Entry
}

func (b *builder) rules() []placedRule {
	var rules []placedRule
	for _, r := range b.model.Routes() {
		if r.Gateway == nil {
			continue // reported where it is written
		}
		var entries []*Entry
		for _, hostname := range r.Hostnames {
			entries = append(entries, entriesFor(r.Gateway, hostname)...)
		}
		for _, rule := range r.Rules {
			rules = append(rules, placedRule{rule, entries})
		}
	}
	return rules
}
