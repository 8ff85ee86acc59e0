package integration

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/issuer"
	"github.com/sallyport-project/sallyport/pki/material"
	"github.com/sallyport-project/sallyport/pki/material/aws"
)

// published is an authority of partners that lives in this process and publishes its list to S3, as `sallyport ca` does: its
// tests rotate, issue and revoke so often that a process for each would be most of their time.
type published struct {
	*issuer.Issuer
	t testing.TB
}

// newPublished founds an authority whose list is an object of S3. The environment must lead to that already.
func newPublished(t testing.TB, folder, name, list string) *published {
	t.Helper()
	cloud := aws.New()
	made, err := issuer.Init(t.Context(), issuer.Config{
		Dir: folder,
		Objects: func(owner string) material.Objects {
			return material.ByScheme{material.File: material.Files{}, material.S3: cloud.Objects(owner)}
		},
	}, issuer.Options{Settings: issuer.Settings{Name: name, Publish: []string{list}}, RootOnly: true, RequestedBy: "test"})
	if err != nil {
		t.Fatal(err)
	}
	p := &published{made, t}
	p.publish()
	return p
}

// publish publishes the list.
func (p *published) publish() {
	p.t.Helper()
	if _, err := p.Publish(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
}

// issue makes a certificate of a consumer.
func (p *published) issue(consumer string) ca.KeyPair {
	p.t.Helper()
	issued, err := p.Issue(p.t.Context(), issuer.Order{Consumer: consumer, RequestedBy: "test"})
	if err != nil {
		p.t.Fatal(err)
	}
	return issued.Pair
}

// revoke enters the revocation of a certificate. It counts once the list is published.
func (p *published) revoke(pair ca.KeyPair) {
	p.t.Helper()
	_, err := p.Revoke(p.t.Context(), issuer.Revocation{
		Certificate: pair.Certificate.SerialNumber.Text(16), Reason: ca.KeyCompromise, RequestedBy: "test",
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

// rotate makes another generation issue and takes the one before the present one out of force, wherever the new bundle and
// list arrive.
func (p *published) rotate() {
	p.t.Helper()
	number, err := p.Rotate(p.t.Context(), issuer.Options{RootOnly: true, RequestedBy: "test"})
	if err == nil && number > 2 {
		err = p.Retire(p.t.Context(), number-2, true)
	}
	if err == nil {
		err = p.Activate(number)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.publish()
}

// edgeClient is a client of the edge that counts the connections that it makes.
type edgeClient struct {
	*http.Client
	connections *atomic.Int64
}

// calls makes a client that presents a certificate and keeps one HTTP/2 connection.
func (e *estate) calls(presented tls.Certificate, change func(*tls.Config)) edgeClient {
	e.t.Helper()
	settings := &tls.Config{
		RootCAs: e.pool("internal"), ServerName: "api.example.org",
		// Whichever authorities the edge asks for.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &presented, nil },
	}
	if change != nil {
		change(settings)
	}
	made := new(atomic.Int64)
	transport := &http.Transport{TLSClientConfig: settings, ForceAttemptHTTP2: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		made.Add(1)
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	e.t.Cleanup(transport.CloseIdleConnections)
	return edgeClient{&http.Client{Transport: transport, Timeout: patience}, made}
}

// callsAnew makes a client that presents a certificate on a new connection for each request, over HTTP/1.1.
func (e *estate) callsAnew(presented tls.Certificate, change func(*tls.Config)) edgeClient {
	e.t.Helper()
	c := e.calls(presented, change)
	transport := c.Transport.(*http.Transport)
	transport.ForceAttemptHTTP2, transport.DisableKeepAlives = false, true
	return c
}
