package bootstrap

import (
	"fmt"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/config/metrics/v3"
	overloadv3 "github.com/envoyproxy/go-control-plane/envoy/config/overload/v3"
	connectionsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/resource_monitors/downstream_connections/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
)

// The static clusters of every bootstrap. Resources that come by xDS refer to AuthzCluster by this name.
const (
	ControlPlaneCluster = "sallyport-xds"
	AuthzCluster        = "sallyport-authz"
)

// InitialFetchTimeout is how long Envoy waits at its start for listeners and for clusters before it goes on without. A
// control plane that is away must not keep a proxy from becoming live; what it sends later is taken as ever.
const InitialFetchTimeout = 2 * time.Second

const (
	// The pause before Envoy connects again to a control plane that was away grows between these, with jitter; Envoy's
	// own upper bound of 30 s is a long time to miss a suspension.
	shortestReconnect = 200 * time.Millisecond
	longestReconnect  = 5 * time.Second

	// largestRegex is the program size of the largest regular expression that Envoy accepts: about one for each character
	// and three for each variable of a path template. By Envoy's default of 100 a long template would have the whole
	// route configuration refused. RE2 matches in time linear in the path's length, and authors of routes are trusted.
	largestRegex = 10_000

	adminSocketMode = 0o600
)

// Files are the contents of the files that a proxy starts with.
type Files struct {
	// Bootstrap is what Envoy is started with.
	Bootstrap *bootstrapv3.Bootstrap
	// Certificate and Authorities are the file SDS responses that it refers to. They hold the paths of the proxy's
	// certificate and key and of its CA, never their bytes.
	Certificate, Authorities *discoveryv3.DiscoveryResponse
}

// New makes the files for one proxy, valid by the rules of Envoy's own schema. The error lists everything that is wrong
// with the Config. Equal Configs give equal Files.
func New(config Config) (*Files, error) {
	if err := config.check(); err != nil {
		return nil, fmt.Errorf("make a bootstrap: %w", err)
	}
	if config.MaxConnections == 0 {
		config.MaxConnections = DefaultMaxConnections
	}
	files, err := build(config)
	if err != nil {
		return nil, fmt.Errorf("make a bootstrap: %w", err)
	}
	return files, nil
}

func build(config Config) (*Files, error) {
	controlPlane, err := controlPlaneCluster(config)
	if err != nil {
		return nil, err
	}
	authz, err := authzCluster(config)
	if err != nil {
		return nil, err
	}
	overload, err := overloadManager(config.MaxConnections)
	if err != nil {
		return nil, err
	}
	certificate, err := response(certificateSecret(config))
	if err != nil {
		return nil, err
	}
	authorities, err := response(authoritiesSecret(config))
	if err != nil {
		return nil, err
	}
	bootstrap := &bootstrapv3.Bootstrap{
		// The node is for people who read a config dump: the control plane believes the certificate alone.
		Node:             &corev3.Node{Id: config.Identity.String(), Cluster: config.Identity.Group},
		Admin:            admin(config.AdminSocket),
		DynamicResources: dynamicResources(),
		StaticResources: &bootstrapv3.Bootstrap_StaticResources{
			Clusters: []*clusterv3.Cluster{controlPlane, authz},
		},
		OverloadManager:     overload,
		LayeredRuntime:      layeredRuntime(),
		StatsConfig:         statsConfig(),
		DeferredStatOptions: &bootstrapv3.Bootstrap_DeferredStatOptions{EnableDeferredCreationStats: true},
	}
	if err := bootstrap.ValidateAll(); err != nil {
		return nil, err
	}
	return &Files{Bootstrap: bootstrap, Certificate: certificate, Authorities: authorities}, nil
}

// admin exempts the admin interface from the connection limit: it is needed most when the proxy is full.
func admin(socket string) *bootstrapv3.Admin {
	return &bootstrapv3.Admin{
		Address:               pipe(socket, adminSocketMode),
		IgnoreGlobalConnLimit: true,
	}
}

func dynamicResources() *bootstrapv3.Bootstrap_DynamicResources {
	return &bootstrapv3.Bootstrap_DynamicResources{
		AdsConfig: &corev3.ApiConfigSource{
			ApiType:                   corev3.ApiConfigSource_DELTA_GRPC,
			TransportApiVersion:       corev3.ApiVersion_V3,
			SetNodeOnFirstMessageOnly: true,
			GrpcServices: []*corev3.GrpcService{{
				TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{
					ClusterName: ControlPlaneCluster,
					RetryPolicy: &corev3.RetryPolicy{RetryBackOff: &corev3.BackoffStrategy{
						BaseInterval: durationpb.New(shortestReconnect),
						MaxInterval:  durationpb.New(longestReconnect),
					}},
				}},
			}},
		},
		LdsConfig: aggregated(),
		CdsConfig: aggregated(),
	}
}

// aggregated is the configuration source of everything that comes over the one ADS stream.
func aggregated() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
		ResourceApiVersion:    corev3.ApiVersion_V3,
		InitialFetchTimeout:   durationpb.New(InitialFetchTimeout),
	}
}

// overloadManager limits the downstream connections of all listeners together, so that a flood of idle connections
// cannot use up memory and file descriptors.
func overloadManager(maxConnections uint32) (*overloadv3.OverloadManager, error) {
	monitor, err := pack(&connectionsv3.DownstreamConnectionsConfig{MaxActiveDownstreamConnections: int64(maxConnections)})
	if err != nil {
		return nil, err
	}
	return &overloadv3.OverloadManager{ResourceMonitors: []*overloadv3.ResourceMonitor{{
		Name:       "envoy.resource_monitors.global_downstream_max_connections",
		ConfigType: &overloadv3.ResourceMonitor_TypedConfig{TypedConfig: monitor},
	}}}, nil
}

// layeredRuntime has one static layer and no admin layer: nobody changes the runtime of a proxy that runs.
func layeredRuntime() *bootstrapv3.LayeredRuntime {
	return &bootstrapv3.LayeredRuntime{Layers: []*bootstrapv3.RuntimeLayer{{
		Name: "sallyport",
		LayerSpecifier: &bootstrapv3.RuntimeLayer_StaticLayer{StaticLayer: &structpb.Struct{Fields: map[string]*structpb.Value{
			"re2.max_program_size.error_level": structpb.NewNumberValue(largestRegex),
		}}},
	}}}
}

// statsConfig leaves out what is kept for each virtual host, each worker and each origin of a request beside the sums
// that are kept anyway: with a thousand upstreams it would be most of the statistics, and nobody reads it.
func statsConfig() *metricsv3.StatsConfig {
	expression := func(text string) *matcherv3.StringMatcher {
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: text}}}
	}
	return &metricsv3.StatsConfig{StatsMatcher: &metricsv3.StatsMatcher{
		StatsMatcher: &metricsv3.StatsMatcher_ExclusionList{ExclusionList: &matcherv3.ListStringMatcher{
			Patterns: []*matcherv3.StringMatcher{
				{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: "vhost."}},
				expression(`listener\..*\.worker_[0-9]+\..*`),
				expression(`cluster\..*\.(internal|external)\..*`),
			},
		}},
	}}
}

// message is a message of Envoy's schema.
type message interface {
	proto.Message
	ValidateAll() error
}

// pack validates a message before it disappears in an Any, where the validation of its container does not look.
func pack(content message) (*anypb.Any, error) {
	if err := content.ValidateAll(); err != nil {
		return nil, err
	}
	return anypb.New(content)
}
