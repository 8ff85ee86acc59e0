package dev

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"sync"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/devissuer"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/pipeline"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/scenario"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/document"
	"github.com/sallyport-project/sallyport/pki/inventory"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// issuerPort is where the development issuer listens, if it is free.
const issuerPort = 9000

// issuer stands for every Provider that is not ourselves, so that people can sign in and nobody's real issuer is asked. It
// listens once there is such a Provider.
type issuer struct {
	environment *environment
	server      *devissuer.Server
	ctx         context.Context // its own; ended by end
	end         context.CancelFunc
	running     sync.WaitGroup

	mu      sync.Mutex
	address string // empty while it does not listen
	// configured are the issuers in whose place it stands, by its own URLs.
	configured map[string]string
}

func newIssuer(ctx context.Context, e *environment) (*issuer, error) {
	server, err := devissuer.New(devissuer.Config{
		Folder: filepath.Join(e.state.folder, "issuer"), Logger: e.config.Logger.Named("issuer"), Clock: e.clock,
	})
	if err != nil {
		return nil, err
	}
	within, end := context.WithCancel(ctx)
	return &issuer{environment: e, server: server, ctx: within, end: end, configured: map[string]string{}}, nil
}

// replace puts the development issuer in the place of each Provider in the documents: in its name, and for whatever it is
// asked over a network.
func (i *issuer) replace(ctx context.Context, documents []*document.Document) {
	for _, d := range documents {
		provider, ok := d.Message.(*sallyportv1.Provider)
		if !ok || provider.GetSpec() == nil || provider.GetSpec().GetMint() != nil {
			continue
		}
		address, err := i.listen(ctx)
		if err != nil {
			i.environment.fail(err)
			return
		}
		url := "http://" + address + "/" + provider.GetMetadata().GetName()
		i.note(url, provider.GetSpec().GetIssuers())
		stand(provider, url)
	}
}

// note keeps what the configuration calls an issuer.
func (i *issuer) note(url string, configured []string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(configured) > 0 {
		i.configured[url] = configured[0]
	}
}

// asConfigured is what the configuration calls an issuer; one for which nobody stands is called as it is.
func (i *issuer) asConfigured(url string) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return cmp.Or(i.configured[url], url)
}

// stand makes a Provider one that is found by discovery at a URL, gives development tokens, and at which our client has a secret.
func stand(p *sallyportv1.Provider, url string) {
	spec := p.GetSpec()
	spec.Issuers, spec.InsecureHttp, spec.Types = []string{url}, true, []string{devissuer.TokenType}
	spec.JwksUri, spec.KeySet, spec.TokenEndpoint, spec.Truststore = "", "", "", ""
	if spec.GetIntrospection() != nil {
		spec.Introspection.Endpoint = ""
	}
	if client := spec.GetClient(); client != nil {
		client.Authentication = sallyportv1.ClientAuthentication_CLIENT_AUTHENTICATION_CLIENT_SECRET_BASIC
		client.Secret = "env:DEVELOPMENT" // it is not read: see inventory.DevelopmentSecret
		client.PrivateKey, client.KeyId, client.Certificate = "", "", ""
	}
}

// listen begins to serve, unless it does already, and tells where.
func (i *issuer) listen(ctx context.Context) (address string, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.address != "" {
		return i.address, nil
	}
	var listener net.Listener
	listener, err = i.environment.addresses.listenFor(ctx, issuerPort, "the development issuer")
	if err != nil {
		return "", err
	}
	i.address = listener.Addr().String()
	i.running.Go(func() {
		if err := i.server.Run(i.ctx, listener); err != nil {
			i.environment.config.Logger.Error("the development issuer has ended", "error", err)
		}
	})
	return i.address, nil
}

// Apply follows the configuration. A Provider for which it cannot stand keeps what was there before, and is told of.
func (i *issuer) Apply(model *config.Model, _ *inventory.Snapshot) {
	if err := i.server.Apply(scenario.Issuers(model)); err != nil {
		i.environment.fail(fmt.Errorf("the development issuer: %w", err))
	}
}

// run waits for the end of the context, ends the server, and waits until it has.
func (i *issuer) run(ctx context.Context) error {
	<-ctx.Done()
	i.end()
	i.running.Wait()
	return nil
}

// judges are given each model in order: who issues tokens before who judges them.
type judges []pipeline.Authorizer

// Apply hands the model on.
func (j judges) Apply(model *config.Model, material *inventory.Snapshot) {
	for _, one := range j {
		one.Apply(model, material)
	}
}
