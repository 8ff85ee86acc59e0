package authz

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	logv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"

	"github.com/sallyport-project/sallyport/internal/serving"
)

// ServerConfig is what a Server needs.
type ServerConfig struct {
	Service *Service
	// AccessLog, if not nil, is told by the proxies what they refuse without asking.
	AccessLog logv3.AccessLogServiceServer
	// Credentials decide who may connect: TLS by spiffe.ServerTLS, or asker.SocketCredentials.
	Credentials credentials.TransportCredentials
	// ConnectionAge is how long a proxy keeps a connection before it is told to make another, by the certificate that it has
	// then: a call by a certificate that has run out is refused, however new the proxy's next one is. Nothing that is under
	// way is cut off. Default 5 minutes.
	ConnectionAge time.Duration
	// DrainTimeout bounds how long Run waits for calls to end once its context has. Default 2s.
	DrainTimeout time.Duration
}

// Server serves Check, and the gRPC health protocol, on one listener. Several may serve one Service.
type Server struct {
	config ServerConfig
	grpc   *grpc.Server
}

// maxMessage is the largest CheckRequest, in bytes: Envoy allows 60 KiB of headers, and a certificate may come with them.
const maxMessage = 256 << 10

// NewServer makes a server.
func NewServer(config ServerConfig) (*Server, error) {
	if config.Service == nil || config.Credentials == nil {
		return nil, errors.New("authz: a server needs a service and credentials")
	}
	if config.ConnectionAge == 0 {
		config.ConnectionAge = 5 * time.Minute
	}
	if config.DrainTimeout == 0 {
		config.DrainTimeout = 2 * time.Second
	}
	s := &Server{config: config, grpc: grpc.NewServer(
		grpc.Creds(config.Credentials),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: config.ConnectionAge, Time: 20 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	)}
	authv3.RegisterAuthorizationServer(s.grpc, config.Service)
	if config.AccessLog != nil {
		logv3.RegisterAccessLogServiceServer(s.grpc, config.AccessLog)
	}
	healthv1.RegisterHealthServer(s.grpc, healthService{service: config.Service})
	return s, nil
}

// Run serves on the listener until the context ends, and then returns nil once the calls have ended or the drain timeout
// has passed. It closes the listener. Call it once.
func (s *Server) Run(ctx context.Context, listener net.Listener) error {
	if err := serving.GRPC(ctx, s.grpc, listener, s.config.DrainTimeout); err != nil {
		return fmt.Errorf("authorization server: %w", err)
	}
	return nil
}
