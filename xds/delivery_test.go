package xds_test

import (
	"testing"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
)

func TestTheInitialLoadGoesOutInOrder(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	p := e.connect("edge", "edge-1")
	// Everything is asked for at once: the order is the server's.
	p.ask(routes, "api")
	p.ask(listeners)
	p.ask(secrets, "key", "ca")
	p.ask(endpoints, "a", "b")
	p.ask(clusters)
	for range 5 {
		p.ack(p.next())
	}
	e.eventually("the proxy has everything", func() bool { return e.cache.Settled("edge") })
	for _, state := range p.state().Types {
		if state.Accepted == 0 || state.Pending != 0 || len(state.Refused) != 0 {
			t.Errorf("after the initial load the proxy has %+v", state)
		}
	}
}

func TestListenersAndRoutesWaitForClustersAndTheirEndpoints(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	p := e.connect("edge", "edge-1")
	p.ask(clusters)
	p.ask(secrets, "key", "ca")
	p.ask(listeners)
	p.ask(routes, "api")
	ofClusters := p.expect("clusters +a +b")
	ofSecrets := p.expect("secrets +ca +key")
	p.ack(ofSecrets)
	p.quiet() // nothing more before the clusters are acknowledged
	p.ack(ofClusters)
	p.quiet() // nor before their endpoints have been asked for
	p.ask(endpoints, "a")
	p.accepts("endpoints +a")
	p.quiet() // nor before all of them have
	p.ask(endpoints, "b")
	ofB := p.expect("endpoints +b")
	p.quiet() // nor before they are acknowledged
	p.ack(ofB)
	p.accepts("listeners +https")
	p.accepts("routes +api")
}

func TestAChangedRouteWaitsForTheClusterThatItLeadsTo(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	p := e.connect("edge", "edge-1")
	p.boot()
	e.publish("edge", small().with(clusters, "c", 1).with(endpoints, "c", 1).with(routes, "api", 2))
	p.accepts("clusters +c")
	p.quiet()
	p.ask(endpoints, "c")
	p.accepts("endpoints +c")
	p.accepts("routes +api")
}

func TestListenersDoNotWaitForWhatNobodyAsksFor(t *testing.T) {
	for name, w := range map[string]world{
		"a cluster without endpoints of its own (DNS)": world{}.with(clusters, "dns", 1),
		"endpoints without a cluster":                  world{}.with(clusters, "dns", 1).with(endpoints, "orphan", 1),
		"no cluster at all":                            {},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnvironment(t)
			e.publish("edge", w.with(listeners, "https", 1))
			p := e.connect("edge", "edge-1")
			p.ask(clusters)
			p.ack(p.next()) // may be empty
			p.ask(listeners)
			p.accepts("listeners +https")
		})
	}
}

func TestAProxyThatIsToHaveNothingIsToldSo(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", world{})
	p := e.connect("edge", "edge-1")
	p.ask(clusters)
	p.accepts("clusters")
	p.ask(listeners)
	p.accepts("listeners")
}

func TestAProxyOfAGroupWithoutASnapshotWaits(t *testing.T) {
	e := newEnvironment(t)
	p := e.connect("edge", "edge-1")
	p.ask(clusters)
	e.eventually("the request has arrived", func() bool { return len(p.state().Types) == 1 })
	if e.cache.Settled("edge") {
		t.Error("a group without a snapshot is settled")
	}
	e.publish("edge", small())
	p.accepts("clusters +a +b")
}

func TestAChangeSendsWhatHasChanged(t *testing.T) {
	for name, test := range map[string]struct {
		change func(world) world
		want   []string
	}{
		"a listener":                       {func(w world) world { return w.with(listeners, "https", 2) }, []string{"listeners +https"}},
		"a route":                          {func(w world) world { return w.with(routes, "api", 2) }, []string{"routes +api"}},
		"a secret":                         {func(w world) world { return w.with(secrets, "ca", 2) }, []string{"secrets +ca"}},
		"endpoints":                        {func(w world) world { return w.with(endpoints, "b", 2) }, []string{"endpoints +b"}},
		"a new route that nobody asks for": {func(w world) world { return w.with(routes, "other", 1) }, nil},
		"the labels alone":                 {func(w world) world { return w.with(routes, "api", 1, "policy@2") }, nil},
		"nothing":                          {func(w world) world { return w }, nil},
		// Envoy warms a changed cluster up with its endpoints, and does not ask for them.
		"a cluster, with its endpoints": {func(w world) world { return w.with(clusters, "a", 2) }, []string{"clusters +a", "endpoints +a"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnvironment(t)
			e.publish("edge", small())
			p := e.connect("edge", "edge-1")
			p.boot()
			e.publish("edge", test.change(small()))
			for _, want := range test.want {
				p.accepts(want)
			}
			p.quiet()
		})
	}
}

func TestChangesWhileAResponseIsOnItsWayAreSentAfterIt(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	p := e.connect("edge", "edge-1")
	p.boot()
	e.publish("edge", small().with(secrets, "ca", 2))
	first := p.expect("secrets +ca")
	e.publish("edge", small().with(secrets, "ca", 3))
	e.publish("edge", small().with(secrets, "ca", 4))
	p.ack(first)
	last := p.expect("secrets +ca")
	if got, want := last.GetResources()[0].GetVersion(), versionOf(t, small().with(secrets, "ca", 4), secrets, "ca"); got != want {
		t.Errorf("got the version %s, want that of the last change, %s", got, want)
	}
	p.ack(last)
	p.quiet()
}

func TestARenewedSubscriptionIsAnsweredAlsoWhenNothingHasChanged(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	p := e.connect("edge", "edge-1")
	p.boot()
	p.ask(secrets, "ca")
	p.accepts("secrets +ca")
	p.loseInterest(routes, "api")
	p.ask(routes, "api")
	p.accepts("routes +api")
	p.quiet()
}

func TestWhatAProxyHasLostInterestInIsNotSent(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	p := e.connect("edge", "edge-1")
	p.boot()
	p.loseInterest(secrets, "ca")
	p.quiet()
	e.publish("edge", small().with(secrets, "ca", 2))
	p.quiet()
}

func TestANameThatTheSnapshotLacksIsAnsweredWhenItAppears(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	p := e.connect("edge", "edge-1")
	p.boot()
	p.ask(secrets, "late")
	p.quiet()
	e.publish("edge", small().with(secrets, "late", 1))
	p.accepts("secrets +late")
}

// versions are those of a world's resources of a type.
func versions(t *testing.T, w world, typeURL string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name := range w[typeURL] {
		all[name] = versionOf(t, w, typeURL, name)
	}
	return all
}

func TestAProxyThatComesBackIsSentWhatItLacks(t *testing.T) {
	for name, test := range map[string]struct {
		now  world
		want []string
	}{
		"nothing has changed": {now: small()},
		"a secret has":        {now: small().with(secrets, "ca", 2), want: []string{"secrets +ca"}},
		"a route has":         {now: small().with(routes, "api", 2), want: []string{"routes +api"}},
		"a cluster is gone":   {now: small().without(clusters, "b").without(endpoints, "b"), want: []string{"clusters -b"}},
		"a cluster has changed, and its endpoints are wanted anew": {
			now: small().with(clusters, "b", 2), want: []string{"clusters +b", "endpoints +b"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnvironment(t)
			e.publish("edge", test.now)
			p := e.connect("edge", "edge-1")
			had := small()
			p.askWith(clusters, versions(t, had, clusters))
			p.askWith(endpoints, versions(t, had, endpoints), "a", "b")
			p.askWith(secrets, versions(t, had, secrets), "key", "ca")
			p.askWith(listeners, versions(t, had, listeners))
			p.askWith(routes, versions(t, had, routes), "api")
			for _, want := range test.want {
				p.accepts(want)
			}
			p.quiet()
			e.eventually("the proxy has everything", func() bool { return e.cache.Settled("edge") })
		})
	}
}

func TestAGroupIsNeverSentWhatIsAnothers(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	e.publish("sidecar", world{}.with(secrets, "sidecar-key", 1).with(clusters, "api", 1))
	p := e.connect("edge", "edge-1")
	p.boot()
	p.ask(secrets, "sidecar-key", "*") // `*` is everything of one's own
	p.ask(clusters, "api", "*")
	p.quiet()
	e.publish("sidecar", world{}.with(secrets, "sidecar-key", 2).with(clusters, "api", 2))
	p.quiet()
}

func TestATypeThatIsNotServedEndsTheStream(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	p := e.connect("edge", "edge-1")
	p.send(&discovery.DeltaDiscoveryRequest{TypeUrl: "type.googleapis.com/envoy.service.runtime.v3.Runtime"})
	if code := p.ended(); code != codes.InvalidArgument {
		t.Errorf("the stream ended with %s, want %s", code, codes.InvalidArgument)
	}
}
