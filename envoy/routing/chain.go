package routing

import (
	"strings"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
)

// ChooseChain chooses the filter chain of a listener for the name that a TLS client asks for (RFC 6066, section 3): an
// exact name, else the longest wildcard, else a chain that names nobody. It is nil where the connection is closed.
func ChooseChain(listener *listenerv3.Listener, sni string) *listenerv3.FilterChain {
	sni = strings.ToLower(sni)
	var found *listenerv3.FilterChain
	longest := -1
	for _, chain := range listener.GetFilterChains() {
		names := chain.GetFilterChainMatch().GetServerNames()
		if len(names) == 0 && longest < 0 {
			found, longest = chain, 0
		}
		for _, name := range names {
			if name == sni && sni != "" {
				return chain
			}
			if chainTakes(name, sni) && len(name) > longest {
				found, longest = chain, len(name)
			}
		}
	}
	return found
}

// chainTakes tells whether a wildcard of a filter chain takes a name. Envoy looks for the name's own suffixes that begin
// at a dot, the first character's excepted.
func chainTakes(wildcard, sni string) bool {
	suffix, ok := strings.CutPrefix(wildcard, "*")
	return ok && suffix != "" && len(sni) > len(suffix) && strings.HasSuffix(sni, suffix)
}
