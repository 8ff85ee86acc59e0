// Package devissuer is an OpenID Provider for development: one server with an issuer for each Provider of a configuration,
// three ready-made users, and keys of its own. It lets `sallyport dev` sign people in, and makes tokens with whatever is
// wrong with them for Test cases.
//
// It owns its keys, its login page and what its tokens say. The library github.com/zitadel/oidc owns the protocol: routes,
// the parsing of requests, and the form of answers. It is never part of `serve`: anybody who reaches it can be any of
// its users, so it belongs on loopback, and nobody may believe its keys but a development environment. Its access tokens
// have the type TokenType, which no other issuer gives: whoever takes the tokens of an issuer in earnest takes none of these,
// whatever keys come into the wrong hands, and whoever takes these takes no others.
package devissuer

import "time"

// AppClient is the id of the public client: a single-page app, which has no secret and proves itself by PKCE (RFC 7636).
const AppClient = "app"

// Lifetime is how long a token of any kind is good.
const Lifetime = 10 * time.Minute

// TokenType is the header `typ` of its access tokens. They are RFC 9068's in all but this.
const TokenType = "dev+jwt"

// typeIDToken is that of an ID token.
const typeIDToken = "JWT"
