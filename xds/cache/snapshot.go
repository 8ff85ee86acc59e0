package cache

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// shortNames are the types as people call them.
var shortNames = map[string]string{
	resource.ClusterType: "cluster", resource.EndpointType: "endpoint", resource.SecretType: "secret",
	resource.ListenerType: "listener", resource.RouteType: "route",
}

// Resource is one resource to be sent, with labels that say what it is made of (see Cache.InUse).
type Resource struct {
	Message proto.Message
	Labels  []string
}

// Snapshot is everything that the proxies of one group are to have. It is immutable; a resource is marshalled and hashed
// once, when the Snapshot is made.
type Snapshot struct {
	types map[string]map[string]*sealed
}

// sealed is a resource ready to be sent. Its version is a hash of its content, so that equal content is never sent twice,
// also after a restart and by another replica.
type sealed struct {
	wire   *discovery.Resource
	labels []string
}

func (s *sealed) version() string { return s.wire.GetVersion() }

// NewSnapshot makes a snapshot from resources by type URL and name. Types other than clusters, endpoints, secrets,
// listeners and route configurations are an error.
func NewSnapshot(resources map[string]map[string]Resource) (*Snapshot, error) {
	s := &Snapshot{types: map[string]map[string]*sealed{}}
	for typeURL, named := range resources {
		if shortNames[typeURL] == "" {
			return nil, fmt.Errorf("snapshot: resources of the type %s cannot be served", typeURL)
		}
		s.types[typeURL] = make(map[string]*sealed, len(named))
		for name, r := range named {
			content, err := proto.MarshalOptions{Deterministic: true}.Marshal(r.Message)
			if err != nil {
				return nil, fmt.Errorf("snapshot: %s %q: %w", shortNames[typeURL], name, err)
			}
			hash := sha256.Sum256(content)
			s.types[typeURL][name] = &sealed{labels: r.Labels, wire: &discovery.Resource{
				Name: name, Version: hex.EncodeToString(hash[:16]), Resource: &anypb.Any{TypeUrl: typeURL, Value: content},
			}}
		}
	}
	return s, nil
}

// Version returns the version of a resource, or "" where the snapshot has none of that name.
func (s *Snapshot) Version(typeURL, name string) string {
	if r := s.types[typeURL][name]; r != nil {
		return r.version()
	}
	return ""
}
