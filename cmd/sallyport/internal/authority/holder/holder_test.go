package holder

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/authority"
	"github.com/sallyport-project/sallyport/internal/serving"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/enrolment"
	"github.com/sallyport-project/sallyport/pki/issuer"
	"github.com/sallyport-project/sallyport/pki/spiffe"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

const edge = "spiffe://example.org/proxy/edge/edge-1"

// server is an enrolment service that listens.
type server struct {
	*testing.T
	home    *issuer.Issuer
	service *authority.Enrolment
}

// begin starts a server that gives certificates of its own authority, with the lifetime for proxies.
func begin(t *testing.T, lifetime time.Duration) *server {
	t.Helper()
	settings := issuer.Settings{Name: "proxies", Lifetimes: map[ca.Profile]issuer.Duration{ca.Proxy: issuer.Duration(lifetime)}}
	home, err := issuer.Init(t.Context(), authority.Home{Dir: filepath.Join(t.TempDir(), "proxies")}.Config(), issuer.Options{Settings: settings, RootOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	book, err := enrolment.Open("", nil)
	if err != nil {
		t.Fatal(err)
	}
	service, err := authority.NewEnrolment(authority.EnrolmentConfig{
		Issuer: home, Book: book, Server: listener.Addr().String(), TrustDomain: "example.org", Logger: hclog.NewNullLogger(),
		Own: &authority.Own{
			Issuer: home, Identity: spiffe.Identity{TrustDomain: "example.org", Kind: spiffe.ControlPlane, Name: "a"},
			Logger: hclog.NewNullLogger(), Clock: time.Now,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	serve := grpc.NewServer(grpc.Creds(credentials.NewTLS(service.TLS())))
	adminv1.RegisterEnrolmentServiceServer(serve, service)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serving.GRPC(ctx, serve, listener, time.Second) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return &server{t, home, service}
}

func (s *server) token() enrolment.Token {
	s.Helper()
	token, _, err := s.service.Give(edge, "a test", 0)
	if err != nil {
		s.Fatal(err)
	}
	return token
}

func (s *server) enrolled() Folder {
	s.Helper()
	folder := Folder{Dir: filepath.Join(s.TempDir(), "edge")}
	if identity, err := folder.Enrol(s.Context(), s.token()); err != nil || identity.String() != edge {
		s.Fatalf("enrolled as %s, %v", identity, err)
	}
	return folder
}

func TestAFolderHoldsWhatWasGiven(t *testing.T) {
	s := begin(t, 90*time.Second) // of a life that began a minute ago, more than a third is over
	folder := s.enrolled()
	pair, err := folder.Load()
	if err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{KeyFile: 0o600, CertificateFile: 0o644, AuthorityFile: 0o644} {
		if info, err := os.Stat(folder.Path(name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: mode %v, %v", name, info.Mode(), err)
		}
	}
	if _, err := folder.Enrol(t.Context(), s.token()); err == nil || !strings.Contains(err.Error(), "never overwritten") {
		t.Errorf("enrolled again: %v", err)
	}
	renewed, err := folder.Renew(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again, err := folder.Load()
	if err != nil || !again.Leaf.Equal(renewed) || again.Leaf.Equal(pair.Leaf) {
		t.Errorf("the folder does not hold the renewed certificate: %v", err)
	}
	if entries, err := os.ReadDir(folder.Dir); err != nil || len(entries) != 4 {
		t.Errorf("%d files, %v", len(entries), err)
	}
}

func TestEnrolRefusesAServerThatTheTokenDoesNotPin(t *testing.T) {
	s, other := begin(t, time.Hour), begin(t, time.Hour)
	token := s.token()
	token.Server = other.token().Server
	folder := Folder{Dir: filepath.Join(t.TempDir(), "edge")}
	if _, err := folder.Enrol(t.Context(), token); err == nil || !strings.Contains(err.Error(), "not of the authority that the token names") {
		t.Fatalf("got %v", err)
	}
	if entries, err := os.ReadDir(folder.Dir); err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestAReplacementThatWasBrokenOffIsBroughtToItsEnd(t *testing.T) {
	s := begin(t, 90*time.Second) // of a life that began a minute ago, more than a third is over
	folder := s.enrolled()
	before, err := os.ReadFile(folder.Path(KeyFile))
	if err != nil {
		t.Fatal(err)
	}
	renewed, err := folder.Renew(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// As it is when the process ends between the two files.
	if err := os.Rename(folder.Path(KeyFile), folder.Path(nextKeyFile)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(folder.Path(KeyFile), before, 0o600); err != nil {
		t.Fatal(err)
	}
	pair, err := folder.Load()
	if err != nil || !pair.Leaf.Equal(renewed) {
		t.Fatalf("got %v", err)
	}
	if _, err := os.Stat(folder.Path(nextKeyFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the next key is still there: %v", err)
	}
}

func TestRenewSaysWhatDoesNotGoAway(t *testing.T) {
	s := begin(t, time.Hour)
	folder := s.enrolled()
	if _, err := s.home.Revoke(t.Context(), issuer.Revocation{Consumer: edge, Reason: ca.KeyCompromise}); err != nil {
		t.Fatal(err)
	}
	if _, err := folder.Renew(t.Context()); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "has been revoked") {
		t.Errorf("revoked: %v", err)
	}
	folder.Clock = func() time.Time { return time.Now().Add(2 * time.Hour) }
	if _, err := folder.Renew(t.Context()); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "ran out") {
		t.Errorf("expired: %v", err)
	}
	if _, err := (Folder{Dir: t.TempDir()}).Renew(t.Context()); err == nil || !strings.Contains(err.Error(), "proxy enroll") {
		t.Errorf("an empty folder: %v", err)
	}
}

func TestRunEndsWhenTheServerRefuses(t *testing.T) {
	s := begin(t, 20*time.Second)
	folder := s.enrolled() // it is due at once: its life began a minute ago
	if _, err := s.home.Revoke(t.Context(), issuer.Revocation{Consumer: edge, Reason: ca.KeyCompromise}); err != nil {
		t.Fatal(err)
	}
	if err := folder.Run(t.Context(), hclog.NewNullLogger()); !errors.Is(err, ErrRefused) {
		t.Errorf("got %v", err)
	}
}

func TestRenewTellsThatItIsTooEarly(t *testing.T) {
	s := begin(t, time.Hour)
	folder := s.enrolled()
	before, err := folder.Load()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := folder.Renew(t.Context()); !errors.Is(err, ErrNotDue) || errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "may not be renewed before") {
		t.Errorf("got %v", err)
	}
	if after, err := folder.Load(); err != nil || !after.Leaf.Equal(before.Leaf) {
		t.Errorf("the folder has changed: %v", err)
	}
	if _, err := os.Stat(folder.Path(nextKeyFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the next key is left behind: %v", err)
	}
}
