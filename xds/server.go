// Package xds serves configuration to the proxies: incremental (delta) ADS over mutual TLS, and nothing else.
//
// It wires go-control-plane's stream handling to our own decision of who is asking (package node) and of what each proxy
// is sent (package cache). It does not know what the resources say: package envoy makes them.
package xds

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/log"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/delta/v3"
	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/sallyport-project/sallyport/internal/handshake"
	"github.com/sallyport-project/sallyport/internal/serving"
	"github.com/sallyport-project/sallyport/pki/spiffe"
	"github.com/sallyport-project/sallyport/xds/cache"
	"github.com/sallyport-project/sallyport/xds/node"
)

// Config is what a Server needs; every field but Clock, Revocation and DrainTimeout is required.
type Config struct {
	Logger hclog.Logger
	// Clock is time.Now unless a test says otherwise.
	Clock func() time.Time
	Cache *cache.Cache
	// TrustDomain of the proxies' identities.
	TrustDomain string
	// ProxyAuthorities are the CAs that issue proxies' certificates, and nobody else's.
	ProxyAuthorities *x509.CertPool
	// Certificate returns the certificate to present, at each handshake, so that it may rotate.
	Certificate func() (*tls.Certificate, error)
	// Revocation, if not nil, tells which proxies' certificates do not count any more; their streams end.
	Revocation spiffe.Revocation
	// DrainTimeout bounds how long Run waits for streams to end once its context has. Default 2s.
	DrainTimeout time.Duration
}

// Server serves ADS.
type Server struct {
	config Config
	grpc   *grpc.Server
	// stop ends the streams.
	stop context.CancelFunc
}

// NewServer checks the configuration and makes a server. When the context ends, so do the streams.
func NewServer(ctx context.Context, config Config) (*Server, error) {
	if config.Cache == nil || config.Logger == nil || config.ProxyAuthorities == nil || config.Certificate == nil || config.TrustDomain == "" {
		return nil, errors.New("xds: the configuration is not complete")
	}
	if config.Clock == nil {
		config.Clock = time.Now
	}
	if config.DrainTimeout == 0 {
		config.DrainTimeout = 2 * time.Second
	}
	settings, err := spiffe.ServerTLS(spiffe.TLSConfig{Authorities: config.ProxyAuthorities, Certificate: config.Certificate, Clock: config.Clock, Revocation: config.Revocation})
	if err != nil {
		return nil, fmt.Errorf("xds: %w", err)
	}
	interceptor := &node.Interceptor{TrustDomain: config.TrustDomain, Logger: config.Logger, Clock: config.Clock, Revocation: config.Revocation}
	running, stop := context.WithCancel(ctx)
	s := &Server{config: config, stop: stop, grpc: grpc.NewServer(
		grpc.Creds(handshake.Logged(credentials.NewTLS(settings), config.Logger, config.Clock)),
		grpc.StreamInterceptor(interceptor.Stream),
		grpc.MaxRecvMsgSize(4<<20),
		// A proxy that vanished without a word is noticed within half a minute.
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	)}
	discovery.RegisterAggregatedDiscoveryServiceServer(s.grpc, &aggregated{
		running: running, cache: config.Cache, logger: protocolLogger(config.Logger),
	})
	return s, nil
}

// Run serves on the listener until the context ends, and then returns nil once the streams have ended or the drain
// timeout has passed. It closes the listener.
func (s *Server) Run(ctx context.Context, listener net.Listener) error {
	defer s.stop()
	context.AfterFunc(ctx, s.stop) // streams end before the drain, which waits for them
	if err := serving.GRPC(ctx, s.grpc, listener, s.config.DrainTimeout); err != nil {
		return fmt.Errorf("xds server: %w", err)
	}
	return nil
}

// aggregated serves delta ADS. State of the world is not served; nor are the services for single types, which are not
// registered.
type aggregated struct {
	discovery.UnimplementedAggregatedDiscoveryServiceServer
	// running ends when the server is to stop.
	running context.Context
	cache   *cache.Cache
	logger  log.Logger
}

// DeltaAggregatedResources serves one proxy's stream.
func (a *aggregated) DeltaAggregatedResources(stream discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	id, ok := node.FromContext(stream.Context())
	if !ok {
		return status.Error(codes.Unauthenticated, "the stream has no identity")
	}
	// go-control-plane ends a stream with the context of its server and not with that of the stream, so each has a server
	// of its own, which is a small struct.
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	defer context.AfterFunc(a.running, cancel)()
	a.cache.Open(id)
	defer a.cache.Close(id)
	err := delta.NewServer(ctx, a.cache, nonces{a.cache}, delta.WithLogger(a.logger)).DeltaStreamHandler(stream, resource.AnyType)
	if a.running.Err() != nil {
		return status.Error(codes.Unavailable, "the control plane is going away")
	}
	return err
}

// StreamAggregatedResources refuses state of the world.
func (a *aggregated) StreamAggregatedResources(discovery.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	return status.Error(codes.Unimplemented, "only incremental ADS is served: set api_type to DELTA_GRPC")
}

// nonces tell the cache under which nonce a response goes out, which go-control-plane decides.
type nonces struct {
	cache *cache.Cache
}

var _ delta.Callbacks = nonces{}

// OnStreamDeltaResponse notes the nonce.
func (n nonces) OnStreamDeltaResponse(_ int64, request *discovery.DeltaDiscoveryRequest, response *discovery.DeltaDiscoveryResponse) {
	if id, err := node.FromProto(request.GetNode()); err == nil {
		n.cache.Sent(id, response)
	}
}

// The other callbacks have nothing to tell.

// OnDeltaStreamOpen does nothing.
func (nonces) OnDeltaStreamOpen(context.Context, int64, string) error { return nil }

// OnDeltaStreamClosed does nothing.
func (nonces) OnDeltaStreamClosed(int64, *core.Node) {}

// OnStreamDeltaRequest does nothing: CreateDeltaWatch sees every request.
func (nonces) OnStreamDeltaRequest(int64, *discovery.DeltaDiscoveryRequest) error { return nil }

// protocolLogger sends go-control-plane's own log to ours.
func protocolLogger(logger hclog.Logger) log.Logger {
	named := logger.Named("protocol")
	return log.LoggerFuncs{
		DebugFunc: func(format string, args ...any) { named.Debug(fmt.Sprintf(format, args...)) },
		InfoFunc:  func(format string, args ...any) { named.Info(fmt.Sprintf(format, args...)) },
		WarnFunc:  func(format string, args ...any) { named.Warn(fmt.Sprintf(format, args...)) },
		ErrorFunc: func(format string, args ...any) { named.Error(fmt.Sprintf(format, args...)) },
	}
}
