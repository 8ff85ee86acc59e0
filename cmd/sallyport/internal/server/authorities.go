package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/admin"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/authority"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/metrics"
	"github.com/sallyport-project/sallyport/internal/handshake"
	"github.com/sallyport-project/sallyport/internal/serving"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/enrolment"
	"github.com/sallyport-project/sallyport/pki/issuer"
	"github.com/sallyport-project/sallyport/pki/material"
	"github.com/sallyport-project/sallyport/pki/spiffe"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// ownName is what a server that holds authorities is called among the control planes.
const ownName = "authority"

// authorities are the certificate authorities that a process holds.
type authorities struct {
	homes   map[string]*issuer.Issuer
	service *authority.Service
	// own is what the process presents to machines and operators; nil without --enrol-ca.
	own *authority.Own
	// revoked tells which operators' certificates do not count any more; nil without --operator-crl.
	revoked *revokedProcesses
}

// certificateAuthorities opens the homes. One whose key cannot be used ends the process before anything listens; one whose
// list cannot be published now is tried again.
func (s *server) certificateAuthorities(ctx context.Context) error {
	if !s.config.CA {
		return nil
	}
	held := &authorities{homes: map[string]*issuer.Issuer{}}
	s.held = held
	for _, dir := range s.config.CADirs {
		if err := s.openHome(ctx, dir); err != nil {
			return &FlagError{"--ca-dir", fmt.Errorf("%s: %w", dir, err)}
		}
	}
	held.service = &authority.Service{Issuers: held.homes, RequestedBy: authority.RequestedBy, Clock: time.Now}
	if s.config.EnrolCA == "" {
		return nil
	}
	home := held.homes[s.config.EnrolCA]
	if home == nil {
		return &FlagError{"--enrol-ca", fmt.Errorf("there is no home %q among --ca-dir, only %q", s.config.EnrolCA, slices.Sorted(maps.Keys(held.homes)))}
	}
	held.own = &authority.Own{
		Issuer: home, Identity: spiffe.Identity{TrustDomain: s.config.TrustDomain, Kind: spiffe.ControlPlane, Name: ownName},
		Logger: s.config.Logger.Named("ca"), Clock: time.Now,
	}
	return s.followOwnList(home)
}

func (s *server) openHome(ctx context.Context, dir string) error {
	place := authority.Home{
		Dir: dir, Logger: s.config.Logger.Named("ca"), Clock: time.Now,
		Passphrase: authority.Passphrases{Reference: s.config.CAPassphrase, Flag: "--ca-passphrase"}.Ask,
	}
	name := place.Name()
	if s.held.homes[name] != nil {
		return fmt.Errorf("there are two homes %q: they are told apart by the names of their folders", name)
	}
	home, err := place.Open()
	if err != nil {
		return err
	}
	if err := home.Unlock(ctx); err != nil {
		return err
	}
	if _, _, err := home.PublishIfDue(ctx); err != nil {
		s.config.Logger.Named("ca").Error("the revocation list cannot be published, trying again", "authority", name, "error", err)
	}
	s.held.homes[name] = home
	s.group.Add("authority "+name, home.Run)
	return nil
}

// followOwnList has the list of our own processes' authority followed where it is published, unless --proxy-crl says otherwise.
func (s *server) followOwnList(home *issuer.Issuer) error {
	if len(s.config.ProxyCRL) > 0 || !s.config.XDS && !s.config.Authz {
		return nil
	}
	place, err := home.Publication()
	if err != nil {
		return err
	}
	if _, err := material.ParseList(place.String()); err != nil {
		return err
	}
	s.config.ProxyCRL = []string{place.String()}
	return nil
}

// enrolments serves machines that enrol, and operators from afar.
func (s *server) enrolments(ctx context.Context) error {
	if s.held == nil || s.held.own == nil {
		return nil
	}
	if s.config.EnrolListen != "" {
		if err := s.enrol(ctx); err != nil {
			return err
		}
	}
	if s.config.CAListen != "" {
		return s.operators(ctx)
	}
	return nil
}

func (s *server) enrol(ctx context.Context) error {
	logger := s.config.Logger.Named("enrolment")
	path := beneath(s.config.StateDir, "enrolment.json")
	if path == "" {
		logger.Warn("enrolment tokens are kept in memory only, and forgotten by a restart: give --state a folder to keep them")
	} else if err := os.MkdirAll(s.config.StateDir, 0o700); err != nil {
		return &FlagError{"--state", err}
	}
	book, err := enrolment.Open(path, time.Now)
	if err != nil {
		return &FlagError{"--state", err}
	}
	service, err := authority.NewEnrolment(authority.EnrolmentConfig{
		Issuer: s.held.homes[s.config.EnrolCA], Book: book, Own: s.held.own, Server: s.config.enrolAddress(), TrustDomain: s.config.TrustDomain,
		Logger: logger, Clock: time.Now,
	})
	if err != nil {
		return err
	}
	s.held.service.Enrolment = service
	server := s.strangers("enrolment", service.TLS()) //nolint:contextcheck // a handshake's end must not undo what is issued in it
	adminv1.RegisterEnrolmentServiceServer(server, service)
	return s.listenAs(ctx, "enrolment", "--enrol-listen", s.config.EnrolListen, server)
}

// operators serves those who sign and revoke from afar.
func (s *server) operators(ctx context.Context) error {
	admitted := &authority.Operators{Home: s.held.own.Issuer, TrustDomain: s.config.TrustDomain, Homes: s.held.homes, Clock: time.Now}
	if s.config.OperatorCA != "" {
		if err := s.foreignOperators(ctx, admitted); err != nil {
			return err
		}
	}
	server := s.strangers("ca", admitted.TLS(s.held.own), grpc.UnaryInterceptor(admitted.Admit))
	adminv1.RegisterAuthorityServiceServer(server, s.held.service)
	return s.listenAs(ctx, "authorities for operators", "--ca-listen", s.config.CAListen, server)
}

// foreignOperators have certificates of --operator-ca, which may be revoked by its lists alone.
func (s *server) foreignOperators(ctx context.Context, admitted *authority.Operators) (err error) {
	logger := s.config.Logger.Named("operators")
	if admitted.Foreign, err = s.operatorAuthorities(); err != nil {
		return err
	}
	if len(s.config.OperatorCRL) == 0 {
		logger.Warn("operators' certificates of --operator-ca cannot be revoked: have its revocation list followed with --operator-crl")
		return nil
	}
	s.held.revoked, err = newRevokedProcesses(ctx, revokedConfig{
		Name: "operators", Authorities: s.config.OperatorCA, AuthoritiesFlag: "--operator-ca", Lists: s.config.OperatorCRL, ListsFlag: "--operator-crl",
		StateDir: beneath(s.config.StateDir, "operators"), Clock: time.Now, Logger: logger,
	})
	if err != nil {
		return err
	}
	s.group.Add("revoked operators", s.held.revoked.Run)
	admitted.Revocation = s.held.revoked
	return nil
}

// operatorAuthorities reads --operator-ca.
func (s *server) operatorAuthorities() (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	content, err := os.ReadFile(s.config.OperatorCA)
	if err != nil {
		return nil, &FlagError{"--operator-ca", err}
	}
	certificates, err := ca.ParseCertificates(content)
	if err == nil && len(certificates) == 0 {
		err = errors.New("it holds no certificate")
	}
	if err != nil {
		return nil, &FlagError{"--operator-ca", fmt.Errorf("%s: %w", s.config.OperatorCA, err)}
	}
	for _, certificate := range certificates {
		if err := ca.CheckAuthority(certificate); err != nil {
			return nil, &FlagError{"--operator-ca", fmt.Errorf("%s: %w", s.config.OperatorCA, err)}
		}
		pool.AddCert(certificate)
	}
	return pool, nil
}

// What a machine that we do not know yet may cost us.
const (
	strangersMessage    = ca.MaxCertificateRequest + 16<<10 // bytes
	strangersHandshake  = 10 * time.Second
	strangersConnection = 10 * time.Minute
	strangersIdle       = time.Minute
	strangersStreams    = 16
)

// strangers makes a server for whoever may connect from elsewhere.
func (s *server) strangers(name string, settings *tls.Config, options ...grpc.ServerOption) *grpc.Server {
	return grpc.NewServer(append(options,
		grpc.Creds(handshake.Logged(credentials.NewTLS(settings), s.config.Logger.Named(name), time.Now)),
		grpc.MaxRecvMsgSize(strangersMessage), grpc.ConnectionTimeout(strangersHandshake), grpc.MaxConcurrentStreams(strangersStreams),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionAge: strangersConnection, MaxConnectionAgeGrace: strangersHandshake, MaxConnectionIdle: strangersIdle,
			Time: 20 * time.Second, Timeout: 10 * time.Second,
		}),
	)...)
}

func (s *server) listenAs(ctx context.Context, name, flag, address string, server *grpc.Server) error {
	listener, err := listen(ctx, flag, address)
	if err != nil {
		return err
	}
	s.group.Add(name, func(ctx context.Context) error { return serving.GRPC(ctx, server, listener, s.config.DrainTimeout) })
	return nil
}

// ofAuthorities is what the admin socket serves of the authorities.
func (s *server) ofAuthorities() []admin.Service {
	if s.held == nil {
		return nil
	}
	return []admin.Service{func(server grpc.ServiceRegistrar) { adminv1.RegisterAuthorityServiceServer(server, s.held.service) }}
}

// authoritiesAlone serves operators of a process that has no configuration.
func (s *server) authoritiesAlone(ctx context.Context) error {
	s.observation = &observation{metrics: metrics.New()}
	if err := s.watchExpiry(ctx); err != nil {
		return err
	}
	if s.config.HealthListen != "" {
		listener, err := listen(ctx, "--health-listen", s.config.HealthListen)
		if err != nil {
			return err
		}
		s.group.Add("health", (&health{listener: listener, ready: func() error { return nil }, metrics: s.observation.metrics.Handler()}).Run)
	}
	listener, err := admin.Listen(ctx, s.config.AdminSocket)
	if err != nil {
		return err
	}
	api := &admin.Server{Version: s.config.Version, Roles: s.config.Roles}
	s.group.Add("admin", func(ctx context.Context) error {
		return api.Run(ctx, listener, append(s.ofAuthorities(), s.ofCertificates())...)
	})
	return nil
}

// enrolAddress is where machines are told to enrol.
func (c Config) enrolAddress() string {
	if c.EnrolAddress != "" {
		return c.EnrolAddress
	}
	return c.EnrolListen
}

// checkAuthorities finds what is missing, or cannot be meant, of the role ca.
func (c Config) checkAuthorities() (wrong []error) {
	if !c.CA {
		if len(c.CADirs) > 0 || c.EnrolListen != "" || c.CAListen != "" || c.EnrolCA != "" {
			wrong = append(wrong, errors.New("--ca-dir, --ca-listen, --enrol-listen, --enrol-ca: these are for --roles ca"))
		}
		return wrong
	}
	if len(c.CADirs) == 0 {
		wrong = append(wrong, errors.New("--ca-dir is missing: the home of an authority; `sallyport ca init` makes one"))
	}
	if c.EnrolCA == "" && (c.EnrolListen != "" || c.CAListen != "") {
		wrong = append(wrong, errors.New("--enrol-ca is missing: the name of the home, among --ca-dir, of our own processes' authority"))
	}
	if c.EnrolCA != "" && c.TrustDomain == "" && !c.XDS && !c.Authz {
		wrong = append(wrong, errors.New("--trust-domain is missing: our own processes are known by spiffe://<trust domain>"))
	}
	if len(c.OperatorCRL) > 0 && c.OperatorCA == "" {
		wrong = append(wrong, errors.New("--operator-crl: it goes with --operator-ca; without that, operators are revoked by the register of --enrol-ca"))
	}
	for _, list := range c.OperatorCRL {
		if _, err := material.ParseList(list); err != nil {
			wrong = append(wrong, &FlagError{"--operator-crl", err})
		}
	}
	if c.CAPassphrase != "" {
		if _, err := material.Parse(c.CAPassphrase); err != nil {
			wrong = append(wrong, &FlagError{"--ca-passphrase", err})
		}
	}
	if c.EnrolListen == "" {
		return wrong
	}
	host, _, err := net.SplitHostPort(c.enrolAddress())
	if address := net.ParseIP(host); err != nil || host == "" || address != nil && address.IsUnspecified() {
		wrong = append(wrong, errors.New("--enrol-address is missing: where machines reach --enrol-listen, host:port; it stands in each token"))
	}
	return wrong
}
