package translate

import (
	"net"
	"strconv"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	dnsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/common/dns/v3"
	dnsclusterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dns/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-project/sallyport/config"
)

const (
	// upstreamConnectionLife is how long a connection to an upstream is used. It keeps the client certificate that it was
	// made with, so this bounds for how long one that was replaced is still presented.
	upstreamConnectionLife = 10 * time.Minute
	// upstreamIdle is how long an unused connection is kept: less than servers commonly do, so that the race between a
	// request and the server's closing is rare.
	upstreamIdle = 50 * time.Second

	upstreamKeepalive        = 30 * time.Second
	upstreamKeepaliveTimeout = 5 * time.Second

	// bufferLimit bounds what Envoy buffers for each connection, in bytes; beyond it the sender is slowed down. Envoy's
	// default of 1 MiB times its connections is more memory than an edge has.
	bufferLimit = 32 << 10

	// The circuit breakers of an upstream bound the requests that wait for it when it hangs. Envoy's default of 1,024
	// requests is one busy second of an API that has become slow.
	maxConnections = 1024
	maxPending     = 1024
	maxRequests    = 8192
	maxRetries     = 64

	httpOptionsName = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
	tlsSocketName   = "envoy.transport_sockets.tls"
	dnsClusterName  = "envoy.clusters.dns"
)

// cluster makes the cluster of an upstream.
func cluster(u *config.Upstream) *clusterv3.Cluster {
	c := &clusterv3.Cluster{
		Name:                          ClusterName(u),
		ConnectTimeout:                durationpb.New(u.ConnectTimeout),
		PerConnectionBufferLimitBytes: wrapperspb.UInt32(bufferLimit),
		LbPolicy:                      clusterv3.Cluster_LEAST_REQUEST,
		CircuitBreakers: &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
			MaxConnections: wrapperspb.UInt32(maxConnections), MaxPendingRequests: wrapperspb.UInt32(maxPending),
			MaxRequests: wrapperspb.UInt32(maxRequests), MaxRetries: wrapperspb.UInt32(maxRetries),
		}}},
		TypedExtensionProtocolOptions: map[string]*anypb.Any{httpOptionsName: pack(upstreamProtocol(u))},
		TransportSocket:               upstreamSocket(u),
	}
	if u.DNS != "" {
		resolved(c, u)
		return c
	}
	c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS}
	c.EdsClusterConfig = &clusterv3.Cluster_EdsClusterConfig{EdsConfig: aggregated(), ServiceName: ClusterName(u)}
	return c
}

// withoutEndpoints makes the cluster of an upstream that cannot be called for want of material: requests for it are
// answered 503, and the routes that lead to it stay as they are.
func withoutEndpoints(u *config.Upstream) *clusterv3.Cluster {
	return &clusterv3.Cluster{
		Name:                 ClusterName(u),
		ConnectTimeout:       durationpb.New(u.ConnectTimeout),
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		LoadAssignment:       assignment(u),
	}
}

// resolved has a cluster use all addresses of a host by DNS (STRICT_DNS, by the extension that has taken its place). They
// are of one family, IPv4 if there are any: many a server has both in DNS and listens on IPv4 alone, and each address
// counts as an endpoint, so that half of all connections would fail.
func resolved(c *clusterv3.Cluster, u *config.Upstream) {
	host, portText, err := net.SplitHostPort(u.DNS)
	if err != nil {
		panic("translate: " + err.Error()) // a Model's names are valid
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		panic("translate: " + err.Error())
	}
	c.ClusterDiscoveryType = &clusterv3.Cluster_ClusterType{ClusterType: &clusterv3.Cluster_CustomClusterType{
		Name:        dnsClusterName,
		TypedConfig: pack(&dnsclusterv3.DnsCluster{RespectDnsTtl: true, DnsLookupFamily: dnsv3.DnsLookupFamily_V4_PREFERRED}),
	}}
	c.LoadAssignment = assignment(u, socketAddress(host, uint32(port)))
}

func upstreamProtocol(u *config.Upstream) *httpv3.HttpProtocolOptions {
	explicit := &httpv3.HttpProtocolOptions_ExplicitHttpConfig{
		ProtocolConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{
			HttpProtocolOptions: &corev3.Http1ProtocolOptions{},
		},
	}
	if u.HTTP2 {
		explicit.ProtocolConfig = &httpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{
			Http2ProtocolOptions: &corev3.Http2ProtocolOptions{
				InitialStreamWindowSize:     wrapperspb.UInt32(streamWindow),
				InitialConnectionWindowSize: wrapperspb.UInt32(connectionWindow),
				ConnectionKeepalive: &corev3.KeepaliveSettings{
					Interval: durationpb.New(upstreamKeepalive), Timeout: durationpb.New(upstreamKeepaliveTimeout),
				},
			},
		}
	}
	return &httpv3.HttpProtocolOptions{
		CommonHttpProtocolOptions: &corev3.HttpProtocolOptions{
			IdleTimeout:           durationpb.New(upstreamIdle),
			MaxConnectionDuration: durationpb.New(upstreamConnectionLife),
		},
		UpstreamProtocolOptions: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_{ExplicitHttpConfig: explicit},
	}
}

// upstreamSocket is how an upstream is called over TLS; nil where it is not. Envoy by itself verifies the chain alone, so
// the server's DNS name is pinned.
func upstreamSocket(u *config.Upstream) *corev3.TransportSocket {
	if u.TLS == nil {
		return nil
	}
	common := &tlsv3.CommonTlsContext{
		TlsParams:     &tlsv3.TlsParameters{TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_2},
		AlpnProtocols: []string{"http/1.1"},
		ValidationContextType: &tlsv3.CommonTlsContext_CombinedValidationContext{
			CombinedValidationContext: &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{
				DefaultValidationContext: &tlsv3.CertificateValidationContext{
					MatchTypedSubjectAltNames: []*tlsv3.SubjectAltNameMatcher{{
						SanType: tlsv3.SubjectAltNameMatcher_DNS, Matcher: exactly(u.TLS.ServerName),
					}},
				},
				ValidationContextSdsSecretConfig: secretByName(TruststoreName(u.TLS.Truststore)),
			},
		},
	}
	if u.HTTP2 {
		common.AlpnProtocols = []string{"h2"}
	}
	if c := u.TLS.ClientCertificate; c != nil {
		common.TlsCertificateSdsSecretConfigs = []*tlsv3.SdsSecretConfig{secretByName(CertificateName(c))}
	}
	return &corev3.TransportSocket{
		Name: tlsSocketName,
		ConfigType: &corev3.TransportSocket_TypedConfig{
			TypedConfig: pack(&tlsv3.UpstreamTlsContext{Sni: u.TLS.ServerName, CommonTlsContext: common}),
		},
	}
}

func exactly(text string) *matcherv3.StringMatcher {
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: text}}
}
