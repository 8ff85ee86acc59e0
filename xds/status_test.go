package xds_test

import (
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/sallyport-project/sallyport/pki/spiffe"
	"github.com/sallyport-project/sallyport/xds/cache"
)

func TestStatusTellsWhatEachProxyHas(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	p := e.connect("edge", "edge-1")
	p.send(&discovery.DeltaDiscoveryRequest{TypeUrl: clusters, Node: &core.Node{
		Id: identity("edge", "edge-1"), UserAgentName: "envoy",
		UserAgentVersionType: &core.Node_UserAgentBuildVersion{UserAgentBuildVersion: &core.BuildVersion{Version: &typev3.SemanticVersion{MajorNumber: 1, MinorNumber: 40, Patch: 2}}},
	}})
	p.accepts("clusters +a +b")
	p.ask(secrets, "key", "ca")
	p.nack(p.expect("secrets +ca +key"), "no")
	p.nack(p.expect("secrets +ca"), "ca is bad")
	p.expect("secrets +key")

	want := []cache.Proxy{{
		Identity: identity("edge", "edge-1"), Group: "edge", Connected: true, Since: e.clock.Now(), UserAgent: "envoy/1.40.2",
		Types: []cache.TypeState{
			{Type: "cluster", Accepted: 2},
			{Type: "secret", Pending: 1, Refused: []cache.Refused{{Name: "ca", Version: versionOf(t, small(), secrets, "ca"), Message: "ca is bad", Time: e.clock.Now()}}},
		},
	}}
	got := e.cache.Proxies()
	for i := range got {
		if id, err := spiffe.FromCertificate(got[i].Certificate); err != nil || id.String() != got[i].Identity {
			t.Errorf("%s connected with the certificate of %s, %v", got[i].Identity, id, err)
		}
		got[i].Certificate = nil
	}
	if difference := cmp.Diff(want, got); difference != "" {
		t.Errorf("unexpected status (-want +got):\n%s", difference)
	}
}

func TestAProxyThatHasGoneIsRememberedForTheGrace(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	p := e.connect("edge", "edge-1")
	p.boot()
	e.clock.forward(time.Minute)
	p.hangUp()
	e.eventually("the stream is closed", func() bool { return !p.state().Connected })
	if got := p.state(); !got.Since.Equal(e.clock.Now()) || len(got.Types) != 5 {
		t.Errorf("a proxy that has gone is remembered as %+v", got)
	}
	e.clock.forward(grace)
	if len(e.cache.Proxies()) != 1 {
		t.Error("the proxy is forgotten within the grace")
	}
	e.clock.forward(time.Second)
	if left := e.cache.Proxies(); len(left) != 0 {
		t.Errorf("after the grace the cache knows %+v", left)
	}
}

// inUse checks which versions of the policy some proxy may be running.
func (e *environment) inUse(when string, want map[string]bool) {
	e.t.Helper()
	for label, used := range want {
		if got := e.cache.InUse(label); got != used {
			e.t.Errorf("%s: is %s in use? got %t, want %t", when, label, got, used)
		}
	}
}

func TestALabelIsInUseFromWhenItIsSentUntilItIsReplaced(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	e.inUse("nobody is connected", map[string]bool{"policy@1": false})
	p := e.connect("edge", "edge-1")
	p.boot()
	e.inUse("it is loaded", map[string]bool{"policy@1": true, "policy@2": false})

	e.publish("edge", small().with(routes, "api", 2, "policy@2"))
	second := p.expect("routes +api")
	e.inUse("the next is on its way", map[string]bool{"policy@1": true, "policy@2": true})
	p.ack(second)
	e.eventually("the first is released", func() bool { return !e.cache.InUse("policy@1") })
	e.inUse("the next is accepted", map[string]bool{"policy@2": true})

	e.publish("edge", small().with(routes, "api", 3, "policy@3"))
	p.nack(p.expect("routes +api"), "bad")
	e.eventually("the third is released", func() bool { return !e.cache.InUse("policy@3") })
	e.inUse("the third is refused", map[string]bool{"policy@2": true})

	p.loseInterest(routes, "api")
	e.eventually("the second is released", func() bool { return !e.cache.InUse("policy@2") })
}

func TestALabelOfAResponseThatWasRefusedAsAWholeMayBeInUse(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	p := e.connect("edge", "edge-1")
	p.boot()
	p.ask(routes, "other")
	p.quiet()
	e.publish("edge", small().with(routes, "api", 2, "policy@2").with(routes, "other", 1, "other@1"))
	refused := p.expect("routes +api +other")
	e.publish("edge", small().with(routes, "api", 3, "policy@3"))
	p.nack(refused, "bad")
	third := p.expect("routes +api")
	e.inUse("nobody knows what was applied", map[string]bool{"policy@1": true, "policy@2": true, "policy@3": true})
	p.ack(third)
	e.eventually("the others are released", func() bool { return !e.cache.InUse("policy@1") && !e.cache.InUse("policy@2") })
	e.inUse("the third is accepted", map[string]bool{"policy@3": true})
}

func TestAResponseAcceptedAfterItsNameWasDroppedHoldsNoLabel(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	p := e.connect("edge", "edge-1")
	p.boot()
	e.publish("edge", small().with(routes, "api", 2, "policy@2"))
	response := p.expect("routes +api")
	p.loseInterest(routes, "api")
	p.ack(response)
	p.quiet()
	e.inUse("interest is lost", map[string]bool{"policy@1": false, "policy@2": false})
}

func TestLabelsOfAProxyThatHasGoneAreHeldForTheGrace(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	p := e.connect("edge", "edge-1")
	p.boot()
	p.hangUp()
	e.eventually("the stream is closed", func() bool { return !p.state().Connected })
	second := small().with(routes, "api", 2, "policy@2")
	e.publish("edge", second)
	e.inUse("it has gone", map[string]bool{"policy@1": true, "policy@2": false})

	// It comes back with the first routes, but names its clusters before them.
	p = e.connect("edge", "edge-1")
	p.askWith(clusters, versions(t, small(), clusters))
	p.askWith(endpoints, versions(t, small(), endpoints), "a", "b")
	p.askWith(secrets, versions(t, small(), secrets), "key", "ca")
	p.quiet()
	e.inUse("it has said nothing of its routes", map[string]bool{"policy@1": true})
	p.askWith(listeners, versions(t, small(), listeners))
	p.askWith(routes, versions(t, small(), routes), "api")
	p.accepts("routes +api")
	e.eventually("the first is released", func() bool { return !e.cache.InUse("policy@1") })

	p.hangUp()
	e.eventually("the stream is closed", func() bool { return !p.state().Connected })
	e.clock.forward(grace + time.Second)
	e.inUse("the grace is over", map[string]bool{"policy@2": false})
}

func TestTwoStreamsOfOneIdentityBothCount(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	first := e.connect("edge", "edge-1")
	first.boot()
	e.publish("edge", small().with(routes, "api", 2, "policy@2"))
	first.expect("routes +api") // and is silent from here on

	second := e.connect("edge", "edge-1")
	second.load()
	e.inUse("the first has not answered", map[string]bool{"policy@1": true, "policy@2": true})
	first.hangUp()
	e.eventually("the first is released", func() bool { return !e.cache.InUse("policy@1") })
	if !second.state().Connected {
		t.Error("the end of an older stream has made its proxy look disconnected")
	}
}
