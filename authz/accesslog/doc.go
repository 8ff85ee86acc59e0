// Package accesslog hears from the proxies what they refused without asking the authorization service: handshakes, and
// requests that Envoy answered by itself (envoy.service.accesslog.v3.AccessLogService). It turns them into audit records.
//
// It decides nothing, and nothing that it is told changes a decision. A proxy is believed about the gateways of its own
// group alone. Of what it quotes from a caller, such as a subject or path, everything is cut and made printable; a
// certificate in a refused handshake proves nothing, as anybody may send another's.
package accesslog
