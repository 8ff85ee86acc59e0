package xds_test

import "testing"

func TestAClusterGoesAfterTheRoutesThatLeadToItNoLonger(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	p := e.connect("edge", "edge-1")
	p.boot()
	e.publish("edge", small().without(clusters, "b").without(endpoints, "b").with(routes, "api", 2).with(listeners, "https", 2))
	ofListeners := p.expect("listeners +https")
	ofRoutes := p.expect("routes +api")
	p.quiet()
	p.ack(ofRoutes)
	p.quiet()
	p.ack(ofListeners)
	p.accepts("clusters -b")
	p.quiet()
	e.eventually("it is settled", func() bool { return e.cache.Settled("edge") })
}

func TestAClusterGoesAfterTheListenerThatGoesWithIt(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	p := e.connect("edge", "edge-1")
	p.boot()
	e.publish("edge", small().without(listeners, "https").without(clusters, "b").without(endpoints, "b"))
	ofListeners := p.expect("listeners -https")
	p.quiet()
	p.ack(ofListeners)
	p.accepts("clusters -b")
}

func TestAClusterStaysWhileAnOlderRouteRuns(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	p := e.connect("edge", "edge-1")
	p.boot()
	reduced := small().without(clusters, "b").without(endpoints, "b")
	e.publish("edge", reduced.with(routes, "api", 2))
	p.nack(p.expect("routes +api"), "no such cluster")
	p.quiet()
	e.publish("edge", reduced.with(routes, "api", 3))
	p.accepts("routes +api")
	p.accepts("clusters -b")
}

func TestAProxyThatComesBackKeepsAClusterUntilItHasTheRoutes(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small().without(clusters, "b").without(endpoints, "b").with(routes, "api", 2))
	p := e.connect("edge", "edge-1")
	had := small()
	p.askWith(clusters, versions(t, had, clusters))
	p.askWith(endpoints, versions(t, had, endpoints), "a", "b")
	p.askWith(secrets, versions(t, had, secrets), "key", "ca")
	p.askWith(listeners, versions(t, had, listeners))
	p.quiet()
	p.askWith(routes, versions(t, had, routes), "api")
	p.accepts("routes +api")
	p.accepts("clusters -b")
}

func TestAClusterThatIsTakenAwayAndPutBackStays(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	p := e.connect("edge", "edge-1")
	p.boot()
	e.publish("edge", small().without(clusters, "b").without(endpoints, "b").with(routes, "api", 2))
	ofRoutes := p.expect("routes +api")
	e.publish("edge", small())
	p.ack(ofRoutes)
	p.accepts("routes +api") // back to the first
	p.quiet()
}

func TestARefusedRemovalIsNotTriedForEver(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	p := e.connect("edge", "edge-1")
	p.boot()
	e.publish("edge", small().without(clusters, "b").without(endpoints, "b"))
	p.nack(p.expect("clusters -b"), "it is in use")
	p.quiet()
}
