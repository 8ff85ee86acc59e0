package integration

import (
	"context"
	"crypto/tls"
	"net/http"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

// servedSerial is the serial number of the certificate that the edge presents to a new connection.
func (e *estate) servedSerial() string {
	dialer := tls.Dialer{Config: &tls.Config{RootCAs: e.pool("internal"), ServerName: "api.example.org"}}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	connection, err := dialer.DialContext(ctx, "tcp", local(e.edgePort))
	if err != nil {
		return ""
	}
	defer func() { _ = connection.Close() }()
	return connection.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// dial connects to one of our servers as the named certificate.
func (e *estate) dial(port int, as string) *grpc.ClientConn {
	e.t.Helper()
	connection, err := grpc.NewClient(local(port), grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{e.pair(as)}, RootCAs: e.pool("proxies"), ServerName: "127.0.0.1", MinVersion: tls.VersionTLS13,
	})))
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { _ = connection.Close() })
	return connection
}

func TestOnlyTheGatewaysOwnProxiesAreAnswered(t *testing.T) {
	e := newEstate(t)
	e.startAuthz()
	e.issue("proxies", "proxy", "other-1", "--trust-domain", "example.org", "--group", "other")
	check := func(as string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := authv3.NewAuthorizationClient(e.dial(e.authzPort, as)).Check(ctx, &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
			ContextExtensions: map[string]string{"gateway": "edge", "listener": "https", "entry": "api.example.org", "route": "api", "rule": "all", "policy": "partners"},
			Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
				Id: "1", Method: "GET", Path: "/v1/a", Host: "api.example.org",
			}},
		}})
		return err
	}
	for as, want := range map[string]codes.Code{
		"edge-1":  codes.OK,               // it is answered, whatever the decision
		"other-1": codes.PermissionDenied, // a proxy, but not the gateway's
		"mapps":   codes.Unavailable,      // a partner does not get past the handshake
		"xds":     codes.PermissionDenied, // one of ours, but no proxy
	} {
		if err := check(as); status.Code(err) != want {
			t.Errorf("a Check as %s: %v, want %s", as, err, want)
		}
	}
}

func TestAStreamGetsItsOwnGroupsConfigurationOrNone(t *testing.T) {
	e := newEstate(t)
	e.startXDS()
	e.issue("proxies", "proxy", "other-1", "--trust-domain", "example.org", "--group", "other")
	ask := func(as string, node *corev3.Node) (*discovery.DeltaDiscoveryResponse, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		stream, err := discovery.NewAggregatedDiscoveryServiceClient(e.dial(e.xdsPort, as)).DeltaAggregatedResources(ctx)
		if err != nil {
			return nil, err
		}
		if err := stream.Send(&discovery.DeltaDiscoveryRequest{Node: node, TypeUrl: resource.ListenerType}); err != nil {
			return nil, err
		}
		// A proxy asks for clusters first; listeners wait for them.
		if err := stream.Send(&discovery.DeltaDiscoveryRequest{TypeUrl: resource.SecretType, ResourceNamesSubscribe: []string{"certificate/server"}}); err != nil {
			return nil, err
		}
		return stream.Recv()
	}
	if _, err := ask("edge-1", &corev3.Node{Id: "spiffe://example.org/proxy/edge/edge-1", Cluster: "edge"}); err != nil {
		t.Errorf("the edge gets nothing: %v", err)
	}
	if _, err := ask("other-1", &corev3.Node{Id: "spiffe://example.org/proxy/edge/edge-1", Cluster: "edge"}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("a proxy that claims another group: %v, want PermissionDenied", err)
	}
	if response, err := ask("other-1", nil); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("a proxy of another group: %v %v, want nothing", response, err)
	}
	if _, err := ask("mapps", nil); status.Code(err) != codes.Unavailable {
		t.Errorf("a partner: %v, want no connection", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	stream, err := discovery.NewAggregatedDiscoveryServiceClient(e.dial(e.xdsPort, "edge-1")).StreamAggregatedResources(ctx)
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("state of the world: %v, want Unimplemented", err)
	}
}

func TestKeptEscapedSlashesNeverSeparateSegments(t *testing.T) {
	e := newEstate(t)
	e.configure("edge.yaml", strings.Replace(e.configuration(), `paths: ["/v1/{rest=**}"]`, `paths: ["/v1/persons/{id}"]`, 1))
	e.startXDS()
	e.startAuthz()
	e.startEnvoy()
	client := e.client("mapps")
	eventually(t, "the edge serves", func() bool { code, _, _ := e.get(client, "/v1/persons/1"); return code == http.StatusOK })
	for path, want := range map[string]int{
		"/v1/persons/1%2f2":         http.StatusOK, // one segment
		"/v1/persons/1%2F2":         http.StatusOK,
		"/v1/persons/1/2":           http.StatusForbidden,
		"/v1/persons%2f1":           http.StatusForbidden,  // not below /v1/persons
		"/v1/persons/1%2f../alerts": http.StatusBadRequest, // dots beside an escaped slash could be read in two ways
	} {
		code, body, err := e.get(client, path)
		if err != nil || code != want {
			t.Errorf("GET %s: %d, want %d (%v)", path, code, want, err)
		}
		if code == http.StatusOK && body != path {
			t.Errorf("GET %s arrived as %s", path, body)
		}
	}
}

func TestServeRefusesDevelopmentAuthorities(t *testing.T) {
	e := newEstate(t)
	e.configure("edge.yaml", strings.Replace(e.configuration(), `spec: {bundle: "file:../pki/partners.pem"}`,
		"spec: {bundle: \"authority:dev\"}\n---\napi_version: sallyport/v1\nkind: Authority\nmetadata: {name: dev}\nspec: {development: {}}", 1))
	e.startXDS()
	text := e.run("proxy", "status", "--admin-socket", e.path("xds.sock"))
	if !strings.Contains(text, "development") {
		t.Errorf("proxy status does not say that a development authority is refused:\n%s", text)
	}
}

func TestATruststoreThatSharesTheProxiesAuthorityIsRefused(t *testing.T) {
	e := newEstate(t)
	e.configure("edge.yaml", strings.Replace(e.configuration(), "file:../pki/partners.pem", "file:../pki/proxies.pem", 1))
	e.startXDS()
	text := e.run("proxy", "status", "--admin-socket", e.path("xds.sock"))
	if !strings.Contains(text, "Truststore partners") {
		t.Errorf("proxy status does not say that the truststore is refused:\n%s", text)
	}
}
