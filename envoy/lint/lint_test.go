package lint_test

import (
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	extauthzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-project/sallyport/config/checkcontext"
	"github.com/sallyport-project/sallyport/envoy/lint"
	"github.com/sallyport-project/sallyport/envoy/translate"
)

func TestWhatIsGeneratedHasNoFinding(t *testing.T) {
	for name, resources := range map[string]*translate.Resources{
		"the example's edge":    generate(t, "../../examples/partner-certificates", "edge"),
		"the example's sidecar": generate(t, "../../examples/partner-certificates", "sidecar"),
		"every form once":       good(t),
		"nothing":               generate(t, "../../examples/partner-certificates", "nobody"),
	} {
		for _, finding := range lint.Check(resources) {
			t.Errorf("%s: %s", name, finding)
		}
	}
}

// violation changes good resources so that the lint must find what the words say.
type violation struct {
	words  string
	change func(*translate.Resources)
}

func testViolations(t *testing.T, violations map[string]violation) {
	t.Helper()
	for name, test := range violations {
		t.Run(name, func(t *testing.T) {
			resources := good(t)
			test.change(resources)
			var texts []string
			for _, finding := range lint.Check(resources) {
				texts = append(texts, finding.String())
			}
			if !contains(texts, test.words) {
				t.Errorf("it finds %q, and should find %q", texts, test.words)
			}
		})
	}
}

func TestTheAuthorizationFilterIsPassedByNothing(t *testing.T) {
	testViolations(t, map[string]violation{
		"it lets requests pass when the service fails": {"failure_mode_allow", authorization(func(a *extauthzv3.ExtAuthz) { a.FailureModeAllow = true })},
		"it only watches": {"shadow_mode", authorization(func(a *extauthzv3.ExtAuthz) { a.ShadowMode = true })},
		"it is on for some requests": {"filter_enabled", authorization(func(a *extauthzv3.ExtAuthz) {
			a.FilterEnabled = &corev3.RuntimeFractionalPercent{}
		})},
		"it is on where metadata says so": {"filter_enabled_metadata", authorization(func(a *extauthzv3.ExtAuthz) {
			a.FilterEnabledMetadata = &matcherv3.MetadataMatcher{}
		})},
		"it has the route chosen anew": {"clear_route_cache", authorization(func(a *extauthzv3.ExtAuthz) { a.ClearRouteCache = true })},
		"it answers 403 for our fault": {"must answer 503", authorization(func(a *extauthzv3.ExtAuthz) { a.StatusOnError = nil })},
		"it does not tell who calls":   {"who calls", authorization(func(a *extauthzv3.ExtAuthz) { a.IncludePeerCertificate = false })},
		"it validates nothing":         {"validate_mutations", authorization(func(a *extauthzv3.ExtAuthz) { a.ValidateMutations = false })},
		"it has no deadline":           {"waits for ever for an answer", authorization(func(a *extauthzv3.ExtAuthz) { a.GetGrpcService().Timeout = nil })},
		"it asks somebody else":        {"it asks the cluster", authorization(func(a *extauthzv3.ExtAuthz) { a.GetGrpcService().GetEnvoyGrpc().ClusterName = "other" })},
		"it is not there":              {"HTTP filters must be", manager(func(m *hcmv3.HttpConnectionManager) { m.HttpFilters = m.HttpFilters[1:] })},
		"it comes after the router": {"HTTP filters must be", manager(func(m *hcmv3.HttpConnectionManager) {
			m.HttpFilters[1], m.HttpFilters[4] = m.HttpFilters[4], m.HttpFilters[1]
		})},
		"another filter stands before it": {"HTTP filters must be", manager(func(m *hcmv3.HttpConnectionManager) { m.HttpFilters = append(m.HttpFilters[1:], m.HttpFilters...) })},
		"trailers come through":           {"does not drop all trailers", manager(func(m *hcmv3.HttpConnectionManager) { m.HttpFilters[2].ConfigType = m.HttpFilters[4].ConfigType })},
		"it is disabled":                  {"disabled", manager(func(m *hcmv3.HttpConnectionManager) { m.HttpFilters[1].Disabled = true })},
		"it is optional":                  {"is_optional", manager(func(m *hcmv3.HttpConnectionManager) { m.HttpFilters[1].IsOptional = true })},
		"it comes by discovery": {"config_discovery", manager(func(m *hcmv3.HttpConnectionManager) {
			m.HttpFilters[1].ConfigType = &hcmv3.HttpFilter_ConfigDiscovery{ConfigDiscovery: &corev3.ExtensionConfigSource{}}
		})},
		"it is another filter by that name": {"mismatched message type", manager(func(m *hcmv3.HttpConnectionManager) {
			m.HttpFilters[1].ConfigType = m.HttpFilters[2].ConfigType
		})},
		"a route disables it": {"no check settings", route("matches/root", settings(func(s *extauthzv3.ExtAuthzPerRoute) {
			s.Override = &extauthzv3.ExtAuthzPerRoute_Disabled{Disabled: true}
		}))},
		"a route asks another service": {"it asks another service", route("matches/root", settings(func(s *extauthzv3.ExtAuthzPerRoute) {
			s.GetCheckSettings().ServiceOverride = &extauthzv3.CheckSettings_GrpcService{GrpcService: &corev3.GrpcService{}}
		}))},
		"a weighted cluster disables it": {"no check settings", route("matches/weighted", func(r *routev3.Route) {
			chosen := r.GetRoute().GetWeightedClusters().GetClusters()[0]
			repack(chosen.GetTypedPerFilterConfig()[translate.AuthorizationFilter], &extauthzv3.ExtAuthzPerRoute{}, func(s *extauthzv3.ExtAuthzPerRoute) {
				s.Override = &extauthzv3.ExtAuthzPerRoute_Disabled{Disabled: true}
			})
		})},
		"a virtual host has settings": {"have no place here", func(r *translate.Resources) {
			host(r, publicRoutes, rulesHost).TypedPerFilterConfig = map[string]*anypb.Any{translate.AuthorizationFilter: {}}
		}},
		"a route configuration has settings": {"typed_per_filter_config", func(r *translate.Resources) {
			r.Routes[publicRoutes].TypedPerFilterConfig = map[string]*anypb.Any{translate.AuthorizationFilter: {}}
		}},
	})
}

func TestEveryRouteSaysWhereItStands(t *testing.T) {
	without := func(key string) func(*routev3.Route) {
		return context(func(c map[string]string) { delete(c, key) })
	}
	with := func(key, value string) func(*routev3.Route) {
		return context(func(c map[string]string) { c[key] = value })
	}
	violations := map[string]violation{
		"no settings": {"no settings", route("matches/root", func(r *routev3.Route) { r.TypedPerFilterConfig = nil })},
		"settings of another filter": {"have no place here", route("matches/root", func(r *routev3.Route) {
			r.TypedPerFilterConfig["envoy.filters.http.cors"] = r.TypedPerFilterConfig[translate.AuthorizationFilter]
		})},
		"another gateway":              {"its context says gateway", route("matches/root", with(checkcontext.Gateway, "other"))},
		"another listener":             {"its context says listener", route("matches/root", with(checkcontext.Listener, "other"))},
		"another entry":                {"its context says entry", route("matches/root", with(checkcontext.Entry, "api.example.org"))},
		"a catch-all of another entry": {"its context says entry", route(translate.NoRoute, with(checkcontext.Entry, "api.example.org"))},
		"an outcome beside a rule":     {"has outcome, which has no place", route("matches/root", with(checkcontext.Outcome, checkcontext.OutcomeNoRoute))},
		"a rule beside an outcome":     {"has rule, which has no place", route(translate.NoRoute, with(checkcontext.Rule, "x"))},
		"an unknown outcome":           {"is none", route(translate.NoRoute, with(checkcontext.Outcome, "fine"))},
		"another upstream":             {"its context says \"upstream/by-name\"", route("matches/root", with(checkcontext.Upstream, "by-name"))},
		"a weighted cluster without its upstream": {"has no upstream", route("matches/weighted", func(r *routev3.Route) {
			chosen := r.GetRoute().GetWeightedClusters().GetClusters()[0]
			repack(chosen.GetTypedPerFilterConfig()[translate.AuthorizationFilter], &extauthzv3.ExtAuthzPerRoute{}, func(s *extauthzv3.ExtAuthzPerRoute) {
				s.GetCheckSettings().ContextExtensions = nil
			})
		})},
		"a weighted cluster with another policy": {"it changes policy", route("matches/weighted", func(r *routev3.Route) {
			chosen := r.GetRoute().GetWeightedClusters().GetClusters()[0]
			repack(chosen.GetTypedPerFilterConfig()[translate.AuthorizationFilter], &extauthzv3.ExtAuthzPerRoute{}, func(s *extauthzv3.ExtAuthzPerRoute) {
				s.GetCheckSettings().ContextExtensions[checkcontext.Policy] = "other"
			})
		})},
	}
	for _, key := range []string{checkcontext.Route, checkcontext.Rule, checkcontext.Policy, checkcontext.PolicyHash, checkcontext.Upstream, checkcontext.UpstreamHash} {
		violations["no "+key] = violation{"its context has no " + key, route("matches/root", without(key))}
	}
	testViolations(t, violations)
}

func TestEveryRequestComesToARoute(t *testing.T) {
	testViolations(t, map[string]violation{
		"no catch-all in a virtual host": {"its last route does not take all", func(r *translate.Resources) {
			h := host(r, publicRoutes, rulesHost)
			h.Routes = h.Routes[:len(h.Routes)-1]
		}},
		"a catch-all with a condition": {"its last route does not take all", route(translate.NoRoute, func(r *routev3.Route) {
			r.Match.Headers = []*routev3.HeaderMatcher{{Name: "x", HeaderMatchSpecifier: &routev3.HeaderMatcher_PresentMatch{PresentMatch: true}}}
		})},
		"a catch-all that leads upstream": {"its last route does not take all", func(r *translate.Resources) {
			h := host(r, publicRoutes, rulesHost)
			last := len(h.Routes) - 1
			h.Routes[last].Action = h.Routes[last-1].Action
		}},
		"an answer with a body": {"the field body has no place", route(translate.NoRoute, func(r *routev3.Route) {
			r.GetDirectResponse().Body = &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: "hello"}}
		})},
		"an answer that is no refusal": {"answers 200", route(translate.NoRoute, func(r *routev3.Route) { r.GetDirectResponse().Status = 200 })},
		"TRACE comes to a rule":        {"does not take TRACE", func(r *translate.Resources) { h := host(r, publicRoutes, rulesHost); h.Routes = h.Routes[1:] }},
		"no virtual host for other hosts": {"no virtual host for hosts that no other one takes", func(r *translate.Resources) {
			routes := r.Routes[publicRoutes]
			routes.VirtualHosts = routes.VirtualHosts[:len(routes.VirtualHosts)-1]
		}},
		"a domain of another entry with rules": {"belong to another filter chain", func(r *translate.Resources) {
			host(r, publicRoutes, rulesHost).Domains = []string{"api.example.org"}
		}},
		"a wildcard of another entry with rules": {"belong to another filter chain", func(r *translate.Resources) {
			host(r, strictRoutes, "api.example.org").Domains = []string{"*.example.org"}
		}},
		"a domain twice": {"stands twice", func(r *translate.Resources) {
			h := host(r, publicRoutes, rulesHost)
			h.Domains = append(h.Domains, h.Domains...)
		}},
		"a mirror": {"request_mirror_policies", route("matches/root", func(r *routev3.Route) {
			r.GetRoute().RequestMirrorPolicies = []*routev3.RouteAction_RequestMirrorPolicy{{Cluster: "upstream/by-name"}}
		})},
		"a mirror for a whole host": {"request_mirror_policies", func(r *translate.Resources) {
			host(r, publicRoutes, rulesHost).RequestMirrorPolicies = []*routev3.RouteAction_RequestMirrorPolicy{{Cluster: "upstream/by-name"}}
		}},
		"an internal redirect": {"internal_redirect_policy", route("matches/root", func(r *routev3.Route) {
			r.GetRoute().InternalRedirectPolicy = &routev3.InternalRedirectPolicy{}
		})},
		"an upgrade": {"upgrade_configs", route("matches/root", func(r *routev3.Route) {
			r.GetRoute().UpgradeConfigs = []*routev3.RouteAction_UpgradeConfig{{UpgradeType: "websocket"}}
		})},
		"a cluster that a header names": {"cluster_header", route("matches/root", func(r *routev3.Route) {
			r.GetRoute().ClusterSpecifier = &routev3.RouteAction_ClusterHeader{ClusterHeader: "x-cluster"}
		})},
		"a redirect": {"redirect", route("matches/root", func(r *routev3.Route) { r.Action = &routev3.Route_Redirect{Redirect: &routev3.RedirectAction{}} })},
		"no timeout": {"may take for ever", route("matches/root", func(r *routev3.Route) { r.GetRoute().Timeout = nil })},
		"a match by what is not simulated": {"query_parameters", route("matches/root", func(r *routev3.Route) {
			r.GetMatch().QueryParameters = []*routev3.QueryParameterMatcher{{Name: "x"}}
		})},
	})
}

func TestListenersAreAsTheyMustBe(t *testing.T) {
	testViolations(t, map[string]violation{
		"two listeners on an address": {"is the address of the listener", func(r *translate.Resources) {
			r.Listeners[plainListener].Address = r.Listeners[publicListener].Address
		}},
		"a default filter chain":                           {"default_filter_chain", func(r *translate.Resources) { r.Listeners[publicListener].DefaultFilterChain = chain(r) }},
		"a filter chain for every connection among others": {"takes every connection", func(r *translate.Resources) { chain(r).FilterChainMatch = nil }},
		"nothing reads SNI":                                {"which nothing reads", func(r *translate.Resources) { r.Listeners[publicListener].ListenerFilters = nil }},
		"no TLS":                                           {"come together or not at all", func(r *translate.Resources) { chain(r).TransportSocket = nil }},
		"another filter before": {"must be the only one", func(r *translate.Resources) {
			chain(r).Filters = append([]*listenerv3.Filter{{Name: "tcp"}}, chain(r).GetFilters()...)
		}},
		"another filter instead": {"mismatched message type", func(r *translate.Resources) {
			chain(r).GetFilters()[0].ConfigType = &listenerv3.Filter_TypedConfig{TypedConfig: chain(r).GetTransportSocket().GetTypedConfig()}
		}},
		"routes in the listener": {"do not come by RDS", manager(func(m *hcmv3.HttpConnectionManager) {
			m.RouteSpecifier = &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: &routev3.RouteConfiguration{}}
		})},
		"routes of another entry": {"must use its own", manager(func(m *hcmv3.HttpConnectionManager) { m.GetRds().RouteConfigName = strictRoutes })},
		"routes that are not there": {"there is no route configuration", func(r *translate.Resources) {
			delete(r.Routes, publicRoutes)
		}},
		"routes that nobody uses":      {"0 filter chains use it", func(r *translate.Resources) { delete(r.Listeners, plainListener) }},
		"paths as they come":           {"paths are not normalised", manager(func(m *hcmv3.HttpConnectionManager) { m.NormalizePath = nil })},
		"escaped slashes decoded":      {"neither refused nor kept", manager(func(m *hcmv3.HttpConnectionManager) { m.PathWithEscapedSlashesAction = 3 })},
		"hosts as they come":           {"hosts are not normalised", manager(func(m *hcmv3.HttpConnectionManager) { m.StripTrailingHostDot = false })},
		"a caller's address by header": {"use_remote_address", manager(func(m *hcmv3.HttpConnectionManager) { m.UseRemoteAddress = wrapperspb.Bool(false) })},
		"trusted hops":                 {"xff_num_trusted_hops", manager(func(m *hcmv3.HttpConnectionManager) { m.XffNumTrustedHops = 1 })},
		"private networks trusted":     {"internal_address_config", manager(func(m *hcmv3.HttpConnectionManager) { m.InternalAddressConfig = nil })},
		"a caller's own request id":    {"preserve_external_request_id", manager(func(m *hcmv3.HttpConnectionManager) { m.PreserveExternalRequestId = true })},
		"a caller's own XFCC":          {"forward_client_cert_details", manager(func(m *hcmv3.HttpConnectionManager) { m.ForwardClientCertDetails = 1 })},
		"a caller's chain that nobody asked for": {"must show x-forwarded-client-cert where", manager(func(m *hcmv3.HttpConnectionManager) {
			m.ForwardClientCertDetails = hcmv3.HttpConnectionManager_SANITIZE_SET
			m.SetCurrentClientCertDetails = &hcmv3.HttpConnectionManager_SetCurrentClientCertDetails{Chain: true}
		})},
		"a caller's subject in XFCC": {"the field subject has no place", manager(func(m *hcmv3.HttpConnectionManager) {
			m.ForwardClientCertDetails = hcmv3.HttpConnectionManager_SANITIZE_SET
			m.SetCurrentClientCertDetails = &hcmv3.HttpConnectionManager_SetCurrentClientCertDetails{Chain: true, Subject: wrapperspb.Bool(true)}
		})},
		"XFCC without a chain": {"something else of a caller's certificate", manager(func(m *hcmv3.HttpConnectionManager) {
			m.ForwardClientCertDetails = hcmv3.HttpConnectionManager_SANITIZE_SET
		})},
		"XFCC shown that a caller wrote": {"must show x-forwarded-client-cert where", authorization(func(a *extauthzv3.ExtAuthz) {
			a.AllowedHeaders.Patterns = append(a.AllowedHeaders.Patterns, &matcherv3.StringMatcher{
				MatchPattern: &matcherv3.StringMatcher_Exact{Exact: "x-forwarded-client-cert"},
			})
		})},
		"upgrades": {"upgrade_configs", manager(func(m *hcmv3.HttpConnectionManager) {
			m.UpgradeConfigs = []*hcmv3.HttpConnectionManager_UpgradeConfig{{UpgradeType: "websocket"}}
		})},
		"extended CONNECT": {"extended CONNECT", manager(func(m *hcmv3.HttpConnectionManager) { m.Http2ProtocolOptions.AllowConnect = true })},
		"HTTP/1.0": {"HTTP/1.0", manager(func(m *hcmv3.HttpConnectionManager) {
			m.HttpProtocolOptions = &corev3.Http1ProtocolOptions{AcceptHttp_10: true}
		})},
		"underscores":           {"underscores", manager(func(m *hcmv3.HttpConnectionManager) { m.CommonHttpProtocolOptions.HeadersWithUnderscoresAction = 0 })},
		"streams without end":   {"longest life", manager(func(m *hcmv3.HttpConnectionManager) { m.CommonHttpProtocolOptions.MaxStreamDuration = nil })},
		"slow headers":          {"for ever to send", manager(func(m *hcmv3.HttpConnectionManager) { m.RequestHeadersTimeout = nil })},
		"a log of all requests": {"access log is not the one", manager(func(m *hcmv3.HttpConnectionManager) { m.AccessLog[0].Filter = nil })},
		"another log beside it": {"access log is not the one", func(r *translate.Resources) {
			l := r.Listeners[publicListener]
			l.AccessLog = append(l.AccessLog, l.AccessLog[0])
		}},
		"a filter that mutates headers": {"early_header_mutation_extensions", manager(func(m *hcmv3.HttpConnectionManager) {
			m.EarlyHeaderMutationExtensions = []*corev3.TypedExtensionConfig{{}}
		})},
	})
}

func TestSecretsAndReferencesAreAsTheyMustBe(t *testing.T) {
	downstream := func(change func(*tlsv3.DownstreamTlsContext)) func(*translate.Resources) {
		return func(r *translate.Resources) {
			repack(r.Listeners[publicListener].GetFilterChains()[1].GetTransportSocket().GetTypedConfig(), &tlsv3.DownstreamTlsContext{}, change)
		}
	}
	upstream := func(change func(*tlsv3.UpstreamTlsContext)) func(*translate.Resources) {
		return func(r *translate.Resources) {
			repack(r.Clusters["upstream/over-tls"].GetTransportSocket().GetTypedConfig(), &tlsv3.UpstreamTlsContext{}, change)
		}
	}
	testViolations(t, map[string]violation{
		"a certificate in the listener": {"tls_certificates", downstream(func(c *tlsv3.DownstreamTlsContext) {
			c.CommonTlsContext.TlsCertificates = []*tlsv3.TlsCertificate{{}}
		})},
		"anchors in the listener": {"validation_context", downstream(func(c *tlsv3.DownstreamTlsContext) {
			c.CommonTlsContext.ValidationContextType = &tlsv3.CommonTlsContext_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{}}
		})},
		"no certificate to present": {"presents no certificate", downstream(func(c *tlsv3.DownstreamTlsContext) {
			c.CommonTlsContext.TlsCertificateSdsSecretConfigs = nil
		})},
		"a demanded certificate that is not verified": {"verifies none", downstream(func(c *tlsv3.DownstreamTlsContext) {
			c.CommonTlsContext.ValidationContextType = nil
		})},
		"TLS 1.0": {"TLS before 1.2", downstream(func(c *tlsv3.DownstreamTlsContext) { c.CommonTlsContext.TlsParams = nil })},
		"a secret that does not come over ADS": {"does not come over the ADS stream", downstream(func(c *tlsv3.DownstreamTlsContext) {
			c.CommonTlsContext.TlsCertificateSdsSecretConfigs[0].SdsConfig = nil
		})},
		"a secret that is waited for for ever": {"waits for ever for something", downstream(func(c *tlsv3.DownstreamTlsContext) {
			c.CommonTlsContext.TlsCertificateSdsSecretConfigs[0].SdsConfig.InitialFetchTimeout = nil
		})},
		"a secret that is not there": {"there is no secret \"certificate/server\"", func(r *translate.Resources) { delete(r.Secrets, "certificate/server") }},
		"a secret of another kind": {"there is no secret \"certificate/server\"", func(r *translate.Resources) {
			s := proto.CloneOf(r.Secrets["truststore/others"])
			s.Name = "certificate/server"
			r.Secrets[s.Name] = s
		}},
		"a cluster that is not there":  {"there is no cluster \"upstream/by-address\"", func(r *translate.Resources) { delete(r.Clusters, "upstream/by-address") }},
		"endpoints that are not there": {"there are no endpoints", func(r *translate.Resources) { delete(r.Endpoints, "upstream/by-address") }},
		"a resource under another name": {"calls itself", func(r *translate.Resources) {
			r.Clusters["upstream/x"] = r.Clusters["upstream/by-address"]
		}},
		"a server whose name is not pinned": {"name is not pinned", upstream(func(c *tlsv3.UpstreamTlsContext) {
			c.GetCommonTlsContext().GetCombinedValidationContext().DefaultValidationContext.MatchTypedSubjectAltNames = nil
		})},
		"a server pinned to another name": {"name is not pinned", upstream(func(c *tlsv3.UpstreamTlsContext) { c.Sni = "other.internal" })},
		"renegotiation":                   {"allow_renegotiation", upstream(func(c *tlsv3.UpstreamTlsContext) { c.AllowRenegotiation = true })},
		"a message that is not valid": {"is not valid", func(r *translate.Resources) {
			r.Clusters["upstream/by-address"].LbPolicy = clusterv3.Cluster_LbPolicy(99)
		}},
		"a packed message that is not valid": {"is not valid", manager(func(m *hcmv3.HttpConnectionManager) {
			m.StatPrefix = ""
		})},
	})
}
