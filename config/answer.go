package config

import (
	"slices"

	"github.com/sallyport-project/sallyport/config/checkcontext"
	"github.com/sallyport-project/sallyport/config/document"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// answer wants a rule to lead to upstreams or to answer by itself, in one way.
func (b *builder) answer(d *document.Document, rule *Rule, m *sallyportv1.RouteRule, at string) {
	given := map[string]bool{
		"upstreams": len(m.GetUpstreams()) > 0, "whoami": m.GetWhoami(), "token_endpoint": m.GetTokenEndpoint() != "",
		"key_set": m.GetKeySet() != "", "issuer_metadata": m.GetIssuerMetadata() != "",
	}
	ways := slices.DeleteFunc([]string{"upstreams", "whoami", "token_endpoint", "key_set", "issuer_metadata"}, func(way string) bool { return !given[way] })
	switch {
	case len(ways) == 0:
		b.fail(d, at, "leads nowhere: give `upstreams`, or `whoami: true`")
		return
	case len(ways) > 1:
		b.fail(d, at+"."+ways[1], "stands beside `%s`: give one of the two", ways[0])
		return
	}
	at += "." + ways[0]
	switch ways[0] {
	case "whoami":
		rule.Answer = checkcontext.AnswerWhoAmI
		asks := rule.Policy == nil || rule.Policy.Authenticate.AsksForCertificate() || rule.Policy.Authenticate.AsksForToken()
		if !asks && !b.unresolved[b.documents["Policy"][rule.Policy.Name]] {
			b.fail(d, at, "would answer nobody anything: the Policy %q (%s) asks for no certificate and no token", rule.Policy.Name, rule.Policy.Origin)
		}
	case "token_endpoint":
		rule.Answer = checkcontext.AnswerToken
		rule.Issuer = b.ourIssuer(d, at, m.GetTokenEndpoint())
		b.tokenEndpoint(d, rule, at)
	case "key_set":
		rule.Answer = checkcontext.AnswerKeySet
		rule.Issuer = b.ourIssuer(d, at, m.GetKeySet())
	case "issuer_metadata":
		rule.Answer = checkcontext.AnswerIssuerMetadata
		rule.Issuer = b.ourIssuer(d, at, m.GetIssuerMetadata())
	}
}

// ourIssuer resolves a Provider that is ourselves.
func (b *builder) ourIssuer(d *document.Document, at, name string) *Provider {
	p, found := lookup(b, b.model.providers, d, at, "Provider", name)
	if found && p.Mint == nil {
		b.fail(d, at, "the Provider %q (%s) is somebody else's: it has no `mint`", p.Name, p.Origin)
	}
	return p
}

// tokenEndpoint wants the endpoint to have one address, to be for partners, and for those alone who show a certificate.
func (b *builder) tokenEndpoint(d *document.Document, rule *Rule, at string) {
	switch p := rule.Issuer; {
	case p == nil || p.Mint == nil:
	case p.Mint.Class != sallyportv1.TokenClass_TOKEN_CLASS_PARTNER:
		b.fail(d, at, "the Provider %q (%s) mints tokens of class `hop`, for which nobody asks", p.Name, p.Origin)
	case len(p.Mint.Grants) == 0:
		b.fail(d, at, "the Provider %q (%s) has no `grants`: nobody would get a token", p.Name, p.Origin)
	}
	if rule.Match.Kind != MatchExact {
		b.fail(d, at, "needs an exact match: a token endpoint has one address")
	}
	if rule.Policy != nil && !rule.Policy.Authenticate.DemandsCertificate() && !b.unresolved[b.documents["Policy"][rule.Policy.Name]] {
		b.fail(d, at, "would give tokens to callers without a certificate: the Policy %q (%s) does not demand one", rule.Policy.Name, rule.Policy.Origin)
	}
}
