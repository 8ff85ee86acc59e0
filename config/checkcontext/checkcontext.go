// Package checkcontext owns the names under which a route tells the authorization service where it stands
// (envoy.service.auth.v3.AttributeContext.context_extensions). They are what the configuration of the proxies, which
// writes them, and the authorization service, which reads them, have in common. Every value is a string.
//
// A caller cannot write any of them: Envoy fills them from its own routes. Beside them stand the names that a proxy's
// access log has in common with its reader. The package holds names and nothing else.
package checkcontext

// The keys. Every route has Gateway, Listener and Entry. A route that leads to an upstream has Route, Rule, Policy and
// PolicyHash as well, and Upstream with UpstreamHash, which stand on each weighted cluster where there are several. A route that the
// authorization service answers by itself has Answer in place of these two. A route that leads nowhere has Outcome instead.
const (
	// Gateway is the name of the Gateway.
	Gateway = "gateway"
	// Listener is the name of the Gateway's listener.
	Listener = "listener"
	// Entry is the name of the listener's TLS entry, config.PlaintextEntry where there is no TLS.
	Entry = "entry"
	// Route is the name of the Route.
	Route = "route"
	// Rule is the name of the Route's rule.
	Rule = "rule"
	// Policy is the name of the Policy.
	Policy = "policy"
	// PolicyHash is the version of that Policy that the route was made for.
	PolicyHash = "policy_hash"
	// Upstream is the name of the Upstream that Envoy has chosen.
	Upstream = "upstream"
	// UpstreamHash is the version of that Upstream to which the route leads: a token for another version of it must not come to this one.
	UpstreamHash = "upstream_hash"
	// Answer says what the authorization service answers by itself to those whom the policy lets in.
	Answer = "answer"
	// Provider is the name of the Provider whose answer it is; it stands beside Answer alone, and not beside AnswerWhoAmI.
	Provider = "provider"
	// Outcome says why the request leads nowhere.
	Outcome = "outcome"
)

// The values of Answer.
const (
	// AnswerWhoAmI is what is known of the caller.
	AnswerWhoAmI = "whoami"
	// AnswerToken is a token of our own, or why there is none (RFC 6749, section 5).
	AnswerToken = "token"
	// AnswerKeySet is the public keys of an issuer of our own (RFC 7517).
	AnswerKeySet = "key_set"
	// AnswerIssuerMetadata is what an issuer of our own says of itself (RFC 8414).
	AnswerIssuerMetadata = "issuer_metadata"
)

// The values of Outcome.
const (
	// OutcomeNoRoute says that no rule of the entry takes the request (404).
	OutcomeNoRoute = "no_route"
	// OutcomeMisdirected says that the request's host belongs to another entry than the connection (421; RFC 9110,
	// section 15.5.20).
	OutcomeMisdirected = "misdirected"
)
