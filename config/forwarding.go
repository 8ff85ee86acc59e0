package config

import (
	"encoding/hex"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/sallyport-project/sallyport/config/document"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// tokens says what an upstream gets in the Authorization header.
func (b *builder) tokens(d *document.Document, u *Upstream, m *sallyportv1.TokenForwarding) {
	if m == nil {
		return
	}
	const at = "spec.token"
	u.Token = TokenForwarding{
		Anonymous:   b.disposal(d, u, at+".anonymous", m.GetAnonymous()),
		Certificate: b.disposal(d, u, at+".certificate", m.GetCertificate()),
		User:        b.disposal(d, u, at+".user", m.GetUser()),
	}
	for path, one := range map[string]TokenDisposal{at + ".anonymous": u.Token.Anonymous, at + ".certificate": u.Token.Certificate} {
		if one.Kind == DisposalPass || one.Kind == DisposalExchange {
			b.fail(d, path, "there is no token to pass or exchange: only callers under `user` have one that was verified")
		}
	}
}

func (b *builder) disposal(d *document.Document, u *Upstream, at string, m *sallyportv1.TokenDisposal) TokenDisposal {
	disposal := TokenDisposal{Origin: origin(d, at), ID: disposalID(m)}
	switch form := m.GetForm().(type) {
	case *sallyportv1.TokenDisposal_Pass:
		disposal.Kind = DisposalPass
	case *sallyportv1.TokenDisposal_Exchange:
		e := form.Exchange
		disposal.Kind = DisposalExchange
		disposal.Provider = b.clientOf(d, at+".exchange.provider", e.GetProvider())
		disposal.OnBehalfOf = e.GetGrant() == sallyportv1.ExchangeGrant_EXCHANGE_GRANT_ON_BEHALF_OF
		disposal.Audience, disposal.Resource, disposal.Scopes, disposal.Actor = e.GetAudience(), e.GetResource(), e.GetScopes(), e.GetActor()
		disposal.Parameters = b.parameters(d, at+".exchange.parameters", e.GetParameters())
		if disposal.OnBehalfOf && disposal.Actor {
			b.fail(d, at+".exchange.actor", "has no place in the on-behalf-of flow, whose client is the actor already")
		}
	case *sallyportv1.TokenDisposal_Acquire:
		a := form.Acquire
		disposal.Kind = DisposalAcquire
		disposal.Provider = b.clientOf(d, at+".acquire.provider", a.GetProvider())
		disposal.Audience, disposal.Resource, disposal.Scopes = a.GetAudience(), a.GetResource(), a.GetScopes()
		disposal.Parameters = b.parameters(d, at+".acquire.parameters", a.GetParameters())
	case *sallyportv1.TokenDisposal_Mint:
		disposal.Kind = DisposalMint
		b.minting(d, u, at+".mint", form.Mint, &disposal)
	}
	return disposal
}

// disposalID is a hash of what is written.
func disposalID(m *sallyportv1.TokenDisposal) string {
	if m == nil {
		return ""
	}
	content := contentHash(proto.Message(m))
	return hex.EncodeToString(content[:16])
}

// clientOf resolves a Provider of which we are a client.
func (b *builder) clientOf(d *document.Document, at, name string) *Provider {
	p, found := lookup(b, b.model.providers, d, at, "Provider", name)
	switch {
	case found && p.Mint != nil:
		b.fail(d, at, "the Provider %q (%s) is ourselves: use `mint`", p.Name, p.Origin)
	case found && p.Client == nil:
		b.fail(d, at, "the Provider %q (%s) has no `client` by which we could ask it for tokens", p.Name, p.Origin)
	}
	return p
}

// minting checks that a token of ours is for one upstream, and bound to a certificate that we present there.
func (b *builder) minting(d *document.Document, u *Upstream, at string, m *sallyportv1.TokenMinting, disposal *TokenDisposal) {
	disposal.Audience, disposal.Claims, disposal.BoundTo = m.GetAudience(), m.GetClaims(), m.GetBoundTo()
	disposal.Provider = b.hopProvider(d, at, m.GetProvider())
	if u.TLS == nil || u.TLS.ClientCertificate == nil {
		if !b.unresolved[d] {
			b.fail(d, at, "needs `tls` with a `client_certificate`: the token is bound to it, or else whoever gets hold of the token could use it")
		}
		return
	}
	uris := issuedSpec(u.TLS.ClientCertificate).GetUris()
	switch {
	case disposal.BoundTo != "" && issuedSpec(u.TLS.ClientCertificate) != nil && !slices.Contains(uris, disposal.BoundTo):
		b.fail(d, at+".bound_to", "is no URI of the Certificate %q (%s): the token would be refused wherever it goes", u.TLS.ClientCertificate.Name, u.TLS.ClientCertificate.Origin)
	case disposal.BoundTo == "" && len(uris) > 0:
		disposal.BoundTo = uris[0]
	case disposal.BoundTo == "":
		b.fail(d, at+".bound_to", "is missing: the URI in the Certificate %q (%s) to which the token is bound", u.TLS.ClientCertificate.Name, u.TLS.ClientCertificate.Origin)
	}
}

// hopProvider resolves the Provider of tokens for upstreams; without a name, the only one.
func (b *builder) hopProvider(d *document.Document, at, name string) *Provider {
	if name != "" {
		p, found := lookup(b, b.model.providers, d, at+".provider", "Provider", name)
		if found && !p.MintsHops() {
			b.fail(d, at+".provider", "the Provider %q (%s) does not mint tokens of class `hop`", p.Name, p.Origin)
		}
		return p
	}
	var only *Provider
	for _, p := range b.model.Providers() {
		if !p.MintsHops() {
			continue
		}
		if only != nil {
			b.fail(d, at+".provider", "is missing: there are several that mint tokens of class `hop`, %q and %q", only.Name, p.Name)
			return only
		}
		only = p
	}
	if only == nil && b.complete && !b.anyBroken("Provider") {
		b.fail(d, at, "there is no Provider with `mint: {class: hop}`")
	}
	return only
}

// MintsHops tells whether it is ourselves, and its tokens are for the next hop.
func (p *Provider) MintsHops() bool {
	return p.Mint != nil && p.Mint.Class == sallyportv1.TokenClass_TOKEN_CLASS_HOP
}

// audiencesDistinct wants each audience of tokens of our own to be one upstream's: a token for one must be of no use at another.
func (b *builder) audiencesDistinct() {
	taken := map[string]*Upstream{}
	for _, u := range b.model.Upstreams() {
		for _, one := range []TokenDisposal{u.Token.Anonymous, u.Token.Certificate, u.Token.User} {
			if one.Kind != DisposalMint || one.Provider == nil {
				continue
			}
			key := one.Provider.Name + " " + one.Audience
			if other := taken[key]; other != nil && other != u {
				b.problems = append(b.problems, document.Problem{Origin: one.Origin, Message: "the audience " + one.Audience +
					" is that of the Upstream " + other.Name + " (" + other.Origin.String() + ") as well: a token for one would be good for the other"})
			}
			taken[key] = u
		}
	}
}
