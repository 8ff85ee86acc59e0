package routing_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/sallyport-project/sallyport/envoy/routing"
)

var (
	seed           = flag.Uint64("seed", 0, "what the differential test generates its configurations and requests from; 0 takes another one each time")
	configurations = flag.Int("configurations", 24, "how many configurations the differential test generates")
	requests       = flag.Int("requests", 150, "how many requests the differential test sends to each TLS entry")
)

// subject is one generated route configuration, as it is simulated and as an Envoy serves it.
type subject struct {
	name, configuration string
	routes              *routev3.RouteConfiguration
	simulated           *routing.Listener
	served              *listenerv3.Listener
	oracle              *oracle
}

// answer is what both sides are compared by.
type answer struct {
	Status int
	// Choice names the virtual host and the route; Path and Host are as they came to it. All are empty where Envoy answered
	// by itself.
	Choice, Path, Host string
}

// TestEnvoyChoosesTheSameRoute compares the simulation with a real Envoy on requests that are generated from the
// generated configuration and then distorted.
func TestEnvoyChoosesTheSameRoute(t *testing.T) {
	number := *seed
	if number == 0 {
		number = uint64(time.Now().UnixNano())
	}
	t.Logf("run it again with -seed=%d", number)
	random := rand.New(rand.NewPCG(number, number))
	subjects := subjectsOf(t, random)
	serve(t, subjects)

	seeds := make([]uint64, len(subjects))
	for i := range seeds {
		seeds[i] = random.Uint64()
	}
	const workers = 4
	queue := make(chan int)
	var group sync.WaitGroup
	statuses := make([]map[int]int, len(subjects))
	for range workers {
		group.Go(func() {
			for i := range queue {
				statuses[i] = subjects[i].compare(t, rand.New(rand.NewPCG(seeds[i], seeds[i])))
			}
		})
	}
	for i := range subjects {
		queue <- i
	}
	close(queue)
	group.Wait()
	total := map[int]int{}
	for _, counts := range statuses {
		for status, count := range counts {
			total[status] += count
		}
	}
	t.Logf("%d route configurations; requests by status (200: a route was chosen): %v", len(subjects), total)
	if !t.Failed() && total[http.StatusOK] < len(subjects)**requests/3 {
		t.Error("too few requests came to a route for this test to say much")
	}
}

// subjectsOf generates configurations until there are enough valid ones.
func subjectsOf(t *testing.T, random *rand.Rand) []*subject {
	t.Helper()
	var subjects []*subject
	made := 0
	for attempt := 0; made < *configurations; attempt++ {
		if attempt > 200**configurations {
			t.Fatal("hardly any generated configuration is valid")
		}
		content := configuration(random)
		generated := resources(content)
		if generated == nil {
			continue
		}
		made++
		for _, listener := range inOrder(generated.Listeners) {
			for _, chain := range listener.GetFilterChains() {
				subjects = append(subjects, newSubject(t, fmt.Sprintf("%d %s", made, chain.GetName()), content, chain, generated.Routes))
			}
		}
	}
	return subjects
}

func inOrder[V any](m map[string]V) []V {
	var values []V
	for _, name := range slices.Sorted(maps.Keys(m)) {
		values = append(values, m[name])
	}
	return values
}

// compare sends requests until one is answered otherwise than simulated, and counts the answers.
func (s *subject) compare(t *testing.T, random *rand.Rand) map[int]int {
	counts := map[int]int{}
	for range *requests {
		request := target(random, s.routes)
		want, got, err := s.both(t.Context(), request)
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
			return counts
		}
		if want == got {
			counts[got.Status]++
			continue
		}
		request = s.smallest(t.Context(), request)
		want, got, err = s.both(t.Context(), request)
		t.Errorf("%s: the smallest request that is answered differently (%v):\n%+q\nsimulated %+v\nEnvoy     %+v\nroutes %s\n%s",
			s.name, err, request, want, got, s.routes.GetName(), s.configuration)
		return counts
	}
	return counts
}

// both returns what is simulated, and what Envoy does.
func (s *subject) both(ctx context.Context, request routing.Request) (want, got answer, err error) {
	got, err = s.oracle.ask(ctx, request)
	return s.simulate(request), got, err
}

func (s *subject) simulate(request routing.Request) answer {
	decision := s.simulated.Choose(request)
	if decision.Route == nil {
		return answer{Status: decision.Status}
	}
	return answer{
		Status: http.StatusOK, Choice: choice(decision.VirtualHost, slices.Index(decision.VirtualHost.GetRoutes(), decision.Route)),
		Path: decision.Path, Host: decision.Host,
	}
}

func choice(host *routev3.VirtualHost, route int) string {
	return host.GetName() + " " + strconv.Itoa(route)
}

// smallest takes from a request whatever can go with both sides still differing.
func (s *subject) smallest(ctx context.Context, request routing.Request) routing.Request {
	for changed := true; changed; {
		changed = false
		for _, simpler := range simplifications(request) {
			if want, got, err := s.both(ctx, simpler); err == nil && want != got {
				request, changed = simpler, true
				break
			}
		}
	}
	return request
}

// simplifications are requests that are each smaller by one thing.
func simplifications(request routing.Request) []routing.Request {
	var simpler []routing.Request
	with := func(change func(*routing.Request)) {
		r := request
		r.Headers = request.Headers.Clone()
		change(&r)
		simpler = append(simpler, r)
	}
	for name := range request.Headers {
		with(func(r *routing.Request) { delete(r.Headers, name) })
	}
	if request.Method != http.MethodGet {
		with(func(r *routing.Request) { r.Method = http.MethodGet })
	}
	for i := range request.Path {
		with(func(r *routing.Request) { r.Path = r.Path[:i] + r.Path[i+1:] })
	}
	for i := range request.Host {
		with(func(r *routing.Request) { r.Host = r.Host[:i] + r.Host[i+1:] })
	}
	return simpler
}
