package xds_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/sallyport-project/sallyport/xds/cache"
)

// proxy is a client that speaks incremental ADS, with every message of its own written out by the test.
type proxy struct {
	e         *environment
	t         *testing.T
	identity  string
	stream    discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
	responses chan *discovery.DeltaDiscoveryResponse
	// end receives why the stream ended.
	end chan error
	// hangUp ends the stream.
	hangUp func()
}

// connect opens the stream of a proxy of a group.
func (e *environment) connect(group, name string) *proxy {
	e.t.Helper()
	p := e.open(e.issue(proxyRequest(group, name)))
	p.identity = identity(group, name)
	return p
}

// open opens a stream with any certificate, or none.
func (e *environment) open(certificates ...tls.Certificate) *proxy {
	e.t.Helper()
	connection := e.dial(certificates...)
	ctx, cancel := context.WithCancel(context.Background())
	p := &proxy{e: e, t: e.t, responses: make(chan *discovery.DeltaDiscoveryResponse, 100), end: make(chan error, 1)}
	p.hangUp = func() { cancel(); _ = connection.Close() }
	e.t.Cleanup(p.hangUp)
	stream, err := discovery.NewAggregatedDiscoveryServiceClient(connection).DeltaAggregatedResources(ctx)
	if err != nil {
		p.end <- err
		return p
	}
	p.stream = stream
	go func() {
		for {
			response, err := stream.Recv()
			if err != nil {
				p.end <- err
				return
			}
			p.responses <- response
		}
	}()
	return p
}

func (e *environment) dial(certificates ...tls.Certificate) *grpc.ClientConn {
	e.t.Helper()
	connection, err := grpc.NewClient(e.address, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
		RootCAs: e.pool(), Certificates: certificates, MinVersion: tls.VersionTLS12,
	})))
	if err != nil {
		e.t.Fatal(err)
	}
	return connection
}

// send sends a request as it is.
func (p *proxy) send(request *discovery.DeltaDiscoveryRequest) {
	p.t.Helper()
	if err := p.stream.Send(request); err != nil && !errors.Is(err, io.EOF) {
		p.t.Fatal(err)
	}
}

// ask subscribes to names, or to everything of the type where there are none.
func (p *proxy) ask(typeURL string, names ...string) {
	p.t.Helper()
	p.send(&discovery.DeltaDiscoveryRequest{Node: p.claim(), TypeUrl: typeURL, ResourceNamesSubscribe: names})
}

// askWith subscribes as a proxy does that comes back: it says what it has.
func (p *proxy) askWith(typeURL string, have map[string]string, names ...string) {
	p.t.Helper()
	p.send(&discovery.DeltaDiscoveryRequest{Node: p.claim(), TypeUrl: typeURL, ResourceNamesSubscribe: names, InitialResourceVersions: have})
}

func (p *proxy) loseInterest(typeURL string, names ...string) {
	p.t.Helper()
	p.send(&discovery.DeltaDiscoveryRequest{TypeUrl: typeURL, ResourceNamesUnsubscribe: names})
}

func (p *proxy) claim() *core.Node {
	return &core.Node{Id: p.identity}
}

func (p *proxy) ack(response *discovery.DeltaDiscoveryResponse) {
	p.t.Helper()
	p.send(&discovery.DeltaDiscoveryRequest{TypeUrl: response.GetTypeUrl(), ResponseNonce: response.GetNonce()})
}

func (p *proxy) nack(response *discovery.DeltaDiscoveryResponse, message string) {
	p.t.Helper()
	p.send(&discovery.DeltaDiscoveryRequest{
		TypeUrl: response.GetTypeUrl(), ResponseNonce: response.GetNonce(),
		ErrorDetail: &status.Status{Code: int32(codes.InvalidArgument), Message: message},
	})
}

// next is the next response.
func (p *proxy) next() *discovery.DeltaDiscoveryResponse {
	p.t.Helper()
	select {
	case response := <-p.responses:
		return response
	case err := <-p.end:
		p.t.Fatalf("the stream has ended: %v", err)
	case <-time.After(patience):
		p.t.Fatal("no response came")
	}
	return nil
}

// expect waits for the next response, which must hold exactly this: `clusters +a +b -c`.
func (p *proxy) expect(want string) *discovery.DeltaDiscoveryResponse {
	p.t.Helper()
	response := p.next()
	if got := summary(response); got != want {
		p.t.Fatalf("got the response %q, want %q", got, want)
	}
	return response
}

// accepts expects a response and acknowledges it.
func (p *proxy) accepts(want string) {
	p.t.Helper()
	p.ack(p.expect(want))
}

func summary(response *discovery.DeltaDiscoveryResponse) string {
	text := kinds[response.GetTypeUrl()]
	for _, r := range response.GetResources() {
		text += " +" + r.GetName()
	}
	for _, name := range response.GetRemovedResources() {
		text += " -" + name
	}
	return text
}

// quiet checks that nothing was sent that has not been expected: responses keep their order, so what has been sent comes
// before the answer to a renewed subscription. The proxy must have the secret `key`.
func (p *proxy) quiet() {
	p.t.Helper()
	p.ask(secrets, "key")
	p.accepts("secrets +key")
}

// boot takes the proxy through the initial load of a small world, and waits until its group is settled.
func (p *proxy) boot() {
	p.t.Helper()
	p.load()
	p.e.eventually("the proxy has everything", func() bool { return p.e.cache.Settled(p.state().Group) })
}

// load takes the proxy through the initial load of a small world.
func (p *proxy) load() {
	p.t.Helper()
	p.ask(clusters)
	p.accepts("clusters +a +b")
	p.ask(endpoints, "a", "b")
	p.accepts("endpoints +a +b")
	p.ask(listeners)
	p.accepts("listeners +https")
	p.ask(secrets, "key", "ca")
	p.accepts("secrets +ca +key")
	p.ask(routes, "api")
	p.accepts("routes +api")
}

// takeAll accepts whatever comes, until the stream ends.
func (p *proxy) takeAll() {
	for {
		select {
		case response := <-p.responses:
			p.ack(response)
		case err := <-p.end:
			p.end <- err // for whoever asks
			return
		}
	}
}

// ended waits for the end of the stream and returns its code.
func (p *proxy) ended() codes.Code {
	p.t.Helper()
	for {
		select {
		case err := <-p.end:
			p.t.Logf("the stream ended: %v", err)
			if errors.Is(err, io.EOF) {
				return codes.OK
			}
			return grpcstatus.Code(err)
		case <-p.responses:
		case <-time.After(patience):
			p.t.Fatal("the stream does not end")
		}
	}
}

// state is what the cache knows of the proxy.
func (p *proxy) state() cache.Proxy {
	p.t.Helper()
	for _, state := range p.e.cache.Proxies() {
		if state.Identity == p.identity {
			return state
		}
	}
	return cache.Proxy{}
}

// refused lists what the proxy has refused: `secret ca: message`.
func (p *proxy) refused() []string {
	var all []string
	for _, t := range p.state().Types {
		for _, r := range t.Refused {
			all = append(all, fmt.Sprintf("%s %s: %s", t.Type, r.Name, r.Message))
		}
	}
	return all
}
