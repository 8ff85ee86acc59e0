package estate

import (
	"testing"

	"github.com/sallyport-project/sallyport/envoy/routing"
)

func TestTheHeaviestUpstreamIsTheFirstByNameOfEquals(t *testing.T) {
	of := func(name string, weight uint32) routing.Upstream {
		return routing.Upstream{Weight: weight, Context: map[string]string{"upstream": name}}
	}
	if got := heaviest([]routing.Upstream{of("a", 1), of("c", 3), of("b", 3)}).Context["upstream"]; got != "b" {
		t.Errorf("got %s", got)
	}
}
