package request

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

// Bounds, in bytes. Envoy's own limit on all headers together is 60 KiB.
const (
	maxMethod = 32
	maxHost   = 255
	maxPath   = 8 << 10
)

// checkMethod wants a token (RFC 9110, section 5.6.2) of letters and hyphens. Methods are case-sensitive.
func (r *Request) checkMethod() *Error {
	if r.Method == "" || len(r.Method) > maxMethod {
		return malformed("there is no method, or one that is too long")
	}
	for _, c := range []byte(r.Method) {
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' {
			return malformed("the method is no method of HTTP")
		}
	}
	return nil
}

// checkHost wants one host: what `host` and `:authority` say must not differ.
func (r *Request) checkHost() *Error {
	if r.Host == "" || len(r.Host) > maxHost {
		return malformed("there is no host, or one that is too long")
	}
	for _, c := range []byte(r.Host) {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', strings.IndexByte("-._:[]", c) >= 0:
		case c == ',':
			return malformed("there are several hosts")
		default:
			return malformed("the host has a character that no host has")
		}
	}
	for _, name := range [...]string{":authority", "host"} {
		if other, ok := r.headers[name]; ok && !strings.EqualFold(other, r.Host) {
			return malformed("there are two hosts")
		}
	}
	return nil
}

// checkPath wants a path as Envoy leaves it with normalize_path and merge_slashes, and refuses what an upstream might
// read otherwise: dot segments behind escapes, parameters (RFC 3986, section 3.3), escaped control characters.
func checkPath(path string) *Error {
	switch {
	case !strings.HasPrefix(path, "/"):
		return malformed("the path does not begin with a slash")
	case len(path) > maxPath:
		return malformed("the path is too long")
	}
	for _, c := range []byte(path) {
		switch {
		case c <= ' ' || c >= 0x7f:
			return malformed("the path has a character that must be escaped")
		case c == '#' || c == ';' || c == '\\':
			return malformed("the path has a `#`, `;` or backslash")
		}
	}
	segments := strings.Split(path[1:], "/")
	for i, segment := range segments {
		if segment == "" && i < len(segments)-1 {
			return malformed("the path has an empty segment")
		}
		if problem := checkSegment(segment); problem != nil {
			return problem
		}
	}
	return nil
}

// checkSegment looks at a segment as an upstream may see it that unescapes it once.
func checkSegment(segment string) *Error {
	if !strings.ContainsAny(segment, "%.") {
		return nil
	}
	decoded, err := url.PathUnescape(segment)
	switch {
	case err != nil:
		return malformed("the path has a percent sign that escapes nothing")
	case !utf8.ValidString(decoded):
		return malformed("the path is not UTF-8")
	case strings.ContainsFunc(decoded, isControl):
		return malformed("the path has an escaped control character")
	}
	// Where escaped slashes are kept they are part of the segment; what stands between them must not lead upwards.
	for _, part := range strings.FieldsFunc(decoded, isSlash) {
		if name, _, _ := strings.Cut(part, ";"); name == "." || name == ".." {
			return malformed("the path has a dot segment")
		}
	}
	return nil
}

func isControl(c rune) bool { return c < ' ' || c == 0x7f }

func isSlash(c rune) bool { return c == '/' || c == '\\' }

// checkQuery wants visible ASCII, of which RFC 3986, section 3.4 allows only a part; browsers send more of it as it is.
func checkQuery(query string) *Error {
	for _, c := range []byte(query) {
		if c <= ' ' || c >= 0x7f || c == '#' {
			return malformed("the query has a character that must be escaped")
		}
	}
	return nil
}

// checkHeaders refuses credentials of which there may be two: Envoy joins two headers of one name by a comma.
func (r *Request) checkHeaders() *Error {
	if value, ok := r.headers["authorization"]; ok && strings.ContainsRune(value, ',') {
		return malformed("there are several authorization headers, or a comma in one")
	}
	for name, value := range r.headers {
		if !utf8.ValidString(name) || !utf8.ValidString(value) || strings.ContainsAny(value, "\x00\r\n") {
			return malformed("a header has characters that no header has")
		}
	}
	return nil
}
