package translate

import (
	"fmt"
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

// Resources are all that the proxies of one group are to have, by name. Every name that one of them refers to is there
// as well, but for bootstrap.AuthzCluster, which is part of the bootstrap.
type Resources struct {
	Group     string
	Listeners map[string]*listenerv3.Listener
	Routes    map[string]*routev3.RouteConfiguration
	Clusters  map[string]*clusterv3.Cluster
	Endpoints map[string]*endpointv3.ClusterLoadAssignment
	Secrets   map[string]*tlsv3.Secret
	// Problems say what had to be left out. They are in the order of the gateways, and then of the upstreams.
	Problems []Problem
}

// Problem is something that the proxies cannot serve at present, for want of material.
type Problem struct {
	// Origin is where the configuration asks for it.
	Origin config.Origin
	// Subject is what cannot be served, and Missing the resource without material, such as `Certificate "edge"`.
	Subject, Missing string
	// Effect is what callers see.
	Effect string
}

// Error is the problem in one line.
func (p Problem) Error() string {
	return fmt.Sprintf("%s: %s waits for the material of the %s: %s", p.Origin, p.Subject, p.Missing, p.Effect)
}

// Groups lists the proxy groups that a model has gateways for, sorted.
func Groups(model *config.Model) []string {
	var groups []string
	for _, g := range model.Gateways() {
		groups = append(groups, g.Group)
	}
	slices.Sort(groups)
	return slices.Compact(groups)
}

// Group makes the resources of one proxy group. A group without gateways has none.
func Group(model *config.Model, material *inventory.Snapshot, group string) *Resources {
	t := &translation{
		material: material,
		upstream: map[string]*config.Upstream{},
		resources: &Resources{
			Group:     group,
			Listeners: map[string]*listenerv3.Listener{},
			Routes:    map[string]*routev3.RouteConfiguration{},
			Clusters:  map[string]*clusterv3.Cluster{},
			Endpoints: map[string]*endpointv3.ClusterLoadAssignment{},
			Secrets:   map[string]*tlsv3.Secret{},
		},
	}
	for _, g := range model.Gateways() {
		if g.Group == group {
			for _, l := range g.Listeners {
				t.listener(l)
			}
		}
	}
	for _, u := range model.Upstreams() {
		if t.upstream[u.Name] != nil {
			t.cluster(u)
		}
	}
	return t.resources
}

// translation is one run of Group.
type translation struct {
	material  *inventory.Snapshot
	resources *Resources
	// upstream holds those that a route leads to.
	upstream map[string]*config.Upstream
}

// listener adds a listener with what its entries need. One without a single entry that can be served is left out, so
// that callers are refused the connection instead of being let in to nothing.
func (t *translation) listener(l *config.Listener) {
	var entries []*config.Entry
	for _, e := range l.Entries {
		if t.entrySecrets(e) {
			entries = append(entries, e)
		}
	}
	if len(entries) == 0 {
		return
	}
	listener := listener(l, entries)
	t.resources.Listeners[listener.GetName()] = listener
	for _, e := range entries {
		routes := routeConfiguration(e)
		t.resources.Routes[routes.GetName()] = routes
		for u := range upstreams(e) {
			t.upstream[u.Name] = u
		}
	}
}

// cluster adds a cluster with its endpoints and secrets.
func (t *translation) cluster(u *config.Upstream) {
	var made *clusterv3.Cluster
	if t.upstreamSecrets(u) {
		made = cluster(u)
	} else {
		made = withoutEndpoints(u)
	}
	t.resources.Clusters[made.GetName()] = made
	if made.GetEdsClusterConfig() != nil {
		assignment := endpoints(u)
		t.resources.Endpoints[assignment.GetClusterName()] = assignment
	}
}
