package scenario

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/sallyport-project/sallyport/authz/idp"
	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/authz/tokens"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/devissuer"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/inventory"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// Issuers are the development issuers that stand for a model's Providers: one for each that is not ourselves. Each has the name
// that the model gives it, says things where the Provider reads them, and signs as it does.
func Issuers(model *config.Model) []devissuer.Issuer {
	var issuers []devissuer.Issuer
	for _, p := range model.Providers() {
		if p.Mint != nil {
			continue
		}
		issuer := devissuer.Issuer{
			Name: p.Name, URL: p.Issuers[0], Audiences: p.Audiences, Algorithm: algorithmOf(p),
			RolesClaim: pathOf(p.Claims.Roles), ScopesClaim: pathOf(p.Claims.Scopes), SubjectClaim: pathOf(p.Claims.Subject),
			Roles: slices.Sorted(maps.Keys(p.Roles)), Scopes: slices.Sorted(maps.Keys(p.Scopes)),
		}
		if p.Client != nil {
			issuer.ClientID, issuer.ClientSecret = p.Client.ID, inventory.DevelopmentSecret(p.Name)
		}
		issuers = append(issuers, issuer)
	}
	return issuers
}

// withDevelopmentTokens is the model as it is where development issuers stand for its Providers: tokens of theirs count, and none of
// the Providers' own types.
func withDevelopmentTokens(model *config.Model) (*config.Model, error) {
	documents := slices.Clone(model.Documents())
	for i, d := range documents {
		provider, ok := d.Message.(*sallyportv1.Provider)
		if !ok || provider.GetSpec().GetMint() != nil {
			continue
		}
		standing := proto.CloneOf(provider)
		standing.Spec.Types = []string{devissuer.TokenType}
		replaced := *d
		replaced.Message = standing
		documents[i] = &replaced
	}
	replaced, problems := config.Build(documents, true)
	if replaced == nil {
		return nil, fmt.Errorf("put development issuers in the place of the Providers: %w", problems.Errors())
	}
	return replaced, nil
}

// algorithmOf is one by which the Provider signs: ES256, whose keys are quickly made, or else the first.
func algorithmOf(p *config.Provider) string {
	if slices.Contains(p.Algorithms, string(jose.ES256)) {
		return string(jose.ES256)
	}
	return p.Algorithms[0]
}

// pathOf is where the first of several claims stands. A name that is an address is no path, whatever dots it has.
func pathOf(names []config.ClaimName) []string {
	name := names[0]
	if path := name.Path(); path != nil && !strings.Contains(string(name), "/") {
		return path
	}
	return []string{string(name)}
}

// substitute has the development issuers give what Providers would be asked for over a network.
type substitute struct {
	issuer *devissuer.Server
	clock  func() time.Time
}

var _ tokens.Substitute = substitute{}

// KeySet is that of the development issuer.
func (s substitute) KeySet(provider string) []byte { return s.issuer.KeySet(provider) }

// Token is what the development issuer's token endpoint would answer to the same form.
func (s substitute) Token(_ context.Context, wanted tokens.Wanted) (*idp.Token, error) {
	form := url.Values{}
	maps.Copy(form, wanted.Parameters)
	for name, value := range map[string]string{
		"subject_token": wanted.Subject, "actor_token": wanted.Actor, "audience": wanted.Audience, "resource": wanted.Resource,
		"scope": strings.Join(wanted.Scopes, " "),
	} {
		if value != "" {
			form.Set(name, value)
		}
	}
	given, err := s.issuer.Obtain(wanted.Provider, form)
	if err != nil {
		return nil, err
	}
	return &idp.Token{
		Access: given.AccessToken, Type: "Bearer", Expires: s.clock().Add(given.Lifetime), IssuedTokenType: idp.TypeAccessToken, Scopes: given.Scopes,
	}, nil
}
