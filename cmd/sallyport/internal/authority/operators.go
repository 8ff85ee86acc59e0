package authority

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/sallyport-project/sallyport/pki/issuer"
	"github.com/sallyport-project/sallyport/pki/register"
	"github.com/sallyport-project/sallyport/pki/spiffe"
)

// Operators lets in who may sign and revoke from afar: those with an operator's certificate.
type Operators struct {
	// Authorities have issued the operators' certificates.
	Authorities *x509.CertPool
	// TrustDomain of the operators' identities.
	TrustDomain string
	// Homes are the authorities of this server. A certificate of one of them must be in force in its register.
	Homes map[string]*issuer.Issuer
	Clock func() time.Time
}

// TLS is how operators are spoken to: TLS 1.3 with certificates on both sides, and no resumption.
func (o *Operators) TLS(own *Own) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true, Time: o.Clock,
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: o.Authorities,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return own.Get() },
	}
}

// Admit is asked on each call: a connection outlives the certificate that it was made with.
func (o *Operators) Admit(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	p, _ := peer.FromContext(ctx)
	if p == nil {
		return nil, status.Error(codes.Unauthenticated, "no peer")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return nil, status.Error(codes.Unauthenticated, "no operator's certificate was presented")
	}
	if err := o.check(ctx, info.State.VerifiedChains[0]); err != nil {
		return nil, status.Error(codes.PermissionDenied, err.Error())
	}
	return handle(ctx, request)
}

func (o *Operators) check(ctx context.Context, chain []*x509.Certificate) error {
	leaf, now := chain[0], o.Clock()
	identity, err := spiffe.FromCertificate(leaf)
	switch {
	case err != nil:
		return err
	case identity.Kind != spiffe.Operator:
		return fmt.Errorf("%s is no operator: `sallyport ca issue --profile operator` makes an operator's certificate", identity)
	case identity.TrustDomain != o.TrustDomain:
		return fmt.Errorf("%s is of another trust domain than %s", identity, o.TrustDomain)
	case now.After(leaf.NotAfter) || now.Before(leaf.NotBefore):
		return fmt.Errorf("the certificate was valid from %s until %s", leaf.NotBefore.UTC().Format(time.RFC3339), leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	for _, home := range o.Homes {
		if !issuedBy(home, leaf) {
			continue
		}
		if err := inForce(ctx, home, leaf, now); err != nil {
			return err
		}
	}
	return nil
}

func issuedBy(home *issuer.Issuer, leaf *x509.Certificate) bool {
	for _, signer := range home.Signers() {
		if leaf.CheckSignatureFrom(signer) == nil {
			return true
		}
	}
	return false
}

// errNotInForce is for a certificate that the register of its authority does not have in force.
var errNotInForce = errors.New("the certificate has been revoked, or is not in the register")

// inForce asks the register of an authority about a certificate of its own.
func inForce(ctx context.Context, home *issuer.Issuer, leaf *x509.Certificate, now time.Time) error {
	current, err := home.Register(ctx)
	if err != nil {
		return fmt.Errorf("the register cannot be asked: %w", err)
	}
	known, found := current.Certificate(register.Digest(leaf.Raw))
	if !found {
		return errNotInForce
	}
	switch known.StatusAt(now) {
	case register.Active, register.Scheduled:
		return nil
	default:
		return errNotInForce
	}
}
