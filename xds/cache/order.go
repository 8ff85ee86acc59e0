package cache

import "github.com/envoyproxy/go-control-plane/pkg/resource/v3"

// order is the order in which types go out when several have changed: what is referred to goes before what refers to it
// (make before break).
//
//	clusters   before endpoints  a proxy asks for endpoints once it has the cluster
//	endpoints  before routes     a route to a cluster that is not ready answers 503: see held
//	secrets    before listeners  a listener waits for them, and so does a cluster
//	listeners  before routes     a proxy asks for routes once it has the listener
//
// Removals go the other way: a cluster goes after the last listener or route that leads to it (see removable). Endpoints,
// routes and secrets are never removed: they go with what refers to them.
var order = []string{resource.ClusterType, resource.EndpointType, resource.SecretType, resource.ListenerType, resource.RouteType}

// held tells whether a type waits: listeners and routes go out once the proxy has answered for the clusters that they may
// lead to, and for the endpoints and secrets of those, so that no request meets a cluster that is not ready. What it has
// refused is not waited for: the rest of the configuration is better than none of it.
func (s *stream) held(typeURL string, snapshot *Snapshot) bool {
	if typeURL != resource.ListenerType && typeURL != resource.RouteType {
		return false
	}
	if s.types[resource.ClusterType] == nil {
		return false // a proxy that asks for no clusters waits for none
	}
	if !s.settled(resource.ClusterType, snapshot) || s.awaitsEndpoints(snapshot) {
		return true
	}
	return s.types[resource.SecretType] != nil && !s.settled(resource.SecretType, snapshot)
}

// awaitsEndpoints tells whether a cluster that the proxy has taken waits for its endpoints, which have the cluster's name
// (Cluster.EdsClusterConfig.service_name). For a moment the proxy has the cluster and has not asked for them yet.
func (s *stream) awaitsEndpoints(snapshot *Snapshot) bool {
	clusters, endpoints := s.types[resource.ClusterType], s.types[resource.EndpointType]
	for name := range snapshot.types[resource.EndpointType] {
		taken := clusters.subscribes(name) && clusters.accepted[name] != "" && clusters.accepted[name] == snapshot.Version(resource.ClusterType, name)
		if taken && (endpoints == nil || !endpoints.subscribes(name)) {
			return true
		}
	}
	return endpoints != nil && !s.settled(resource.EndpointType, snapshot)
}

// settled tells whether the proxy has answered for everything of the type that it asks for and the snapshot has. It does
// not count removals, which wait for other types.
func (s *stream) settled(typeURL string, snapshot *Snapshot) bool {
	t := s.types[typeURL]
	if t == nil || len(t.inFlight) > 0 {
		return false
	}
	have := snapshot.types[typeURL]
	for name := range t.subscribed(have) {
		if t.lacks(name, have[name].version()) {
			return false
		}
	}
	return true
}

// removable tells whether removals of a type may go out. Clusters stay until the proxy has taken the listeners and routes
// that no longer lead to them; as long as it refuses one of those it runs the one before, which may.
func (s *stream) removable(typeURL string, snapshot *Snapshot) bool {
	if typeURL != resource.ClusterType {
		return true
	}
	listeners, routes := s.types[resource.ListenerType], s.types[resource.RouteType]
	if listeners == nil || routes == nil && len(snapshot.types[resource.RouteType]) > 0 {
		return false // a proxy that comes back names clusters first, and may have the others yet
	}
	if !s.settled(resource.ListenerType, snapshot) || len(listeners.refused) > 0 || len(listeners.gone(snapshot.types[resource.ListenerType])) > 0 {
		return false
	}
	return routes == nil || s.settled(resource.RouteType, snapshot) && len(routes.refused) == 0
}
