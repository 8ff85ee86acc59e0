package translate

import (
	"net/http"
	"strings"
	"time"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-project/sallyport/config"
)

// The names of the filters. Envoy finds an extension by the type of its configuration; per-route configuration is found
// by the filter's name.
const (
	connectionManagerName = "envoy.filters.network.http_connection_manager"
	// AuthorizationFilter is the name of the filter that asks the authorization service, and of its settings on a route.
	AuthorizationFilter = "envoy.filters.http.ext_authz"
	routerName          = "envoy.filters.http.router"
)

const (
	// idleConnection is how long a caller may keep a connection without a request. Behind a load balancer it has to be
	// longer than that one's own limit, which is a minute or less by default in all that we know.
	idleConnection = 5 * time.Minute
	// headersTime bounds how long a caller may take for its headers, and requestTime for the whole request, once begun.
	// Envoy by itself waits for both for ever, which is all that a slow-headers attack needs.
	headersTime = 10 * time.Second
	requestTime = 5 * time.Minute
	// idleStream is how long a request or answer may stand still. A rule with a longer timeout extends it for itself.
	idleStream = 5 * time.Minute
	// longestStream ends every request, whatever it waits for: a suspended caller's open streams end with it. No rule's
	// timeout is longer than an hour, and the request's own time comes before that.
	longestStream = time.Hour + requestTime

	// HTTP/2 limits by Envoy's guide for edges. The defaults let one connection have 2³¹ streams and 256 MiB in flight.
	concurrentStreams = 100
	streamWindow      = 64 << 10
	connectionWindow  = 1 << 20

	// serverName is what the `server` header says, instead of what an upstream says there about itself.
	serverName = "sallyport"
)

// nobody is an address that no caller has (RFC 1122, section 3.2.1.3, as a source).
const nobody = "255.255.255.255"

// connectionManager makes the HTTP side of an entry, after Envoy's best practices for edge proxies. Everything stands
// here that concerns all requests, and nothing that a policy or route could change.
//
// By Envoy's defaults, which are not repeated below: HTTP/1.0 is refused (426); so are a request with both a length and
// chunks, and upgrades (no upgrade_configs), CONNECT and extended CONNECT (no connect_matcher, allow_connect unset);
// X-Forwarded-For is appended to and never believed (xff_num_trusted_hops 0).
func connectionManager(e *config.Entry) *hcmv3.HttpConnectionManager {
	return &hcmv3.HttpConnectionManager{
		CodecType:  hcmv3.HttpConnectionManager_AUTO, // by ALPN; in plaintext, HTTP/2 with prior knowledge
		StatPrefix: statName(e.Listener),
		RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{
			ConfigSource: aggregated(), RouteConfigName: RoutesName(e),
		}},
		HttpFilters: []*hcmv3.HttpFilter{
			CrossOriginFilter(),
			authorizationFilter(e),
			TrailersFilter(),
			WithholdingFilter(),
			{Name: routerName, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: pack(&routerv3.Router{
				SuppressEnvoyHeaders: true, // x-envoy-upstream-service-time and the like are nobody's business
			})}},
		},

		// Paths and hosts are brought to one form before anybody looks at them: the route's choice, the authorization
		// service and the upstream all see that form.
		NormalizePath:                wrapperspb.Bool(true),
		MergeSlashes:                 true,
		PathWithEscapedSlashesAction: escapedSlashes(e.Listener),
		StripPortMode:                &hcmv3.HttpConnectionManager_StripAnyHostPort{StripAnyHostPort: true},
		StripTrailingHostDot:         true,

		// The caller is who the connection comes from. Envoy takes callers from private networks for its own kind and lets
		// them set x-envoy-* headers (timeouts, retries) and the request id: here nobody is. An empty list would mean the
		// default one.
		UseRemoteAddress: wrapperspb.Bool(true),
		InternalAddressConfig: &hcmv3.HttpConnectionManager_InternalAddressConfig{CidrRanges: []*corev3.CidrRange{
			{AddressPrefix: nobody, PrefixLen: wrapperspb.UInt32(32)},
		}},
		ForwardClientCertDetails:    forwardedCertificate(e),
		SetCurrentClientCertDetails: forwardedDetails(e),
		// Our own request id, which a caller can quote, and not one that it has chosen.
		GenerateRequestId:            wrapperspb.Bool(true),
		PreserveExternalRequestId:    false,
		AlwaysSetRequestIdInResponse: true,
		ServerName:                   serverName,
		ServerHeaderTransformation:   hcmv3.HttpConnectionManager_OVERWRITE,

		RequestHeadersTimeout: durationpb.New(headersTime),
		RequestTimeout:        durationpb.New(requestTime),
		StreamIdleTimeout:     durationpb.New(idleStream),
		CommonHttpProtocolOptions: &corev3.HttpProtocolOptions{
			IdleTimeout:       durationpb.New(idleConnection),
			MaxStreamDuration: durationpb.New(longestStream),
			// Servers that take x_consumer for x-consumer exist.
			HeadersWithUnderscoresAction: corev3.HttpProtocolOptions_REJECT_REQUEST,
		},
		Http2ProtocolOptions: &corev3.Http2ProtocolOptions{
			MaxConcurrentStreams:        wrapperspb.UInt32(concurrentStreams),
			InitialStreamWindowSize:     wrapperspb.UInt32(streamWindow),
			InitialConnectionWindowSize: wrapperspb.UInt32(connectionWindow),
		},
		LocalReplyConfig: traceReply(),
		AccessLog:        RequestLog(ListenerName(e.Listener)),
	}
}

// forwardedCertificate removes a caller's own x-forwarded-client-cert. Ours is needed only where callers may send
// intermediate authorities: those stand nowhere else. The authorization service has it removed before the upstream.
func forwardedCertificate(e *config.Entry) hcmv3.HttpConnectionManager_ForwardClientCertDetails {
	if e.ClientAuth.TakesChain() {
		return hcmv3.HttpConnectionManager_SANITIZE_SET
	}
	return hcmv3.HttpConnectionManager_SANITIZE
}

func forwardedDetails(e *config.Entry) *hcmv3.HttpConnectionManager_SetCurrentClientCertDetails {
	if !e.ClientAuth.TakesChain() {
		return nil
	}
	return &hcmv3.HttpConnectionManager_SetCurrentClientCertDetails{Chain: true}
}

func escapedSlashes(l *config.Listener) hcmv3.HttpConnectionManager_PathWithEscapedSlashesAction {
	if l.KeepEscapedSlashes {
		return hcmv3.HttpConnectionManager_KEEP_UNCHANGED
	}
	return hcmv3.HttpConnectionManager_REJECT_REQUEST
}

// allowedMethods is what the answer to TRACE says that it might have been instead (RFC 9110, section 15.5.6, wants it).
var allowedMethods = strings.Join([]string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
}, ", ")

// traceReply has every answer of the proxy itself to TRACE be 405. TRACE shows a caller what was added to its request on
// the way, credentials included, so each virtual host begins with a route that leads it nowhere; like all such routes
// that one is turned away by the authorization service, with 404.
func traceReply() *hcmv3.LocalReplyConfig {
	body, err := structpb.NewStruct(map[string]any{
		"type": "about:blank", "title": http.StatusText(http.StatusMethodNotAllowed), "status": http.StatusMethodNotAllowed,
	})
	if err != nil {
		panic("translate: " + err.Error()) // constants
	}
	return &hcmv3.LocalReplyConfig{Mappers: []*hcmv3.ResponseMapper{{
		Filter: &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_HeaderFilter{
			HeaderFilter: &accesslogv3.HeaderFilter{Header: headerIs(":method", http.MethodTrace)},
		}},
		StatusCode: wrapperspb.UInt32(http.StatusMethodNotAllowed),
		HeadersToAdd: []*corev3.HeaderValueOption{{
			Header:       &corev3.HeaderValue{Key: "allow", Value: allowedMethods},
			AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
		}},
		BodyFormatOverride: &corev3.SubstitutionFormatString{
			Format:      &corev3.SubstitutionFormatString_JsonFormat{JsonFormat: body},
			ContentType: "application/problem+json",
		},
	}}}
}

func headerIs(name, value string) *routev3.HeaderMatcher {
	return &routev3.HeaderMatcher{
		Name:                 name,
		HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{StringMatch: exactly(value)},
	}
}
