package authz_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/sallyport-project/sallyport/authz"
	"github.com/sallyport-project/sallyport/authz/asker"
	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/spiffe"
)

func nobody(context.Context) (asker.Asker, error) { return asker.Asker{}, errors.New("nobody asks") }

// serve runs a server until the test ends, and then wants it to have ended well.
func serve(t *testing.T, service *authz.Service, with credentials.TransportCredentials, listener net.Listener) {
	t.Helper()
	server, err := authz.NewServer(authz.ServerConfig{Service: service, Credentials: with})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
}

func dial(t *testing.T, target string, with credentials.TransportCredentials) *grpc.ClientConn {
	t.Helper()
	connection, err := grpc.NewClient(target, grpc.WithTransportCredentials(with))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return connection
}

// identified issues a certificate of the proxies' CA.
func identified(t *testing.T, authority *fixture.Authority, profile ca.Profile, identity spiffe.Identity) tls.Certificate {
	t.Helper()
	pair, err := authority.Issue(ca.Request{Profile: profile, URIs: []string{identity.String()}})
	if err != nil {
		t.Fatal(err)
	}
	return pair.TLS()
}

func TestByTLSTheCertificateSaysWhoAsks(t *testing.T) {
	h := newHouse(t)
	proxies := fixture.NewAuthority(t, "proxies")
	pool := x509.NewCertPool()
	pool.AddCert(proxies.Certificate())
	own := identified(t, proxies, ca.Service, spiffe.Identity{TrustDomain: "example.org", Kind: spiffe.Authz, Name: "a"})
	settings, err := spiffe.ServerTLS(spiffe.TLSConfig{
		Authorities: pool, Clock: h.clock.Now, Certificate: func() (*tls.Certificate, error) { return &own, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, h.Service, credentials.NewTLS(settings), listener)

	proxy := func(domain, group string) *tls.Certificate {
		c := identified(t, proxies, ca.Proxy, spiffe.Identity{TrustDomain: domain, Kind: spiffe.Proxy, Group: group, Name: "one"})
		return &c
	}
	partner, err := h.partners.Issue(ca.Request{Profile: ca.Proxy, URIs: []string{"spiffe://example.org/proxy/edge/one"}})
	if err != nil {
		t.Fatal(err)
	}
	partnerTLS := partner.TLS()
	for name, test := range map[string]struct {
		certificate *tls.Certificate
		want        codes.Code
	}{
		"the gateway's own proxy":         {proxy("example.org", "edge"), codes.OK},
		"another group's proxy":           {proxy("example.org", "sidecar"), codes.PermissionDenied},
		"another trust domain's proxy":    {proxy("example.com", "edge"), codes.PermissionDenied},
		"the authorization service":       {&own, codes.PermissionDenied},
		"a partner that calls itself one": {&partnerTLS, codes.Unavailable},
		"nobody":                          {nil, codes.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			client := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13} // the server is known here
			if test.certificate != nil {
				client.Certificates = []tls.Certificate{*test.certificate}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			response, err := authv3.NewAuthorizationClient(dial(t, listener.Addr().String(), credentials.NewTLS(client))).
				Check(ctx, h.check(persons(h.partners.Client("mapps"))))
			if status.Code(err) != test.want {
				t.Errorf("error %v, want %s", err, test.want)
			}
			if (response.GetOkResponse() != nil) != (test.want == codes.OK) {
				t.Errorf("response %v", response)
			}
		})
	}
}

func TestBySocketThePathSaysWhichGroupAsks(t *testing.T) {
	h := newHouse(t)
	folder, err := os.MkdirTemp("", "authz")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	check := h.check(persons(h.partners.Client("mapps")))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for group, want := range map[string]codes.Code{"edge": codes.OK, "sidecar": codes.PermissionDenied} {
		path := filepath.Join(folder, group+".sock")
		listener, err := asker.Listen(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		serve(t, h.Service, asker.SocketCredentials(group), listener)
		connection := dial(t, "unix:"+path, insecure.NewCredentials())
		if _, err := authv3.NewAuthorizationClient(connection).Check(ctx, check); status.Code(err) != want {
			t.Errorf("%s: error %v, want %s", group, err, want)
		}
		health, err := healthv1.NewHealthClient(connection).Check(ctx, &healthv1.HealthCheckRequest{Service: "envoy.service.auth.v3.Authorization"})
		if err != nil || health.GetStatus() != healthv1.HealthCheckResponse_SERVING {
			t.Errorf("%s: health %v, error %v", group, health, err)
		}
	}
}

func TestHealthBeginsWithTheFirstConfiguration(t *testing.T) {
	h := newHouse(t)
	empty, err := authz.New(authz.Config{Sink: h.ring, Identify: nobody})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, empty, insecure.NewCredentials(), listener)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	client := healthv1.NewHealthClient(dial(t, listener.Addr().String(), insecure.NewCredentials()))
	watch, err := client.Watch(ctx, &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	wantHealth(t, watch, healthv1.HealthCheckResponse_NOT_SERVING)
	empty.Apply(h.model, h.material)
	wantHealth(t, watch, healthv1.HealthCheckResponse_SERVING)
	if _, err := client.Check(ctx, &healthv1.HealthCheckRequest{Service: "another"}); status.Code(err) != codes.NotFound {
		t.Errorf("the health of an unknown service: %v", err)
	}
	cancel() // a watch lasts until its call ends
}

func wantHealth(t *testing.T, watch healthv1.Health_WatchClient, want healthv1.HealthCheckResponse_ServingStatus) {
	t.Helper()
	got, err := watch.Recv()
	if err != nil || got.GetStatus() != want {
		t.Errorf("health %v, error %v, want %s", got, err, want)
	}
}
