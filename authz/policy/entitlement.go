package policy

import (
	"maps"
	"slices"
	"strings"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// mintedForPartner tells whether the token is one that we made for a consumer.
func mintedForPartner(t *bearer.Token) bool {
	return t != nil && t.Provider.Mint != nil && t.Provider.Mint.Class == sallyportv1.TokenClass_TOKEN_CLASS_PARTNER
}

// entitle judges a token of class partner as if its consumer asked for it now: what the consumer was at the token endpoint, and what
// it was granted there, counts no longer than it is so. Scopes that are granted no more are taken from the token.
func (ev *evaluation) entitle(c *caller, consumer *config.Consumer) *finding {
	if refused := ev.bearerIs(c, consumer); refused != nil {
		return refused
	}
	issuer := ev.engine.model.Provider(c.token.Provider.Name)
	if issuer == nil || issuer.Mint == nil {
		return &finding{StepToken, reason.TokenIssuer, "the provider " + quote(c.token.Provider.Name) + " is not there any more", c.token.Provider.Origin}
	}
	scopes, granted := grantedTo(consumer, issuer.Mint.Grants, c.token.Audiences)
	if !granted {
		return &finding{StepToken, reason.TokenAudience, "the consumer " + quote(consumer.Name) + " is granted no tokens for this audience any more", issuer.Origin}
	}
	if narrowed := narrow(c.token, scopes); narrowed != c.token {
		c.token, ev.Token = narrowed, narrowed
	}
	return nil
}

// bearerIs wants the certificate to which the token is bound to be the consumer's now. Of a token that is presumed, that is taken for
// granted.
func (ev *evaluation) bearerIs(c *caller, consumer *config.Consumer) *finding {
	if ev.presumesToken() {
		return nil
	}
	match, other := ev.engine.consumers.Find(ev.Certificate, c.bound)
	switch {
	case match == nil:
		return &finding{StepConsumer, reason.ConsumerUnknown, "the certificate to which the token is bound is no consumer's any more", consumer.Origin}
	case other != nil:
		return ambiguous("certificate", match.Consumer, other.Consumer, match.Origin)
	case match.Consumer.Name != consumer.Name:
		return &finding{StepConsumer, reason.ConsumerMismatch,
			"the token is of the consumer " + quote(consumer.Name) + ", and the certificate to which it is bound is of " + quote(match.Consumer.Name), match.Origin}
	}
	return nil
}

// grantedTo are the scopes that a consumer is granted for all of the audiences, and whether it is granted tokens for them at all.
func grantedTo(consumer *config.Consumer, grants []*config.TokenGrant, audiences []string) (scopes []string, granted bool) {
	for _, grant := range grants {
		if !grant.Covers(consumer) || slices.ContainsFunc(audiences, func(audience string) bool { return !slices.Contains(grant.Audiences, audience) }) {
			continue
		}
		granted = true
		scopes = append(scopes, grant.Scopes...)
	}
	return scopes, granted
}

// narrow is the token with those of its scopes alone that are granted; the token itself if all of them are.
func narrow(t *bearer.Token, granted []string) *bearer.Token {
	if !slices.ContainsFunc(t.Scopes, func(scope string) bool { return !slices.Contains(granted, scope) }) {
		return t
	}
	narrowed := *t
	narrowed.Scopes = slices.DeleteFunc(slices.Clone(t.Scopes), func(scope string) bool { return !slices.Contains(granted, scope) })
	if _, there := t.Claims[claimScope]; there {
		narrowed.Claims = maps.Clone(t.Claims)
		narrowed.Claims[claimScope] = strings.Join(narrowed.Scopes, " ")
	}
	return &narrowed
}

// claimScope is where tokens of our own have their scopes (RFC 9068, section 2.2.3).
const claimScope = "scope"
