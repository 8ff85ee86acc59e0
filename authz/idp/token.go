package idp

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// How long tokens are taken to live.
const (
	// unknownLife is of a token that does not say. It is short, since RFC 6749 leaves it to guessing.
	unknownLife = 60 * time.Second
	// longestLife is of one that says more.
	longestLife = 24 * time.Hour
)

// maxToken is the longest token that is accepted, in bytes: it has to fit into a header.
const maxToken = 8 << 10

// Token is an access token for the next hop. Printing one, in whatever way, does not show it.
type Token struct {
	// Access is the secret: visible ASCII without spaces, at most 8 KiB.
	Access string `json:"-"`
	// Type is Bearer.
	Type string
	// Expires is at most a day ahead, counted from before the request. It is a minute ahead if the provider says nothing.
	Expires time.Time
	// IssuedTokenType is of an exchange (RFC 8693, section 2.2.1), if the provider names it.
	IssuedTokenType string
	// Scopes are those granted: as the provider says, or else as they were asked for (RFC 6749, section 5.1).
	Scopes []string
}

// String tells all but the secret.
func (t Token) String() string {
	return fmt.Sprintf("%s token until %s", t.Type, t.Expires.UTC().Format(time.RFC3339))
}

// GoString tells no more than String.
func (t Token) GoString() string { return t.String() }

// Format tells no more than String, whatever the verb.
func (t Token) Format(state fmt.State, _ rune) { _, _ = state.Write([]byte(t.String())) } // fmt has nobody to tell either

// obtain asks the token endpoint.
func (p *Provider) obtain(ctx context.Context, what request) (*Token, error) {
	form, fault := what.complete(p.config.Client.Parameters)
	if fault != nil {
		return nil, fault
	}
	at, fault := p.tokenEndpoint(ctx)
	if fault != nil {
		return nil, fault
	}
	proof, fault := p.credentials(at.address)
	if fault != nil {
		return nil, fault
	}
	maps.Copy(form, proof.parameters)
	asked := p.config.Clock()
	answered, fault := p.askToken(ctx, at.address, proof, form)
	if fault == nil {
		var token *Token
		if token, fault = readToken(answered, asked, form); fault == nil {
			return token, nil
		}
	}
	p.forget(at, fault)
	return nil, failure("ask for a token at "+shown(at.address), fault)
}

// askToken makes the exchange by golang.org/x/oauth2, which lets parameters replace the grant's type.
func (p *Provider) askToken(ctx context.Context, address string, proof credentials, form url.Values) (*oauth2.Token, *Error) {
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, oauth2.HTTPClient, p.secrets), p.config.Timeout)
	defer cancel()
	config := clientcredentials.Config{
		ClientID:       proof.id,
		ClientSecret:   proof.secret,
		TokenURL:       address,
		EndpointParams: form,
		AuthStyle:      proof.style,
	}
	token, err := config.Token(ctx)
	var refused *oauth2.RetrieveError
	var wrapped *url.Error
	switch {
	case err == nil:
		return token, nil
	case errors.As(err, &refused):
		return nil, refusal(refused.Response.StatusCode, refused.Response.Header, refused.Body)
	case errors.As(err, &wrapped):
		return nil, failure("", err)
	}
	return nil, badAnswer("the answer is no token (RFC 6749, section 5.1)")
}

// readToken judges an answer to a request that was made at the time given.
func readToken(answered *oauth2.Token, asked time.Time, form url.Values) (*Token, *Error) {
	if !strings.EqualFold(answered.TokenType, "Bearer") {
		return nil, badAnswer("the token's token_type is not Bearer, so it cannot be sent as one (RFC 6750)")
	}
	if len(answered.AccessToken) > maxToken || !within(answered.AccessToken, '!', '~') {
		return nil, badAnswer("the token has more than %d bytes, or characters that no header may have", maxToken)
	}
	life, fault := lifetime(answered.Extra("expires_in"))
	if fault != nil {
		return nil, fault
	}
	token := &Token{Access: answered.AccessToken, Type: "Bearer", Expires: asked.Add(life), Scopes: strings.Fields(form.Get("scope"))}
	if scope, told := answered.Extra("scope").(string); told {
		token.Scopes = strings.Fields(scope)
	}
	if issued, told := answered.Extra("issued_token_type").(string); told {
		if !slices.Contains([]string{TypeAccessToken, TypeJWT}, issued) && issued != form.Get("requested_token_type") {
			return nil, badAnswer("the provider issued a token that is no access token (issued_token_type, RFC 8693, section 2.2.1)")
		}
		token.IssuedTokenType = issued
	}
	return token, nil
}

// lifetime reads expires_in: a number, or a text that is one, as some providers send it.
func lifetime(value any) (time.Duration, *Error) {
	var seconds float64
	switch told := value.(type) {
	case nil:
		return unknownLife, nil
	case float64:
		seconds = told
	case string:
		parsed, err := strconv.ParseFloat(told, 64)
		if err != nil {
			return 0, badAnswer("the token's expires_in is no number")
		}
		seconds = parsed
	default:
		return 0, badAnswer("the token's expires_in is no number")
	}
	if math.IsNaN(seconds) || seconds < 1 {
		return 0, badAnswer("the token has expired already (expires_in)")
	}
	if seconds > longestLife.Seconds() {
		return longestLife, nil
	}
	return time.Duration(seconds) * time.Second, nil
}
