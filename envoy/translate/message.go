package translate

import (
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
)

// fetchTimeout is how long Envoy waits for a resource by name before it goes on without. A secret that never comes would
// otherwise keep its whole listener unbound for 15 s (initial_fetch_timeout).
const fetchTimeout = 2 * time.Second

// aggregated is the configuration source of everything: the one ADS stream.
func aggregated() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
		ResourceApiVersion:    corev3.ApiVersion_V3,
		InitialFetchTimeout:   durationpb.New(fetchTimeout),
	}
}

// secretByName refers to a secret, which comes by SDS.
func secretByName(name string) *tlsv3.SdsSecretConfig {
	return &tlsv3.SdsSecretConfig{Name: name, SdsConfig: aggregated()}
}

// pack puts a message into an Any with its maps in order, so that equal messages have equal bytes.
func pack(message proto.Message) *anypb.Any {
	packed := &anypb.Any{}
	if err := anypb.MarshalFrom(packed, message, proto.MarshalOptions{Deterministic: true}); err != nil {
		panic("translate: " + err.Error()) // only for invalid UTF-8, which a Model cannot hold
	}
	return packed
}
