// Package server assembles what `sallyport serve` runs: the control plane, the authorization service, or both, on one
// configuration.
package server

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/sallyport-project/sallyport/authz"
	"github.com/sallyport-project/sallyport/authz/asker"
	"github.com/sallyport-project/sallyport/authz/tokens"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/admin"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/expiry"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/pipeline"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/rungroup"
	"github.com/sallyport-project/sallyport/config/directory"
	"github.com/sallyport-project/sallyport/envoy/translate"
	"github.com/sallyport-project/sallyport/internal/handshake"
	"github.com/sallyport-project/sallyport/pki/inventory"
	"github.com/sallyport-project/sallyport/pki/material"
	"github.com/sallyport-project/sallyport/pki/material/aws"
	"github.com/sallyport-project/sallyport/pki/spiffe"
	"github.com/sallyport-project/sallyport/xds"
	"github.com/sallyport-project/sallyport/xds/cache"
)

// server is a process in the making.
type server struct {
	config      Config
	group       *rungroup.Group
	authorities []*x509.Certificate
	pool        *x509.CertPool
	keeper      *inventory.Keeper
	store       *material.Store
	// revoked tells which proxies' certificates do not count any more; nil without --proxy-crl.
	revoked  *revokedProcesses
	cache    *cache.Cache
	service  *authz.Service
	tokens   *tokens.Tokens
	pipeline *pipeline.Pipeline
	// observation is what it tells of what it has decided and seen; own are the certificates that it presents.
	observation *observation
	own         []ownPresented
	// held are the certificate authorities; nil without the role ca.
	held *authorities
	// socketGroups have a socket of their own in --authz-socket-dir; nil until the sockets are made.
	socketGroups []string
	// warned are the warnings of warnOnce that were given.
	warned map[string]bool
}

// Run runs the server until the context ends or a part of it fails. A configuration that has mistakes when it is first
// read ends it before anything listens.
func Run(ctx context.Context, config Config) error {
	s := &server{config: config, group: &rungroup.Group{}, warned: map[string]bool{}}
	for _, step := range s.steps() {
		if err := step(ctx); err != nil {
			return err
		}
	}
	config.Logger.Info("up", "roles", config.Roles, "version", config.Version, "revision", s.revision())
	err := s.group.Run(ctx)
	if err != nil {
		config.Logger.Error("ended", "error", err)
		return err
	}
	config.Logger.Info("ended")
	return nil
}

// steps make the parts, in order. A process that holds authorities alone needs no configuration.
func (s *server) steps() []func(context.Context) error {
	if !s.config.XDS && !s.config.Authz {
		return []func(context.Context) error{s.certificateAuthorities, s.enrolments, s.authoritiesAlone}
	}
	return []func(context.Context) error{
		s.certificateAuthorities, s.inventory, s.revocation, s.observe, s.parts, s.configuration, s.controlPlane, s.authorization,
		s.enrolments, s.operations,
	}
}

// revision of the configuration in force; empty without one.
func (s *server) revision() string {
	if s.pipeline == nil {
		return ""
	}
	return s.pipeline.Status().Revision
}

// inventory prepares the material.
func (s *server) inventory(context.Context) (err error) {
	if s.authorities, s.pool, err = s.config.proxyAuthorities(); err != nil {
		return err
	}
	allow, err := material.ParseAllowList(s.config.AllowMaterial, s.config.Source)
	if err != nil {
		return err
	}
	logger := s.config.Logger.Named("material")
	cloud := aws.New()
	s.store = material.NewStore(material.Config{
		Logger: logger, Allow: allow, Fetchers: cloud.Fetchers(), Keep: beneath(s.config.StateDir, "material"),
	})
	s.keeper, err = inventory.New(inventory.Config{
		Logger: logger, Base: s.config.Source, StateDir: s.config.StateDir, Store: s.store, KMS: cloud.NewSigner,
		ForbiddenAnchors: s.authorities, TruststoresOnly: !s.config.XDS, Providers: s.config.Authz,
	})
	s.group.Add("material", s.keeper.Run)
	return err
}

// beneath is a folder of the state folder; none if there is none.
func beneath(state, folder string) string {
	if state == "" {
		return ""
	}
	return filepath.Join(state, folder)
}

// revocation follows the lists of revoked proxies.
func (s *server) revocation(ctx context.Context) (err error) {
	if len(s.config.ProxyCRL) == 0 {
		return nil
	}
	s.revoked, err = newRevokedProcesses(ctx, revokedConfig{
		Name: "proxies", Authorities: s.config.ProxyCA, AuthoritiesFlag: "--proxy-ca", Lists: s.config.ProxyCRL, ListsFlag: "--proxy-crl",
		StateDir: beneath(s.config.StateDir, "proxies"), Clock: time.Now, Logger: s.config.Logger.Named("proxies"),
	})
	if err != nil {
		return err
	}
	s.group.Add("revoked proxies", s.revoked.Run)
	return nil
}

// whoCounts is what tells which proxies' certificates count; nil if all do.
func (s *server) whoCounts() spiffe.Revocation {
	if s.revoked == nil {
		return nil // and not an interface that holds a nil
	}
	return s.revoked
}

// parts makes the parts that use the configuration.
func (s *server) parts(ctx context.Context) (err error) {
	var inUse func(policy, version string) bool
	if s.config.XDS {
		s.cache = cache.New(cache.Config{Logger: s.config.Logger.Named("xds")})
		inUse = pipeline.InUse(s.cache)
	}
	if s.config.Authz {
		identify := asker.Identifier{TrustDomain: s.config.TrustDomain, Clock: time.Now, Revocation: s.whoCounts()}.Identify
		if err := s.providers(); err != nil {
			return err
		}
		s.service, err = authz.New(authz.Config{
			Logger: s.config.Logger.Named("authz"), InUse: inUse, Grace: s.config.PolicyGrace, Identify: identify, Tokens: s.tokens,
			Sink: append(s.observation.records(), s.observation.metrics), Observer: s.observation.sightings,
		})
		if err != nil {
			return err
		}
		return s.listenToProxies(ctx, identify)
	}
	return nil
}

// providers follows those who issue tokens, and is one of them.
func (s *server) providers() (err error) {
	settings := tokens.Config{Logger: s.config.Logger.Named("tokens"), Folder: beneath(s.config.StateDir, "key-sets"), Grace: s.config.PolicyGrace}
	if s.cache != nil {
		settings.InUse = pipeline.UpstreamInUse(s.cache)
	}
	s.tokens, err = tokens.New(settings)
	if err != nil {
		return err
	}
	s.group.Add("tokens", s.tokens.Run)
	s.observation.metrics.WatchTokens(s.tokens.States)
	return nil
}

// configuration reads the configuration and follows it.
func (s *server) configuration(ctx context.Context) error {
	logger := s.config.Logger.Named("configuration")
	settings := pipeline.Config{Logger: logger, Keeper: s.keeper}
	if s.service != nil {
		settings.Authorizer = s.service
	}
	if s.cache != nil {
		settings.Publisher = &pipeline.Proxies{Cache: s.cache, Logger: s.config.Logger.Named("translate")}
	}
	settings.Changed = s.changed
	s.pipeline = pipeline.New(settings)
	source := directory.New(directory.Config{Directory: s.config.Source, Logger: logger})
	reading, err := source.Read()
	if err != nil {
		return err
	}
	if err := s.pipeline.Load(ctx, reading); err != nil {
		return err
	}
	s.group.Add("configuration", s.pipeline.Run)
	s.group.Add("source", func(ctx context.Context) error {
		return source.Run(ctx, func(ctx context.Context, r directory.Reading) {
			_ = s.pipeline.Load(ctx, r) // logged there, and shown by `proxy status`
		})
	})
	return nil
}

// changed tells the log of a revision that was taken or refused. Calls do not overlap.
func (s *server) changed(status pipeline.Status) {
	if status.Model == nil {
		return // Run ends with these problems, which are its error
	}
	logger := s.config.Logger.Named("configuration")
	for _, problem := range status.Problems {
		logger.Warn("problem", "at", problem.Origin.String(), "severity", problem.Severity.String(), "field", problem.Field, "message", problem.Message)
	}
	for _, c := range status.Model.Certificates() {
		if s.config.XDS && s.config.StateDir == "" && c.Spec.GetIssued() != nil {
			s.warnOnce("certificates are issued and kept in memory only: each restart issues them anew, with new keys; give --state a folder to keep them", "certificate", c.Name)
			break
		}
	}
	for _, t := range status.Model.Truststores() {
		if s.config.StateDir == "" && (len(t.Spec.GetRevocation().GetLists()) > 0 || len(t.Spec.GetSigners()) > 0) {
			s.warnOnce("the highest numbers of revocation lists and generations of manifests are kept in memory only: after a restart an older one would be taken; give --state a folder to keep them", "truststore", t.Name)
			break
		}
	}
	for _, p := range status.Model.Providers() {
		if s.config.Authz && s.config.StateDir == "" && p.Mint != nil && len(p.Mint.Keys) == 0 {
			s.warnOnce("the keys that sign tokens of our own are generated and kept in memory only: after a restart tokens that were made before are refused, and two servers make tokens that the other does not take; give --state a folder, or the Provider `keys`", "provider", p.Name)
		}
	}
	for _, group := range translate.Groups(status.Model) {
		if s.socketGroups != nil && !slices.Contains(s.socketGroups, group) {
			s.warnOnce("a group came after the start and has no socket in --authz-socket-dir: restart to make it", "group", group)
		}
	}
}

// warnOnce warns of what stays so until a restart.
func (s *server) warnOnce(message, key, value string) {
	if id := message + value; !s.warned[id] {
		s.warned[id] = true
		s.config.Logger.Warn(message, key, value)
	}
}

// controlPlane serves proxies.
func (s *server) controlPlane(ctx context.Context) error {
	if !s.config.XDS {
		return nil
	}
	logger := s.config.Logger.Named("xds")
	certificate, err := newOwnCertificate(ownCertificateConfig{
		Certificate: s.config.XDSCertificate, CertificateFlag: "--certificate", Key: s.config.XDSKey, KeyFlag: "--private-key",
		Kind: spiffe.ControlPlane, TrustDomain: s.config.TrustDomain, Authorities: s.pool, Clock: time.Now, Logger: logger,
	})
	if err != nil {
		return err
	}
	s.group.Add("control plane's certificate", certificate.Run)
	s.own = append(s.own, ownPresented{expiry.ControlPlane, "--certificate", certificate})
	streams, err := xds.NewServer(ctx, xds.Config{
		Logger: logger, Cache: s.cache, TrustDomain: s.config.TrustDomain, ProxyAuthorities: s.pool,
		Certificate: certificate.Get, DrainTimeout: s.config.DrainTimeout, Revocation: s.whoCounts(),
	})
	if err != nil {
		return err
	}
	listener, err := listen(ctx, "--xds-listen", s.config.XDSListen)
	if err != nil {
		return err
	}
	s.group.Add("control plane", func(ctx context.Context) error { return streams.Run(ctx, listener) })
	return nil
}

// authorization answers proxies' questions, by mutual TLS and by Unix sockets.
func (s *server) authorization(ctx context.Context) error {
	if !s.config.Authz {
		return nil
	}
	if s.config.AuthzCertificate != "" && s.config.AuthzListen != "" {
		if err := s.authorizationByTLS(ctx); err != nil {
			return err
		}
	}
	if s.config.AuthzSocketDir == "" {
		return nil
	}
	return s.authorizationBySockets(ctx)
}

func (s *server) authorizationByTLS(ctx context.Context) error {
	certificate, err := newOwnCertificate(ownCertificateConfig{
		Certificate: s.config.AuthzCertificate, CertificateFlag: "--authz-certificate", Key: s.config.AuthzKey, KeyFlag: "--authz-private-key",
		Kind: spiffe.Authz, TrustDomain: s.config.TrustDomain, Authorities: s.pool, Clock: time.Now, Logger: s.config.Logger.Named("authz"),
	})
	if err != nil {
		return err
	}
	s.group.Add("authorization service's certificate", certificate.Run)
	s.own = append(s.own, ownPresented{expiry.Authz, "--authz-certificate", certificate})
	listener, err := listen(ctx, "--authz-listen", s.config.AuthzListen)
	if err != nil {
		return err
	}
	settings, err := spiffe.ServerTLS(spiffe.TLSConfig{Authorities: s.pool, Certificate: certificate.Get, Clock: time.Now, Revocation: s.whoCounts()})
	if err != nil {
		return err
	}
	return s.answer("authorization service", credentials.NewTLS(settings), listener)
}

func (s *server) authorizationBySockets(ctx context.Context) error {
	if err := os.MkdirAll(s.config.AuthzSocketDir, 0o700); err != nil {
		return fmt.Errorf("--authz-socket-dir: %w", err)
	}
	s.socketGroups = translate.Groups(s.pipeline.Status().Model)
	for _, group := range s.socketGroups {
		listener, err := asker.Listen(ctx, filepath.Join(s.config.AuthzSocketDir, group+".sock"))
		if err != nil {
			return fmt.Errorf("--authz-socket-dir: %w", err)
		}
		if err := s.answer("authorization service for "+group, asker.SocketCredentials(group), listener); err != nil {
			return err
		}
	}
	return nil
}

// answer serves the authorization service on a listener.
func (s *server) answer(name string, creds credentials.TransportCredentials, listener net.Listener) error {
	server, err := authz.NewServer(authz.ServerConfig{
		Service: s.service, AccessLog: s.observation.accessLog, DrainTimeout: s.config.DrainTimeout, ConnectionAge: s.config.AuthzConnectionAge,
		Credentials: handshake.Logged(creds, s.config.Logger.Named("authz"), time.Now),
	})
	if err != nil {
		return err
	}
	s.group.Add(name, func(ctx context.Context) error { return server.Run(ctx, listener) })
	return nil
}

// operations serves operators.
func (s *server) operations(ctx context.Context) error {
	if s.config.HealthListen != "" {
		listener, err := listen(ctx, "--health-listen", s.config.HealthListen)
		if err != nil {
			return err
		}
		s.group.Add("health", (&health{listener: listener, ready: s.pipeline.Ready, metrics: s.observation.metrics.Handler()}).Run)
	}
	if err := s.watchExpiry(ctx); err != nil {
		return err
	}
	listener, err := admin.Listen(ctx, s.config.AdminSocket)
	if err != nil {
		return err
	}
	api := &admin.Server{Version: s.config.Version, Roles: s.config.Roles, Pipeline: s.pipeline, Keeper: s.keeper, Store: s.store, Cache: s.cache}
	if s.tokens != nil { // an interface that holds a nil is none
		api.Tokens = s.tokens
	}
	if s.revoked != nil {
		api.Further = append(api.Further, s.revoked.keeper)
	}
	if s.held != nil && s.held.revoked != nil {
		api.Further = append(api.Further, s.held.revoked.keeper)
	}
	s.group.Add("admin", func(ctx context.Context) error {
		return api.Run(ctx, listener, append(s.operatorsServices(), s.ofAuthorities()...)...)
	})
	return nil
}

func listen(ctx context.Context, flag, address string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; name another address", flag, err)
	}
	return listener, nil
}
