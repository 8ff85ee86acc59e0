package translate_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/delta/v3"
	"github.com/hashicorp/go-hclog"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/sallyport-project/sallyport/config/checkcontext"
	"github.com/sallyport-project/sallyport/envoy/bootstrap"
	"github.com/sallyport-project/sallyport/envoy/process"
	"github.com/sallyport-project/sallyport/envoy/translate"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

// deadline bounds every wait of these tests; nothing waits that long when all is well.
const deadline = 30 * time.Second

// authorizer is an authorization service that lets pass whatever has a route, and remembers what it was asked.
type authorizer struct {
	authv3.UnimplementedAuthorizationServer
	mu    sync.Mutex
	asked []*authv3.CheckRequest
}

func (a *authorizer) Check(_ context.Context, request *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, request)
	status := map[string]typev3.StatusCode{
		checkcontext.OutcomeNoRoute:     typev3.StatusCode_NotFound,
		checkcontext.OutcomeMisdirected: typev3.StatusCode_MisdirectedRequest,
	}[request.GetAttributes().GetContextExtensions()[checkcontext.Outcome]]
	if status != 0 {
		return &authv3.CheckResponse{
			Status: &statuspb.Status{Code: int32(codes.PermissionDenied)},
			HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
				Status: &typev3.HttpStatus{Code: status}, Body: "the service says no",
			}},
		}, nil
	}
	return &authv3.CheckResponse{Status: &statuspb.Status{}}, nil
}

// last is what it was asked last, and how often it was asked so far.
func (a *authorizer) last() (*authv3.CheckRequest, int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.asked) == 0 {
		return nil, 0
	}
	return a.asked[len(a.asked)-1], len(a.asked)
}

// serveGRPC serves on loopback until the test ends, or stop is called.
func serveGRPC(t *testing.T, register func(*grpc.Server)) (address string, stop func()) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	register(server)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	stop = sync.OnceFunc(func() {
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return listener.Addr().String(), stop
}

// aggregated is delta ADS from a cache.
type aggregated struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	cache cache.Cache
}

func (a aggregated) DeltaAggregatedResources(stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	return delta.NewServer(stream.Context(), a.cache, nil).DeltaStreamHandler(stream, resource.AnyType)
}

// controlPlane is go-control-plane's own, with everything in one snapshot.
func controlPlane(t *testing.T, node string, resources *translate.Resources) (address string) {
	t.Helper()
	snapshot, err := cache.NewSnapshot("1", map[resource.Type][]types.Resource{
		resource.ListenerType: list(resources.Listeners), resource.RouteType: list(resources.Routes),
		resource.ClusterType: list(resources.Clusters), resource.EndpointType: list(resources.Endpoints),
		resource.SecretType: list(resources.Secrets),
	})
	if err != nil {
		t.Fatal(err)
	}
	snapshots := cache.NewSnapshotCache(true, cache.IDHash{}, nil)
	if err := snapshots.SetSnapshot(t.Context(), node, snapshot); err != nil {
		t.Fatal(err)
	}
	address, _ = serveGRPC(t, func(s *grpc.Server) {
		discoveryv3.RegisterAggregatedDiscoveryServiceServer(s, aggregated{cache: snapshots})
	})
	return address
}

func list[M proto.Message](resources map[string]M) []types.Resource {
	var all []types.Resource
	for _, r := range resources {
		all = append(all, r)
	}
	return all
}

// static is a cluster of the bootstrap: HTTP/2 without TLS, to one address.
func static(t *testing.T, name, address string) *clusterv3.Cluster {
	t.Helper()
	to := netip.MustParseAddrPort(address)
	options := &anypb.Any{}
	if err := protojson.Unmarshal([]byte(`{
		"@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
		"explicit_http_config": {"http2_protocol_options": {}}
	}`), options); err != nil {
		t.Fatal(err)
	}
	return &clusterv3.Cluster{
		Name:                          name,
		ClusterDiscoveryType:          &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		TypedExtensionProtocolOptions: map[string]*anypb.Any{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
		LoadAssignment: &endpointv3.ClusterLoadAssignment{ClusterName: name, Endpoints: []*endpointv3.LocalityLbEndpoints{{
			LbEndpoints: []*endpointv3.LbEndpoint{{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{
				Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
					Address: to.Addr().String(), PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(to.Port())},
				}}},
			}}}},
		}}},
	}
}

// runEnvoy runs an Envoy that has everything from a control plane, and returns its admin interface once it is live.
func runEnvoy(t *testing.T, resources *translate.Resources, authorization string) *process.Admin {
	t.Helper()
	directory, err := os.MkdirTemp("", "translate") // short, because of the socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(directory) })
	const node, xds = "edge-1", "xds"
	socket := filepath.Join(directory, "admin.sock")
	content, err := protojson.Marshal(&bootstrapv3.Bootstrap{
		Node:  &corev3.Node{Id: node, Cluster: resources.Group},
		Admin: &bootstrapv3.Admin{Address: &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: socket}}}},
		StaticResources: &bootstrapv3.Bootstrap_StaticResources{Clusters: []*clusterv3.Cluster{
			static(t, xds, controlPlane(t, node, resources)), static(t, bootstrap.AuthzCluster, authorization),
		}},
		DynamicResources: &bootstrapv3.Bootstrap_DynamicResources{
			AdsConfig: &corev3.ApiConfigSource{
				ApiType: corev3.ApiConfigSource_DELTA_GRPC, TransportApiVersion: corev3.ApiVersion_V3,
				GrpcServices: []*corev3.GrpcService{{TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{
					EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: xds},
				}}},
			},
			LdsConfig: ads(), CdsConfig: ads(),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(directory, "bootstrap.json")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, path)
	admin := process.NewAdmin(socket)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if err := admin.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	return admin
}

func ads() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}}, ResourceApiVersion: corev3.ApiVersion_V3,
	}
}

func start(t *testing.T, bootstrapPath string) {
	t.Helper()
	binary, err := process.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	envoy, err := process.New(process.Config{
		Binary: binary, BootstrapPath: bootstrapPath, Name: "edge", Concurrency: 1,
		Logger: hclog.New(&hclog.LoggerOptions{Output: t.Output(), Level: hclog.Error}),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- envoy.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// issuer is an authority with the shortest way to certificates.
type issuer struct {
	t *testing.T
	*ca.Authority
}

func newIssuer(t *testing.T, name string) issuer {
	t.Helper()
	authority, err := ca.Create(ca.Options{CommonName: name})
	if err != nil {
		t.Fatal(err)
	}
	return issuer{t, authority}
}

func (i issuer) issue(request ca.Request) ca.KeyPair {
	i.t.Helper()
	pair, err := i.Issue(request)
	if err != nil {
		i.t.Fatal(err)
	}
	return pair
}

func (i issuer) client(name string) ca.KeyPair {
	i.t.Helper()
	return i.issue(ca.Request{Profile: ca.Client, Subject: pkix.Name{CommonName: name}})
}

func (i issuer) server(names ...string) ca.KeyPair {
	i.t.Helper()
	return i.issue(ca.Request{Profile: ca.Server, DNSNames: names})
}

func (i issuer) truststore() *inventory.Truststore {
	return &inventory.Truststore{PEM: i.CertificatePEM()}
}

func (i issuer) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(i.Certificate())
	return pool
}

func inForce(pair ca.KeyPair) *inventory.KeyPair {
	return &inventory.KeyPair{CertificatePEM: pair.CertificatePEM, PrivateKeyPEM: pair.PrivateKeyPEM}
}

// api is an upstream over TLS that wants a client certificate. It tells in headers of its answer what reached it.
func api(t *testing.T, internal issuer, names ...string) (address string) {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("seen", strings.Join([]string{r.Proto, r.Host, r.RequestURI, r.TLS.ServerName, r.TLS.PeerCertificates[0].Subject.CommonName}, " "))
		for _, name := range []string{"x-envoy-upstream-rq-timeout-ms", "x-forwarded-client-cert", "x-forwarded-for"} {
			w.Header().Set("seen-"+name, r.Header.Get(name))
		}
		if sent := r.Header.Get("authorization"); sent != "" { // as an API that tells too much
			w.Header().Set("got-token", "true")
			w.Header().Set("location", "https://elsewhere.example.org/?token="+strings.TrimPrefix(sent, "Bearer "))
			w.Header().Set("x-debug-authorization", sent)
		}
		w.Header().Set("server", "something old")
		if r.URL.Path == "/streaming" {
			stream(w, r)
		}
	}))
	pair := internal.server(names...)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair.TLS()}, ClientCAs: internal.pool(), ClientAuth: tls.RequireAndVerifyClientCert}
	server.EnableHTTP2 = true
	server.Config.ErrorLog = hclog.NewNullLogger().StandardLogger(nil) // handshakes that fail on purpose
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// stream answers before the request has ended, and tells too much in trailers.
func stream(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(w).Flush()
	_, _ = io.Copy(io.Discard, r.Body)
	_, _ = io.WriteString(w, "streamed")
	for name, value := range map[string]string{
		"grpc-status": "0", "got-token": w.Header().Get("got-token"), "x-debug-authorization": r.Header.Get("authorization"), "x-debug-location": w.Header().Get("location"),
	} {
		w.Header().Set(http.TrailerPrefix+name, value)
	}
}

// freePort is a port that nobody listened on a moment ago.
func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatal(errors.New("no TCP address"))
	}
	return address.Port
}

func serveAuthorizer(t *testing.T, a *authorizer) (address string, stop func()) {
	t.Helper()
	return serveGRPC(t, func(s *grpc.Server) { authv3.RegisterAuthorizationServer(s, a) })
}
