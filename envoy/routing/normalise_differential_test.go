package routing_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/envoy/routing"
)

// everyPath takes any path, on a listener that refuses escaped slashes and on one that keeps them.
const everyPath = surroundings + `
api_version: sallyport/v1
kind: Gateway
metadata: {name: g}
spec:
  group: all
  listeners:
  - {name: reject, address: 127.0.0.1, port: 1, plaintext: true}
  - {name: keep, address: 127.0.0.1, port: 2, plaintext: true, escaped_slashes: keep}
---
api_version: sallyport/v1
kind: Route
metadata: {name: r}
spec:
  gateway: g
  hostnames: [a]
  rules: [{name: all, match: {prefix: /}, upstreams: [{name: one}], policy: open}]
`

// TestEnvoyNormalisesAlike is about paths that are made of nothing but what normalisation is about.
func TestEnvoyNormalisesAlike(t *testing.T) {
	number := *seed
	if number == 0 {
		number = uint64(time.Now().UnixNano())
	}
	t.Logf("run it again with -seed=%d", number)
	made := mustResources(t, everyPath)
	var subjects []*subject
	for _, listener := range inOrder(made.Listeners) {
		subjects = append(subjects, newSubject(t, listener.GetName(), everyPath, listener.GetFilterChains()[0], made.Routes))
	}
	serve(t, subjects)
	random := rand.New(rand.NewPCG(number, number))
	parts := strings.Split(`/ / // . .. ; % % 2 3 4 5 6 f F 1 e E a b c \ %2e %2E %2f %5C %61 %25 %00 ~ - _ ? #`, " ")
	const paths = 3000
	for range paths {
		path := "/"
		for range 1 + random.IntN(12) {
			path += pick(random, parts)
		}
		for _, s := range subjects {
			request := routing.Request{Method: http.MethodGet, Host: "a", Path: path}
			want, got, err := s.both(t.Context(), request)
			if err != nil {
				t.Fatal(err)
			}
			if want != got {
				request = s.smallest(t.Context(), request)
				want, got, err = s.both(t.Context(), request)
				t.Fatalf("%s: the smallest path is %q: simulated %+v, Envoy %+v (%v)", s.name, request.Path, want, got, err)
			}
		}
	}
}

func TestEnvoyNormalisesEveryCharacterAlike(t *testing.T) {
	made := mustResources(t, everyPath)
	listener := made.Listeners["g/keep"]
	s := newSubject(t, listener.GetName(), everyPath, listener.GetFilterChains()[0], made.Routes)
	serve(t, []*subject{s})
	for c := range 256 {
		if c == '\r' || c == '\n' {
			continue // the end of the request line
		}
		for _, request := range []routing.Request{
			{Method: http.MethodGet, Host: "a", Path: "/a" + string([]byte{byte(c)}) + "b"},
			{Method: http.MethodGet, Host: "a", Path: fmt.Sprintf("/a%%%02xb", c)},
			{Method: http.MethodGet, Host: "a", Path: "/a?" + string([]byte{byte(c)}) + "b"},
			{Method: http.MethodGet, Host: "a" + string([]byte{byte(c)}) + "b", Path: "/"},
		} {
			want, got, err := s.both(t.Context(), request)
			if err != nil {
				t.Fatal(err)
			}
			if want != got {
				t.Errorf("%q: simulated %+v, Envoy %+v", request, want, got)
			}
		}
	}
}
