package estate

import (
	"net"
	"slices"
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
			if strconv.Itoa(int(l.Port)) == port && !l.Plaintext() && l.Serves(u.TLS.ServerName) {
				return l
			}
		}
	}
	return nil
}

// Ports tells the port that the configuration gives a listener, where it listens on another.
type Ports func(*config.Listener) uint32

// AsConfigured is for listeners that listen where the configuration says.
func AsConfigured(l *config.Listener) uint32 { return l.Port }

// ListenerFor is the listener of the gateway that a request for the URL connects to: one of the URL's scheme, and of the port
// in the URL, if one has it. Of several it is the first that serves the server name, or else the first: that one will refuse.
// It is nil where the gateway has none of the scheme.
func ListenerFor(g *config.Gateway, url, serverName string, ports Ports) *config.Listener {
	host, _, _ := config.SplitURL(url)
	plaintext := strings.HasPrefix(url, "http://")
	candidates := slices.DeleteFunc(slices.Clone(g.Listeners), func(l *config.Listener) bool {
		return l.Plaintext() != plaintext
	})
	if _, port, err := net.SplitHostPort(host); err == nil {
		elsewhere := func(l *config.Listener) bool { return strconv.Itoa(int(ports(l))) != port }
		if there := slices.DeleteFunc(slices.Clone(candidates), elsewhere); len(there) > 0 {
			candidates = there
		}
	}
	if len(candidates) == 0 {
		return nil
	}
	if i := slices.IndexFunc(candidates, func(l *config.Listener) bool { return l.Serves(serverName) }); i >= 0 {
		return candidates[i]
	}
	return candidates[0]
}
