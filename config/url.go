package config

import "strings"

// SplitURL takes a Test's URL apart without decoding or normalising anything: the host in lower case as it is sent, and
// the path with its query ("/" where there is none). It returns false where there is no host.
func SplitURL(raw string) (host, path string, ok bool) {
	_, rest, found := strings.Cut(raw, "://")
	if !found {
		return "", "", false
	}
	host, path = rest, "/"
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		host, path = rest[:i], rest[i:]
	}
	if strings.HasPrefix(path, "?") {
		path = "/" + path
	}
	return host, path, host != ""
}
