package xds_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	clusterservice "github.com/envoyproxy/go-control-plane/envoy/service/cluster/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	secretservice "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sallyport-project/sallyport/pki/ca"
)

func TestAClaimToBeAnotherEndsTheStream(t *testing.T) {
	for name, claim := range map[string]*core.Node{
		"another group":                  {Id: identity("edge", "edge-1"), Cluster: "sidecar"},
		"another group's identity":       {Id: identity("sidecar", "edge-1")},
		"another proxy of its own group": {Id: identity("edge", "edge-2"), Cluster: "edge"},
		"a name without an identity":     {Id: "edge-1"},
	} {
		for _, when := range []string{"first", "later"} {
			t.Run(name+" in the "+when+" message", func(t *testing.T) {
				e := newEnvironment(t)
				e.publish("edge", small())
				e.publish("sidecar", small())
				p := e.connect("edge", "edge-1")
				if when == "later" {
					p.ask(clusters)
					p.accepts("clusters +a +b")
				}
				p.send(&discovery.DeltaDiscoveryRequest{Node: claim, TypeUrl: secrets, ResourceNamesSubscribe: []string{"key"}})
				if code := p.ended(); code != codes.PermissionDenied {
					t.Errorf("the stream ended with %s, want %s", code, codes.PermissionDenied)
				}
			})
		}
	}
}

func TestATrueClaimOrNoneIsServed(t *testing.T) {
	for name, claim := range map[string]*core.Node{
		"none":             nil,
		"an empty one":     {},
		"only the group":   {Cluster: "edge"},
		"what it is":       {Id: identity("edge", "edge-1"), Cluster: "edge"},
		"and its metadata": {Id: identity("edge", "edge-1"), UserAgentName: "envoy", Locality: &core.Locality{Region: "r"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnvironment(t)
			e.publish("edge", small())
			p := e.connect("edge", "edge-1")
			p.send(&discovery.DeltaDiscoveryRequest{Node: claim, TypeUrl: clusters})
			p.accepts("clusters +a +b")
		})
	}
}

func TestOnlyTheCertificateOfAProxyOpensAStream(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	client := ca.Request{Profile: ca.Client}
	client.Subject.CommonName = "a partner"
	expired := proxyRequest("edge", "edge-1")
	expired.Validity = &ca.Validity{NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)}
	foreignDomain := ca.Request{Profile: ca.Proxy, URIs: []string{"spiffe://example.com/proxy/edge/edge-1"}}
	service := func(kind string) ca.Request {
		return ca.Request{Profile: ca.Service, URIs: []string{"spiffe://" + trustDomain + "/" + kind + "/main"}, IPAddresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}
	}
	for name, test := range map[string]struct {
		open func() *proxy
		want codes.Code
	}{
		"no certificate":               {func() *proxy { return e.open() }, codes.Unavailable},
		"another authority's":          {func() *proxy { return e.open(issueFrom(t, newAuthority(t, "proxies"), proxyRequest("edge", "edge-1"))) }, codes.Unavailable},
		"an expired one":               {func() *proxy { return e.open(e.issue(expired)) }, codes.Unavailable},
		"a client's":                   {func() *proxy { return e.open(e.issue(client)) }, codes.PermissionDenied},
		"a control plane's":            {func() *proxy { return e.open(e.issue(service("control-plane"))) }, codes.PermissionDenied},
		"an authorization service's":   {func() *proxy { return e.open(e.issue(service("authz"))) }, codes.PermissionDenied},
		"of a proxy of another domain": {func() *proxy { return e.open(e.issue(foreignDomain)) }, codes.PermissionDenied},
	} {
		t.Run(name, func(t *testing.T) {
			if code := test.open().ended(); code != test.want {
				t.Errorf("the stream ended with %s, want %s", code, test.want)
			}
		})
	}
	if known := e.cache.Proxies(); len(known) != 0 {
		t.Errorf("the cache knows %+v", known)
	}
}

func TestAStreamEndsWhenItsCertificateExpires(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	certificate := e.issue(proxyRequest("edge", "edge-1"))
	e.clock.set(certificate.Leaf.NotAfter.Add(-200 * time.Millisecond))
	if code := e.open(certificate).ended(); code != codes.Unauthenticated {
		t.Errorf("the stream ended with %s, want %s", code, codes.Unauthenticated)
	}
	e.eventually("the stream is closed", func() bool { return len(e.cache.Proxies()) == 1 && !e.cache.Proxies()[0].Connected })
}

func TestOnlyIncrementalADSIsServed(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	connection := e.dial(e.issue(proxyRequest("edge", "edge-1")))
	t.Cleanup(func() { _ = connection.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()

	for name, ask := range map[string]func() error{
		"state of the world": func() error {
			stream, err := discovery.NewAggregatedDiscoveryServiceClient(connection).StreamAggregatedResources(ctx)
			if err == nil {
				_ = stream.Send(&discovery.DiscoveryRequest{TypeUrl: secrets, ResourceNames: []string{"key"}})
				_, err = stream.Recv()
			}
			return err
		},
		"secrets alone": func() error {
			stream, err := secretservice.NewSecretDiscoveryServiceClient(connection).DeltaSecrets(ctx)
			if err == nil {
				_, err = stream.Recv()
			}
			return err
		},
		"a unary fetch of secrets": func() error {
			_, err := secretservice.NewSecretDiscoveryServiceClient(connection).FetchSecrets(ctx, &discovery.DiscoveryRequest{ResourceNames: []string{"key"}})
			return err
		},
		"clusters alone": func() error {
			stream, err := clusterservice.NewClusterDiscoveryServiceClient(connection).StreamClusters(ctx)
			if err == nil {
				_, err = stream.Recv()
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := ask(); status.Code(err) != codes.Unimplemented {
				t.Errorf("got %v, want %s", err, codes.Unimplemented)
			}
		})
	}
}
