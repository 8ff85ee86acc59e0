package translate

import (
	"net/http"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extauthzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/envoy/bootstrap"
)

// authorizationFilter asks the authorization service about each request, and lets none pass without its yes.
func authorizationFilter(e *config.Entry) *hcmv3.HttpFilter {
	g := e.Listener.Gateway
	filter := &extauthzv3.ExtAuthz{
		Services:            &extauthzv3.ExtAuthz_GrpcService{GrpcService: authorizationService(g.AuthorizationTimeout)},
		TransportApiVersion: corev3.ApiVersion_V3,
		StatPrefix:          g.Name,
		// Fail closed, and say that it is our fault: Envoy's default answer is a 403, which blames the caller.
		FailureModeAllow: false,
		StatusOnError:    &typev3.HttpStatus{Code: http.StatusServiceUnavailable},
		// Who calls, and by which name it came in.
		IncludePeerCertificate: true,
		IncludeTlsSession:      true,
		// An answer that holds an invalid header ends in a 500 and not at the upstream.
		ValidateMutations: true,
		// The route was chosen before the check and stays: what was authorised is what is done.
		ClearRouteCache: false,
		// Method, host and path always come. Of the headers the service needs three: whether credentials are presented, which
		// request it is, and whether a request for a token is the form that it has to be. They are the same whatever routes there
		// are, so that no change of one replaces a listener. Nobody's identity is taken from a header, and cookies are none of its
		// business. Where callers may send intermediate authorities, these stand in a header that Envoy itself has written.
		AllowedHeaders: &matcherv3.ListStringMatcher{Patterns: shownHeaders(e)},
	}
	return &hcmv3.HttpFilter{Name: AuthorizationFilter, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: pack(filter)}}
}

// authorizationService is who is asked, and for how long.
func authorizationService(timeout time.Duration) *corev3.GrpcService {
	return &corev3.GrpcService{
		TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: bootstrap.AuthzCluster}},
		Timeout:         durationpb.New(timeout),
	}
}

func shownHeaders(e *config.Entry) []*matcherv3.StringMatcher {
	shown := []*matcherv3.StringMatcher{exactly("authorization"), exactly("x-request-id"), exactly("content-type")}
	if e.ClientAuth.TakesChain() {
		shown = append(shown, exactly(ForwardedCertificateHeader))
	}
	return shown
}

// ForwardedCertificateHeader is the header in which Envoy passes on the certificates that a caller has sent.
const ForwardedCertificateHeader = "x-forwarded-client-cert"
