package accesslog

import (
	"strings"

	"github.com/sallyport-project/sallyport/authz/reason"
)

// noFilterChain is Envoy's word for a connection that no filter chain takes (StreamInfo::ResponseCodeDetails).
const noFilterChain = "filter_chain_not_found"

// words are parts of what Envoy and BoringSSL say of a handshake that failed, and what they mean. The first that is found
// counts. The set of meanings is closed: metrics are counted by them.
var words = []struct {
	part string
	as   reason.Reason
}{
	{"HTTP_REQUEST", reason.HandshakePlain},
	{"HTTPS_PROXY_REQUEST", reason.HandshakePlain},
	{"WRONG_VERSION_NUMBER", reason.HandshakePlain},
	{"PEER_DID_NOT_RETURN_A_CERTIFICATE", reason.CertificateMissing},
	{"certificate revoked", reason.HandshakeRevoked},
	{"CRL", reason.HandshakeList},
	{"at depth 0: certificate has expired", reason.CertificateExpired},
	{"at depth 0: certificate is not yet valid", reason.CertificateNotYetValid},
	{"unsupported certificate purpose", reason.CertificateUsage},
	{"key too weak", reason.CertificateWeakKey},
	{"key too small", reason.CertificateWeakKey},
	{"CERTIFICATE_VERIFY_FAILED", reason.CertificateUntrusted},
	{"CANNOT_PARSE_LEAF_CERT", reason.CertificateMalformed},
	{"CERT_DECODE", reason.CertificateMalformed},
	{"UNSUPPORTED_PROTOCOL", reason.HandshakeProtocol},
	{"NO_SHARED_CIPHER", reason.HandshakeProtocol},
	{"NO_SHARED_GROUP", reason.HandshakeProtocol},
	{"NO_COMMON_SIGNATURE_ALGORITHMS", reason.HandshakeProtocol},
	{"INAPPROPRIATE_FALLBACK", reason.HandshakeProtocol},
	{"_ALERT_", reason.HandshakeCaller},
}

// classify names why a handshake failed, by the transport's words and Envoy's details.
func classify(said, details string) reason.Reason {
	for _, word := range words {
		if strings.Contains(said, word.part) {
			return word.as
		}
	}
	if details == noFilterChain {
		return reason.HandshakeName
	}
	return reason.HandshakeFailed
}

// plain is what Envoy says without the frame around it:
//
//	TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify cert failed: …:TLS_error_end
func plain(said string) string {
	said = strings.TrimSuffix(said, ":TLS_error_end")
	if _, rest, found := strings.Cut(said, ":OPENSSL_internal:"); found {
		return rest
	}
	return said
}
