package devissuer

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// CodeExchange is part of op.Server: a code becomes an access token and an ID token (RFC 6749, section 4.1.3). A code
// that was brought once is good for nothing any more, whatever came of it.
func (r *realm) CodeExchange(_ context.Context, req *op.ClientRequest[oidc.AccessTokenRequest]) (*op.Response, error) {
	g, ok := r.server.codes.take(req.Data.Code)
	switch {
	case !ok || g.realm != r.issuer.Name:
		return nil, oidc.ErrInvalidGrant().WithDescription("the code is not good: it was used, or is older than %s", codeTime)
	case g.clientID != req.Client.GetID():
		return nil, oidc.ErrInvalidGrant().WithDescription("the code was given to another client")
	case g.redirectURI != req.Data.RedirectURI:
		return nil, oidc.ErrInvalidGrant().WithDescription("redirect_uri is another than the code was sent to")
	case !oidc.VerifyCodeChallenge(&oidc.CodeChallenge{Challenge: g.challenge, Method: oidc.CodeChallengeMethodS256}, req.Data.CodeVerifier):
		return nil, oidc.ErrInvalidGrant().WithDescription("code_verifier does not fit the challenge")
	}
	scopes := r.granted(g.user.Scopes(r.issuer), g.scopes)
	accessToken, err := r.accessToken(content{
		subject: g.user.Name, clientID: g.clientID, audiences: g.audiences, roles: g.user.Roles(r.issuer), scopes: scopes,
	})
	if err != nil {
		return nil, err
	}
	answer := oidc.AccessTokenResponse{
		AccessToken: accessToken, TokenType: oidc.BearerToken, ExpiresIn: uint64(Lifetime / time.Second), Scope: scopes,
	}
	if !slices.Contains(g.scopes, oidc.ScopeOpenID) {
		return confidential(answer), nil
	}
	answer.Scope = append([]string{oidc.ScopeOpenID}, scopes...)
	if answer.IDToken, err = r.idToken(g, accessToken); err != nil {
		return nil, err
	}
	return confidential(answer), nil
}

// ClientCredentialsExchange is part of op.Server: a token for the client itself (RFC 6749, section 4.4). It has scopes and
// no roles, as a client is no user.
func (r *realm) ClientCredentialsExchange(_ context.Context, req *op.ClientRequest[oidc.ClientCredentialsRequest]) (*op.Response, error) {
	given, err := r.forClient(req.Client.GetID(), req.Form)
	if err != nil {
		return nil, err
	}
	return confidential(given), nil
}

// forClient is a token for a client itself, for what the form asks for.
func (r *realm) forClient(id string, form url.Values) (*oidc.AccessTokenResponse, error) {
	scopes := r.granted(r.issuer.Scopes, strings.Fields(form.Get("scope")))
	token, err := r.accessToken(content{subject: id, clientID: id, audiences: audiences(form), scopes: scopes})
	if err != nil {
		return nil, err
	}
	return &oidc.AccessTokenResponse{
		AccessToken: token, TokenType: oidc.BearerToken, ExpiresIn: uint64(Lifetime / time.Second), Scope: scopes,
	}, nil
}

// TokenExchange is part of op.Server: a user's token becomes one for another audience (RFC 8693).
func (r *realm) TokenExchange(_ context.Context, req *op.ClientRequest[oidc.TokenExchangeRequest]) (*op.Response, error) {
	switch req.Data.RequestedTokenType {
	case "", oidc.AccessTokenType, oidc.JWTTokenType:
	default:
		return nil, oidc.ErrInvalidRequest().WithDescription("requested_token_type: only access tokens are issued")
	}
	actor, err := r.actor(req.Data.ActorToken, req.Client.GetID())
	if err != nil {
		return nil, oidc.ErrInvalidRequest().WithDescription("actor_token is not good: %v", err)
	}
	given, err := r.onBehalf(req.Data.SubjectToken, actor, req.Client.GetID(), req.Form)
	if err != nil {
		return nil, oidc.ErrInvalidRequest().WithDescription("subject_token is not good: %v", err)
	}
	issued := req.Data.RequestedTokenType
	if issued == "" {
		issued = oidc.AccessTokenType
	}
	return confidential(oidc.TokenExchangeResponse{
		AccessToken: given.AccessToken, IssuedTokenType: issued, TokenType: given.TokenType, ExpiresIn: given.ExpiresIn,
		Scopes: given.Scope,
	}), nil
}

// actor is who acts for a user: whom the actor's token is about, or without one the client.
func (r *realm) actor(token, clientID string) (string, error) {
	if token == "" {
		return clientID, nil
	}
	claims, err := r.verify(token)
	if err != nil {
		return "", err
	}
	subject, _ := claims["sub"].(string)
	return subject, nil
}

// JWTProfile is part of op.Server: an assertion becomes an access token (RFC 7523, section 2.1). Here the assertion is a
// user's token, and the request is made on behalf of that user, as Entra has it (`requested_token_use=on_behalf_of`).
func (r *realm) JWTProfile(_ context.Context, req *op.Request[oidc.JWTProfileGrantRequest]) (*op.Response, error) {
	c, err := r.issuer.authenticate(credentials(req.Header, req.Form))
	if err != nil {
		return nil, err
	}
	if c.public {
		return nil, oidc.ErrUnauthorizedClient().WithDescription("only a client with a secret may act for a user")
	}
	if req.Form.Get("requested_token_use") != "on_behalf_of" {
		return nil, oidc.ErrInvalidRequest().WithDescription("requested_token_use must be on_behalf_of")
	}
	given, err := r.onBehalf(req.Data.Assertion, c.id, c.id, req.Form)
	if err != nil {
		return nil, oidc.ErrInvalidGrant().WithDescription("the assertion is not good: %v", err)
	}
	return confidential(given), nil
}

// credentials are what a client says of itself in the header, or else in the form, where the library does not look by
// itself.
func credentials(header http.Header, form url.Values) *op.ClientCredentials {
	given := &op.ClientCredentials{
		ClientID: form.Get("client_id"), ClientSecret: form.Get("client_secret"), ClientAssertion: form.Get("client_assertion"),
	}
	id, secret, ok := (&http.Request{Header: header}).BasicAuth()
	if !ok {
		return given
	}
	// Both are form-encoded before they are put together (RFC 6749, section 2.3.1). What is not, is no client's.
	given.ClientID, _ = url.QueryUnescape(id)
	given.ClientSecret, _ = url.QueryUnescape(secret)
	return given
}

// onBehalf is a token for what the form asks for, about the subject of another token, with no more than that one said, and
// with the actor in front of those who acted before (RFC 8693, section 4.1). It ends when the other does.
func (r *realm) onBehalf(subjectToken, actor, clientID string, form url.Values) (*oidc.AccessTokenResponse, error) {
	claims, err := r.verify(subjectToken)
	if err != nil {
		return nil, err
	}
	held := textsAt(claims, r.issuer.ScopesClaim)
	scopes := r.granted(held, strings.Fields(form.Get("scope")))
	act := map[string]any{"sub": actor}
	if before, ok := claims["act"].(map[string]any); ok {
		act["act"] = before
	}
	lifetime := min(Lifetime, r.remaining(claims))
	subject, _ := claims["sub"].(string)
	token, err := r.accessToken(content{
		subject: subject, clientID: clientID, audiences: audiences(form), roles: textsAt(claims, r.issuer.RolesClaim),
		scopes: scopes, actor: act, lifetime: lifetime,
	})
	if err != nil {
		return nil, err
	}
	return &oidc.AccessTokenResponse{
		AccessToken: token, TokenType: oidc.BearerToken, Scope: scopes,
		ExpiresIn: uint64(max(lifetime, 0) / time.Second),
	}, nil
}
