package authority

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
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

// Operators lets in who may sign and revoke from afar: those with an operator's certificate. It is safe for concurrent use.
type Operators struct {
	// Home is the authority of this server that has issued the operators' certificates. Those of its generations in force
	// count, which may change at any time.
	Home *issuer.Issuer
	// Foreign are the authorities that have issued them, in the place of Home; nil for Home.
	Foreign *x509.CertPool
	// Revocation tells which certificates do not count any more; nil if all do but those that a register has as revoked.
	Revocation spiffe.Revocation
	// TrustDomain of the operators' identities.
	TrustDomain string
	// Homes are the authorities of this server. A certificate of one of them, also of a retired generation, must be in force
	// in its register.
	Homes map[string]*issuer.Issuer
	Clock func() time.Time
}

// TLS is how operators are spoken to: TLS 1.3 with certificates on both sides, no resumption, and no intermediate authorities
// between an operator's certificate and those that count at that moment.
func (o *Operators) TLS(own *Own) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true, Time: o.Clock,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			settings, err := spiffe.ServerTLS(spiffe.TLSConfig{
				Authorities: o.authorities(), Certificate: own.Get, Clock: o.Clock, Revocation: o.Revocation,
			})
			if err != nil {
				return nil, err
			}
			settings.NextProtos = []string{"h2"}
			return settings, nil
		},
	}
}

// authorities are those whose certificates count now.
func (o *Operators) authorities() *x509.CertPool {
	if o.Foreign != nil {
		return o.Foreign
	}
	pool := x509.NewCertPool()
	for _, signer := range o.Home.Signers() {
		pool.AddCert(signer)
	}
	return pool
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
	if err := o.check(ctx, direct(info.State.VerifiedChains)); err != nil {
		return nil, status.Error(codes.PermissionDenied, err.Error())
	}
	return handle(ctx, request)
}

// direct is the chain of a leaf and its authority; the first one if there is none such.
func direct(chains [][]*x509.Certificate) []*x509.Certificate {
	if at := slices.IndexFunc(chains, isDirect); at >= 0 {
		return chains[at]
	}
	return chains[0]
}

func isDirect(chain []*x509.Certificate) bool { return len(chain) == 2 }

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
	case !isDirect(chain):
		return errors.New("the certificate was not issued by the operators' authority itself, but by one below it")
	case o.Foreign == nil && !slices.ContainsFunc(o.Home.Signers(), chain[1].Equal):
		return fmt.Errorf("the authority %q that issued the certificate is not in force any more: ask for a new certificate", chain[1].Subject)
	}
	if err := spiffe.CheckChain(o.Revocation, chain); err != nil {
		return err
	}
	for _, home := range o.Homes {
		if !home.HasIssued(leaf) {
			continue
		}
		if err := inForce(ctx, home, leaf, now); err != nil {
			return err
		}
	}
	return nil
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
