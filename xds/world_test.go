package xds_test

import (
	"maps"
	"strconv"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sallyport-project/sallyport/xds/cache"
)

// The types of resource, and how the tests write them.
const (
	clusters  = resource.ClusterType
	endpoints = resource.EndpointType
	secrets   = resource.SecretType
	listeners = resource.ListenerType
	routes    = resource.RouteType
)

var kinds = map[string]string{clusters: "clusters", endpoints: "endpoints", secrets: "secrets", listeners: "listeners", routes: "routes"}

// world is what a group of proxies is to have, by type and name. It is changed by copying.
type world map[string]map[string]cache.Resource

// with adds a resource, or replaces it by another edition.
func (w world) with(typeURL, name string, edition int, labels ...string) world {
	changed := w.without(typeURL, name)
	changed[typeURL][name] = cache.Resource{Message: message(typeURL, name, edition), Labels: labels}
	return changed
}

// without takes a resource away.
func (w world) without(typeURL, name string) world {
	changed := world{}
	for t, named := range w {
		changed[t] = maps.Clone(named)
	}
	if changed[typeURL] == nil {
		changed[typeURL] = map[string]cache.Resource{}
	}
	delete(changed[typeURL], name)
	return changed
}

// small is a world of two clusters, a listener with its certificate, and its routes.
func small() world {
	return world{}.
		with(clusters, "a", 1).with(endpoints, "a", 1).
		with(clusters, "b", 1).with(endpoints, "b", 1).
		with(secrets, "key", 1).with(secrets, "ca", 1).
		with(listeners, "https", 1).with(routes, "api", 1, "policy@1")
}

// message makes a resource whose content differs by its edition.
func message(typeURL, name string, edition int) proto.Message {
	text := strconv.Itoa(edition)
	switch typeURL {
	case clusters:
		return &clusterv3.Cluster{Name: name, ConnectTimeout: durationpb.New(time.Duration(edition) * time.Second)}
	case endpoints:
		return &endpointv3.ClusterLoadAssignment{ClusterName: name, Endpoints: []*endpointv3.LocalityLbEndpoints{{Priority: uint32(edition)}}}
	case secrets:
		inline := &core.DataSource{Specifier: &core.DataSource_InlineString{InlineString: text}}
		return &tlsv3.Secret{Name: name, Type: &tlsv3.Secret_GenericSecret{GenericSecret: &tlsv3.GenericSecret{Secret: inline}}}
	case listeners:
		return &listenerv3.Listener{Name: name, StatPrefix: text}
	default:
		return &routev3.RouteConfiguration{Name: name, VirtualHosts: []*routev3.VirtualHost{{Name: text}}}
	}
}
