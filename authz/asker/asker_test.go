package asker_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/sallyport-project/sallyport/authz/asker"
	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/pki/ca"
)

// revoked says that nothing counts any more.
type revoked struct{}

func (revoked) Check(*x509.Certificate, *x509.Certificate) error { return errors.New("it was revoked") }
func (revoked) Changed() <-chan struct{}                         { return nil }

func TestAnOpenConnectionSaysNothingMoreOnceItsCertificateIsRevoked(t *testing.T) {
	authority := fixture.NewAuthority(t, "proxies")
	pair, err := authority.Issue(ca.Request{Profile: ca.Proxy, URIs: []string{"spiffe://example.org/proxy/edge/one"}, Lifetime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	ctx := peer.NewContext(t.Context(), &peer.Peer{AuthInfo: credentials.TLSInfo{State: tls.ConnectionState{
		VerifiedChains: [][]*x509.Certificate{{pair.Certificate, authority.Certificate()}},
	}}})
	identifier := asker.Identifier{TrustDomain: "example.org", Clock: func() time.Time { return fixture.Noon }}
	if _, err := identifier.Identify(ctx); err != nil {
		t.Fatal(err)
	}
	identifier.Revocation = revoked{}
	if who, err := identifier.Identify(ctx); err == nil {
		t.Errorf("it is still %+v's", who)
	}
}

func TestAConnectionSaysWhoAsksAsLongAsItsCertificateIsValid(t *testing.T) {
	pair, err := fixture.NewAuthority(t, "proxies").Issue(ca.Request{Profile: ca.Proxy, URIs: []string{"spiffe://example.org/proxy/edge/one"}, Lifetime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	verified := credentials.TLSInfo{State: tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{pair.Certificate}}}}
	unverified := credentials.TLSInfo{State: tls.ConnectionState{PeerCertificates: []*x509.Certificate{pair.Certificate}}}
	for name, test := range map[string]struct {
		info  credentials.AuthInfo
		after time.Duration
		want  asker.Asker
	}{
		"a verified certificate":        {verified, 0, asker.Asker{Group: "edge", Name: "spiffe://example.org/proxy/edge/one"}},
		"one that has expired since":    {verified, 2 * time.Hour, asker.Asker{}},
		"a certificate as it came":      {unverified, 0, asker.Asker{}},
		"a socket":                      {asker.SocketInfo{Group: "edge"}, 0, asker.Asker{Group: "edge", Name: "unix:edge"}},
		"a connection that says naught": {nil, 0, asker.Asker{}},
	} {
		t.Run(name, func(t *testing.T) {
			identifier := asker.Identifier{TrustDomain: "example.org", Clock: func() time.Time { return fixture.Noon.Add(test.after) }}
			got, err := identifier.Identify(peer.NewContext(t.Context(), &peer.Peer{AuthInfo: test.info}))
			if got != test.want || (err == nil) != (test.want != asker.Asker{}) {
				t.Errorf("%+v, error %v, want %+v", got, err, test.want)
			}
		})
	}
	if who, err := (asker.Identifier{Clock: time.Now}).Identify(context.Background()); err == nil {
		t.Errorf("a call without a connection is %+v's", who)
	}
}
