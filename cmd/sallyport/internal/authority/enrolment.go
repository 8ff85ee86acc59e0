package authority

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/time/rate"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/sallyport-project/sallyport/internal/terminal"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/enrolment"
	"github.com/sallyport-project/sallyport/pki/issuer"
	"github.com/sallyport-project/sallyport/pki/register"
	"github.com/sallyport-project/sallyport/pki/spiffe"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// Enrolments are let in at this rate; a token that is guessed needs far more.
const (
	enrolmentsPerSecond = 20
	enrolmentBurst      = 100
)

// EnrolmentConfig is what an Enrolment needs; every field but Clock is required.
type EnrolmentConfig struct {
	// Issuer is the authority of our own processes.
	Issuer *issuer.Issuer
	Book   *enrolment.Book
	// Server is where machines reach the service, host:port; it stands in each token.
	Server string
	// TrustDomain of the identities that are given.
	TrustDomain string
	// Own is what the server presents.
	Own    *Own
	Logger hclog.Logger
	Clock  func() time.Time
}

// Enrolment is EnrolmentService: it gives our own processes their certificates. It is safe for concurrent use.
type Enrolment struct {
	adminv1.UnimplementedEnrolmentServiceServer
	config   EnrolmentConfig
	limit    *rate.Limiter
	renewals renewals

	// giving is held, shared, while a certificate is given, and alone while certificates of an identity are revoked: none
	// that was asked for before comes after.
	giving sync.RWMutex
}

// NewEnrolment makes the service.
func NewEnrolment(config EnrolmentConfig) (*Enrolment, error) {
	if config.Issuer == nil || config.Book == nil || config.Logger == nil || config.Own == nil {
		return nil, errors.New("enrolment: the configuration is not complete")
	}
	if config.Clock == nil {
		config.Clock = time.Now
	}
	if _, _, err := net.SplitHostPort(config.Server); err != nil {
		return nil, fmt.Errorf("enrolment: the address that machines are told: %w", err)
	}
	if err := spiffe.ValidateTrustDomain(config.TrustDomain); err != nil {
		return nil, err
	}
	return &Enrolment{config: config, limit: rate.NewLimiter(enrolmentsPerSecond, enrolmentBurst)}, nil
}

// Give makes a token for an identity of the trust domain.
func (e *Enrolment) Give(text, by string, lifetime time.Duration) (enrolment.Token, time.Time, error) {
	identity, err := e.identity(text)
	if err != nil {
		return enrolment.Token{}, time.Time{}, err
	}
	signer, err := e.config.Issuer.Active()
	if err != nil {
		return enrolment.Token{}, time.Time{}, err
	}
	token, expires, err := e.config.Book.Give(identity, by, lifetime)
	if err != nil {
		return enrolment.Token{}, time.Time{}, err
	}
	token.Server = e.config.Server
	token.Authority = sha256.Sum256(signer.Raw)
	e.config.Logger.Info("enrolment token given out", "token", token.ID, "identity", identity.String(), "by", by, "expires", expires.UTC().Format(time.RFC3339))
	return token, expires, nil
}

// Revoke makes the open tokens of identities good for nothing, returns how many there were, and has certificates revoked while
// none is given. A book of tokens that cannot be written keeps nothing from being revoked.
func (e *Enrolment) Revoke(identities []spiffe.Identity, revoke func() error) (withdrawn int, err error) {
	e.giving.Lock()
	defer e.giving.Unlock()
	for _, identity := range identities {
		number, fault := e.config.Book.Withdraw(identity)
		if fault != nil {
			err = errors.Join(err, fmt.Errorf("withdraw the open enrolment tokens of %s: %w", identity, fault))
		}
		withdrawn += number
	}
	return withdrawn, errors.Join(revoke(), err)
}

// identity reads an identity that may be given: a process of ours in the trust domain.
func (e *Enrolment) identity(text string) (spiffe.Identity, error) {
	identity, err := spiffe.Parse(text)
	switch {
	case err != nil:
		return spiffe.Identity{}, err
	case identity.TrustDomain != e.config.TrustDomain:
		return spiffe.Identity{}, fmt.Errorf("%s is of another trust domain than %s", identity, e.config.TrustDomain)
	case identity.Kind == spiffe.Operator:
		return spiffe.Identity{}, errors.New("operators do not enrol: `sallyport ca issue --profile operator` makes their certificates")
	}
	return identity, nil
}

// authorities are all whose certificates count, in PEM.
func (e *Enrolment) authorities() string {
	var text []byte
	for _, signer := range e.config.Issuer.Signers() {
		text = append(text, ca.EncodeCertificate(signer)...)
	}
	return string(text)
}

// Enrol gives the bearer of a token its certificate.
func (e *Enrolment) Enrol(ctx context.Context, request *adminv1.EnrolRequest) (*adminv1.EnrolResponse, error) {
	if !e.limit.AllowN(e.config.Clock(), 1) {
		return nil, status.Error(codes.ResourceExhausted, "too many enrolments at once: try again in a moment")
	}
	csr, err := ca.ParseCertificateRequest([]byte(request.GetCertificateRequest()))
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	e.giving.RLock()
	defer e.giving.RUnlock()
	var given *adminv1.ProcessCertificate
	err = e.config.Book.Redeem(request.GetTokenId(), request.GetSecret(), func(identity spiffe.Identity, by string) error {
		given, err = e.issue(ctx, identity, csr, "enrolment token of "+by)
		return err
	})
	switch {
	case errors.Is(err, enrolment.ErrRefused):
		e.config.Logger.Warn("an enrolment was refused", "token", terminal.Safe(fmt.Sprintf("%.64s", request.GetTokenId())), "peer", peerAddress(ctx))
		return nil, status.Error(codes.PermissionDenied, err.Error())
	case err != nil:
		return nil, failed(err)
	}
	e.config.Logger.Info("enrolled", "identity", given.GetIdentity(), "token", request.GetTokenId(), "peer", peerAddress(ctx))
	return &adminv1.EnrolResponse{Certificate: given}, nil
}

// Renew gives a process its next certificate, once a third of the present one's life is over, or another authority issues now
// than the one that issued that.
func (e *Enrolment) Renew(ctx context.Context, request *adminv1.RenewRequest) (*adminv1.RenewResponse, error) {
	e.giving.RLock()
	defer e.giving.RUnlock()
	present, identity, err := e.proven(ctx)
	if err != nil {
		return nil, err
	}
	csr, err := ca.ParseCertificateRequest([]byte(request.GetCertificateRequest()))
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if err := e.mayRenew(present, identity); err != nil {
		return nil, err
	}
	// The present one runs out by itself. Were it revoked meanwhile, also by somebody else, the register would refuse.
	issued, err := e.config.Issuer.Renew(ctx, issuer.Renewal{
		Certificate: register.Digest(present.Raw), Consumer: identity.String(), Request: csr, RequestedBy: identity.String(),
		Overlap: max(present.NotAfter.Sub(e.config.Clock()), 0) + time.Second, Lifetime: e.lifetime(identity),
		MostInForce: mostInForce,
	})
	if err != nil {
		return nil, failed(err)
	}
	e.config.Logger.Info("certificate renewed", "identity", identity.String())
	return &adminv1.RenewResponse{Certificate: e.certificate(identity, issued)}, nil
}

// mayRenew keeps one process from filling the register.
func (e *Enrolment) mayRenew(present *x509.Certificate, identity spiffe.Identity) error {
	now := e.config.Clock()
	if !e.renewals.allow(identity, now) {
		return status.Errorf(codes.ResourceExhausted, "too many renewals of %s: try again in %s", identity, renewalPause)
	}
	signer, err := e.config.Issuer.Active()
	if err != nil {
		return failed(err)
	}
	if now.Before(renewableFrom(present)) && present.CheckSignatureFrom(signer) == nil {
		return notDue(present)
	}
	return nil
}

func (e *Enrolment) issue(ctx context.Context, identity spiffe.Identity, csr *x509.CertificateRequest, by string) (*adminv1.ProcessCertificate, error) {
	issued, err := e.config.Issuer.Issue(ctx, issuer.Order{
		Consumer: identity.String(), Profile: profileOf(identity), CommonName: identity.Name, URIs: []string{identity.String()}, Request: csr, RequestedBy: by,
		MostInForce: mostInForce,
	})
	if err != nil {
		return nil, err
	}
	return e.certificate(identity, issued), nil
}

func (e *Enrolment) certificate(identity spiffe.Identity, issued issuer.Issued) *adminv1.ProcessCertificate {
	return &adminv1.ProcessCertificate{
		Identity: identity.String(), CertificatePem: string(issued.Pair.ChainPEM()), AuthorityPem: e.authorities(),
	}
}

// lifetime is what the home has for a process's certificate.
func (e *Enrolment) lifetime(identity spiffe.Identity) time.Duration {
	profile := profileOf(identity)
	return cmp.Or(time.Duration(e.config.Issuer.Settings().Lifetimes[profile]), profile.DefaultLifetime())
}

// profileOf is what a process's certificate is for.
func profileOf(identity spiffe.Identity) ca.Profile {
	if identity.Kind == spiffe.Proxy {
		return ca.Proxy
	}
	return ca.Service
}

// proven is who is on the connection, by a certificate that the register knows and that has not been revoked.
func (e *Enrolment) proven(ctx context.Context) (*x509.Certificate, spiffe.Identity, error) {
	p, _ := peer.FromContext(ctx)
	if p == nil {
		return nil, spiffe.Identity{}, status.Error(codes.Unauthenticated, "no peer")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return nil, spiffe.Identity{}, status.Error(codes.Unauthenticated, "renewing needs the present certificate: present it, or enrol anew with a token")
	}
	leaf := info.State.VerifiedChains[0][0]
	identity, err := spiffe.FromCertificate(leaf)
	if err == nil {
		identity, err = e.identity(identity.String())
	}
	if err != nil {
		return nil, spiffe.Identity{}, status.Error(codes.PermissionDenied, err.Error())
	}
	err = inForce(ctx, e.config.Issuer, leaf, e.config.Clock())
	switch {
	case errors.Is(err, errNotInForce):
		e.config.Logger.Warn("a renewal was refused: the register does not have the certificate in force", "identity", identity.String(), "serial", leaf.SerialNumber.Text(16))
		return nil, spiffe.Identity{}, status.Errorf(codes.PermissionDenied, "%v: enrol anew with a token", err)
	case err != nil:
		return nil, spiffe.Identity{}, failed(err)
	}
	return leaf, identity, nil
}

func peerAddress(ctx context.Context) string {
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		return p.Addr.String()
	}
	return ""
}

// TLS is how machines are spoken to: TLS 1.3, with a certificate of the authority of our own processes, behind which stands
// that authority's. A client's certificate is asked for and not demanded: who enrols has none yet.
func (e *Enrolment) TLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true, Time: e.config.Clock,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { // the authorities may rotate
			certificate, err := e.config.Own.Get()
			if err != nil {
				return nil, err
			}
			pool := x509.NewCertPool()
			for _, signer := range e.config.Issuer.Signers() {
				pool.AddCert(signer)
			}
			return &tls.Config{
				MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true, Time: e.config.Clock, NextProtos: []string{"h2"},
				ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: pool, Certificates: []tls.Certificate{*certificate},
			}, nil
		},
	}
}
