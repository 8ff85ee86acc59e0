package authz

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

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
	// Credentials decide who may connect: TLS by spiffe.ServerTLS, or asker.SocketCredentials.
	Credentials credentials.TransportCredentials
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
	if config.DrainTimeout == 0 {
		config.DrainTimeout = 2 * time.Second
	}
	s := &Server{config: config, grpc: grpc.NewServer(
		grpc.Creds(config.Credentials),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	)}
	authv3.RegisterAuthorizationServer(s.grpc, config.Service)
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
