// Package dev runs a whole estate on loopback: control plane, authorization service, an Envoy for each group of proxies,
// sample APIs for the upstreams, and an issuer of tokens for the Providers. Everything has development certificates and keys,
// made on first use.
//
// It is for learning, developing and testing a configuration. It shares with `serve` all that decides or translates, and
// differs in where things listen and in whose certificates they present.
package dev

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/sallyport-project/sallyport/authz"
	"github.com/sallyport-project/sallyport/authz/asker"
	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/authz/sightings"
	"github.com/sallyport-project/sallyport/authz/tokens"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/pipeline"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/rungroup"
	"github.com/sallyport-project/sallyport/config/directory"
	"github.com/sallyport-project/sallyport/config/document"
	"github.com/sallyport-project/sallyport/envoy/bootstrap"
	"github.com/sallyport-project/sallyport/envoy/process"
	"github.com/sallyport-project/sallyport/envoy/translate"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/inventory"
	"github.com/sallyport-project/sallyport/pki/spiffe"
	"github.com/sallyport-project/sallyport/xds"
	"github.com/sallyport-project/sallyport/xds/cache"
)

// trustDomain is that of all parts of a development environment.
const trustDomain = "development.sallyport"

// Config is what an environment needs.
type Config struct {
	// Directory of the configuration.
	Directory string
	// StateDir keeps the development authorities; empty for a temporary one.
	StateDir string
	// Envoy is the binary to run.
	Envoy string
	// Version is our own, for operators who ask.
	Version string
	Logger  hclog.Logger
	// Out is where people read what happens.
	Out io.Writer
	// Once runs the Test cases and ends; otherwise the environment stays up and follows edits.
	Once bool
}

// ErrCases says that a Test case came out otherwise than expected.
var ErrCases = errors.New("not every case came out as expected")

// ErrNoCases says that there is no Test case to run, and nothing else was asked for.
var ErrNoCases = errors.New("there is no Test case")

// environment is one running estate.
type environment struct {
	config Config
	state  *state
	// runtime holds sockets and bootstraps; it goes with the process.
	runtime string
	clock   func() time.Time

	authority *ca.Authority
	keeper    *inventory.Keeper
	cache     *cache.Cache
	tokens    *tokens.Tokens
	service   *authz.Service
	// ring, feed and sightings show operators what was decided, and whom gateways met.
	ring      *audit.Ring
	feed      *audit.Feed
	sightings *sightings.Sightings
	pipeline  *pipeline.Pipeline
	source    *directory.Source
	addresses *addresses
	apis      *apis
	issuer    *issuer
	xds       *xds.Server
	xdsSocket net.Listener
	output    *printer
	admins    map[string]*process.Admin
	// adminSocket is where operators ask; empty where nobody can.
	adminSocket string

	mu     sync.Mutex
	failed []error
	// printed are the lines for people that need not be repeated.
	printed []string
}

// Run runs an environment until the context ends or a part of it fails; with Once, until the cases have run. The error is the
// context's if that ended before the environment was up, and nil if it ended afterwards.
func Run(ctx context.Context, config Config) (err error) {
	e := &environment{config: config, clock: time.Now, admins: map[string]*process.Admin{}, output: &printer{out: config.Out}}
	if e.state, err = openState(config.StateDir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.state.close()) }()
	if e.runtime, err = os.MkdirTemp("", "sallyport-"); err != nil {
		return fmt.Errorf("make a folder for sockets: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(e.runtime)) }()
	asked := ctx.Err // whether somebody asked for the end, and not a part that failed
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var group rungroup.Group
	if err := e.assemble(ctx, &group); err != nil {
		if asked() != nil {
			return asked()
		}
		return err
	}
	var cases error
	group.Add("cases", func(ctx context.Context) error {
		if cases = e.run(ctx); config.Once || cases != nil {
			cancel() // what was to be done is done
		}
		<-ctx.Done()
		return nil
	})
	err = group.Run(ctx)
	if err != nil && errors.Is(cases, context.Canceled) {
		return err // the cases ended with the part that failed
	}
	return errors.Join(err, cases)
}

// assemble makes every part and adds it to the group. Nothing runs yet but the first reading of the configuration, so
// that one with errors ends before anything has begun.
func (e *environment) assemble(ctx context.Context, group *rungroup.Group) (err error) {
	logger := e.config.Logger
	if e.authority, err = e.state.proxyAuthority(e.clock); err != nil {
		return err
	}
	e.keeper, err = inventory.New(inventory.Config{
		Logger: logger.Named("material"), Clock: e.clock, Base: e.config.Directory, StateDir: filepath.Join(e.state.folder, "material"),
		Substitute: true, ForbiddenAnchors: []*x509.Certificate{e.authority.Certificate()},
	})
	if err != nil {
		return err
	}
	e.cache = cache.New(cache.Config{Logger: logger.Named("xds"), Clock: e.clock})
	if err := e.assembleDecisions(group); err != nil {
		return err
	}
	e.apis = newAPIs(ctx, e)
	e.addresses = newAddresses(e.apis.start, e.fail)
	group.Add("addresses", e.addresses.hold)
	if e.issuer, err = newIssuer(ctx, e); err != nil {
		return err
	}
	e.pipeline = pipeline.New(pipeline.Config{
		Logger: logger.Named("configuration"), Clock: e.clock, Keeper: e.keeper, Authorizer: judges{e.issuer, e.service},
		Publisher: &pipeline.Proxies{Cache: e.cache, Logger: logger.Named("translate")},
		Transform: func(ctx context.Context, documents []*document.Document) {
			e.addresses.move(ctx, documents)
			e.issuer.replace(ctx, documents)
		},
		Changed: e.changed,
	})
	e.source = directory.New(directory.Config{Directory: e.config.Directory, Logger: logger.Named("configuration")})
	reading, err := e.source.Read()
	if err != nil {
		return err
	}
	// An interruption waits for it: material that could not be made would be reported as missing.
	if err := e.pipeline.Load(context.WithoutCancel(ctx), reading); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := e.takeFailures(); err != nil {
		return err
	}
	if err := e.checkCases(e.pipeline.Status().Model); err != nil {
		return err
	}
	group.Add("material", e.keeper.Run)
	group.Add("configuration", e.pipeline.Run)
	group.Add("source", func(ctx context.Context) error {
		return e.source.Run(ctx, func(ctx context.Context, r directory.Reading) {
			_ = e.pipeline.Load(ctx, r) // told to people by changed
		})
	})
	group.Add("sample APIs", e.apis.run)
	group.Add("development issuer", e.issuer.run)
	if err := e.assembleOperations(ctx, group); err != nil {
		return err
	}
	if err := e.assembleXDS(ctx, group); err != nil {
		return err
	}
	for _, name := range translate.Groups(e.pipeline.Status().Model) {
		if err := e.assembleProxy(ctx, group, name); err != nil {
			return err
		}
	}
	return nil
}

// rememberedDecisions is how many decisions operators can be told of afterwards.
const rememberedDecisions = 1000

// assembleDecisions makes the authorization service, and what is told of its decisions.
func (e *environment) assembleDecisions(group *rungroup.Group) (err error) {
	logger := e.config.Logger
	e.ring, e.feed = audit.NewRing(rememberedDecisions), audit.NewFeed()
	if e.sightings, err = sightings.New(sightings.Config{Logger: logger.Named("sightings")}); err != nil {
		return err
	}
	e.tokens, err = tokens.New(tokens.Config{Logger: logger.Named("tokens"), Clock: e.clock, Folder: filepath.Join(e.state.folder, "key-sets")})
	if err != nil {
		return err
	}
	group.Add("tokens", e.tokens.Run)
	e.service, err = authz.New(authz.Config{
		Logger: logger.Named("authz"), Clock: e.clock, Sink: audit.Sinks{e.ring, e.feed, e.output}, Observer: e.sightings,
		InUse: pipeline.InUse(e.cache), Tokens: e.tokens, Identify: asker.Identifier{TrustDomain: trustDomain, Clock: e.clock}.Identify,
	})
	return err
}

// assembleXDS makes the control plane's server.
func (e *environment) assembleXDS(ctx context.Context, group *rungroup.Group) error {
	pair, err := e.authority.Issue(ca.Request{
		Profile: ca.Service, IPAddresses: []netip.Addr{netip.MustParseAddr(loopback)}, Lifetime: nodeLifetime,
		URIs: []string{spiffe.Identity{TrustDomain: trustDomain, Kind: spiffe.ControlPlane, Name: "dev"}.String()},
	})
	if err != nil {
		return fmt.Errorf("issue the control plane's certificate: %w", err)
	}
	certificate := pair.TLS()
	pool := x509.NewCertPool()
	pool.AddCert(e.authority.Certificate())
	e.xds, err = xds.NewServer(ctx, xds.Config{
		Logger: e.config.Logger.Named("xds"), Clock: e.clock, Cache: e.cache, TrustDomain: trustDomain, ProxyAuthorities: pool,
		Certificate: func() (*tls.Certificate, error) { return &certificate, nil },
	})
	if err != nil {
		return err
	}
	if e.xdsSocket, err = new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(loopback, "0")); err != nil {
		return fmt.Errorf("listen for proxies: %w", err)
	}
	group.Add("control plane", func(ctx context.Context) error { return e.xds.Run(ctx, e.xdsSocket) })
	return nil
}

// nodeLifetime is how long the certificates of the environment's own parts are valid: longer than anybody leaves it up.
const nodeLifetime = 90 * 24 * time.Hour

// clientMargin is how long a consumer's certificate must be good yet to be handed out again.
const clientMargin = 8 * time.Hour

// assembleProxy makes the Envoy of a group, and the socket at which it asks for decisions.
func (e *environment) assembleProxy(ctx context.Context, group *rungroup.Group, name string) error {
	folder := filepath.Join(e.runtime, name)
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	id := spiffe.Identity{TrustDomain: trustDomain, Kind: spiffe.Proxy, Group: name, Name: name + "-1"}
	pair, err := e.authority.Issue(ca.Request{Profile: ca.Proxy, Subject: pkix.Name{CommonName: id.Name}, URIs: []string{id.String()}, Lifetime: nodeLifetime})
	if err != nil {
		return fmt.Errorf("issue the certificate of %s: %w", id, err)
	}
	files, err := ca.WriteKeyPair(folder, "node", pair)
	if err != nil {
		return err
	}
	socket := filepath.Join(folder, "authz.sock")
	listener, err := asker.Listen(ctx, socket)
	if err != nil {
		return err
	}
	server, err := authz.NewServer(authz.ServerConfig{Service: e.service, Credentials: asker.SocketCredentials(name)})
	if err != nil {
		return err
	}
	group.Add("authorization service for "+name, func(ctx context.Context) error { return server.Run(ctx, listener) })

	admin := filepath.Join(folder, "admin.sock")
	boot, err := bootstrap.New(bootstrap.Config{
		Identity: id, XDSAddress: e.xdsSocket.Addr().String(), AuthzAddress: "unix:" + socket,
		CertificatePath: files.Certificate, KeyPath: files.PrivateKey, CAPath: ca.FilesIn(e.state.folder, "proxies").Certificate,
		Directory: folder, AdminSocket: admin,
	})
	if err != nil {
		return err
	}
	path, err := boot.Write(folder)
	if err != nil {
		return err
	}
	envoy, err := process.New(process.Config{
		Binary: e.config.Envoy, BootstrapPath: path, Name: name, Logger: e.config.Logger.Named("envoy"), Concurrency: 1,
		LogLevel: hclog.Error, // it warns of its own end; what it refuses, we say
	})
	if err != nil {
		return err
	}
	e.admins[name] = process.NewAdmin(admin)
	group.Add("envoy "+name, envoy.Run)
	return nil
}

// fail notes what went wrong where nobody could be told.
func (e *environment) fail(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.failed = append(e.failed, err)
}

func (e *environment) takeFailures() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	err := errors.Join(e.failed...)
	e.failed = nil
	return err
}
