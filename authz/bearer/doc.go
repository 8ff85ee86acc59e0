// Package bearer owns the judgement of a caller's bearer token: the form of the Authorization header (RFC 6750), which Provider's
// token it is, and whether it counts by that Provider's rules: algorithm, type, key, signature, claims, times, audience,
// confirmation, deny list, and, where the Provider is asked about tokens, its word (RFC 7662).
//
// A token is judged by the Provider whose issuer it names, or by none: the keys of one never vouch for the tokens of another, and
// no Provider is shown a token that is not its own. Any doubt refuses.
//
// It remembers what is dear, and only what is true of the very bytes: how a token reads, and whether the keys of one set have
// signed it. Everything else is judged anew at each use, so that nothing remembered outlives a key, a rule, the deny list or the
// token itself. Only a Provider's word counts for a while, as long as the Provider's configuration says. How much a Provider is asked is
// bounded, and made-up tokens keep nobody out whose token it knows.
//
// It never decides about a request, never looks for a token anywhere but in the header that it is given, and never tells, logs or
// shows a token.
package bearer
