package translate

import (
	"net/netip"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"

	"github.com/sallyport-project/sallyport/config"
)

// endpoints makes the endpoints of an upstream that is given by addresses, all used alike.
func endpoints(u *config.Upstream) *endpointv3.ClusterLoadAssignment {
	addresses := make([]*corev3.Address, 0, len(u.Addresses))
	for _, text := range u.Addresses {
		address := netip.MustParseAddrPort(text) // a Model's addresses are valid
		addresses = append(addresses, socketAddress(address.Addr().String(), uint32(address.Port())))
	}
	return assignment(u, addresses...)
}

// assignment is a load assignment of one locality; without addresses it has none.
func assignment(u *config.Upstream, addresses ...*corev3.Address) *endpointv3.ClusterLoadAssignment {
	made := &endpointv3.ClusterLoadAssignment{ClusterName: ClusterName(u)}
	if len(addresses) == 0 {
		return made
	}
	locality := &endpointv3.LocalityLbEndpoints{}
	for _, address := range addresses {
		locality.LbEndpoints = append(locality.LbEndpoints, &endpointv3.LbEndpoint{
			HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: address}},
		})
	}
	made.Endpoints = []*endpointv3.LocalityLbEndpoints{locality}
	return made
}

func socketAddress(host string, port uint32) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: host, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
	}}}
}
