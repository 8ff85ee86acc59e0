package xds_test

import (
	"slices"
	"testing"

	"github.com/sallyport-project/sallyport/xds/cache"
)

func versionOf(t *testing.T, w world, typeURL, name string) string {
	t.Helper()
	snapshot, err := cache.NewSnapshot(w)
	if err != nil {
		t.Fatal(err)
	}
	return snapshot.Version(typeURL, name)
}

func TestWhatStoodInARefusedResponseIsSentOneByOne(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	p := e.connect("edge", "edge-1")
	p.boot()
	changed := small().with(secrets, "key", 2).with(secrets, "ca", 2)
	e.publish("edge", changed)
	p.nack(p.expect("secrets +ca +key"), "one of them is bad")

	const message = "Failed to load trusted CA certificates from <inline>"
	p.nack(p.expect("secrets +ca"), message)
	p.accepts("secrets +key")
	p.quiet()

	if got, want := p.refused(), []string{"secret ca: " + message}; !slices.Equal(got, want) {
		t.Errorf("refused are %q, want %q", got, want)
	}
	e.eventually("it is settled", func() bool { return e.cache.Settled("edge") })

	// The same version is not sent again, whatever else changes; another one is.
	e.publish("edge", changed.with(secrets, "key", 3))
	p.accepts("secrets +key")
	p.quiet()
	e.publish("edge", changed.with(secrets, "key", 3).with(secrets, "ca", 3))
	p.accepts("secrets +ca")
	e.eventually("nothing is refused any more", func() bool { return len(p.refused()) == 0 })
}

func TestARefusedResourceOfEachTypeDoesNotHoldUpTheOthers(t *testing.T) {
	for _, test := range []struct{ typeURL, bad, good string }{
		{clusters, "bad", "good"}, {listeners, "bad", "good"},
	} {
		t.Run(kinds[test.typeURL], func(t *testing.T) {
			kind := kinds[test.typeURL]
			e := newEnvironment(t)
			e.publish("edge", small())
			p := e.connect("edge", "edge-1")
			p.boot()
			e.publish("edge", small().with(test.typeURL, test.bad, 1).with(test.typeURL, test.good, 1).with(routes, "api", 2))
			all := p.expect(kind + " +bad +good")
			if test.typeURL == listeners {
				p.accepts("routes +api")
			}
			p.nack(all, "bad is bad")
			p.nack(p.expect(kind+" +bad"), "bad is bad")
			p.accepts(kind + " +good")
			if test.typeURL == clusters {
				p.accepts("routes +api")
			}
			p.quiet()
		})
	}
}

func TestARefusedClusterIsNotWaitedForNorAreItsEndpoints(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	p := e.connect("edge", "edge-1")
	p.ask(clusters)
	p.nack(p.expect("clusters +a +b"), "b is bad")
	p.accepts("clusters +a")
	p.nack(p.expect("clusters +b"), "b is bad")
	p.ask(listeners)
	p.ask(endpoints, "a")
	p.accepts("endpoints +a")
	p.accepts("listeners +https")
}

func TestARefusalIsForgottenWhenItsResourceIsGone(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	p := e.connect("edge", "edge-1")
	p.boot()
	e.publish("edge", small().with(secrets, "ca", 2))
	p.nack(p.expect("secrets +ca"), "bad")
	p.quiet()
	e.publish("edge", small().without(secrets, "ca"))
	e.eventually("nothing is refused any more", func() bool { return len(p.refused()) == 0 })
	p.quiet()
}

func TestARefusalIsForgottenWhenTheResourceIsAsItWasBefore(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	p := e.connect("edge", "edge-1")
	p.boot()
	e.publish("edge", small().with(routes, "api", 2))
	p.nack(p.expect("routes +api"), "bad")
	e.eventually("it is refused", func() bool { return len(p.refused()) == 1 })
	e.publish("edge", small())
	e.eventually("nothing is refused any more", func() bool { return len(p.refused()) == 0 })
	p.quiet() // the proxy has the older one yet
}

func TestGoingBackAfterAnUnclearRefusalSendsTheOlderOneAgain(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	p := e.connect("edge", "edge-1")
	p.boot()
	e.publish("edge", small().with(listeners, "https", 2).with(listeners, "bad", 1))
	refused := p.expect("listeners +bad +https")
	// Envoy has applied the good one of them.
	e.publish("edge", small())
	p.nack(refused, "bad is bad")
	p.accepts("listeners +https")
	p.accepts("listeners -bad")
	p.quiet()
}

func TestAChangeThatComesInBetweenIsSentOnceTheOthersAre(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	p := e.connect("edge", "edge-1")
	p.boot()
	p.ask(secrets, "third")
	p.quiet()
	e.publish("edge", small().with(secrets, "key", 2).with(secrets, "ca", 2))
	refused := p.expect("secrets +ca +key")
	// What was refused is gone before it can be tried again, and something else has come.
	e.publish("edge", small().without(secrets, "ca").without(secrets, "key").with(secrets, "third", 1))
	p.nack(refused, "bad")
	p.accepts("secrets +third")
}

func TestAnAnswerToAnotherStreamsResponseIsNone(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	p := e.connect("edge", "edge-1")
	p.ask(clusters)
	response := p.expect("clusters +a +b")
	response.Nonce = "another"
	p.nack(response, "never sent")
	e.eventually("the answer has arrived", func() bool { return len(p.state().Types) == 1 })
	if got := p.state().Types[0]; got.Pending != 2 || len(got.Refused) != 0 {
		t.Errorf("after an answer with an unknown nonce the state is %+v", got)
	}
}
