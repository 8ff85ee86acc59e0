package authority

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/issuer"
)

const eve = "spiffe://example.org/operator/eve"

// operator is one with a certificate of 30 days, as it is presented.
func (h *held) operator() tls.Certificate {
	h.Helper()
	issued, err := h.home.Issue(h.Context(), issuer.Order{
		Consumer: eve, Profile: ca.Operator, CommonName: "eve", URIs: []string{eve}, Lifetime: 30 * 24 * time.Hour,
	})
	if err != nil {
		h.Fatal(err)
	}
	return issued.Pair.TLS()
}

func (h *held) operators() *Operators {
	return &Operators{Home: h.home, TrustDomain: "example.org", Homes: h.Issuers, Clock: h.clock.Now}
}

// handshake tells what the server says of an operator's certificate.
func (h *held) handshake(operators *Operators, certificate tls.Certificate) error {
	h.Helper()
	near, far := net.Pipe()
	settings := &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}, Certificates: []tls.Certificate{certificate},
		InsecureSkipVerify: true,
	}
	go func() {
		_ = tls.Client(near, settings).HandshakeContext(h.Context())
		_, _ = io.Copy(io.Discard, near) // the server's word on our certificate
	}()
	server := tls.Server(far, operators.TLS(h.Enrolment.config.Own))
	err := server.HandshakeContext(h.Context())
	if err == nil && server.ConnectionState().NegotiatedProtocol != "h2" {
		h.Error("no h2 is agreed upon")
	}
	_ = near.Close()
	_ = far.Close()
	return err
}

func TestARevokedOperatorStaysOutWhateverBecomesOfItsAuthority(t *testing.T) {
	h := hold(t)
	operators, certificate, old := h.operators(), h.operator(), h.active()
	if err := h.handshake(operators, certificate); err != nil {
		t.Fatal(err)
	}
	chain := []*x509.Certificate{certificate.Leaf, old}
	if err := operators.check(t.Context(), chain); err != nil {
		t.Fatal(err)
	}
	if err := h.revoke(eve); err != nil {
		t.Fatal(err)
	}
	// As it would be if its authority were named in --operator-ca too.
	named := h.operators()
	named.Foreign = x509.NewCertPool()
	named.Foreign.AddCert(old)
	refused := func(when string) {
		t.Helper()
		for _, o := range []*Operators{operators, named} {
			if err := o.check(t.Context(), chain); err == nil {
				t.Errorf("%s: it is let in", when)
			}
		}
	}
	refused("revoked")
	h.rotate()
	refused("after a rotation")
	if err := h.home.Retire(t.Context(), 1, true); err != nil {
		t.Fatal(err)
	}
	refused("after its authority was retired")
	if err := h.handshake(operators, certificate); err == nil {
		t.Error("the handshake succeeds with a certificate of a retired authority")
	}
	if err := h.handshake(operators, h.operator()); err != nil {
		t.Errorf("an operator of the present authority: %v", err)
	}
}

func TestAnOperatorOfARetiredAuthorityIsRefusedOnAnOpenConnection(t *testing.T) {
	h := hold(t)
	operators, chain := h.operators(), []*x509.Certificate{h.operator().Leaf, h.active()}
	h.rotate()
	if err := operators.check(t.Context(), chain); err != nil {
		t.Errorf("while both are in force: %v", err)
	}
	if err := h.home.Retire(t.Context(), 1, true); err != nil {
		t.Fatal(err)
	}
	if err := operators.check(t.Context(), chain); err == nil || !strings.Contains(err.Error(), "not in force any more") {
		t.Errorf("got %v", err)
	}
}

func TestAnOperatorsCertificateByWayOfAnIntermediateIsRefused(t *testing.T) {
	h := hold(t)
	root, err := ca.Create(ca.Options{CommonName: "operators", PathLength: 1})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := root.IssueAuthority(ca.AuthorityRequest{CommonName: "somebody below"})
	if err != nil {
		t.Fatal(err)
	}
	below, err := ca.Load(append(pair.CertificatePEM, root.CertificatePEM()...), pair.PrivateKeyPEM, nil)
	if err != nil {
		t.Fatal(err)
	}
	certificate := func(authority *ca.Authority) tls.Certificate {
		pair, err := authority.Issue(ca.Request{Profile: ca.Operator, URIs: []string{eve}})
		if err != nil {
			t.Fatal(err)
		}
		return pair.TLS()
	}
	operators := h.operators()
	operators.Foreign = x509.NewCertPool()
	operators.Foreign.AddCert(root.Certificate())
	direct, indirect := certificate(root), certificate(below)
	if err := h.handshake(operators, direct); err != nil {
		t.Errorf("one of the authority itself: %v", err)
	}
	if err := h.handshake(operators, indirect); err == nil {
		t.Error("the handshake succeeds")
	}
	if err := operators.check(t.Context(), []*x509.Certificate{direct.Leaf, root.Certificate()}); err != nil {
		t.Errorf("one of the authority itself: %v", err)
	}
	if err := operators.check(t.Context(), []*x509.Certificate{indirect.Leaf, below.Certificate(), root.Certificate()}); err == nil || !strings.Contains(err.Error(), "by one below it") {
		t.Errorf("got %v", err)
	}
}

// revokedBy is a spiffe.Revocation with one answer.
type revokedBy struct{ err error }

func (r revokedBy) Check(_, _ *x509.Certificate) error { return r.err }
func (r revokedBy) Changed() <-chan struct{}           { return nil }

func TestAListTellsWhichOperatorsAreRevoked(t *testing.T) {
	h := hold(t)
	revoked := errors.New("it was revoked")
	operators, certificate := h.operators(), h.operator()
	operators.Revocation = revokedBy{revoked}
	if err := h.handshake(operators, certificate); !errors.Is(err, revoked) {
		t.Errorf("handshake: %v", err)
	}
	if err := operators.check(t.Context(), []*x509.Certificate{certificate.Leaf, h.active()}); !errors.Is(err, revoked) {
		t.Errorf("on an open connection: %v", err)
	}
}
