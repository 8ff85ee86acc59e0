package bootstrap_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/encoding/protojson"

	// The messages that stand in the listener of listenerWithRegex.
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/sallyport-project/sallyport/envoy/bootstrap"
	"github.com/sallyport-project/sallyport/envoy/process"
	"github.com/sallyport-project/sallyport/pki/spiffe"
)

// deadline bounds every wait of these tests; nothing waits that long when all is well.
const deadline = 30 * time.Second

// place is a folder with the certificates of a proxy, and the Config that goes with it. Its name is short, because a
// socket's path must be.
func place(t *testing.T, ca *authority) bootstrap.Config {
	t.Helper()
	directory, err := os.MkdirTemp("", "bootstrap")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(directory) })
	config := bootstrap.Config{
		Identity:        edge,
		XDSAddress:      "localhost:1",
		AuthzAddress:    "127.0.0.1:1",
		CertificatePath: filepath.Join(directory, "tls.crt"),
		KeyPath:         filepath.Join(directory, "tls.key"),
		CAPath:          filepath.Join(directory, "ca.pem"),
		Directory:       filepath.Join(directory, "envoy"),
		AdminSocket:     filepath.Join(directory, "admin.sock"),
	}
	writePEM(t, config.CAPath, "CERTIFICATE", ca.certificate.Raw)
	writePair(t, config.CertificatePath, config.KeyPath, ca.issue(t, edge))
	return config
}

func write(t *testing.T, config bootstrap.Config, change func(*bootstrap.Files)) string {
	t.Helper()
	files, err := bootstrap.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(files)
	}
	path, err := files.Write(config.Directory)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func findEnvoy(t *testing.T) string {
	t.Helper()
	binary, err := process.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

func TestEnvoyAcceptsTheBootstrap(t *testing.T) {
	for name, authzAddress := range map[string]string{
		"authz by address": "127.0.0.1:1",
		"authz by name":    "authz.example.org:1",
		"authz by socket":  "unix:/run/authz.sock",
	} {
		t.Run(name, func(t *testing.T) {
			config := place(t, newAuthority(t))
			config.AuthzAddress = authzAddress
			if err := process.Validate(t.Context(), findEnvoy(t), write(t, config, nil)); err != nil {
				t.Error(err)
			}
		})
	}
}

// listenerWithRegex is a listener with one route by the regular expression of a template with six variables.
const listenerWithRegex = `{
  "name": "l", "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
  "filter_chains": [{"filters": [{"name": "hcm", "typed_config": {
    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    "stat_prefix": "l",
    "http_filters": [{"name": "router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}],
    "route_config": {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [{
      "match": {"safe_regex": {"regex": "/v1/persons/[^/]+/appointments/[^/]+/participants/[^/]+/representations/[^/]+/documents/[^/]+/revisions/[^/]+"}},
      "direct_response": {"status": 204}}]}]}}}]}]}`

func TestEnvoyAcceptsTheRegularExpressionOfALongTemplate(t *testing.T) {
	listener := &listenerv3.Listener{}
	if err := protojson.Unmarshal([]byte(listenerWithRegex), listener); err != nil {
		t.Fatal(err)
	}
	config := place(t, newAuthority(t))
	withListener := func(files *bootstrap.Files) {
		files.Bootstrap.StaticResources.Listeners = []*listenerv3.Listener{listener}
	}
	if err := process.Validate(t.Context(), findEnvoy(t), write(t, config, withListener)); err != nil {
		t.Error(err)
	}
	// Without our runtime layer Envoy refuses it: if that changes, the layer can go.
	err := process.Validate(t.Context(), findEnvoy(t), write(t, config, func(files *bootstrap.Files) {
		withListener(files)
		files.Bootstrap.LayeredRuntime = nil
	}))
	if err == nil || !strings.Contains(err.Error(), "max program size") {
		t.Errorf("without the layer: %v", err)
	}
}

// controlPlane is a delta ADS server that tells who connects, and sends nothing.
type controlPlane struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	address string
	streams chan stream

	mu          sync.Mutex
	connections []net.Conn
}

// stream is the beginning of an ADS stream.
type stream struct {
	serial *big.Int // of the client's certificate
	nodeID string
}

// newControlPlane serves on loopback with the certificate of an identity until the test ends.
func newControlPlane(t *testing.T, ca *authority, identity spiffe.Identity) *controlPlane {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	plane := &controlPlane{address: "localhost:" + port, streams: make(chan stream, 100)}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{ca.issue(t, identity)},
		ClientCAs:    ca.pool(),
		ClientAuth:   tls.RequireAndVerifyClientCert,
		MinVersion:   tls.VersionTLS13,
	})))
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(server, plane)
	done := make(chan error, 1)
	go func() { done <- server.Serve(tracked{listener, plane}) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return plane
}

// tracked remembers the connections that it accepts, so that they can be cut.
type tracked struct {
	net.Listener
	plane *controlPlane
}

func (l tracked) Accept() (net.Conn, error) {
	connection, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.plane.mu.Lock()
	defer l.plane.mu.Unlock()
	l.plane.connections = append(l.plane.connections, connection)
	return connection, nil
}

// cut closes every connection.
func (p *controlPlane) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, connection := range p.connections {
		_ = connection.Close() // it may be closed already
	}
	p.connections = nil
}

func (p *controlPlane) DeltaAggregatedResources(server discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	leaf, err := clientCertificate(server.Context())
	if err != nil {
		return err
	}
	request, err := server.Recv()
	if err != nil {
		return err
	}
	p.streams <- stream{serial: leaf.SerialNumber, nodeID: request.GetNode().GetId()}
	<-server.Context().Done()
	return nil
}

func clientCertificate(ctx context.Context) (*x509.Certificate, error) {
	from, _ := peer.FromContext(ctx)
	info, isTLS := from.AuthInfo.(credentials.TLSInfo)
	if !isTLS || len(info.State.PeerCertificates) == 0 {
		return nil, errors.New("no client certificate")
	}
	return info.State.PeerCertificates[0], nil
}

// run runs an Envoy until the test ends. It does not wait until the Envoy is live, which without an answer from the
// control plane takes the initial fetch timeout of listeners and of clusters.
func run(t *testing.T, config bootstrap.Config) {
	t.Helper()
	envoy, err := process.New(process.Config{
		Binary: findEnvoy(t), BootstrapPath: write(t, config, nil), Name: "edge", Logger: hclog.NewNullLogger(), Concurrency: 1,
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

func (p *controlPlane) next(t *testing.T) stream {
	t.Helper()
	select {
	case next := <-p.streams:
		return next
	case <-time.After(deadline):
		t.Fatal("Envoy has not connected")
		return stream{}
	}
}

func TestEnvoyConnectsToTheControlPlaneByName(t *testing.T) {
	ca := newAuthority(t)
	plane := newControlPlane(t, ca, spiffe.Identity{TrustDomain: "example.org", Kind: spiffe.ControlPlane, Name: "a"})
	config := place(t, ca)
	config.XDSAddress = plane.address
	run(t, config)
	if got, want := plane.next(t).nodeID, edge.String(); got != want {
		t.Errorf("the node is %q, want %q", got, want)
	}
}

func TestEnvoyTrustsNobodyElseAsControlPlane(t *testing.T) {
	for name, identity := range map[string]spiffe.Identity{
		"another proxy":                            {TrustDomain: "example.org", Kind: spiffe.Proxy, Group: "edge", Name: "edge-2"},
		"an authorization service":                 {TrustDomain: "example.org", Kind: spiffe.Authz, Name: "a"},
		"a control plane of another trust domain":  {TrustDomain: "example.com", Kind: spiffe.ControlPlane, Name: "a"},
		"a proxy whose group is called like it":    {TrustDomain: "example.org", Kind: spiffe.Proxy, Group: "control-plane", Name: "a"},
		"a trust domain that begins like this one": {TrustDomain: "example.org.evil", Kind: spiffe.ControlPlane, Name: "a"},
	} {
		t.Run(name, func(t *testing.T) {
			ca := newAuthority(t)
			plane := newControlPlane(t, ca, identity)
			config := place(t, ca)
			config.XDSAddress = plane.address
			run(t, config)
			awaitStat(t, config.AdminSocket, "cluster.sallyport-xds.ssl.fail_verify_san")
			if len(plane.streams) != 0 {
				t.Error("Envoy has opened a stream")
			}
		})
	}
}

func TestEnvoyTrustsNoOtherCA(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	plane := newControlPlane(t, theirs, spiffe.Identity{TrustDomain: "example.org", Kind: spiffe.ControlPlane, Name: "a"})
	config := place(t, ours)
	config.XDSAddress = plane.address
	run(t, config)
	awaitStat(t, config.AdminSocket, "cluster.sallyport-xds.ssl.fail_verify_error")
	if len(plane.streams) != 0 {
		t.Error("Envoy has opened a stream")
	}
}

// awaitStat waits until a counter has moved; the admin interface may not be there yet.
func awaitStat(t *testing.T, adminSocket, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	admin, filter := process.NewAdmin(adminSocket), "^"+regexp.QuoteMeta(name)+"$"
	for {
		stats, err := admin.Stats(ctx, filter)
		if stats[name] > 0 {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s has not moved: %v", name, err)
		}
	}
}

func TestEnvoyPresentsACertificateThatWasReplaced(t *testing.T) {
	ca := newAuthority(t)
	plane := newControlPlane(t, ca, spiffe.Identity{TrustDomain: "example.org", Kind: spiffe.ControlPlane, Name: "a"})
	config := place(t, ca)
	config.XDSAddress = plane.address
	run(t, config)
	first := plane.next(t).serial

	replacement := ca.issue(t, edge)
	writePair(t, config.CertificatePath, config.KeyPath, replacement)
	// Connections that exist keep their certificate: cut them until one comes with the new one.
	for {
		plane.cut()
		switch got := plane.next(t).serial; {
		case got.Cmp(replacement.Leaf.SerialNumber) == 0:
			return
		case got.Cmp(first) != 0:
			t.Fatalf("a certificate of serial number %v", got)
		}
	}
}

func TestEnvoyBelievesACAThatWasReplaced(t *testing.T) {
	before, after := newAuthority(t), newAuthority(t)
	plane := newControlPlane(t, after, spiffe.Identity{TrustDomain: "example.org", Kind: spiffe.ControlPlane, Name: "a"})
	config := place(t, before)
	config.XDSAddress = plane.address
	run(t, config)
	awaitStat(t, config.AdminSocket, "cluster.sallyport-xds.ssl.fail_verify_error")

	writePair(t, config.CertificatePath, config.KeyPath, after.issue(t, edge))
	writePEM(t, config.CAPath, "CERTIFICATE", after.certificate.Raw)
	plane.next(t)
}
