package integration

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestAnEditTakesEffectWithoutADroppedConnection(t *testing.T) {
	e := newEstate(t)
	e.startXDS()
	e.startAuthz()
	e.startEnvoy()
	client := e.client("mapps")
	var connections atomic.Int64
	client.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		connections.Add(1)
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	eventually(t, "the edge serves", func() bool { status, _, _ := e.get(client, "/v1/a"); return status == http.StatusOK })
	l := e.loadFor(client, "/v1/a")
	eventually(t, "the load runs", func() bool { return l.ok.Load() > 20 })

	// A rule with an upstream of its own: a cluster, endpoints and a route arrive, and later go.
	second := strings.Replace(e.configuration(), "  - {name: all, match: {prefix: /v1}",
		"  - {name: second, match: {exact: /v1/second}, upstreams: [{name: second}], policy: partners}\n  - {name: all, match: {prefix: /v1}", 1) +
		"---\napi_version: sallyport/v1\nkind: Upstream\nmetadata: {name: second}\nspec: {endpoints: {addresses: [\"" + strings.TrimPrefix(e.api.URL, "http://") + "\"]}}\n"
	clusters := func(want int) func() bool {
		return func() bool {
			for _, proxy := range e.status().Proxies {
				for _, resources := range proxy.Types {
					if resources.Type == "cluster" {
						return resources.Accepted == want && resources.Pending == 0
					}
				}
			}
			return false
		}
	}
	for range 3 {
		e.configure("edge.yaml", second)
		took := eventually(t, "the new upstream is there", clusters(2))
		e.mustGet(client, "/v1/second", http.StatusOK)
		t.Logf("the edit took effect after %v", took.Round(time.Millisecond))
		e.configure("edge.yaml", e.configuration())
		eventually(t, "the new upstream has gone", clusters(1))
	}
	l.end()
	if l.denied.Load()+l.failed.Load()+l.other.Load() > 0 {
		t.Errorf("%d requests were denied, %d failed (%v)", l.denied.Load(), l.failed.Load(), l.lastFailure.Load())
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("the caller made %d connections", n)
	}
}
