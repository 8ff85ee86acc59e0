package dev

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/sampleapi"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/ca"
)

// apis are the sample APIs of an environment: one for each upstream endpoint that is none of its own listeners. They come
// with the configuration and stay.
type apis struct {
	environment *environment
	ctx         context.Context // theirs; ended by end
	end         context.CancelFunc

	mu      sync.Mutex
	servers []*sampleapi.Server
	running sync.WaitGroup
}

func newAPIs(ctx context.Context, e *environment) *apis {
	within, end := context.WithCancel(ctx)
	return &apis{environment: e, ctx: within, end: end}
}

// start begins a sample API. It may be called while the environment runs.
func (a *apis) start(upstream, address string, listener net.Listener) {
	a.mu.Lock()
	defer a.mu.Unlock()
	server := sampleapi.New(sampleapi.Config{
		Name: upstream, Listener: listener,
		TLS: func() *tls.Config { return a.tls(upstream) },
		App: func() http.Handler { return a.environment.app(upstream) },
	})
	a.servers = append(a.servers, server)
	a.running.Go(func() {
		if err := server.Run(a.ctx); err != nil {
			a.environment.config.Logger.Error("a sample API has ended", "upstream", upstream, "address", address, "error", err)
		}
	})
}

// run waits for the end of the context, ends all of them, and waits until they have.
func (a *apis) run(ctx context.Context) error {
	<-ctx.Done()
	a.end()
	a.running.Wait()
	return nil
}

// requests is how many requests have reached any of them.
func (a *apis) requests() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	var sum int64
	for _, server := range a.servers {
		sum += server.Requests()
	}
	return sum
}

// tls is how a sample API answers over TLS: with a certificate for the name that it is called by, of the authority that
// its callers trust. It demands their client certificate, where they have one, as an API that lets in nobody else does.
// It is nil for an upstream that is called in plaintext.
func (a *apis) tls(upstream string) *tls.Config {
	model := a.environment.pipeline.Status().Model
	if model == nil {
		return nil
	}
	u := model.Upstream(upstream)
	if u == nil || u.TLS == nil {
		return nil
	}
	settings := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	settings.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		authority, ok := a.environment.keeper.TruststoreAuthority(u.TLS.Truststore.Name)
		if !ok {
			return nil, fmt.Errorf("the truststore %s has no authority here", u.TLS.Truststore.Name)
		}
		pair, err := authority.Issue(ca.Request{Profile: ca.Server, DNSNames: []string{u.TLS.ServerName}})
		if err != nil {
			return nil, err
		}
		certificate := pair.TLS()
		return &certificate, nil
	}
	if u.TLS.ClientCertificate != nil {
		settings.ClientAuth = tls.RequireAnyClientCert
		settings.VerifyConnection = func(state tls.ConnectionState) error {
			return a.verify(u.TLS.ClientCertificate, state.PeerCertificates)
		}
	}
	return settings
}

// verify lets in whoever presents the certificate that the upstream's callers are configured to present.
func (a *apis) verify(expected *config.Certificate, presented []*x509.Certificate) error {
	own := a.environment.keeper.Current().Certificates[expected.Name]
	if own == nil || len(presented) == 0 {
		return errors.New("a client certificate is needed")
	}
	if !presented[0].Equal(own.Leaf) {
		return fmt.Errorf("the certificate is not %s", expected.Name)
	}
	return nil
}
