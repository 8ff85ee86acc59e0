// Package reason owns the names of the reasons for which a request is let in or turned away: each with its HTTP status,
// a title for people and a type URI for programs (RFC 9457, section 3.1.1).
//
// A name, once released, keeps its meaning: logs, alerts and callers' code depend on it. The package judges nothing.
package reason

import "net/http"

// Reason is the name of a reason, in snake_case.
type Reason string

// The reasons for which a request is let in.
const (
	PermissionGranted Reason = "permission_granted"
	RoleHeld          Reason = "role_held"
	ConsumerListed    Reason = "consumer_listed"
	Everyone          Reason = "everyone"
	TokenRoleHeld     Reason = "token_role_held"
	ScopeHeld         Reason = "scope_held"
	// TokenIssued is given where our token endpoint gave a token.
	TokenIssued Reason = "token_issued"
)

// The reasons that lie in the caller's certificate.
const (
	CertificateMissing     Reason = "certificate_missing"
	CertificateMalformed   Reason = "certificate_malformed"
	CertificateIsCA        Reason = "certificate_is_ca"
	CertificateWeakKey     Reason = "certificate_weak_key"
	CertificateUntrusted   Reason = "certificate_untrusted"
	CertificateExpired     Reason = "certificate_expired"
	CertificateNotYetValid Reason = "certificate_not_yet_valid"
	CertificateUsage       Reason = "certificate_usage"
	CertificateRevoked     Reason = "certificate_revoked"
	// CertificateUnregistered is given where the register of the certificate's authority does not know it.
	CertificateUnregistered Reason = "certificate_unregistered"
)

// The reasons that lie in the caller's bearer token.
const (
	TokenMissing     Reason = "token_missing"
	TokenMalformed   Reason = "token_malformed"
	TokenIssuer      Reason = "token_issuer"
	TokenKeyUnknown  Reason = "token_key_unknown"
	TokenSignature   Reason = "token_signature"
	TokenExpired     Reason = "token_expired"
	TokenNotYetValid Reason = "token_not_yet_valid" //nolint:gosec // G101: a name, and no credential
	TokenAudience    Reason = "token_audience"
	TokenType        Reason = "token_type"
	// TokenClaimMissing is given where a claim is not there that the Provider demands, or that every token needs.
	TokenClaimMissing Reason = "token_claim_missing"
	TokenInactive     Reason = "token_inactive"
	TokenRevoked      Reason = "token_revoked"
	// TokenBinding is given where the token is bound to another certificate than the connection's (RFC 8705).
	TokenBinding Reason = "token_binding"
	// StepUpRequired is given where the token's issuer wants its user to prove more before it is exchanged.
	StepUpRequired   Reason = "step_up_required"
	TokenRoleMissing Reason = "token_role_missing"
	ScopeMissing     Reason = "scope_missing"
	ExchangeRefused  Reason = "exchange_refused"
)

// The reasons that lie in the consumer, and in what it may do.
const (
	ConsumerUnknown   Reason = "consumer_unknown"
	ConsumerAmbiguous Reason = "consumer_ambiguous"
	// ConsumerMismatch is given where certificate and token are demanded, and do not belong together.
	ConsumerMismatch    Reason = "consumer_mismatch"
	ConsumerSuspended   Reason = "consumer_suspended"
	ConsumerNotYetValid Reason = "consumer_not_yet_valid"
	ConsumerExpired     Reason = "consumer_expired"
	PermissionMissing   Reason = "permission_missing"
	NotAuthorized       Reason = "not_authorized"
	ConditionNotMet     Reason = "condition_not_met"
	ConditionError      Reason = "condition_error"
	RateLimited         Reason = "rate_limited"
)

// The reasons that lie in the request.
const (
	RequestMalformed Reason = "request_malformed"
	NoRoute          Reason = "no_route"
	Misdirected      Reason = "misdirected"
	// TokenRefused is given where our token endpoint gave none.
	TokenRefused           Reason = "token_refused"
	CredentialsNotAccepted Reason = "credentials_not_accepted"
	MethodNotAllowed       Reason = "method_not_allowed"
)

// The reasons that lie with us, and the one that lies with the proxy that asks.
const (
	GatewayNotYours   Reason = "gateway_not_yours"
	ContextMissing    Reason = "context_missing"
	PolicyUnknown     Reason = "policy_unknown"
	PolicyRemoved     Reason = "policy_removed"
	RuleRemoved       Reason = "rule_removed"
	TruststoreMissing Reason = "truststore_missing"
	// RevocationUnavailable and ClockBehind are given where a revocation list is required and none counts now.
	RevocationUnavailable Reason = "revocation_unavailable"
	ClockBehind           Reason = "clock_behind"
	RegisterUnavailable   Reason = "register_unavailable"
	// ProviderUnavailable is given where a Provider's keys, or its word on a token, cannot be had; TokenUnavailable where the
	// token for the upstream cannot.
	ProviderUnavailable Reason = "provider_unavailable"
	TokenUnavailable    Reason = "token_unavailable" //nolint:gosec // G101: a name, and no credential
	Deadline            Reason = "deadline"
	Internal            Reason = "internal"
)

// typeBase is what every type URI begins with: the page that explains the reasons, each under its name.
const typeBase = "https://github.com/sallyport-project/sallyport/blob/main/docs/reference/reasons.md#"

// Entry is what is fixed about a reason.
type Entry struct {
	Reason Reason
	// Status is the HTTP status of the answer, 200 for a request that is let in. A policy may hide a 401 or 403 as a 404.
	// It is zero where a proxy refuses by itself.
	Status int
	// Title is the same for every occurrence.
	Title string
	// Meaning says when the reason is given and what to do about it.
	Meaning string
}

// Allows tells whether a request is let in for this reason.
func (r Reason) Allows() bool { return r.Status() == http.StatusOK }

// Status is the HTTP status of the answer. That of an unknown reason is 503: it lies with us.
func (r Reason) Status() int {
	if entry, ok := entries[r]; ok {
		return entry.Status
	}
	return http.StatusServiceUnavailable
}

// Title is a few words for people, the same for every occurrence.
func (r Reason) Title() string {
	if entry, ok := entries[r]; ok {
		return entry.Title
	}
	return http.StatusText(http.StatusServiceUnavailable)
}

// Type is the reason's stable URI.
func (r Reason) Type() string { return typeBase + string(r) }

// OurFault tells whether the caller can do nothing about it but try again. Such answers never say more than that.
func (r Reason) OurFault() bool { return r.Status() >= http.StatusInternalServerError }
