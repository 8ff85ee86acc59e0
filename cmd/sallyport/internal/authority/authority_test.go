package authority

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/sallyport-project/sallyport/authz/asker"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/enrolment"
	"github.com/sallyport-project/sallyport/pki/issuer"
	"github.com/sallyport-project/sallyport/pki/spiffe"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

const edge = "spiffe://example.org/proxy/edge/edge-1"

// clock is a time that tests set; it begins now.
type clock struct{ ahead atomic.Int64 }

func (c *clock) Now() time.Time        { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) Pass(by time.Duration) { c.ahead.Add(int64(by)) }

// held is a server with one authority, of our own processes.
type held struct {
	*testing.T
	*Service
	home  *issuer.Issuer
	dir   string
	clock *clock
}

func hold(t *testing.T) *held {
	t.Helper()
	c := &clock{}
	dir := filepath.Join(t.TempDir(), "proxies")
	home, err := issuer.Init(t.Context(), Home{Dir: dir, Clock: c.Now}.Config(),
		issuer.Options{Settings: issuer.Settings{Name: "proxies"}, RootOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	book, err := enrolment.Open("", c.Now)
	if err != nil {
		t.Fatal(err)
	}
	own := &Own{
		Issuer: home, Identity: spiffe.Identity{TrustDomain: "example.org", Kind: spiffe.ControlPlane, Name: "a"},
		Logger: hclog.NewNullLogger(), Clock: c.Now,
	}
	service, err := NewEnrolment(EnrolmentConfig{
		Issuer: home, Book: book, Own: own, Server: "ca.internal:18003", TrustDomain: "example.org", Logger: hclog.NewNullLogger(), Clock: c.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &held{t, &Service{
		Issuers: map[string]*issuer.Issuer{"proxies": home}, RequestedBy: RequestedBy, Enrolment: service, Clock: c.Now,
	}, home, dir, c}
}

func (h *held) request() string {
	h.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		h.Fatal(err)
	}
	csr, err := CertificateRequest(key)
	if err != nil {
		h.Fatal(err)
	}
	return string(csr)
}

func (h *held) token() enrolment.Token {
	h.Helper()
	made, err := h.CreateEnrolmentToken(h.Context(), &adminv1.CreateEnrolmentTokenRequest{Identity: edge})
	if err != nil {
		h.Fatal(err)
	}
	token, err := enrolment.ParseToken(made.GetToken())
	if err != nil {
		h.Fatal(err)
	}
	return token
}

func (h *held) enrol(token enrolment.Token) (*x509.Certificate, error) {
	response, err := h.Enrolment.Enrol(h.Context(), &adminv1.EnrolRequest{TokenId: token.ID, Secret: token.Secret, CertificateRequest: h.request()})
	if err != nil {
		return nil, err
	}
	certificates, err := ca.ParseCertificates([]byte(response.GetCertificate().GetCertificatePem()))
	if err != nil {
		return nil, err
	}
	return certificates[0], nil
}

func (h *held) renew(by *x509.Certificate) error {
	_, err := h.Enrolment.Renew(h.by(by), &adminv1.RenewRequest{CertificateRequest: h.request()})
	return err
}

// by is the context of a call that came with a verified certificate.
func (h *held) by(leaf *x509.Certificate) context.Context {
	return peer.NewContext(h.Context(), &peer.Peer{Addr: &net.TCPAddr{}, AuthInfo: credentials.TLSInfo{
		State: tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{leaf, h.active()}}},
	}})
}

func (h *held) active() *x509.Certificate {
	h.Helper()
	active, err := h.home.Active()
	if err != nil {
		h.Fatal(err)
	}
	return active
}

func (h *held) revoke(identity string) error {
	_, err := h.RevokeCertificates(h.Context(), &adminv1.RevokeCertificatesRequest{
		Choice: &adminv1.RevokeCertificatesRequest_Consumer{Consumer: identity}, Reason: "key_compromise",
	})
	return err
}

func wants(t *testing.T, err error, code codes.Code, words string) {
	t.Helper()
	if status.Code(err) != code || !strings.Contains(err.Error(), words) {
		t.Errorf("got %v, want %s with %q", err, code, words)
	}
}

func TestAMachineEnrolsAndRenewsUntilItIsRevoked(t *testing.T) {
	h := hold(t)
	token := h.token()
	leaf, err := h.enrol(token)
	if err != nil {
		t.Fatal(err)
	}
	if identity, err := spiffe.FromCertificate(leaf); err != nil || identity.String() != edge {
		t.Errorf("enrolled as %s, %v", identity, err)
	}
	_, err = h.enrol(token)
	wants(t, err, codes.PermissionDenied, "used already")
	h.clock.Pass(10 * time.Hour)
	if err := h.renew(leaf); err != nil {
		t.Fatal(err)
	}
	if err := h.renew(leaf); err != nil { // it is still valid
		t.Error(err)
	}
	if err := h.revoke(edge); err != nil {
		t.Fatal(err)
	}
	wants(t, h.renew(leaf), codes.PermissionDenied, "has been revoked")
	list, err := h.ListIssued(t.Context(), &adminv1.ListIssuedRequest{Consumer: edge})
	if err != nil || len(list.GetCertificates()) != 0 {
		t.Errorf("still in force: %v, %v", list, err)
	}
}

func TestARenewedCertificateLivesNoLongerThanTheFirst(t *testing.T) {
	h := hold(t)
	leaf, err := h.enrol(h.token())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		h.clock.Pass(10 * time.Hour)
		response, err := h.Enrolment.Renew(h.by(leaf), &adminv1.RenewRequest{CertificateRequest: h.request()})
		if err != nil {
			t.Fatal(err)
		}
		chain, err := ca.ParseCertificates([]byte(response.GetCertificate().GetCertificatePem()))
		if err != nil {
			t.Fatal(err)
		}
		if first, next := leaf.NotAfter.Sub(leaf.NotBefore), chain[0].NotAfter.Sub(chain[0].NotBefore); next > first+time.Second {
			t.Errorf("the first lives for %s, the next for %s", first, next)
		}
		leaf = chain[0]
	}
}

func TestRenewRefuses(t *testing.T) {
	h := hold(t)
	leaf, err := h.enrol(h.token())
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.Enrolment.Renew(t.Context(), &adminv1.RenewRequest{CertificateRequest: h.request()})
	wants(t, err, codes.Unauthenticated, "no peer")
	_, err = h.Enrolment.Renew(peer.NewContext(t.Context(), &peer.Peer{AuthInfo: credentials.TLSInfo{}}), &adminv1.RenewRequest{CertificateRequest: h.request()})
	wants(t, err, codes.Unauthenticated, "present certificate")
	_, err = h.Enrolment.Renew(h.by(leaf), &adminv1.RenewRequest{CertificateRequest: "nonsense"})
	wants(t, err, codes.InvalidArgument, "certificate signing request")

	other := hold(t)
	wants(t, other.renew(leaf), codes.PermissionDenied, "not in the register")
	h.clock.Pass(48 * time.Hour)
	wants(t, h.renew(leaf), codes.PermissionDenied, "enrol anew")
}

func TestRevokingAnIdentityWithdrawsItsTokens(t *testing.T) {
	h := hold(t)
	token := h.token()
	wants(t, h.revoke(edge), codes.FailedPrecondition, "tokens are good for nothing now")
	_, err := h.enrol(token)
	wants(t, err, codes.PermissionDenied, "ask for another")
}

func TestATokenIsGoodForAnHour(t *testing.T) {
	h := hold(t)
	token := h.token()
	h.clock.Pass(enrolment.DefaultLifetime)
	_, err := h.enrol(token)
	wants(t, err, codes.PermissionDenied, "out of date")
}

func TestTokensAreForOurOwnProcessesAlone(t *testing.T) {
	h := hold(t)
	for identity, words := range map[string]string{
		"spiffe://example.org/operator/me":      "operators do not enrol",
		"spiffe://example.net/proxy/edge/a":     "another trust domain",
		"spiffe://example.org/workload/a":       "the path must be",
		"https://example.org/proxy/edge/a":      "must begin with spiffe://",
		"spiffe://example.org/proxy/edge/a/../": "the path must be",
	} {
		_, err := h.CreateEnrolmentToken(t.Context(), &adminv1.CreateEnrolmentTokenRequest{Identity: identity})
		wants(t, err, codes.InvalidArgument, words)
	}
}

func TestEnrolmentsAreLimited(t *testing.T) {
	h := hold(t)
	refused := 0
	for range 2 * enrolmentBurst {
		_, err := h.Enrolment.Enrol(t.Context(), &adminv1.EnrolRequest{})
		if status.Code(err) == codes.ResourceExhausted {
			refused++
		}
	}
	if refused == 0 {
		t.Error("none of many at once was refused")
	}
}

func TestTheServersOwnCertificateIsRenewedAfterTwoThirdsOfItsLife(t *testing.T) {
	h := hold(t)
	own := h.Enrolment.config.Own
	first, err := own.Get()
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Certificate) != 2 {
		t.Errorf("%d certificates are presented, want it and its authority", len(first.Certificate))
	}
	h.clock.Pass(15 * time.Hour)
	if again, err := own.Get(); err != nil || again != first {
		t.Errorf("after 15 of 24 hours it is another: %v", err)
	}
	h.clock.Pass(2 * time.Hour)
	if again, err := own.Get(); err != nil || again == first {
		t.Errorf("after 17 of 24 hours it is the same: %v", err)
	}
}

func TestOperatorsAreAdmittedByTheirCertificateInForce(t *testing.T) {
	h := hold(t)
	operators := &Operators{Home: h.home, TrustDomain: "example.org", Homes: h.Issuers, Clock: h.clock.Now}
	admit := func(ctx context.Context) error {
		_, err := operators.Admit(ctx, nil, nil, func(context.Context, any) (any, error) { return nil, nil })
		return err
	}
	issue := func(profile, identity string) *x509.Certificate {
		response, err := h.IssueCertificate(t.Context(), &adminv1.IssueCertificateRequest{
			Profile: profile, Consumer: identity, CommonName: "x", Uris: []string{identity}, CertificateRequest: h.request(),
		})
		if err != nil {
			t.Fatal(err)
		}
		chain, err := ca.ParseCertificates([]byte(response.GetChainPem()))
		if err != nil {
			t.Fatal(err)
		}
		return chain[0]
	}
	me := issue("operator", "spiffe://example.org/operator/me")
	if err := admit(h.by(me)); err != nil {
		t.Error(err)
	}
	if by := RequestedBy(h.by(me)); by != "spiffe://example.org/operator/me" {
		t.Errorf("requested by %q", by)
	}
	wants(t, admit(t.Context()), codes.Unauthenticated, "no peer")
	wants(t, admit(h.by(issue("proxy", edge))), codes.PermissionDenied, "is no operator")
	wants(t, admit(h.by(issue("operator", "spiffe://example.net/operator/me"))), codes.PermissionDenied, "another trust domain")
	if err := h.revoke("spiffe://example.org/operator/me"); err != nil {
		t.Fatal(err)
	}
	wants(t, admit(h.by(me)), codes.PermissionDenied, "has been revoked")
}

func TestTheRegisterNamesTheUserOfTheSocket(t *testing.T) {
	ctx := peer.NewContext(t.Context(), &peer.Peer{AuthInfo: asker.SocketInfo{User: 0}})
	if by := RequestedBy(ctx); by != "unix:root" && by != "unix:0" {
		t.Errorf("requested by %q", by)
	}
	if by := RequestedBy(t.Context()); by != "unknown" {
		t.Errorf("requested by %q", by)
	}
}

func TestWhatIsIssuedHereIsPublishedAtOnce(t *testing.T) {
	h := hold(t)
	local := Local(h.Issuers, hclog.NewNullLogger())
	if _, err := local.IssueCertificate(t.Context(), &adminv1.IssueCertificateRequest{Consumer: "mapps", CertificateRequest: h.request()}); err != nil {
		t.Fatal(err)
	}
	if due, err := h.home.Due(t.Context()); err != nil || !due.At.After(h.clock.Now()) {
		t.Errorf("due at %s (%s), %v", due.At, due.Reason, err)
	}
	_, err := local.IssueCertificate(t.Context(), &adminv1.IssueCertificateRequest{Authority: "partners", CertificateRequest: h.request()})
	if err == nil || strings.Contains(err.Error(), "rpc error") || !strings.Contains(err.Error(), `no authority "partners"`) {
		t.Errorf("got %v", err)
	}
}
