package xds_test

import (
	"crypto/x509"
	"errors"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
)

// revoked is a list of serial numbers that tests add to.
type revoked struct {
	mu      sync.Mutex
	serials map[string]bool
	changed chan struct{}
}

func newRevoked() *revoked {
	return &revoked{serials: map[string]bool{}, changed: make(chan struct{})}
}

func (r *revoked) Check(leaf, _ *x509.Certificate) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.serials[leaf.SerialNumber.String()] {
		return errors.New("it was revoked")
	}
	return nil
}

func (r *revoked) Changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

func (r *revoked) add(certificate *x509.Certificate) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.serials[certificate.SerialNumber.String()] = true
	close(r.changed)
	r.changed = make(chan struct{})
}

func TestARevokedProxyLosesItsStreamAndGetsNoOther(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	certificate, other := e.issue(proxyRequest("edge", "edge-1")), e.issue(proxyRequest("edge", "edge-2"))
	stays, goes := e.open(other), e.open(certificate)
	for _, p := range []*proxy{stays, goes} {
		p.ask(clusters)
		p.accepts("clusters +a +b")
	}

	e.revoked.add(certificate.Leaf)

	if code := goes.ended(); code != codes.PermissionDenied {
		t.Errorf("the open stream ended with %s, want %s", code, codes.PermissionDenied)
	}
	if code := e.open(certificate).ended(); code != codes.Unavailable { // by a TLS alert
		t.Errorf("a new connection ended with %s, want %s", code, codes.Unavailable)
	}
	stays.ask(secrets, "key")
	stays.accepts("secrets +key")
}
