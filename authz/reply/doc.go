// Package reply owns what a proxy is answered: it renders a Decision as an envoy.service.auth.v3.CheckResponse.
//
// What a policy forwards overwrites what the caller sent, and every other header that any policy forwards is removed, as
// are those that config.NeverForwarded names, on each request that passes. Authorization goes on only as the service says: a token
// for the upstream, or the caller's own that was accepted, or none. A denial is a problem document (RFC 9457)
// that says as much as the policy discloses and never more than the status where the fault is ours. The package decides
// nothing.
package reply
