package node

import (
	"context"
	"crypto/x509"
	"strconv"
	"sync/atomic"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/sallyport-project/sallyport/pki/spiffe"
)

// Interceptor puts the proven identity into each stream's context and messages, and ends a stream when the certificate
// that it was opened with expires.
type Interceptor struct {
	// TrustDomain is that of the proxies; an identity of another is refused.
	TrustDomain string
	Logger      hclog.Logger
	Clock       func() time.Time
	// Revocation, if not nil, is asked when a stream begins, and again whenever it has changed.
	Revocation spiffe.Revocation

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
	chain, err := verifiedChain(stream.Context())
	if err != nil {
		return err
	}
	certificate := chain[0]
	proven, err := fromCertificate(certificate)
	if err != nil || proven.TrustDomain != i.TrustDomain {
		i.Logger.Warn("stream refused: the certificate is not that of one of our proxies", "subject", certificate.Subject.String(), "error", err)
		return status.Error(codes.PermissionDenied, "the certificate is not that of a proxy of this trust domain")
	}
	id := Identity{Identity: proven, Stream: strconv.FormatUint(i.streams.Add(1), 10), Certificate: certificate}
	ctx, end := context.WithCancelCause(context.WithValue(stream.Context(), contextKey{}, id))
	defer end(nil)
	expiry := time.AfterFunc(certificate.NotAfter.Sub(i.Clock()), func() { end(errExpired) })
	defer expiry.Stop()
	if err := i.follow(ctx, chain, end); err != nil {
		i.Logger.Warn("stream refused: the certificate does not count any more", "proxy", id.String(), "serial", certificate.SerialNumber.Text(16), "error", err)
		return errRevoked
	}
	err = handler(server, &identified{ServerStream: stream, ctx: ctx, end: end, identity: id, logger: i.Logger})
	// A handler that sees its context end does not know why.
	if cause := context.Cause(ctx); isStatus(cause) {
		i.Logger.Warn("stream ended", "proxy", id.String(), "reason", status.Convert(cause).Message())
		return cause
	}
	return err
}

// follow ends the stream once its certificate is revoked; the error is that it is already.
func (i *Interceptor) follow(ctx context.Context, chain []*x509.Certificate, end context.CancelCauseFunc) error {
	if i.Revocation == nil {
		return nil
	}
	changed := i.Revocation.Changed() // before the check, so that nothing between the two is missed
	if err := spiffe.CheckChain(i.Revocation, chain); err != nil {
		return err
	}
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-changed:
			}
			changed = i.Revocation.Changed()
			if spiffe.CheckChain(i.Revocation, chain) != nil {
				end(errRevoked)
				return
			}
		}
	}()
	return nil
}

var errRevoked = status.Error(codes.PermissionDenied, "the certificate that this stream was opened with does not count any more")

var errExpired = status.Error(codes.Unauthenticated, "the certificate that this stream was opened with has expired")

func isStatus(err error) bool {
	_, is := status.FromError(err)
	return err != nil && is
}

// verifiedChain is the leaf that the TLS handshake verified against the proxies' CA, and that CA.
func verifiedChain(ctx context.Context) ([]*x509.Certificate, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil, status.Error(codes.Unauthenticated, "no peer")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 || len(info.State.VerifiedChains[0]) == 0 {
		return nil, status.Error(codes.Unauthenticated, "a verified client certificate is needed")
	}
	return info.State.VerifiedChains[0], nil
}

// identified is a stream in whose messages the node is the proven one.
type identified struct {
	grpc.ServerStream
	ctx      context.Context
	end      context.CancelCauseFunc
	identity Identity
	logger   hclog.Logger
}

func (s *identified) Context() context.Context { return s.ctx }

// RecvMsg receives a message and replaces its node. It keeps of what the proxy claims only the user agent.
func (s *identified) RecvMsg(message any) error {
	if err := s.ServerStream.RecvMsg(message); err != nil {
		return err
	}
	request, ok := message.(*discovery.DeltaDiscoveryRequest)
	if !ok { // nothing else is served; should it be some day, it must not go by unjudged
		return s.refuse(status.Error(codes.Unimplemented, "only incremental ADS is served"))
	}
	claim := request.GetNode()
	if err := s.identity.checkClaim(claim); err != nil {
		return s.refuse(status.Error(codes.PermissionDenied, err.Error()))
	}
	if agent := userAgent(claim); agent != "" {
		s.identity.UserAgent = agent
	}
	request.Node = s.identity.Proto()
	return nil
}

// refuse ends the stream: an error of RecvMsg alone would look to the handler like the proxy's own leaving.
func (s *identified) refuse(err error) error {
	s.end(err)
	return err
}
