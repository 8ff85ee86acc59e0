package config

import (
	"net"
	"strings"
)

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

// HostName is a host without its port and trailing dot, in lower case: the form in which hostnames are compared.
func HostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
