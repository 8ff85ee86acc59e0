package xds_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/sallyport-project/sallyport/xds"
)

func TestTheServerEndsItsStreamsAndReturnsWhenItsContextEnds(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	p := e.connect("edge", "edge-1")
	p.boot()
	e.stop()
	if code := p.ended(); code != codes.Unavailable {
		t.Errorf("the stream ended with %s, want %s", code, codes.Unavailable)
	}
	select {
	case <-e.returned:
		if e.err != nil {
			t.Errorf("Run returned %v", e.err)
		}
	case <-time.After(patience):
		t.Fatal("Run does not return")
	}
}

func TestNothingIsLeftOfStreamsThatHaveEnded(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	first := e.connect("edge", "first")
	first.boot()
	first.hangUp()
	e.eventually("the stream is closed", func() bool { return !first.state().Connected })
	before := runtime.NumGoroutine()
	var open []*proxy
	for i := range 20 {
		p := e.connect("edge", fmt.Sprintf("edge-%d", i))
		p.ask(clusters)
		p.expect("clusters +a +b")
		open = append(open, p)
	}
	for _, p := range open {
		p.hangUp()
	}
	e.eventually("their goroutines have ended", func() bool { return runtime.NumGoroutine() <= before+2 })
	for _, proxy := range e.cache.Proxies() {
		if proxy.Connected {
			t.Errorf("%s is still connected", proxy.Identity)
		}
	}
}

func TestManyProxiesFollowManyChanges(t *testing.T) {
	e := newEnvironment(t)
	e.publish("edge", small())
	const proxies, changes = 5, 30
	for i := range proxies {
		p := e.connect("edge", fmt.Sprintf("edge-%d", i))
		p.boot()
		go p.takeAll()
	}
	w := small()
	for edition := range changes {
		w = w.with(routes, "api", edition+2, fmt.Sprintf("policy@%d", edition+2)).with(secrets, "ca", edition+2).with(clusters, "a", edition+2)
		e.publish("edge", w)
	}
	e.eventually("all have the last edition", func() bool { return e.cache.Settled("edge") })
	last := fmt.Sprintf("policy@%d", changes+1)
	if !e.cache.InUse(last) || e.cache.InUse(fmt.Sprintf("policy@%d", changes)) {
		t.Error("the proxies run something else than the last edition")
	}
}

func TestAnIncompleteConfigurationMakesNoServer(t *testing.T) {
	if _, err := xds.NewServer(t.Context(), xds.Config{}); err == nil {
		t.Error("a server was made of nothing")
	}
}
