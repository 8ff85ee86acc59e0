package idp

import (
	"context"
	"net/url"
	"strings"

	"github.com/sallyport-project/sallyport/config"
)

// Types of grants and tokens, by their registered names.
const (
	grantClientCredentials = "client_credentials"                              // RFC 6749, section 4.4
	grantExchange          = "urn:ietf:params:oauth:grant-type:token-exchange" // RFC 8693, section 2.1
	grantJWTBearer         = "urn:ietf:params:oauth:grant-type:jwt-bearer"     //nolint:gosec // G101: a name (RFC 7523, section 2.1)

	// TypeAccessToken and TypeJWT are types of tokens in an exchange (RFC 8693, section 3).
	TypeAccessToken = "urn:ietf:params:oauth:token-type:access_token" //nolint:gosec // G101: a name
	TypeJWT         = "urn:ietf:params:oauth:token-type:jwt"
)

// Grant asks for a token of our own.
type Grant struct {
	Scopes             []string
	Audience, Resource string // RFC 8693 and RFC 8707; empty ones are not sent
	// Parameters are further ones. They cannot replace what is sent anyway.
	Parameters url.Values
}

// Exchange asks for a token in place of another.
type Exchange struct {
	SubjectToken     string
	SubjectTokenType string // TypeAccessToken if empty
	// ActorToken is of who acts for the subject, if it is not empty. Its type is TypeAccessToken.
	ActorToken         string
	Audience, Resource string // empty ones are not sent
	Scopes             []string
	RequestedTokenType string // the provider's choice if empty
	// Parameters are further ones. They cannot replace what is sent anyway.
	Parameters url.Values
}

// OnBehalfOf asks for a token by which we act for the user of another (Entra's on-behalf-of flow).
type OnBehalfOf struct {
	// Assertion is the user's access token for us.
	Assertion string
	Scopes    []string
	Resource  string // empty: not sent
	// Parameters are further ones. They cannot replace what is sent anyway.
	Parameters url.Values
}

// ClientCredentials obtains a token in our own name (RFC 6749, section 4.4). The error is an *Error.
func (p *Provider) ClientCredentials(ctx context.Context, grant Grant) (*Token, error) {
	form := url.Values{"grant_type": {grantClientCredentials}}
	set(form, "audience", grant.Audience)
	set(form, "resource", grant.Resource)
	return p.obtain(ctx, request{form: form, scopes: grant.Scopes, parameters: grant.Parameters})
}

// Exchange obtains a token for the subject of another one (RFC 8693, section 2). The error is an *Error.
func (p *Provider) Exchange(ctx context.Context, exchange Exchange) (*Token, error) {
	form := url.Values{"grant_type": {grantExchange}, "subject_token": {exchange.SubjectToken}, "subject_token_type": {TypeAccessToken}}
	set(form, "subject_token_type", exchange.SubjectTokenType)
	if exchange.ActorToken != "" {
		form.Set("actor_token", exchange.ActorToken)
		form.Set("actor_token_type", TypeAccessToken)
	}
	set(form, "audience", exchange.Audience)
	set(form, "resource", exchange.Resource)
	set(form, "requested_token_type", exchange.RequestedTokenType)
	return p.obtain(ctx, request{form: form, scopes: exchange.Scopes, parameters: exchange.Parameters})
}

// OnBehalfOf obtains a token for the user of another one by RFC 7523, section 2.1, with requested_token_use=on_behalf_of.
// Where the provider wants more of the user first, the error is Refused and has Claims. The error is an *Error.
func (p *Provider) OnBehalfOf(ctx context.Context, grant OnBehalfOf) (*Token, error) {
	form := url.Values{"grant_type": {grantJWTBearer}, "assertion": {grant.Assertion}, "requested_token_use": {"on_behalf_of"}}
	set(form, "resource", grant.Resource)
	return p.obtain(ctx, request{form: form, scopes: grant.Scopes, parameters: grant.Parameters})
}

func set(form url.Values, name, value string) {
	if value != "" {
		form.Set(name, value)
	}
}

// reserved are the parameters that no configuration can set.
var reserved = config.ReservedParameters()

// reservedIn names one of them, or is empty.
func reservedIn(parameters url.Values) string {
	for _, name := range reserved {
		if parameters.Has(name) {
			return name
		}
	}
	return ""
}

// request is what is asked of a token endpoint, but for who asks.
type request struct {
	form       url.Values
	scopes     []string
	parameters url.Values
}

// complete adds the parameters of the client and of the grant, the latter first. None can replace one that is there.
func (r request) complete(client url.Values) (url.Values, *Error) {
	if name := reservedIn(r.parameters); name != "" {
		return nil, misconfigured("the parameter %s cannot be set, since it is what is asked for that decides it", name)
	}
	form := clone(r.form)
	if len(r.scopes) > 0 {
		form.Set("scope", strings.Join(r.scopes, " "))
	}
	for _, parameters := range []url.Values{r.parameters, client} {
		for name, values := range parameters {
			if !form.Has(name) {
				form[name] = values
			}
		}
	}
	return form, nil
}
