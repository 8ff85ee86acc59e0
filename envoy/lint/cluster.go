package lint

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	extauthzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/sallyport-project/sallyport/envoy/bootstrap"
)

// cluster wants endpoints and secrets to be there, and an upstream over TLS to be verified by name.
func (l *lint) cluster(cluster *clusterv3.Cluster) {
	if eds := cluster.GetEdsClusterConfig(); eds != nil {
		l.aggregated("endpoints", eds.GetEdsConfig())
		if l.resources.Endpoints[eds.GetServiceName()] == nil {
			l.found("there are no endpoints %q", eds.GetServiceName())
		}
	}
	if cluster.GetTransportSocket() == nil {
		return
	}
	context := &tlsv3.UpstreamTlsContext{}
	if !unpack(l, "TLS", cluster.GetTransportSocket().GetTypedConfig(), context) {
		return
	}
	l.onlyFields("TLS", context, "common_tls_context", "sni")
	l.commonTLS("TLS", context.GetCommonTlsContext())
	names := context.GetCommonTlsContext().GetCombinedValidationContext().GetDefaultValidationContext().GetMatchTypedSubjectAltNames()
	if len(names) != 1 || names[0].GetSanType() != tlsv3.SubjectAltNameMatcher_DNS || names[0].GetMatcher().GetExact() == "" ||
		names[0].GetMatcher().GetExact() != context.GetSni() {
		l.found("TLS: the server's name is not pinned, so that anybody with a certificate of that CA passes for it")
	}
}

// checkSettings wants the settings of a route to hold the context, and at most more time to ask the same service, and the body where that
// one gives tokens.
func (l *lint) checkSettings(where string, packed *anypb.Any, givesTokens bool) {
	settings := &extauthzv3.ExtAuthzPerRoute{}
	if packed == nil || packed.UnmarshalTo(settings) != nil || settings.GetCheckSettings() == nil {
		return // found where the context is read
	}
	check := settings.GetCheckSettings()
	l.onlyFields(where, check, "context_extensions", "grpc_service", "with_request_body")
	if service := check.GetGrpcService(); service != nil {
		l.onlyFields(where, service, "envoy_grpc", "timeout")
		if service.GetEnvoyGrpc().GetClusterName() != bootstrap.AuthzCluster || service.GetTimeout().AsDuration() <= 0 {
			l.found("%s: it asks another service than %q, or waits for ever", where, bootstrap.AuthzCluster)
		}
	}
	if body := check.GetWithRequestBody(); body != nil {
		l.onlyFields(where, body, "max_request_bytes") // and not a part of a body that is too long
		if !givesTokens {
			l.found("%s: the authorization service is shown what callers send", where)
		}
	}
}
