package lint

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tlsinspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"

	"github.com/sallyport-project/sallyport/envoy/routing"
	"github.com/sallyport-project/sallyport/envoy/translate"
)

func (l *lint) listeners() {
	bound := map[string]string{}
	each(l, "listener", l.resources.Listeners, func(listener *listenerv3.Listener) {
		l.onlyFields("the listener", listener, "name", "stat_prefix", "address", "traffic_direction", "filter_chains",
			"per_connection_buffer_limit_bytes", "listener_filters", "listener_filters_timeout", "access_log")
		l.accessLog("the listener", listener.GetAccessLog(), translate.ConnectionLog(listener.GetName()))
		socket := listener.GetAddress().GetSocketAddress()
		address := net.JoinHostPort(socket.GetAddress(), strconv.Itoa(int(socket.GetPortValue())))
		if other, taken := bound[address]; taken {
			l.found("%s is the address of the listener %s as well", address, other)
		}
		bound[address] = listener.GetName()
		l.listenerFilters(listener)
		for _, chain := range listener.GetFilterChains() {
			l.filterChain(listener, chain)
		}
	})
}

// listenerFilters wants SNI to be read wherever it chooses the filter chain, and nothing else.
func (l *lint) listenerFilters(listener *listenerv3.Listener) {
	for _, filter := range listener.GetListenerFilters() {
		unpack(l, "listener filter "+filter.GetName(), filter.GetTypedConfig(), &tlsinspectorv3.TlsInspector{})
	}
	for _, chain := range listener.GetFilterChains() {
		names := chain.GetFilterChainMatch().GetServerNames()
		switch {
		case len(names) > 0 && len(listener.GetListenerFilters()) == 0:
			l.found("filter chain %s is chosen by SNI, which nothing reads", chain.GetName())
		case len(names) == 0 && len(listener.GetFilterChains()) > 1:
			l.found("filter chain %s takes every connection, and is not alone", chain.GetName())
		}
		if slices.Contains(names, "") || slices.Contains(names, "*") {
			l.found("filter chain %s takes connections without a name", chain.GetName())
		}
	}
}

func (l *lint) filterChain(listener *listenerv3.Listener, chain *listenerv3.FilterChain) {
	where := "filter chain " + chain.GetName()
	l.onlyFields(where, chain, "name", "filter_chain_match", "filters", "transport_socket", "transport_socket_connect_timeout")
	if chain.GetFilterChainMatch() != nil {
		l.onlyFields(where, chain.GetFilterChainMatch(), "server_names")
	}
	if (chain.GetTransportSocket() == nil) != (chain.GetFilterChainMatch() == nil) {
		l.found("%s: TLS and a match by SNI come together or not at all", where)
	}
	if chain.GetTransportSocket() != nil {
		l.downstreamTLS(where, chain.GetTransportSocket())
	}
	if len(chain.GetFilters()) != 1 {
		l.found("%s: it has %d filters, and the HTTP connection manager must be the only one", where, len(chain.GetFilters()))
		return
	}
	manager := &hcmv3.HttpConnectionManager{}
	if !unpack(l, where, chain.GetFilters()[0].GetTypedConfig(), manager) {
		return
	}
	l.connectionManager(where, manager)
	l.accessLog(where, manager.GetAccessLog(), translate.RequestLog(listener.GetName()))
	l.use(listener, chain, manager.GetRds().GetRouteConfigName())
}

// accessLog wants a log to be the one that is made everywhere: another could send requests, tokens included, elsewhere.
func (l *lint) accessLog(where string, logs, want []*accesslogv3.AccessLog) {
	if !slices.EqualFunc(logs, want, func(a, b *accesslogv3.AccessLog) bool { return proto.Equal(a, b) }) {
		l.found("%s: its access log is not the one that tells the authorization service of what is refused, and nothing else", where)
	}
}

// use notes that a filter chain uses a route configuration, and which demands on its routes come from that.
func (l *lint) use(listener *listenerv3.Listener, chain *listenerv3.FilterChain, routes string) {
	gateway, name, _ := strings.Cut(listener.GetName(), "/")
	if want := fmt.Sprintf("%s/%s", listener.GetName(), chain.GetName()); routes != want {
		l.found("filter chain %s uses the route configuration %q, and must use its own, %q", chain.GetName(), routes, want)
	}
	if l.resources.Routes[routes] == nil {
		l.found("filter chain %s: there is no route configuration %q", chain.GetName(), routes)
	}
	l.uses[routes] = append(l.uses[routes], use{
		gateway: gateway, listener: name, entry: chain.GetName(),
		owns: func(domain string) bool {
			if chain.GetFilterChainMatch() == nil {
				return true
			}
			// For a wildcard, a name that has no filter chain of its own.
			return routing.ChooseChain(listener, strings.Replace(domain, "*", "any-name-below", 1)) == chain
		},
	})
}

func (l *lint) downstreamTLS(where string, socket *corev3.TransportSocket) {
	context := &tlsv3.DownstreamTlsContext{}
	if !unpack(l, where, socket.GetTypedConfig(), context) {
		return
	}
	l.onlyFields(where+", TLS", context, "common_tls_context", "require_client_certificate")
	l.commonTLS(where, context.GetCommonTlsContext())
	if len(context.GetCommonTlsContext().GetTlsCertificateSdsSecretConfigs()) != 1 {
		l.found("%s: it presents no certificate, or several", where)
	}
	if context.GetRequireClientCertificate().GetValue() && context.GetCommonTlsContext().GetValidationContextSdsSecretConfig() == nil {
		l.found("%s: it demands a certificate and verifies none", where)
	}
}

// commonTLS wants every secret to come by SDS over ADS and to be there, and no protocol that is broken.
func (l *lint) commonTLS(where string, common *tlsv3.CommonTlsContext) {
	l.onlyFields(where+", TLS", common, "tls_params", "alpn_protocols", "tls_certificate_sds_secret_configs",
		"validation_context_sds_secret_config", "combined_validation_context")
	if common.GetTlsParams().GetTlsMinimumProtocolVersion() < tlsv3.TlsParameters_TLSv1_2 {
		l.found("%s: it accepts TLS before 1.2, or does not say", where)
	}
	for _, secret := range common.GetTlsCertificateSdsSecretConfigs() {
		l.secret(where, secret, func(s *tlsv3.Secret) bool { return s.GetTlsCertificate() != nil })
	}
	isContext := func(s *tlsv3.Secret) bool { return s.GetValidationContext() != nil }
	if secret := common.GetValidationContextSdsSecretConfig(); secret != nil {
		l.secret(where, secret, isContext)
	}
	if combined := common.GetCombinedValidationContext(); combined != nil {
		l.onlyFields(where+", TLS", combined.GetDefaultValidationContext(), "match_typed_subject_alt_names")
		l.secret(where, combined.GetValidationContextSdsSecretConfig(), isContext)
	}
}

func (l *lint) secret(where string, reference *tlsv3.SdsSecretConfig, isOfKind func(*tlsv3.Secret) bool) {
	l.aggregated(where, reference.GetSdsConfig())
	if secret := l.resources.Secrets[reference.GetName()]; secret == nil || !isOfKind(secret) {
		l.found("%s: there is no secret %q of the kind that is wanted", where, reference.GetName())
	}
}

// aggregated wants a configuration source to be the one ADS stream, and not to wait for ever.
func (l *lint) aggregated(where string, source *corev3.ConfigSource) {
	if source.GetAds() == nil || source.GetResourceApiVersion() != corev3.ApiVersion_V3 {
		l.found("%s: something does not come over the ADS stream", where)
	}
	if source.GetInitialFetchTimeout().AsDuration() <= 0 {
		l.found("%s: it waits for ever for something that may never come (initial_fetch_timeout)", where)
	}
}
