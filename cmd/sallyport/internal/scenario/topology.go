package scenario

import (
	"net"
	"strconv"
	"strings"

	"github.com/sallyport-project/sallyport/config"
)

// ListenerOf finds the listener of one of our own gateways that an upstream leads to: the one that serves its TLS server
// name on its port. It is nil for an API.
func ListenerOf(model *config.Model, u *config.Upstream) *config.Listener {
	if u.TLS == nil {
		return nil
	}
	endpoint := u.DNS
	if len(u.Addresses) > 0 {
		endpoint = u.Addresses[0]
	}
	_, port, err := net.SplitHostPort(endpoint)
	if err != nil {
		return nil
	}
	for _, g := range model.Gateways() {
		for _, l := range g.Listeners {
			if strconv.Itoa(int(l.Port)) == port && l.Entries[0].Certificate != nil && l.Serves(u.TLS.ServerName) {
				return l
			}
		}
	}
	return nil
}

// listenerFor is the gateway's listener that a caller of a host connects to, or the first of its kind where none serves
// it: that one will refuse. It is nil where the gateway has none of the kind.
func listenerFor(gateway *config.Gateway, host string, plaintext bool) *config.Listener {
	var first *config.Listener
	for _, l := range gateway.Listeners {
		if (l.Entries[0].Certificate == nil) != plaintext {
			continue
		}
		if l.Serves(host) {
			return l
		}
		if first == nil {
			first = l
		}
	}
	return first
}

// hostOnly is a host without its port and trailing dot, in lower case.
func hostOnly(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
