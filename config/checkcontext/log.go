package checkcontext

// The names of what a proxy's access log adds to an entry (AccessLogCommon.custom_tags). One that has no value is left
// out. The log's own name (StreamAccessLogsMessage.Identifier.log_name) is gateway/listener.
const (
	// LogEntry is the name of the listener's TLS entry.
	LogEntry = "entry"
	// LogDetails says why the proxy closed or answered (%RESPONSE_CODE_DETAILS%).
	LogDetails = "details"
	// LogCertificateSHA256 is that of the caller's certificate in DER, in lower-case hexadecimal.
	LogCertificateSHA256 = "certificate_sha256"
	// LogCertificateSerial is its serial number in lower-case hexadecimal, with an even number of digits.
	LogCertificateSerial = "certificate_serial"
	// LogCertificateNotAfter is the end of its validity (RFC 3339, in UTC).
	LogCertificateNotAfter = "certificate_not_after"
)
