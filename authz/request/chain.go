package request

import "strings"

// ForwardedCertificate is the header by which a proxy passes on what a caller presented (x-forwarded-client-cert). Proxies
// write it themselves, whatever the caller sent under its name, and show it to us only at listeners whose truststores take
// intermediates from callers.
const ForwardedCertificate = "x-forwarded-client-cert"

// maxForwarded bounds the header, in bytes.
const maxForwarded = 128 << 10

// CertificateChain returns the certificates that the caller presented, its own first: URL-encoded PEM, exactly as
// received and not looked at. It is empty where the proxy does not tell, or in a form that Envoy does not write: then the
// leaf stands alone, and is judged as such. Ask only at an entry whose truststores take intermediates from callers.
func (r *Request) CertificateChain() string {
	value, ok := r.headers[ForwardedCertificate]
	if !ok || len(value) > maxForwarded {
		return ""
	}
	chain := ""
	for part := range forwardedParts(value) {
		key, quoted, found := strings.Cut(part, "=")
		if !found || !strings.EqualFold(key, "chain") {
			continue
		}
		text, ok := unquote(quoted)
		if !ok || chain != "" {
			return ""
		}
		chain = text
	}
	return chain
}

// forwardedParts yields the parts of the header's only element: key=value, by semicolons outside of quotes. It yields
// none where there are several elements, because Envoy, which overwrites the header, writes one.
func forwardedParts(value string) func(yield func(string) bool) {
	var parts []string
	quoted, begin := false, 0
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			return func(func(string) bool) {}
		case c == ';' && !quoted:
			parts = append(parts, value[begin:i])
			begin = i + 1
		}
	}
	parts = append(parts, value[begin:])
	return func(yield func(string) bool) {
		for _, part := range parts {
			if !yield(part) {
				return
			}
		}
	}
}

// unquote takes the quotes from a value that has nothing in it that URL-encoding would not have escaped.
func unquote(value string) (string, bool) {
	if len(value) < 2 || value[0] != '"' || value[len(value)-1] != '"' {
		return "", false
	}
	text := value[1 : len(value)-1]
	return text, !strings.ContainsAny(text, "\"\\ \t,;=")
}
