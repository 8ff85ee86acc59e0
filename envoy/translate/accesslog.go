package translate

import (
	"net/http"
	"time"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	celfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/filters/cel/v3"
	grpclogv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/grpc/v3"
	tracingv3 "github.com/envoyproxy/go-control-plane/envoy/type/tracing/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sallyport-project/sallyport/config/checkcontext"
	"github.com/sallyport-project/sallyport/envoy/bootstrap"
)

const (
	connectionLogName = "envoy.access_loggers.tcp_grpc"
	requestLogName    = "envoy.access_loggers.http_grpc"
	celFilterName     = "envoy.access_loggers.extension_filters.cel"
)

// logFlush is how long Envoy collects entries before it sends them.
const logFlush = time.Second

// What is refused before the authorization service is asked, in words of Envoy's attributes. An attribute that is not
// there makes an expression false.
const (
	// refusedHandshake is a connection whose TLS failed.
	refusedHandshake = `connection.transport_failure_reason != ""`
	// refusedRequest is an answer that neither an upstream nor the authorization service gave.
	refusedRequest = `upstream.request_attempt_count == 0 && !response.code_details.startsWith("ext_authz")`
)

// noFilterChain is Envoy's response flag of a connection that no filter chain takes.
const noFilterChain = "NR"

// ConnectionLog has Envoy tell the authorization service of connections to a listener that end before anybody could ask
// about a request: refused handshakes, and names that no TLS entry has. All others cost a look at two fields when they
// are closed. A service that is away, or slow, loses entries and holds up nothing.
//
// What Envoy says of the certificate is what the caller sent: TLS 1.3 refuses it before the caller has proved to hold its
// key.
func ConnectionLog(listener string) []*accesslogv3.AccessLog {
	filter := anyOf(
		&accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_ResponseFlagFilter{
			ResponseFlagFilter: &accesslogv3.ResponseFlagFilter{Flags: []string{noFilterChain}},
		}},
		expression(refusedHandshake),
	)
	return log(connectionLogName, filter, &grpclogv3.TcpGrpcAccessLogConfig{CommonConfig: commonLog(listener)})
}

// RequestLog has Envoy tell the authorization service of requests that Envoy answered by itself without asking it: those
// that cannot be parsed, or whose path has no one form. The status comes first, so that good answers cost a comparison.
func RequestLog(listener string) []*accesslogv3.AccessLog {
	return log(requestLogName, allOf(failed(), expression(refusedRequest)), &grpclogv3.HttpGrpcAccessLogConfig{CommonConfig: commonLog(listener)})
}

func log(name string, filter *accesslogv3.AccessLogFilter, config proto.Message) []*accesslogv3.AccessLog {
	return []*accesslogv3.AccessLog{{
		Name: name, Filter: filter, ConfigType: &accesslogv3.AccessLog_TypedConfig{TypedConfig: pack(config)},
	}}
}

// commonLog is what both logs say: whose listener it is, and of the certificate what Envoy's own fields leave out.
func commonLog(listener string) *grpclogv3.CommonGrpcAccessLogConfig {
	tag := func(name, format string) *tracingv3.CustomTag {
		return &tracingv3.CustomTag{Tag: name, Type: &tracingv3.CustomTag_Value{Value: format}}
	}
	return &grpclogv3.CommonGrpcAccessLogConfig{
		LogName: listener,
		GrpcService: &corev3.GrpcService{TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{
			EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: bootstrap.AuthzCluster},
		}},
		TransportApiVersion: corev3.ApiVersion_V3,
		BufferFlushInterval: durationpb.New(logFlush),
		CustomTags: []*tracingv3.CustomTag{
			tag(checkcontext.LogEntry, "%FILTER_CHAIN_NAME%"),
			tag(checkcontext.LogDetails, "%RESPONSE_CODE_DETAILS%"),
			tag(checkcontext.LogCertificateSHA256, "%DOWNSTREAM_PEER_FINGERPRINT_256%"),
			tag(checkcontext.LogCertificateSerial, "%DOWNSTREAM_PEER_SERIAL%"),
			tag(checkcontext.LogCertificateNotAfter, "%DOWNSTREAM_PEER_CERT_V_END%"),
		},
	}
}

// failed is an answer with the status of a failure.
func failed() *accesslogv3.AccessLogFilter {
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_StatusCodeFilter{
		StatusCodeFilter: &accesslogv3.StatusCodeFilter{Comparison: &accesslogv3.ComparisonFilter{
			Op: accesslogv3.ComparisonFilter_GE,
			// A key of the runtime is demanded; there is no runtime layer that could set it.
			Value: &corev3.RuntimeUInt32{DefaultValue: http.StatusBadRequest, RuntimeKey: "sallyport.refused_status"},
		}},
	}}
}

func expression(text string) *accesslogv3.AccessLogFilter {
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_ExtensionFilter{
		ExtensionFilter: &accesslogv3.ExtensionFilter{
			Name:       celFilterName,
			ConfigType: &accesslogv3.ExtensionFilter_TypedConfig{TypedConfig: pack(&celfilterv3.ExpressionFilter{Expression: text})},
		},
	}}
}

func anyOf(filters ...*accesslogv3.AccessLogFilter) *accesslogv3.AccessLogFilter {
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_OrFilter{OrFilter: &accesslogv3.OrFilter{Filters: filters}}}
}

func allOf(filters ...*accesslogv3.AccessLogFilter) *accesslogv3.AccessLogFilter {
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_AndFilter{AndFilter: &accesslogv3.AndFilter{Filters: filters}}}
}
