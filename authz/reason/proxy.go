package reason

import "net/http"

// The reasons for which a proxy refuses a handshake, or answers a request, without asking anybody. Where they lie in the
// certificate, the names are those that the authorization service's own refusals have.
const (
	// HandshakeName to HandshakeFailed are of connections.
	HandshakeName     Reason = "handshake_name"
	HandshakeProtocol Reason = "handshake_protocol"
	HandshakePlain    Reason = "handshake_plain"
	HandshakeCaller   Reason = "handshake_caller"
	HandshakeRevoked  Reason = "handshake_revoked"
	HandshakeList     Reason = "handshake_list"
	HandshakeFailed   Reason = "handshake_failed"
	// ProxyAnswered is of requests.
	ProxyAnswered Reason = "proxy_answered"
)

// AuditUnavailable is given where a request could pass, and the record of that cannot be kept.
const AuditUnavailable Reason = "audit_unavailable"

// Those of handshakes have no status: there is no answer that could have one.
var recordTable = []Entry{
	{AuditUnavailable, http.StatusServiceUnavailable, "The service is not available",
		"The record of the decision cannot be kept, and the server was told to let nothing pass without (--audit-when-full deny)."},

	{HandshakeName, 0, "No such name",
		"The caller asked for a server name that no TLS entry of the listener has, or for none."},
	{HandshakeProtocol, 0, "No common protocol",
		"The caller's versions of TLS, its cipher suites or groups have none in common with the listener's."},
	{HandshakePlain, 0, "No TLS",
		"The caller spoke something else than TLS, such as plain HTTP."},
	{HandshakeCaller, 0, "The caller ended it",
		"The caller does not trust the gateway's certificate, or ended the handshake for another reason of its own."},
	{HandshakeRevoked, 0, "The client certificate is revoked",
		"A revocation list of its authority names it."},
	{HandshakeList, 0, "No good revocation list",
		"A revocation list that the gateway needs is missing, not good or past its time."},
	{HandshakeFailed, 0, "The handshake failed",
		"Something else went wrong; the record has the proxy's words."},
	{ProxyAnswered, 0, "Answered by the proxy",
		"The proxy turned the request away before it asked: it could not be parsed, or could be read in more than one way. The record says which."},
}
