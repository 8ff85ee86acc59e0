package config

import (
	"net/netip"
	"slices"
)

// warnOfTokens finds what is said of tokens without effect.
func (b *builder) warnOfTokens() {
	b.warnOfProviders()
	for _, p := range b.model.Policies() {
		for _, rule := range p.Authorize {
			b.warnOfAssertions(p, rule)
		}
	}
	for _, u := range b.model.Upstreams() {
		if u.Token.Any() && u.TLS == nil && !u.onLoopback() {
			b.warnAt(u.Origin, "tokens travel to the Upstream %q in plaintext: whoever is on the way can use them; give it `tls`", u.Name)
		}
	}
}

// onLoopback tells whether all of an upstream's addresses are on the proxy's own machine.
func (u *Upstream) onLoopback() bool {
	return len(u.Addresses) > 0 && !slices.ContainsFunc(u.Addresses, func(address string) bool {
		parsed, err := netip.ParseAddrPort(address)
		return err != nil || !parsed.Addr().IsLoopback()
	})
}

// warnOfProviders finds Providers that nothing names.
func (b *builder) warnOfProviders() {
	used, clients := map[*Provider]bool{}, map[*Provider]bool{}
	for _, p := range b.model.Policies() {
		for provider := range p.Authenticate.Providers {
			used[provider] = true
		}
	}
	for _, u := range b.model.Upstreams() {
		for _, one := range []TokenDisposal{u.Token.Anonymous, u.Token.Certificate, u.Token.User} {
			used[one.Provider] = true
			clients[one.Provider] = clients[one.Provider] || one.fetches()
		}
	}
	for _, rule := range b.rules() {
		used[rule.Issuer] = true
	}
	for _, p := range b.model.Providers() {
		asked := clients[p] || p.Introspection != nil
		switch {
		case !used[p]:
			b.warnAt(p.Origin, "no Policy, Upstream or Route names the Provider %q", p.Name)
		case p.Client != nil && !asked:
			b.warnAt(p.Origin, "the `client` of the Provider %q has no effect: no Upstream acquires or exchanges tokens there, and none are asked about", p.Name)
		case p.TokenEndpoint != "" && !clients[p]:
			b.warnAt(p.Origin, "the `token_endpoint` of the Provider %q has no effect: no Upstream acquires or exchanges tokens there", p.Name)
		case p.KeySet != "" && p.Truststore != nil && !asked:
			b.warnAt(p.Origin, "the `truststore` of the Provider %q has no effect: its key set is material, and nothing else is asked of it", p.Name)
		}
	}
}

// warnOfAssertions finds roles and scopes that no token can have, because no Provider of the policy may assert them.
func (b *builder) warnOfAssertions(p *Policy, rule *AuthorizeRule) {
	ofTokens := len(rule.TokenRoles)+len(rule.TokenScopes) > 0
	if !ofTokens {
		return
	}
	if !p.Authenticate.AsksForToken() {
		if p.Authenticate.AsksForCertificate() { // or else another warning says so
			b.warnAt(rule.Origin, "the rule %q lets nobody in: the Policy %q asks for no token", rule.Name, p.Name)
		}
		return
	}
	asserts := func(names func(*Provider) map[string]bool, wanted string) bool {
		return slices.ContainsFunc(slices.Collect(p.Authenticate.Providers), func(provider *Provider) bool {
			return names(provider)[wanted]
		})
	}
	for _, role := range rule.TokenRoles {
		if !asserts(func(p *Provider) map[string]bool { return p.Roles }, role) {
			b.warnAt(rule.Origin, "the rule %q: no Provider of the Policy %q may assert the role %q (`may_assert`)", rule.Name, p.Name, role)
		}
	}
	for _, scope := range rule.TokenScopes {
		if !asserts(func(p *Provider) map[string]bool { return p.Scopes }, scope) {
			b.warnAt(rule.Origin, "the rule %q: no Provider of the Policy %q may assert the scope %q (`may_assert`)", rule.Name, p.Name, scope)
		}
	}
}
