// Package tokens puts together all that has to do with tokens, for one Model and its material at a time: the connections to
// identity providers (authz/idp), their key sets (authz/keyset), the verifier of callers' tokens (authz/bearer), our own issuers
// (authz/mint), and what goes on to upstreams (authz/propagation).
//
//	Model, Snapshot → Apply → View → Judge    who presents this token
//	                               → Onward   what the next hop gets
//	                               → Answer   our token endpoint, key sets and metadata
//
// A View is immutable: whoever has one sees rules, upstreams and issuers of one generation.
//
// It owns what connects them: which Provider has which connection, keys and secrets, and that a Provider that cannot be used, because
// its truststore or secret is missing, refuses its own tokens and touches no other. It decides nothing about requests, but for how often
// a consumer may ask for a token.
//
// With a Substitute it speaks to no network: development, tests and explanations have every Provider of others' stand beside them.
package tokens
