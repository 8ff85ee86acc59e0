package translate

import (
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tlsinspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-project/sallyport/config"
)

const (
	// clientHelloTimeout is how long a caller has for its first TLS message; Envoy's default is 15 s.
	clientHelloTimeout = 5 * time.Second
	// handshakeTimeout is how long it has for the whole handshake. Envoy by itself waits for ever.
	handshakeTimeout = 10 * time.Second

	tlsInspectorName = "envoy.filters.listener.tls_inspector"
)

// listener makes a listener with a filter chain for each of the entries given. There is no default filter chain: a
// connection without SNI, or for a name of no entry, is closed.
func listener(l *config.Listener, entries []*config.Entry) *listenerv3.Listener {
	made := &listenerv3.Listener{
		Name:             ListenerName(l),
		StatPrefix:       statName(l),
		Address:          socketAddress(l.Address, l.Port),
		TrafficDirection: corev3.TrafficDirection_INBOUND,
		// Without a limit, a caller that reads slowly has Envoy hold a megabyte of each answer.
		PerConnectionBufferLimitBytes: wrapperspb.UInt32(bufferLimit),
		AccessLog:                     ConnectionLog(ListenerName(l)),
	}
	for _, e := range entries {
		made.FilterChains = append(made.FilterChains, filterChain(e))
	}
	if !l.Plaintext() {
		made.ListenerFiltersTimeout = durationpb.New(clientHelloTimeout)
		made.ListenerFilters = []*listenerv3.ListenerFilter{{
			Name:       tlsInspectorName,
			ConfigType: &listenerv3.ListenerFilter_TypedConfig{TypedConfig: pack(&tlsinspectorv3.TlsInspector{})},
		}}
	}
	return made
}

// statName is a listener's name in statistics, where a colon or slash is awkward.
func statName(l *config.Listener) string { return l.Gateway.Name + "." + l.Name }

func filterChain(e *config.Entry) *listenerv3.FilterChain {
	chain := &listenerv3.FilterChain{
		Name: e.Name,
		Filters: []*listenerv3.Filter{{
			Name:       connectionManagerName,
			ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: pack(connectionManager(e))},
		}},
	}
	if e.Certificate == nil {
		return chain
	}
	// Envoy takes the longest match, and a wildcard for one or more labels, as it does for virtual hosts: SNI and Host are
	// matched alike.
	chain.FilterChainMatch = &listenerv3.FilterChainMatch{ServerNames: e.Hostnames}
	chain.TransportSocketConnectTimeout = durationpb.New(handshakeTimeout)
	chain.TransportSocket = &corev3.TransportSocket{
		Name:       tlsSocketName,
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: pack(downstreamTLS(e))},
	}
	return chain
}

// downstreamTLS is how callers are spoken to.
//
// Sessions may be resumed: tickets are encrypted by keys of this filter chain in this process, so they lead to no other
// entry; a changed truststore ends them; and the authorization service verifies the certificate of a resumed session on
// each request like any other. Early data (0-RTT), which could be replayed, does not exist in Envoy over TCP.
func downstreamTLS(e *config.Entry) *tlsv3.DownstreamTlsContext {
	context := &tlsv3.DownstreamTlsContext{
		RequireClientCertificate: wrapperspb.Bool(e.ClientAuth.Mode == config.ClientAuthRequired),
		CommonTlsContext: &tlsv3.CommonTlsContext{
			// Envoy's cipher suites for TLS 1.2 are those with forward secrecy and authenticated encryption.
			TlsParams:                      &tlsv3.TlsParameters{TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_2},
			AlpnProtocols:                  []string{"h2", "http/1.1"},
			TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{secretByName(CertificateName(e.Certificate))},
		},
	}
	if e.ClientAuth.Mode != config.ClientAuthNone {
		context.CommonTlsContext.ValidationContextType = &tlsv3.CommonTlsContext_ValidationContextSdsSecretConfig{
			ValidationContextSdsSecretConfig: secretByName(TruststoresName(e)),
		}
	}
	return context
}
