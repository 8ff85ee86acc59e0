package xds_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/spiffe"
	"github.com/sallyport-project/sallyport/xds"
	"github.com/sallyport-project/sallyport/xds/cache"
)

const (
	trustDomain = "example.org"
	// patience is how long a test waits for what must come.
	patience = 20 * time.Second
	// grace is how long a proxy that has gone away counts.
	grace = time.Hour
)

// environment is a control plane on a loopback port, with the authority that its proxies' certificates come from.
type environment struct {
	t         *testing.T
	cache     *cache.Cache
	clock     *clock
	authority *ca.Authority
	revoked   *revoked
	address   string
	// stop ends the server; returned is closed once Run has, with err.
	stop     context.CancelFunc
	returned chan struct{}
	err      error
}

func newEnvironment(t *testing.T) *environment {
	t.Helper()
	e := &environment{t: t, clock: &clock{now: time.Now()}, authority: newAuthority(t, "proxies"), revoked: newRevoked(), returned: make(chan struct{})}
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Output: logOf{t}})
	e.cache = cache.New(cache.Config{Logger: logger, Clock: e.clock.Now, Grace: grace})
	certificate := e.issue(ca.Request{
		Profile: ca.Service, URIs: []string{"spiffe://" + trustDomain + "/control-plane/main"},
		IPAddresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")},
	})
	ctx, stop := context.WithCancel(context.Background())
	server, err := xds.NewServer(ctx, xds.Config{
		Logger: logger, Clock: e.clock.Now, Cache: e.cache, TrustDomain: trustDomain, ProxyAuthorities: e.pool(),
		Certificate: func() (*tls.Certificate, error) { return &certificate, nil }, DrainTimeout: patience / 4, Revocation: e.revoked,
	})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e.address, e.stop = listener.Addr().String(), stop
	go func() {
		defer close(e.returned)
		e.err = server.Run(ctx, listener)
	}()
	t.Cleanup(func() {
		stop()
		<-e.returned
	})
	return e
}

func newAuthority(t *testing.T, name string) *ca.Authority {
	t.Helper()
	authority, err := ca.Create(ca.Options{CommonName: name})
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

// issue makes a certificate of the proxies' authority.
func (e *environment) issue(request ca.Request) tls.Certificate {
	e.t.Helper()
	return issueFrom(e.t, e.authority, request)
}

func issueFrom(t *testing.T, authority *ca.Authority, request ca.Request) tls.Certificate {
	t.Helper()
	pair, err := authority.Issue(request)
	if err != nil {
		t.Fatal(err)
	}
	return pair.TLS()
}

// proxyRequest asks for the certificate of a proxy.
func proxyRequest(group, name string) ca.Request {
	return ca.Request{Profile: ca.Proxy, URIs: []string{identity(group, name)}}
}

func identity(group, name string) string {
	return spiffe.Identity{TrustDomain: trustDomain, Kind: spiffe.Proxy, Group: group, Name: name}.String()
}

func (e *environment) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(e.authority.Certificate())
	return pool
}

// publish gives a group its resources.
func (e *environment) publish(group string, w world) {
	e.t.Helper()
	snapshot, err := cache.NewSnapshot(w)
	if err != nil {
		e.t.Fatal(err)
	}
	e.cache.SetSnapshot(group, snapshot)
}

// eventually waits until the condition holds.
func (e *environment) eventually(what string, condition func() bool) {
	e.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for !condition() {
		select {
		case <-look.C:
		case <-deadline.C:
			e.t.Fatalf("waited in vain until %s", what)
		}
	}
}

// clock is a time that stands still unless it is put forward.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

func (c *clock) forward(d time.Duration) { c.set(c.Now().Add(d)) }

// logOf writes a log into the output of a test that is running still.
type logOf struct{ t *testing.T }

func (l logOf) Write(line []byte) (int, error) {
	if l.t.Context().Err() == nil {
		l.t.Log(strings.TrimSpace(string(line)))
	}
	return len(line), nil
}
