package node

import (
	"context"
	"crypto/x509"
	"strconv"
	"sync/atomic"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// Interceptor puts the proven identity into each stream's context and messages, and ends a stream when the certificate
// that it was opened with expires.
type Interceptor struct {
	// TrustDomain is that of the proxies; an identity of another is refused.
	TrustDomain string
	Logger      hclog.Logger
	Clock       func() time.Time

	streams atomic.Uint64
}

type contextKey struct{}

// FromContext returns the identity of the stream that the context belongs to.
func FromContext(ctx context.Context) (Identity, bool) {
	id, ok := ctx.Value(contextKey{}).(Identity)
	return id, ok
}

// Stream is a grpc.StreamServerInterceptor.
func (i *Interceptor) Stream(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	certificate, err := verifiedCertificate(stream.Context())
	if err != nil {
		return err
	}
	proven, err := fromCertificate(certificate)
	if err != nil || proven.TrustDomain != i.TrustDomain {
		i.Logger.Warn("stream refused: the certificate is not that of one of our proxies", "subject", certificate.Subject.String(), "error", err)
		return status.Error(codes.PermissionDenied, "the certificate is not that of a proxy of this trust domain")
	}
	id := Identity{Identity: proven, Stream: strconv.FormatUint(i.streams.Add(1), 10)}
	ctx, cancel := context.WithCancel(context.WithValue(stream.Context(), contextKey{}, id))
	defer cancel()
	wrapped := &identified{ServerStream: stream, ctx: ctx, identity: id, logger: i.Logger}

	expiry := time.NewTimer(certificate.NotAfter.Sub(i.Clock()))
	defer expiry.Stop()
	done := make(chan error, 1)
	go func() { done <- handler(server, wrapped) }()
	select {
	case err := <-done:
		return err
	case <-expiry.C:
		// The return ends the stream, and with it the handler.
		i.Logger.Warn("stream ended: the proxy's certificate has expired", "proxy", id.String())
		return status.Error(codes.Unauthenticated, "the certificate that this stream was opened with has expired")
	}
}

// verifiedCertificate is the leaf that the TLS handshake verified against the proxies' CA.
func verifiedCertificate(ctx context.Context) (*x509.Certificate, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil, status.Error(codes.Unauthenticated, "no peer")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 || len(info.State.VerifiedChains[0]) == 0 {
		return nil, status.Error(codes.Unauthenticated, "a verified client certificate is needed")
	}
	return info.State.VerifiedChains[0][0], nil
}

// identified is a stream in whose messages the node is the proven one.
type identified struct {
	grpc.ServerStream
	ctx      context.Context
	identity Identity
	logger   hclog.Logger
}

func (s *identified) Context() context.Context { return s.ctx }

// RecvMsg receives a message and replaces its node.
func (s *identified) RecvMsg(message any) error {
	if err := s.ServerStream.RecvMsg(message); err != nil {
		return err
	}
	switch request := message.(type) {
	case *discovery.DeltaDiscoveryRequest:
		if err := s.replace(request.GetNode()); err != nil {
			return err
		}
		request.Node = s.identity.Proto()
	case *discovery.DiscoveryRequest:
		if err := s.replace(request.GetNode()); err != nil {
			return err
		}
		request.Node = s.identity.Proto()
	}
	return nil
}

// replace checks what the proxy claims, and keeps of it only the user agent.
func (s *identified) replace(claim *core.Node) error {
	if claim == nil {
		return nil
	}
	if err := s.identity.checkClaim(claim); err != nil {
		s.logger.Warn("stream refused", "proxy", s.identity.String(), "error", err)
		return status.Error(codes.PermissionDenied, err.Error())
	}
	if agent := userAgent(claim); agent != "" {
		s.identity.UserAgent = agent
	}
	return nil
}
