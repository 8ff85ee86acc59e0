package config

import (
	"fmt"
	"slices"
)

// tokensDistinct reports consumers that claim the same tokens: by the same criteria, or one by some of another's.
func (b *builder) tokensDistinct() {
	type claim struct {
		provider          *Provider
		clientID, subject string
	}
	claimed := map[claim]*TokenMatch{}
	eachToken := func(yield func(match *TokenMatch, path string)) {
		for _, c := range b.model.Consumers() {
			for i, match := range c.Tokens {
				if match.Provider != nil {
					yield(match, fmt.Sprintf("spec.tokens[%d]", i))
				}
			}
		}
	}
	eachToken(func(match *TokenMatch, path string) {
		key := claim{match.Provider, match.ClientID, match.Subject}
		if other := claimed[key]; other != nil {
			b.fail(b.documents["Consumer"][match.Consumer.Name], path, "the same tokens are claimed by the Consumer %q at %s", other.Consumer.Name, other.Origin)
			return
		}
		claimed[key] = match
	})
	eachToken(func(match *TokenMatch, path string) {
		if match.ClientID == "" || match.Subject == "" {
			return
		}
		for _, wider := range []claim{{match.Provider, match.ClientID, ""}, {match.Provider, "", match.Subject}} {
			if other := claimed[wider]; other != nil && other.Consumer != match.Consumer {
				b.fail(b.documents["Consumer"][match.Consumer.Name], path,
					"every such token is claimed by the Consumer %q as well, at %s: both would be refused", other.Consumer.Name, other.Origin)
			}
		}
	})
}

// exchanges wants callers' tokens to be sent to nobody but their own issuer: an upstream whose callers' tokens are exchanged is led to by
// policies that take tokens of that Provider alone.
func (b *builder) exchanges() {
	reported := map[*Upstream]bool{}
	for _, r := range b.model.Routes() {
		for _, rule := range r.Rules {
			for _, u := range rule.Upstreams {
				exchange := u.Upstream.Token.User
				if exchange.Kind != DisposalExchange || exchange.Provider == nil || rule.Policy == nil || reported[u.Upstream] {
					continue
				}
				taken := slices.Collect(rule.Policy.Authenticate.Providers)
				for _, p := range taken {
					if p != exchange.Provider {
						reported[u.Upstream] = true
						b.fail(b.documents["Upstream"][u.Upstream.Name], "spec.token.user.exchange.provider",
							"would be sent tokens of the Provider %q: the rule %q (%s) has the Policy %q, which takes them", p.Name, rule.Name, rule.Origin, rule.Policy.Name)
						break
					}
				}
			}
		}
	}
}
