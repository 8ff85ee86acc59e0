package lint

import (
	"net/http"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extauthzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"

	"github.com/sallyport-project/sallyport/envoy/bootstrap"
	"github.com/sallyport-project/sallyport/envoy/translate"
)

// connectionManager wants routes by RDS, paths and hosts in one form, nothing believed that a caller wrote, and the
// filters in their order. Upgrades are among the fields that have no place.
func (l *lint) connectionManager(where string, m *hcmv3.HttpConnectionManager) {
	l.onlyFields(where, m, "codec_type", "stat_prefix", "rds", "http_filters", "normalize_path", "merge_slashes",
		"path_with_escaped_slashes_action", "strip_any_host_port", "strip_trailing_host_dot", "use_remote_address",
		"internal_address_config", "generate_request_id", "always_set_request_id_in_response", "server_name",
		"request_headers_timeout", "request_timeout", "stream_idle_timeout", "common_http_protocol_options",
		"http2_protocol_options", "local_reply_config", "access_log", "forward_client_cert_details", "set_current_client_cert_details")
	if m.GetRds() == nil {
		l.found("%s: its routes do not come by RDS", where)
	} else {
		l.aggregated(where, m.GetRds().GetConfigSource())
	}
	for _, demand := range []struct {
		met     bool
		message string
	}{
		{m.GetNormalizePath().GetValue() && m.GetMergeSlashes(), "paths are not normalised"},
		{m.GetPathWithEscapedSlashesAction() == hcmv3.HttpConnectionManager_REJECT_REQUEST ||
			m.GetPathWithEscapedSlashesAction() == hcmv3.HttpConnectionManager_KEEP_UNCHANGED, "escaped slashes are neither refused nor kept"},
		{m.GetStripAnyHostPort() && m.GetStripTrailingHostDot(), "hosts are not normalised"},
		{m.GetUseRemoteAddress().GetValue(), "the caller's address is taken from a header (use_remote_address)"},
		{len(m.GetInternalAddressConfig().GetCidrRanges()) > 0, "callers from private networks may set x-envoy-* headers (internal_address_config)"},
		{m.GetCommonHttpProtocolOptions().GetHeadersWithUnderscoresAction() == corev3.HttpProtocolOptions_REJECT_REQUEST, "header names with underscores pass"},
		{m.GetCommonHttpProtocolOptions().GetMaxStreamDuration().AsDuration() > 0, "streams have no longest life (max_stream_duration)"},
		{m.GetRequestHeadersTimeout().AsDuration() > 0 && m.GetRequestTimeout().AsDuration() > 0, "a caller may take for ever to send its request"},
		{!m.GetHttp2ProtocolOptions().GetAllowConnect(), "extended CONNECT is allowed"},
		{!m.GetHttpProtocolOptions().GetAcceptHttp_10(), "HTTP/1.0 is allowed"},
	} {
		if !demand.met {
			l.found("%s: %s", where, demand.message)
		}
	}
	l.forwardedCertificate(where, m)
	l.httpFilters(where, m.GetHttpFilters(), m.GetForwardClientCertDetails() == hcmv3.HttpConnectionManager_SANITIZE_SET)
}

// forwardedCertificate wants a caller's own x-forwarded-client-cert to be removed, or overwritten by the certificates that
// the caller has sent and nothing more.
func (l *lint) forwardedCertificate(where string, m *hcmv3.HttpConnectionManager) {
	details := m.GetSetCurrentClientCertDetails()
	switch m.GetForwardClientCertDetails() {
	case hcmv3.HttpConnectionManager_SANITIZE:
		if details != nil {
			l.found("%s: it says what to forward of a caller's certificate, and forwards nothing", where)
		}
	case hcmv3.HttpConnectionManager_SANITIZE_SET:
		l.onlyFields(where, details, "chain")
		if !details.GetChain() {
			l.found("%s: it forwards something else of a caller's certificate than its chain", where)
		}
	default:
		l.found("%s: what a caller writes into x-forwarded-client-cert survives (forward_client_cert_details)", where)
	}
}

// httpFilters wants the authorization filter, those that drop trailers and withhold tokens as they are everywhere, and the router.
// Before them stands the one that answers preflights, which lets nothing through to an upstream; there is nothing else that could
// answer by itself or let a request by.
func (l *lint) httpFilters(where string, filters []*hcmv3.HttpFilter, chain bool) {
	if len(filters) != 5 || filters[1].GetName() != translate.AuthorizationFilter {
		l.found("%s: its HTTP filters must be the one that answers preflights, %s, the ones that drop trailers and withhold tokens, and the router, and nothing else",
			where, translate.AuthorizationFilter)
		return
	}
	if !proto.Equal(filters[0], translate.CrossOriginFilter()) {
		l.found("%s: its first HTTP filter does something else than to answer preflights", where)
	}
	if !proto.Equal(filters[2], translate.TrailersFilter()) {
		l.found("%s: its third HTTP filter does not drop all trailers of a request, and nothing else", where)
	}
	if !proto.Equal(filters[3], translate.WithholdingFilter()) {
		l.found("%s: its fourth HTTP filter does something else than to withhold tokens", where)
	}
	for _, filter := range filters {
		l.onlyFields(where+", filter "+filter.GetName(), filter, "name", "typed_config") // not disabled, is_optional or config_discovery
	}
	authorization := &extauthzv3.ExtAuthz{}
	if unpack(l, where, filters[1].GetTypedConfig(), authorization) {
		l.authorization(where, authorization, chain)
	}
	unpack(l, where, filters[4].GetTypedConfig(), &routerv3.Router{})
}

// authorization wants the filter to ask our service about every request, and to fail closed. Fields by which it could let
// one pass (failure_mode_allow, shadow_mode, filter_enabled, …) or choose a route anew (clear_route_cache) have no place.
func (l *lint) authorization(where string, a *extauthzv3.ExtAuthz, chain bool) {
	where += ", " + translate.AuthorizationFilter
	l.onlyFields(where, a, "grpc_service", "transport_api_version", "stat_prefix", "status_on_error", "include_peer_certificate",
		"include_tls_session", "validate_mutations", "allowed_headers")
	if got := a.GetGrpcService().GetEnvoyGrpc().GetClusterName(); got != bootstrap.AuthzCluster {
		l.found("%s: it asks the cluster %q, and not %q", where, got, bootstrap.AuthzCluster)
	}
	if a.GetGrpcService().GetTimeout().AsDuration() <= 0 {
		l.found("%s: it waits for ever for an answer", where)
	}
	if a.GetStatusOnError().GetCode() != http.StatusServiceUnavailable {
		l.found("%s: it answers %v where the service fails, and must answer 503", where, a.GetStatusOnError().GetCode())
	}
	if !a.GetIncludePeerCertificate() || !a.GetIncludeTlsSession() {
		l.found("%s: it does not tell who calls (include_peer_certificate, include_tls_session)", where)
	}
	shown := slices.ContainsFunc(a.GetAllowedHeaders().GetPatterns(), func(m *matcherv3.StringMatcher) bool {
		return m.GetExact() == "" || m.GetExact() == translate.ForwardedCertificateHeader
	})
	if shown != chain {
		l.found("%s: it must show %s where the proxy has written it, and nowhere else", where, translate.ForwardedCertificateHeader)
	}
	if !a.GetValidateMutations() {
		l.found("%s: it does not validate what it adds to a request (validate_mutations)", where)
	}
}
