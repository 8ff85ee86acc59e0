package asker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/sallyport-project/sallyport/pki/spiffe"
)

// Asker is a proxy that asks.
type Asker struct {
	// Group of proxies that it belongs to.
	Group string
	// Name is its SPIFFE ID, or `unix:` and the group where a socket tells the group alone.
	Name string
}

// Identifier tells who asks by the connection that a call came by.
type Identifier struct {
	// TrustDomain of the proxies; an identity of another is refused.
	TrustDomain string
	// Clock tells whether the certificate is still valid: a connection outlives it.
	Clock func() time.Time
	// Revocation, if not nil, is asked on each call: a connection outlives the revocation of its certificate as well.
	Revocation spiffe.Revocation
}

// Identify returns the asker of the call with this context. The error is for our log, not for the asker.
func (i Identifier) Identify(ctx context.Context) (Asker, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return Asker{}, errors.New("the call has no peer")
	}
	switch info := p.AuthInfo.(type) {
	case credentials.TLSInfo:
		return i.byCertificate(info)
	case SocketInfo:
		return Asker{Group: info.Group, Name: "unix:" + info.Group}, nil
	default:
		return Asker{}, errors.New("the connection proves nobody's identity")
	}
}

func (i Identifier) byCertificate(info credentials.TLSInfo) (Asker, error) {
	if len(info.State.VerifiedChains) == 0 || len(info.State.VerifiedChains[0]) == 0 {
		return Asker{}, errors.New("the connection has no verified client certificate")
	}
	leaf := info.State.VerifiedChains[0][0]
	if now := i.Clock(); now.After(leaf.NotAfter) || now.Before(leaf.NotBefore) {
		return Asker{}, fmt.Errorf("the certificate of the connection was valid from %s until %s",
			leaf.NotBefore.UTC().Format(time.RFC3339), leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	if err := spiffe.CheckChain(i.Revocation, info.State.VerifiedChains[0]); err != nil {
		return Asker{}, fmt.Errorf("the certificate of the connection (serial %x): %w", leaf.SerialNumber, err)
	}
	identity, err := spiffe.FromCertificate(leaf)
	switch {
	case err != nil:
		return Asker{}, err
	case identity.TrustDomain != i.TrustDomain:
		return Asker{}, fmt.Errorf("%s is of another trust domain than %s", identity, i.TrustDomain)
	case identity.Kind != spiffe.Proxy:
		return Asker{}, fmt.Errorf("%s is no proxy", identity)
	}
	return Asker{Group: identity.Group, Name: identity.String()}, nil
}
