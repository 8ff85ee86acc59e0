package devissuer

import (
	"crypto/subtle"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// client is who asks for tokens, as the library wants to know it: the app, or the Provider's own client.
type client struct {
	id     string
	public bool
	// redirects are the addresses that the request at hand may lead back to.
	redirects []string
}

// clientByID is one of the issuer's clients, not yet authenticated.
func (i Issuer) clientByID(id string) (*client, error) {
	switch {
	case id == AppClient:
		return &client{id: id, public: true}, nil
	case id != "" && id == i.ClientID:
		return &client{id: id}, nil
	default:
		return nil, oidc.ErrInvalidClient().WithDescription("no such client: there is %q, and the client of the Provider", AppClient)
	}
}

// authenticate is the client that a request proves to be: the app says its name, the Provider's client its secret (RFC
// 6749, section 2.3.1). Who does not is answered 401.
func (i Issuer) authenticate(credentials *op.ClientCredentials) (*client, error) {
	refused := func(why string) error {
		return op.NewStatusError(oidc.ErrInvalidClient().WithDescription("%s", why), http.StatusUnauthorized)
	}
	if credentials.ClientAssertion != "" {
		return nil, refused("the development issuer takes client secrets only")
	}
	c, err := i.clientByID(credentials.ClientID)
	if err != nil {
		return nil, op.NewStatusError(err, http.StatusUnauthorized)
	}
	if c.public {
		return c, nil
	}
	if i.ClientSecret == "" || subtle.ConstantTimeCompare([]byte(credentials.ClientSecret), []byte(i.ClientSecret)) != 1 {
		return nil, refused("wrong client secret")
	}
	return c, nil
}

// leadsBackHere tells whether a user may be sent to an address: to an example host by https, or to this machine. That is
// good for development only; elsewhere each address is registered.
func leadsBackHere(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || strings.ContainsAny(address, "\\ ") {
		return false
	}
	host := strings.ToLower(u.Hostname())
	local := host == "localhost" || net.ParseIP(host).IsLoopback()
	switch u.Scheme {
	case "http":
		return local
	case "https":
		return local || host == "example.org" || strings.HasSuffix(host, ".example.org")
	default:
		return false
	}
}

// leadingTo is the client for a request that leads back to an address.
func (c *client) leadingTo(address string) *client {
	with := *c
	with.redirects = []string{address}
	// The library compares the address after it has removed the escapes.
	if plain, err := url.QueryUnescape(address); err == nil {
		with.redirects = append(with.redirects, plain)
	}
	return &with
}

// GetID is part of op.Client, as is all that follows.
func (c *client) GetID() string { return c.id }

// RedirectURIs are those of the request at hand.
func (c *client) RedirectURIs() []string { return c.redirects }

// PostLogoutRedirectURIs are not used: there is no session to end.
func (c *client) PostLogoutRedirectURIs() []string { return nil }

// ApplicationType tells an app from a server.
func (c *client) ApplicationType() op.ApplicationType {
	if c.public {
		return op.ApplicationTypeUserAgent
	}
	return op.ApplicationTypeWeb
}

// AuthMethod tells a client without a secret from one with.
func (c *client) AuthMethod() oidc.AuthMethod {
	if c.public {
		return oidc.AuthMethodNone
	}
	return oidc.AuthMethodBasic
}

// ResponseTypes are the code flow's.
func (c *client) ResponseTypes() []oidc.ResponseType {
	return []oidc.ResponseType{oidc.ResponseTypeCode}
}

// GrantTypes are what the client may use the token endpoint for.
func (c *client) GrantTypes() []oidc.GrantType {
	if c.public {
		return []oidc.GrantType{oidc.GrantTypeCode}
	}
	return slices.Clone(grantTypes)
}

// LoginURL is not used: the realm knows its own.
func (c *client) LoginURL(string) string { return "" }

// AccessTokenType says that access tokens are JWTs.
func (c *client) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeJWT }

// IDTokenLifetime is that of all tokens.
func (c *client) IDTokenLifetime() time.Duration { return Lifetime }

// DevMode lets http lead back.
func (c *client) DevMode() bool { return true }

// RestrictAdditionalIdTokenScopes is not used: the realm chooses scopes itself.
func (c *client) RestrictAdditionalIdTokenScopes() func([]string) []string { //nolint:revive,staticcheck // the interface's name
	return func(scopes []string) []string { return scopes }
}

// RestrictAdditionalAccessTokenScopes is not used: the realm chooses scopes itself.
func (c *client) RestrictAdditionalAccessTokenScopes() func([]string) []string {
	return func(scopes []string) []string { return scopes }
}

// IsScopeAllowed lets any scope be asked for; the realm gives those that there are.
func (c *client) IsScopeAllowed(string) bool { return true }

// IDTokenUserinfoClaimsAssertion is not used: the realm makes ID tokens itself.
func (c *client) IDTokenUserinfoClaimsAssertion() bool { return false }

// ClockSkew is none.
func (c *client) ClockSkew() time.Duration { return 0 }
