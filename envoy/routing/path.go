package routing

import (
	"net/http"
	"strings"

	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
)

// Options are the fields of an HttpConnectionManager that say what becomes of a path.
type Options struct {
	// Normalize resolves dot segments and decodes needless escapes (normalize_path).
	Normalize bool
	// MergeSlashes makes one of adjacent slashes (merge_slashes).
	MergeSlashes bool
	// RejectEscapedSlashes answers %2F and %5C with 400 (path_with_escaped_slashes_action REJECT_REQUEST). Otherwise they
	// are kept.
	RejectEscapedSlashes bool
}

// optionsOf reads the options of a connection manager; false is for an action on escaped slashes that is not simulated.
func optionsOf(manager *hcmv3.HttpConnectionManager) (Options, bool) {
	options := Options{Normalize: manager.GetNormalizePath().GetValue(), MergeSlashes: manager.GetMergeSlashes()}
	switch manager.GetPathWithEscapedSlashesAction() {
	case hcmv3.HttpConnectionManager_REJECT_REQUEST:
		options.RejectEscapedSlashes = true
		return options, true
	case hcmv3.HttpConnectionManager_KEEP_UNCHANGED:
		return options, true
	}
	return options, false
}

// Normalise brings a path with its query to the form in which routes are chosen, the authorization service judges and
// the upstream is called. The query is kept as it is. A status other than 0 is Envoy's own answer, and no route is chosen
// then.
//
// To normalise twice changes nothing more, but for paths with a semicolon: Envoy takes parameters off a dot segment that
// is written as such (`/..;x/` is `/../`) and not off one whose dots were escaped or follow a backslash, so that `/%2e%2e;/`
// becomes `/..;/`, which a second proxy would resolve. The authorization service refuses semicolons for that reason.
func Normalise(path string, options Options) (normalised string, status int) {
	switch {
	case path == "" || !visible(path):
		return path, http.StatusBadRequest // the codec's answer
	case strings.Contains(path, "#"):
		return path, http.StatusBadRequest // also in the query
	case path[0] != '/':
		return path, http.StatusBadRequest
	}
	path, query := path, ""
	if i := strings.IndexByte(path, '?'); i >= 0 {
		path, query = path[:i], path[i:]
	}
	if options.RejectEscapedSlashes && hasEscapedSlash(path) {
		return path + query, http.StatusBadRequest
	}
	if options.Normalize {
		canonical, ok := canonicalise(withoutDotParameters(path))
		if !ok {
			return path + query, http.StatusBadRequest
		}
		path = canonical
	}
	if options.MergeSlashes {
		path = mergeSlashes(path)
	}
	return path + query, 0
}

// visible tells whether a request line can hold the text: ASCII without spaces and control characters.
func visible(text string) bool {
	for _, c := range []byte(text) {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

func hasEscapedSlash(path string) bool {
	for i := 0; i+2 < len(path); i++ {
		if c, ok := escape(path, i); ok && (c == '/' || c == '\\') {
			return true
		}
	}
	return false
}

// withoutDotParameters takes the parameters off segments that are dots: `/..;x/` is `/../`.
func withoutDotParameters(path string) string {
	if !strings.Contains(path, ".;") {
		return path
	}
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		switch {
		case strings.HasPrefix(segment, "..;"):
			segments[i] = ".."
		case strings.HasPrefix(segment, ".;"):
			segments[i] = "."
		}
	}
	return strings.Join(segments, "/")
}

// mergeSlashes leaves two of a path that is nothing but slashes, as Envoy does.
func mergeSlashes(path string) string {
	switch {
	case !strings.Contains(path, "//"):
		return path
	case strings.Trim(path, "/") == "":
		return "//"
	}
	var b strings.Builder
	for i, c := range []byte(path) {
		if c != '/' || i == 0 || path[i-1] != '/' {
			b.WriteByte(c)
		}
	}
	return b.String()
}
