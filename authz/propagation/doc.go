// Package propagation decides what the next hop gets in the Authorization header: nothing, the caller's own verified token, one
// that its issuer gave for it (RFC 8693, RFC 7523), one that we got as a client (RFC 6749, section 4.4), or one that we made
// ourselves (RFC 9068).
//
//	Decision → who calls → the Upstream's TokenDisposal → Onward
//
// It owns the tokens that are held for that, in memory alone: one for each acquisition, which is replaced in the background before
// it runs out; those that were exchanged, by caller and target; those that were minted. All are bounded, none is used beyond its
// end, and however many requests want one, one of them is asked for.
//
// A token is for the upstream as it is configured. A proxy may still run a route that leads to where the upstream was before: there goes
// what was to go there then, or nothing.
//
// What it never does: judge a caller; send a caller's token to anybody but the Provider that issued it; give a token to a request
// that was not admitted, or that leads to no upstream; treat a token that could not be got as none. No error, state or log of it
// holds a token.
package propagation
