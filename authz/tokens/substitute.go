package tokens

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/sallyport-project/sallyport/authz/idp"
	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/authz/keyset"
	"github.com/sallyport-project/sallyport/authz/propagation"
	"github.com/sallyport-project/sallyport/config"
)

// Substitute stands for all Providers that are not ourselves: in development, tests and explanations, which ask nobody over a
// network. It must be safe for concurrent use.
type Substitute interface {
	// KeySet is the public key set of a Provider (RFC 7517), asked for at each Apply; nil if it has none, and then its tokens are
	// refused.
	KeySet(provider string) []byte
	// Token is what the Provider would give us.
	Token(ctx context.Context, wanted Wanted) (*idp.Token, error)
}

// Wanted is a token that is asked of a Substitute.
type Wanted struct {
	// Provider that is asked.
	Provider string
	// Subject is the token in whose place it is to be; empty for a token of our own. A secret.
	Subject string
	// Actor is the token of who acts for the subject, or empty. A secret.
	Actor string
	// OnBehalfOf is set for Entra's flow.
	OnBehalfOf         bool
	Audience, Resource string
	Scopes             []string
	Parameters         url.Values
}

// Nobody is a Substitute without keys and tokens: what a Service has that is to judge no tokens of others.
type Nobody struct{}

// KeySet is none.
func (Nobody) KeySet(string) []byte { return nil }

// Token is always refused.
func (Nobody) Token(_ context.Context, wanted Wanted) (*idp.Token, error) {
	return nil, fmt.Errorf("nobody stands for the Provider %q here", wanted.Provider)
}

// takeSubstitute prepares a Provider for which the substitute stands.
func (t *Tokens) takeSubstitute(p *config.Provider) (*keyset.Spec, propagation.Party) {
	stand := &standIn{substitute: t.settings.Substitute, provider: p.Name}
	set := &keyset.Spec{Name: p.Name, Identity: identityOfKeys(p, ""), Static: stand.substitute.KeySet(p.Name)}
	party := propagation.Party{Version: identityOfClient(p, "")}
	if p.Client != nil {
		party.Client = stand
	}
	return set, party
}

// standIn is a Provider for which a substitute stands. It implements propagation.Client.
type standIn struct {
	substitute Substitute
	provider   string
}

var _ propagation.Client = (*standIn)(nil)

// ClientCredentials asks the substitute for a token of our own.
func (s *standIn) ClientCredentials(ctx context.Context, g idp.Grant) (*idp.Token, error) {
	return s.give(ctx, Wanted{Audience: g.Audience, Resource: g.Resource, Scopes: g.Scopes, Parameters: g.Parameters})
}

// Exchange asks it for a token in place of another.
func (s *standIn) Exchange(ctx context.Context, e idp.Exchange) (*idp.Token, error) {
	return s.give(ctx, Wanted{
		Subject: e.SubjectToken, Actor: e.ActorToken, Audience: e.Audience, Resource: e.Resource, Scopes: e.Scopes, Parameters: e.Parameters,
	})
}

// OnBehalfOf asks it for a token for the user of another.
func (s *standIn) OnBehalfOf(ctx context.Context, g idp.OnBehalfOf) (*idp.Token, error) {
	return s.give(ctx, Wanted{Subject: g.Assertion, OnBehalfOf: true, Resource: g.Resource, Scopes: g.Scopes, Parameters: g.Parameters})
}

func (s *standIn) give(ctx context.Context, wanted Wanted) (*idp.Token, error) {
	wanted.Provider = s.provider
	token, err := s.substitute.Token(ctx, wanted)
	if err == nil && token == nil {
		err = errors.New("the substitute gives nothing")
	}
	return token, err
}

// introspectLocally says of a token what it says of itself. Its signature is judged by the substitute's key set, whatever this says;
// one that is no JWT cannot be of a substitute.
func introspectLocally(token string) *idp.Introspection {
	parsed, err := jose.Parse(token)
	if err != nil {
		return &idp.Introspection{}
	}
	return &idp.Introspection{Active: true, Claims: parsed.Claims}
}
