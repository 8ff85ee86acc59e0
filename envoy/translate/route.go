package translate

import (
	"iter"
	"net/http"
	"slices"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	extauthzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	previoushostsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/checkcontext"
)

// The names of the routes that lead nowhere. The others are called `<route>/<rule>`, which has a slash.
const (
	TraceRoute       = "trace"
	NoRoute          = "no-route"
	MisdirectedRoute = "misdirected"
)

// anyHost is the virtual host of what no other one takes.
const anyHost = "*"

// hostAttempts is how often Envoy looks for another endpoint than the one that failed.
const hostAttempts = 3

// retryOn are the failures after which the upstream cannot have seen the request, so that even one that must not be
// repeated may be sent again: a connection that was not made, one that was closed under the request before its headers
// were sent (connections have a longest life, here and there), and an HTTP/2 stream that was refused (RFC 9113, section
// 8.7). Nothing else is ever sent twice.
const retryOn = "connect-failure,reset-before-request,refused-stream"

// routeConfiguration makes the routes of an entry: a virtual host for each hostname that has rules, one for each of the
// entry's other hostnames, and 421 for all that belongs to other entries. Every host ends with a route that takes what no
// rule takes, so that nothing gets an answer without passing the authorization filter.
func routeConfiguration(e *config.Entry) *routev3.RouteConfiguration {
	rules, cors := map[string][]*config.Rule{}, map[string]*config.CORS{}
	for _, hostname := range e.Hostnames {
		rules[hostname] = nil
	}
	for _, host := range e.VirtualHosts {
		rules[host.Hostname], cors[host.Hostname] = host.Rules, host.CORS
	}
	routes := &routev3.RouteConfiguration{Name: RoutesName(e)}
	for _, hostname := range ordered(rules) {
		routes.VirtualHosts = append(routes.VirtualHosts, virtualHost(e, hostname, rules[hostname], cors[hostname]))
	}
	for _, hostname := range e.Elsewhere {
		routes.VirtualHosts = append(routes.VirtualHosts, misdirected(e, hostname))
	}
	if _, all := rules[anyHost]; !all {
		routes.VirtualHosts = append(routes.VirtualHosts, misdirected(e, anyHost))
	}
	return routes
}

// ordered lists hostnames with the one for all others last. Envoy does not mind the order; people do.
func ordered(rules map[string][]*config.Rule) []string {
	hostnames := make([]string, 0, len(rules))
	for hostname := range rules {
		hostnames = append(hostnames, hostname)
	}
	slices.SortFunc(hostnames, func(a, b string) int {
		switch {
		case a == anyHost:
			return 1
		case b == anyHost:
			return -1
		}
		return strings.Compare(a, b)
	})
	return hostnames
}

// virtualHost makes the host of the rules, the first that matches being the one that counts.
func virtualHost(e *config.Entry, hostname string, rules []*config.Rule, cors *config.CORS) *routev3.VirtualHost {
	host := &routev3.VirtualHost{
		Name: hostname, Domains: []string{hostname},
		Routes: []*routev3.Route{traceRoute(e)},
	}
	crossOrigin(host, cors)
	for _, rule := range rules {
		host.Routes = append(host.Routes, ruleRoute(e, rule))
	}
	host.Routes = append(host.Routes, nowhere(e, NoRoute, checkcontext.OutcomeNoRoute, http.StatusNotFound))
	withoutUpstream(host, cors)
	if len(rules) > 0 {
		host.RetryPolicy = retryPolicy()
	}
	return host
}

// retryPolicy sends what nobody can have seen once more, to another endpoint if there is one.
func retryPolicy() *routev3.RetryPolicy {
	return &routev3.RetryPolicy{
		RetryOn: retryOn, NumRetries: wrapperspb.UInt32(1),
		RetryHostPredicate: []*routev3.RetryPolicy_RetryHostPredicate{{
			Name: "envoy.retry_host_predicates.previous_hosts",
			ConfigType: &routev3.RetryPolicy_RetryHostPredicate_TypedConfig{
				TypedConfig: pack(&previoushostsv3.PreviousHostsPredicate{}),
			},
		}},
		HostSelectionRetryMaxAttempts: hostAttempts,
	}
}

// misdirected makes the host for names of other entries (RFC 9110, section 15.5.20): what they demand of a caller's
// certificate was not demanded of this connection.
func misdirected(e *config.Entry, hostname string) *routev3.VirtualHost {
	return &routev3.VirtualHost{
		Name: hostname, Domains: []string{hostname},
		Routes: []*routev3.Route{
			traceRoute(e),
			nowhere(e, MisdirectedRoute, checkcontext.OutcomeMisdirected, http.StatusMisdirectedRequest),
		},
	}
}

// NowhereCluster is the name of a cluster that there never is.
const NowhereCluster = "nowhere"

// withoutUpstream ends each route of a host that leads to no upstream. All that is said on them is said by the authorization filter; what
// would come of a request that passes it is a direct response. Where the host says something of CORS it is a cluster that there is not:
// Envoy's filter passes over direct responses, and neither a preflight for another route's path nor a refusal would be answered to a page.
func withoutUpstream(host *routev3.VirtualHost, cors *config.CORS) {
	if cors == nil {
		return
	}
	for _, route := range host.Routes {
		if route.GetDirectResponse() != nil {
			route.Action = &routev3.Route_Route{Route: &routev3.RouteAction{
				ClusterSpecifier:            &routev3.RouteAction_Cluster{Cluster: NowhereCluster},
				ClusterNotFoundResponseCode: routev3.RouteAction_SERVICE_UNAVAILABLE,
			}}
		}
	}
}

// nowhere is a route that takes every request. Its direct response still passes the authorization filter, which turns it
// away; the status here is what would come of it otherwise.
func nowhere(e *config.Entry, name, outcome string, status uint32) *routev3.Route {
	return &routev3.Route{
		Name:                 name,
		Match:                &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
		Action:               &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{Status: status}},
		TypedPerFilterConfig: settings(&extauthzv3.CheckSettings{ContextExtensions: outcomeContext(e, outcome)}),
	}
}

// traceRoute leads TRACE nowhere, whatever rules there are (see traceReply).
func traceRoute(e *config.Entry) *routev3.Route {
	route := nowhere(e, TraceRoute, checkcontext.OutcomeNoRoute, http.StatusMethodNotAllowed)
	route.Match.Headers = []*routev3.HeaderMatcher{headerIs(":method", http.MethodTrace)}
	return route
}

func ruleRoute(e *config.Entry, rule *config.Rule) *routev3.Route {
	route := &routev3.Route{
		Name:                 rule.Route.Name + "/" + rule.Name,
		Match:                routeMatch(rule.Match),
		TypedPerFilterConfig: ruleSettings(e, rule),
	}
	if rule.Answer != "" {
		// The authorization service answers, and never lets such a request on. The status is what would come of it if it did.
		route.Action = &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{Status: http.StatusServiceUnavailable}}
	} else {
		route.Action = &routev3.Route_Route{Route: routeAction(rule)}
	}
	return route
}

func routeMatch(m config.Match) *routev3.RouteMatch {
	match := &routev3.RouteMatch{}
	switch {
	case m.Kind == config.MatchExact:
		match.PathSpecifier = &routev3.RouteMatch_Path{Path: m.Path}
	case m.Kind == config.MatchTemplate:
		match.PathSpecifier = &routev3.RouteMatch_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: m.Template.Regex()}}
	case m.Path == "/":
		match.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: m.Path}
	default:
		match.PathSpecifier = &routev3.RouteMatch_PathSeparatedPrefix{PathSeparatedPrefix: m.Path}
	}
	switch len(m.Methods) {
	case 0:
	case 1:
		match.Headers = append(match.Headers, headerIs(":method", m.Methods[0]))
	default:
		// Envoy has a regular expression match the whole value. Methods are capitals alone.
		match.Headers = append(match.Headers, &routev3.HeaderMatcher{
			Name: ":method",
			HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{StringMatch: &matcherv3.StringMatcher{
				MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: strings.Join(m.Methods, "|")}},
			}},
		})
	}
	for _, h := range m.Headers {
		if h.Present {
			match.Headers = append(match.Headers, &routev3.HeaderMatcher{
				Name: h.Name, HeaderMatchSpecifier: &routev3.HeaderMatcher_PresentMatch{PresentMatch: true},
			})
		} else {
			match.Headers = append(match.Headers, headerIs(h.Name, h.Value))
		}
	}
	return match
}

// routeAction leads to the rule's upstreams. One that is called over TLS is asked for by the name that it is verified by,
// in SNI and Host alike: a server that compares the two, as ours do, would answer 421 to the caller's own Host.
func routeAction(rule *config.Rule) *routev3.RouteAction {
	action := &routev3.RouteAction{Timeout: durationpb.New(rule.Timeout)}
	if rule.Timeout > idleStream {
		action.IdleTimeout = durationpb.New(rule.Timeout)
	}
	if len(rule.Upstreams) == 1 {
		u := rule.Upstreams[0].Upstream
		action.ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: ClusterName(u)}
		if u.TLS != nil {
			action.HostRewriteSpecifier = &routev3.RouteAction_HostRewriteLiteral{HostRewriteLiteral: u.TLS.ServerName}
		}
		return action
	}
	weighted := &routev3.WeightedCluster{}
	for _, u := range rule.Upstreams {
		share := &routev3.WeightedCluster_ClusterWeight{
			Name:                 ClusterName(u.Upstream),
			Weight:               wrapperspb.UInt32(u.Weight),
			TypedPerFilterConfig: settings(check(rule, upstreamContext(u.Upstream))),
		}
		if u.Upstream.TLS != nil {
			share.HostRewriteSpecifier = &routev3.WeightedCluster_ClusterWeight_HostRewriteLiteral{HostRewriteLiteral: u.Upstream.TLS.ServerName}
		}
		weighted.Clusters = append(weighted.Clusters, share)
	}
	action.ClusterSpecifier = &routev3.RouteAction_WeightedClusters{WeightedClusters: weighted}
	return action
}

// upstreams yields the upstreams that an entry's rules lead to; some more than once.
func upstreams(e *config.Entry) iter.Seq[*config.Upstream] {
	return func(yield func(*config.Upstream) bool) {
		for _, host := range e.VirtualHosts {
			for _, rule := range host.Rules {
				for _, u := range rule.Upstreams {
					if !yield(u.Upstream) {
						return
					}
				}
			}
		}
	}
}
