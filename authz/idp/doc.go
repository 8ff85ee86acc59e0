// Package idp speaks HTTP to an identity provider: it discovers its endpoints (OpenID Connect Discovery 1.0, RFC 8414),
// fetches its key set (RFC 7517), obtains tokens at its token endpoint (RFC 6749 client credentials, RFC 8693 token
// exchange, RFC 7523 on behalf of) and asks it about opaque tokens (RFC 7662).
//
// It keeps connections and the addresses that were discovered, and nothing else: no key, no token, no secret. Keys are kept
// by authz/keyset, tokens by authz/propagation, verdicts by authz/bearer.
//
// What it never does: follow a redirect to another host, or any redirect with a secret; read more than a fixed number of
// bytes; take part in cookies or compression; put a secret, a token or a provider's free text into an error; or send a
// secret or a token to a host that the configuration does not name. No address that stands in a token is ever asked.
package idp
