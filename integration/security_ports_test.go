package integration

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	entryv3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	logv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	listenerservice "github.com/envoyproxy/go-control-plane/envoy/service/listener/v3"
	secretservice "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/sallyport-project/sallyport/pki/enrolment"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// ports is an estate with all our servers.
type ports struct {
	*estate
	enrolPort, operatorPort int
	// callers are those who try all of them; nil is nobody, without a certificate.
	callers map[string]*tls.Certificate
}

// service is one thing that can be asked of a server of ours, and who is answered.
type service struct {
	name     string
	port     int
	ask      func(context.Context, *grpc.ClientConn) error
	answered []string
}

// TestSecurityOurServersAnswerOursAlone has everybody ask every server of ours for everything.
func TestSecurityOurServersAnswerOursAlone(t *testing.T) {
	p := &ports{estate: newEstate(t), enrolPort: freePort(t), operatorPort: freePort(t)}
	p.issue("proxies", "proxy", "other-1", "--trust-domain", "example.org", "--group", "other")
	p.issue("proxies", "operator", "operator-1", "--trust-domain", "example.org")
	p.serve("xds", p.xdsSource, "--xds-listen", local(p.xdsPort), "--certificate", p.path("pki", "xds.pem"), "--private-key", p.path("pki", "xds-key.pem"))
	p.serve("authz", p.authzSource, "--authz-listen", local(p.authzPort), "--authz-certificate", p.path("pki", "authz.pem"),
		"--authz-private-key", p.path("pki", "authz-key.pem"), "--audit", p.path("audit.jsonl"))
	p.serve("ca", "", "--ca-dir", p.path("ca", "proxies"), "--ca-dir", p.path("ca", "partners"), "--enrol-ca", "proxies",
		"--enrol-listen", local(p.enrolPort), "--ca-listen", local(p.operatorPort), "--state", p.path("state-ca"))

	forged := mint(t, template(func(c *x509.Certificate) { c.URIs = p.leaf("edge-1").URIs }), nil)
	p.callers = map[string]*tls.Certificate{"nobody": nil, "a forged edge-1": &forged}
	for _, name := range []string{"edge-1", "other-1", "operator-1", "xds", "authz", "mapps", "server", "partners"} {
		pair := p.pair(name)
		p.callers[name] = &pair
	}
	for _, s := range p.services(t) {
		t.Run(s.name, func(t *testing.T) { p.try(t, s) })
	}
	p.onlyTheEdgeIsBelieved(t)
	p.tokensAreOfUseOnce(t)
}

func (e *estate) leaf(name string) *x509.Certificate {
	e.t.Helper()
	leaf, err := x509.ParseCertificate(e.pair(name).Certificate[0])
	if err != nil {
		e.t.Fatal(err)
	}
	return leaf
}

// try has everybody ask, and demands that those are answered who should be, and nobody else.
func (p *ports) try(t *testing.T, s service) {
	for name, pair := range p.callers {
		connection := p.connect(t, s.port, pair)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		err := s.ask(ctx, connection)
		cancel()
		if answered := err == nil; answered != slices.Contains(s.answered, name) {
			t.Errorf("%s: %v, and answered are to be %q alone", name, err, s.answered)
		}
		if code := status.Code(err); code == codes.Unknown || code == codes.Internal {
			t.Errorf("%s: the refusal is no deliberate one: %v", name, err)
		}
	}
}

// connect is for a caller who shows its certificate whatever the server asks for, and believes any server of ours.
func (p *ports) connect(t *testing.T, port int, pair *tls.Certificate) *grpc.ClientConn {
	t.Helper()
	settings := &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true}
	if pair != nil {
		settings.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair, nil }
	}
	connection, err := grpc.NewClient(local(port), grpc.WithTransportCredentials(credentials.NewTLS(settings)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return connection
}

func (p *ports) services(t *testing.T) []service {
	edge := []string{"edge-1"}
	request := p.certificateRequest(t)
	node := &corev3.Node{Id: "spiffe://example.org/proxy/edge/edge-1", Cluster: "edge"}
	secret := &discovery.DiscoveryRequest{Node: node, TypeUrl: resource.SecretType, ResourceNames: []string{"certificate/server"}}
	return []service{
		{"a decision", p.authzPort, func(ctx context.Context, c *grpc.ClientConn) error {
			_, err := authv3.NewAuthorizationClient(c).Check(ctx, p.check(t))
			return err
		}, edge},
		{"the access log", p.authzPort, p.tell, edge},
		{"secrets, delta", p.xdsPort, func(ctx context.Context, c *grpc.ClientConn) error {
			stream, err := discovery.NewAggregatedDiscoveryServiceClient(c).DeltaAggregatedResources(ctx)
			if err != nil {
				return err
			}
			if err := stream.Send(&discovery.DeltaDiscoveryRequest{Node: node, TypeUrl: resource.SecretType, ResourceNamesSubscribe: secret.ResourceNames}); err != nil {
				return afterEnd(stream.Recv())
			}
			return afterEnd(stream.Recv())
		}, edge},
		{"secrets, state of the world", p.xdsPort, func(ctx context.Context, c *grpc.ClientConn) error {
			stream, err := discovery.NewAggregatedDiscoveryServiceClient(c).StreamAggregatedResources(ctx)
			if err != nil {
				return err
			}
			_ = stream.Send(secret) // an answer tells what came of it
			return afterEnd(stream.Recv())
		}, nil},
		{"secrets, unary", p.xdsPort, func(ctx context.Context, c *grpc.ClientConn) error {
			_, err := secretservice.NewSecretDiscoveryServiceClient(c).FetchSecrets(ctx, secret)
			return err
		}, nil},
		{"listeners, unary", p.xdsPort, func(ctx context.Context, c *grpc.ClientConn) error {
			_, err := listenerservice.NewListenerDiscoveryServiceClient(c).FetchListeners(ctx, &discovery.DiscoveryRequest{Node: node, TypeUrl: resource.ListenerType})
			return err
		}, nil},
		{"enrolment with a token of one's own", p.enrolPort, func(ctx context.Context, c *grpc.ClientConn) error {
			_, err := adminv1.NewEnrolmentServiceClient(c).Enrol(ctx, &adminv1.EnrolRequest{
				TokenId: strings.Repeat("0", 32), Secret: make([]byte, 32), CertificateRequest: request,
			})
			return err
		}, nil},
		{"renewal", p.enrolPort, func(ctx context.Context, c *grpc.ClientConn) error {
			_, err := adminv1.NewEnrolmentServiceClient(c).Renew(ctx, &adminv1.RenewRequest{CertificateRequest: p.certificateRequest(t)})
			if status.Code(err) == codes.FailedPrecondition { // it is one of ours, and too early
				return nil
			}
			return err
		}, []string{"edge-1", "other-1", "xds", "authz"}},
		{"authorities at the port for machines", p.enrolPort, func(ctx context.Context, c *grpc.ClientConn) error {
			_, err := adminv1.NewAuthorityServiceClient(c).ListAuthorities(ctx, &adminv1.ListAuthoritiesRequest{})
			return err
		}, nil},
		{"authorities", p.operatorPort, func(ctx context.Context, c *grpc.ClientConn) error {
			_, err := adminv1.NewAuthorityServiceClient(c).ListAuthorities(ctx, &adminv1.ListAuthoritiesRequest{})
			return err
		}, []string{"operator-1"}},
		{"a partner's certificate", p.operatorPort, func(ctx context.Context, c *grpc.ClientConn) error {
			_, err := adminv1.NewAuthorityServiceClient(c).IssueCertificate(ctx, &adminv1.IssueCertificateRequest{
				Authority: "partners", Consumer: "mapps", CertificateRequest: p.certificateRequest(t),
			})
			return err
		}, []string{"operator-1"}},
		{"a token", p.operatorPort, func(ctx context.Context, c *grpc.ClientConn) error {
			_, err := adminv1.NewAuthorityServiceClient(c).CreateEnrolmentToken(ctx, &adminv1.CreateEnrolmentTokenRequest{Identity: "spiffe://example.org/proxy/edge/edge-2"})
			return err
		}, []string{"operator-1"}},
	}
}

// afterEnd is the error of a stream that answered nothing.
func afterEnd[T any](_ *T, err error) error { return err }

func (p *ports) check(*testing.T) *authv3.CheckRequest {
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		ContextExtensions: map[string]string{"gateway": "edge", "listener": "https", "entry": "api.example.org", "route": "api", "rule": "all", "policy": "partners"},
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Id: "1", Method: "GET", Path: "/v1/a", Host: "api.example.org",
		}},
	}}
}

// tell tells the access log of a refused handshake at the gateway edge.
func (p *ports) tell(ctx context.Context, c *grpc.ClientConn) error {
	stream, err := logv3.NewAccessLogServiceClient(c).StreamAccessLogs(ctx)
	if err != nil {
		return err
	}
	entry := &entryv3.TCPAccessLogEntry{CommonProperties: &entryv3.AccessLogCommon{DownstreamTransportFailureReason: "told"}}
	_ = stream.Send(&logv3.StreamAccessLogsMessage{ // an answer tells what came of it
		Identifier: &logv3.StreamAccessLogsMessage_Identifier{LogName: "edge/https"},
		LogEntries: &logv3.StreamAccessLogsMessage_TcpLogs{TcpLogs: &logv3.StreamAccessLogsMessage_TCPAccessLogEntries{LogEntry: []*entryv3.TCPAccessLogEntry{entry}}},
	})
	return afterEnd(stream.CloseAndRecv())
}

// onlyTheEdgeIsBelieved looks for what the access log was told.
func (p *ports) onlyTheEdgeIsBelieved(t *testing.T) {
	t.Helper()
	var told []string
	eventually(t, "what the edge has told is recorded", func() bool {
		told = nil
		content, err := os.ReadFile(p.path("audit.jsonl"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(content)) {
			if strings.Contains(line, `"told"`) {
				told = append(told, line)
			}
		}
		return len(told) > 0
	})
	if len(told) != 1 || !strings.Contains(told[0], "spiffe://example.org/proxy/edge/edge-1") {
		t.Errorf("recorded is %q", told)
	}
}

// tokensAreOfUseOnce enrols with a token, and tries to again.
func (p *ports) tokensAreOfUseOnce(t *testing.T) {
	t.Helper()
	text := p.run("proxy", "token", "--admin-socket", p.path("ca.sock"), "--trust-domain", "example.org", "--group", "edge", "--name", "edge-3")
	token, err := enrolment.ParseToken(text)
	if err != nil {
		t.Fatal(err)
	}
	enrol := func(change func(*adminv1.EnrolRequest)) (*adminv1.EnrolResponse, error) {
		request := &adminv1.EnrolRequest{TokenId: token.ID, Secret: slices.Clone(token.Secret), CertificateRequest: p.certificateRequest(t)}
		change(request)
		return adminv1.NewEnrolmentServiceClient(p.connect(t, p.enrolPort, nil)).Enrol(t.Context(), request)
	}
	if _, err := enrol(func(r *adminv1.EnrolRequest) { r.Secret[0] ^= 1 }); status.Code(err) != codes.PermissionDenied {
		t.Errorf("another secret: %v", err)
	}
	response, err := enrol(func(*adminv1.EnrolRequest) {})
	if err != nil || response.GetCertificate().GetIdentity() != "spiffe://example.org/proxy/edge/edge-3" {
		t.Errorf("the first time: %v %v", response.GetCertificate().GetIdentity(), err)
	}
	if _, err := enrol(func(*adminv1.EnrolRequest) {}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("the second time: %v", err)
	}
}

// certificateRequest is for a new key.
func (p *ports) certificateRequest(t *testing.T) string {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, fresh(t))
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}
