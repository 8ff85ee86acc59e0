package bootstrap

import (
	"net/netip"
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	dnsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/common/dns/v3"
	dnsclusterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dns/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-project/sallyport/pki/spiffe"
)

// KeepaliveInterval is how often Envoy pings the control plane and the authorization service over HTTP/2, so that a
// peer that vanished without a word is noticed. A gRPC server must allow it: grpc-go's default enforcement policy takes
// more than one ping in five minutes for abuse and closes the connection.
const KeepaliveInterval = 30 * time.Second

const (
	keepaliveTimeout = 5 * time.Second

	controlPlaneConnectTimeout = 5 * time.Second
	// A check has 200 ms unless the gateway says otherwise; a connection that takes longer than this helps nobody.
	authzConnectTimeout = time.Second

	// authzMaxRequests bounds the checks under way, and those that wait for a connection. The circuit breaker's default
	// of 1,024 would turn a busy second of many connections into 503s.
	authzMaxRequests = 16_384

	httpOptions = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
	tlsSocket   = "envoy.transport_sockets.tls"
	dnsCluster  = "envoy.clusters.dns"
)

func controlPlaneCluster(config Config) (*clusterv3.Cluster, error) {
	cluster := &clusterv3.Cluster{Name: ControlPlaneCluster, ConnectTimeout: durationpb.New(controlPlaneConnectTimeout)}
	return cluster, connectByTLS(cluster, config, config.XDSAddress, spiffe.ControlPlane)
}

func authzCluster(config Config) (*clusterv3.Cluster, error) {
	limit := wrapperspb.UInt32(authzMaxRequests)
	cluster := &clusterv3.Cluster{
		Name:           AuthzCluster,
		ConnectTimeout: durationpb.New(authzConnectTimeout),
		CircuitBreakers: &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
			MaxRequests: limit, MaxPendingRequests: limit,
		}}},
	}
	if path, isSocket := config.authzSocket(); isSocket {
		cluster.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
		cluster.LoadAssignment = oneEndpoint(cluster.GetName(), pipe(path, 0))
		return cluster, speakHTTP2(cluster)
	}
	return cluster, connectByTLS(cluster, config, config.AuthzAddress, spiffe.Authz)
}

// connectByTLS completes a cluster of one address whose servers must prove to be of the kind given.
func connectByTLS(cluster *clusterv3.Cluster, config Config, address string, kind spiffe.Kind) error {
	host, port, err := splitHostPort(address)
	if err != nil {
		return err
	}
	serverName := ""
	if _, err := netip.ParseAddr(host); err == nil {
		cluster.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
	} else {
		serverName = strings.TrimSuffix(host, ".") // RFC 6066, section 3: a server name has no trailing dot
		if cluster.ClusterDiscoveryType, err = resolved(); err != nil {
			return err
		}
	}
	cluster.LoadAssignment = oneEndpoint(cluster.GetName(), &corev3.Address{
		Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
			Address:       host,
			PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
		}},
	})
	context, err := pack(upstreamTLS(config, serverName, kind))
	if err != nil {
		return err
	}
	cluster.TransportSocket = &corev3.TransportSocket{
		Name:       tlsSocket,
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: context},
	}
	return speakHTTP2(cluster)
}

// resolved is the discovery type of a host by DNS: all its addresses, of both families, so that a server that listens
// on one of them is found.
func resolved() (*clusterv3.Cluster_ClusterType, error) {
	extension, err := pack(&dnsclusterv3.DnsCluster{DnsLookupFamily: dnsv3.DnsLookupFamily_ALL})
	if err != nil {
		return nil, err
	}
	return &clusterv3.Cluster_ClusterType{
		ClusterType: &clusterv3.Cluster_CustomClusterType{Name: dnsCluster, TypedConfig: extension},
	}, nil
}

// upstreamTLS presents the proxy's certificate, and trusts a server only if the proxies' CA has issued its certificate
// and its URI SAN is of the kind expected: every proxy has a certificate of that CA, and none may pass for a server.
func upstreamTLS(config Config, serverName string, kind spiffe.Kind) *tlsv3.UpstreamTlsContext {
	prefix := spiffe.Scheme + "://" + config.Identity.TrustDomain + "/" + string(kind) + "/"
	return &tlsv3.UpstreamTlsContext{
		Sni: serverName,
		CommonTlsContext: &tlsv3.CommonTlsContext{
			// Both ends are ours.
			TlsParams: &tlsv3.TlsParameters{
				TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_3,
				TlsMaximumProtocolVersion: tlsv3.TlsParameters_TLSv1_3,
			},
			AlpnProtocols: []string{"h2"}, // grpc-go refuses clients that do not ask for it
			TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{
				secretFile(certificateName, config.Directory, CertificateFile),
			},
			ValidationContextType: &tlsv3.CommonTlsContext_CombinedValidationContext{
				CombinedValidationContext: &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{
					DefaultValidationContext: &tlsv3.CertificateValidationContext{
						MatchTypedSubjectAltNames: []*tlsv3.SubjectAltNameMatcher{{
							SanType: tlsv3.SubjectAltNameMatcher_URI,
							Matcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: prefix}},
						}},
					},
					ValidationContextSdsSecretConfig: secretFile(authoritiesName, config.Directory, AuthoritiesFile),
				},
			},
		},
	}
}

// speakHTTP2 has a cluster use HTTP/2, which gRPC needs, with keepalive.
func speakHTTP2(cluster *clusterv3.Cluster) error {
	options, err := pack(&httpv3.HttpProtocolOptions{
		UpstreamProtocolOptions: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_{
			ExplicitHttpConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig{
				ProtocolConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{
					Http2ProtocolOptions: &corev3.Http2ProtocolOptions{ConnectionKeepalive: &corev3.KeepaliveSettings{
						Interval: durationpb.New(KeepaliveInterval),
						Timeout:  durationpb.New(keepaliveTimeout),
					}},
				},
			},
		},
	})
	if err != nil {
		return err
	}
	cluster.TypedExtensionProtocolOptions = map[string]*anypb.Any{httpOptions: options}
	return nil
}

func oneEndpoint(cluster string, address *corev3.Address) *endpointv3.ClusterLoadAssignment {
	return &endpointv3.ClusterLoadAssignment{
		ClusterName: cluster,
		Endpoints: []*endpointv3.LocalityLbEndpoints{{
			LbEndpoints: []*endpointv3.LbEndpoint{{
				HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: address}},
			}},
		}},
	}
}

// pipe is a Unix socket; mode counts where Envoy listens on it.
func pipe(path string, mode uint32) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: path, Mode: mode}}}
}
