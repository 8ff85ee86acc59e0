package routing

import (
	"strconv"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
)

// validHost tells whether Envoy takes a text for the host of a request. It does not look for a valid name.
func validHost(host string) bool {
	for _, c := range []byte(host) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"#/<>?\\^`{|}", c) >= 0 {
			return false
		}
	}
	return true
}

// normaliseHost takes the trailing dot and the port off a host (strip_trailing_host_dot, strip_any_host_port). Its case
// stays, and counts for nothing in the choice of a virtual host.
func normaliseHost(host string) string {
	host = strings.Trim(host, " \t") // the codec's
	if i := strings.LastIndexByte(host, '.'); i >= 0 {
		switch {
		case i == len(host)-1:
			host = host[:i]
		case host[i+1] == ':':
			host = host[:i] + host[i+1:]
		}
	}
	colon := strings.LastIndexByte(host, ':')
	if colon < 0 || strings.LastIndexByte(host, ']') > colon {
		return host
	}
	port := strings.TrimPrefix(host[colon+1:], "+")
	if _, err := strconv.ParseUint(port, 10, 32); err != nil {
		return host
	}
	return host[:colon]
}

// virtualHost chooses the virtual host for a normalised host: an exact domain, else the longest wildcard, which stands for
// one or more labels, else `*`. It is nil where none takes the host.
func virtualHost(routes *routev3.RouteConfiguration, host string) *routev3.VirtualHost {
	host = strings.ToLower(host)
	var found *routev3.VirtualHost
	longest := 0
	for _, candidate := range routes.GetVirtualHosts() {
		for _, domain := range candidate.GetDomains() {
			domain = strings.ToLower(domain)
			if domain == host {
				return candidate
			}
			if wildcardTakes(domain, host) && len(domain) > longest {
				found, longest = candidate, len(domain)
			}
		}
	}
	return found
}

// wildcardTakes tells whether a domain is a wildcard that takes the name: `*` takes every one.
func wildcardTakes(domain, name string) bool {
	suffix, wildcard := strings.CutPrefix(domain, "*")
	return wildcard && (suffix == "" || len(name) > len(suffix) && strings.HasSuffix(name, suffix))
}
