package lint

import (
	"maps"
	"net/http"
	"slices"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"google.golang.org/protobuf/proto"

	"github.com/sallyport-project/sallyport/config/checkcontext"
	"github.com/sallyport-project/sallyport/envoy/translate"
)

// routeConfiguration wants every request to come to a route that says where it stands, whatever its host and path.
// Settings of filters for the whole configuration or a virtual host, mirrors and route matchers have no place.
func (l *lint) routeConfiguration(routes *routev3.RouteConfiguration) {
	uses := l.uses[routes.GetName()]
	if len(uses) != 1 {
		l.found("%d filter chains use it, and its routes can only tell of one", len(uses))
		return
	}
	l.onlyFields("the route configuration", routes, "name", "virtual_hosts")
	domains := map[string]bool{}
	for _, host := range routes.GetVirtualHosts() {
		where := "virtual host " + host.GetName()
		l.onlyFields(where, host, "name", "domains", "routes", "retry_policy", "typed_per_filter_config")
		l.crossOrigin(where, host)
		for _, domain := range host.GetDomains() {
			if domains[domain] {
				l.found("%s: the domain %s stands twice", where, domain)
			}
			domains[domain] = true
		}
		l.virtualHost(host, uses[0])
	}
	if !domains["*"] {
		l.found("it has no virtual host for hosts that no other one takes: they would get an answer without authorization")
	}
}

func (l *lint) virtualHost(host *routev3.VirtualHost, by use) {
	for where, route := range routesOf(host) {
		l.route(where, route, by)
		context, _ := translate.Context(route, nil)
		for _, domain := range host.GetDomains() {
			if context[checkcontext.Outcome] != checkcontext.OutcomeMisdirected && !catchesTrace(route) && !by.owns(domain) {
				l.found("%s: requests for %s belong to another filter chain, and must be misdirected here", where, domain)
			}
		}
	}
	if len(host.GetRoutes()) == 0 || !catchesTrace(host.GetRoutes()[0]) {
		l.found("virtual host %s: its first route does not take TRACE, which would show what was added to a request", host.GetName())
	}
	if len(host.GetRoutes()) == 0 || !catchesAll(host.GetRoutes()[len(host.GetRoutes())-1]) {
		l.found("virtual host %s: its last route does not take all that is left: it would get an answer without authorization", host.GetName())
	}
}

// catchesAll tells whether a route takes every request and leads nowhere.
func catchesAll(route *routev3.Route) bool {
	return !answered(route) && route.GetMatch().GetPrefix() == "/" && len(route.GetMatch().GetHeaders()) == 0 && endsHere(route)
}

// answered tells whether the authorization service answers those whom the route's policy lets in.
func answered(route *routev3.Route) bool {
	context, _ := translate.Context(route, nil)
	return context[checkcontext.Answer] != ""
}

// catchesTrace tells whether a route takes TRACE on every path and leads nowhere.
func catchesTrace(route *routev3.Route) bool {
	headers := route.GetMatch().GetHeaders()
	return !answered(route) && route.GetMatch().GetPrefix() == "/" && endsHere(route) && len(headers) == 1 &&
		headers[0].GetName() == ":method" && headers[0].GetStringMatch().GetExact() == http.MethodTrace
}

func (l *lint) route(where string, route *routev3.Route, by use) {
	l.onlyFields(where, route, "name", "match", "route", "direct_response", "typed_per_filter_config")
	l.onlyFields(where, route.GetMatch(), "prefix", "path", "path_separated_prefix", "safe_regex", "headers")
	context := l.context(where, route, nil)
	for _, known := range []struct{ key, value string }{
		{checkcontext.Gateway, by.gateway}, {checkcontext.Listener, by.listener}, {checkcontext.Entry, by.entry},
	} {
		if context[known.key] != known.value {
			l.found("%s: its context says %s %q, and it stands in %q", where, known.key, context[known.key], known.value)
		}
	}
	if endsHere(route) {
		l.leadsNowhere(where, route, context)
		return
	}
	l.leadsUpstream(where, route, context)
}

// context reads what a route or weighted cluster says, and finds settings of filters that are not that.
func (l *lint) context(where string, route *routev3.Route, chosen *routev3.WeightedCluster_ClusterWeight) map[string]string {
	configured := route.GetTypedPerFilterConfig()
	if chosen != nil {
		configured = chosen.GetTypedPerFilterConfig()
	}
	for name, settings := range configured {
		withholds := name == translate.WithholdingFilterName && chosen == nil && proto.Equal(settings, translate.WithholdingSettings())
		if name != translate.AuthorizationFilter && !withholds {
			l.found("%s: it has settings of the filter %s, which have no place here", where, name)
		}
	}
	context, err := translate.Context(route, chosen)
	if err != nil {
		l.found("%s: %v", where, err) // `disabled` is among these
	}
	l.checkSettings(where, configured[translate.AuthorizationFilter], context[checkcontext.Answer] == checkcontext.AnswerToken)
	return context
}

// endsHere tells whether a route leads to no upstream: it answers by itself, or its cluster is the one that there never is.
func endsHere(route *routev3.Route) bool {
	return route.GetDirectResponse() != nil || route.GetRoute().GetCluster() == translate.NowhereCluster
}

// otherwise is the status that would come of a request which the authorization filter lets pass to no upstream.
func (l *lint) otherwise(where string, route *routev3.Route) uint32 {
	if answer := route.GetDirectResponse(); answer != nil {
		l.onlyFields(where, answer, "status") // a body would be an answer
		return answer.GetStatus()
	}
	l.onlyFields(where, route.GetRoute(), "cluster") // the default for one that is not found is 503
	if l.resources.Clusters[translate.NowhereCluster] != nil {
		l.found("%s: there is a cluster %q, and there must be none", where, translate.NowhereCluster)
	}
	return http.StatusServiceUnavailable
}

func (l *lint) leadsNowhere(where string, route *routev3.Route, context map[string]string) {
	status := l.otherwise(where, route)
	if context[checkcontext.Answer] != "" {
		l.answers(where, status, context)
		return
	}
	if status < http.StatusBadRequest {
		l.found("%s: it answers %d, and leads nowhere", where, status)
	}
	l.keys(where, context, checkcontext.Outcome)
	outcome := context[checkcontext.Outcome]
	if outcome != checkcontext.OutcomeNoRoute && outcome != checkcontext.OutcomeMisdirected {
		l.found("%s: its outcome %q is none", where, outcome)
	}
}

// answers wants a route whose answer the authorization service gives to name its policy, and to have an error of its own for a
// request that comes through.
func (l *lint) answers(where string, status uint32, context map[string]string) {
	if status != http.StatusServiceUnavailable {
		l.found("%s: it answers %d by itself, where the authorization service has to", where, status)
	}
	rule := []string{checkcontext.Route, checkcontext.Rule, checkcontext.Policy, checkcontext.PolicyHash, checkcontext.Answer}
	switch answer := context[checkcontext.Answer]; answer {
	case checkcontext.AnswerWhoAmI:
		l.keys(where, context, rule...)
	case checkcontext.AnswerToken, checkcontext.AnswerKeySet, checkcontext.AnswerIssuerMetadata:
		l.keys(where, context, append(rule, checkcontext.Provider)...)
	default:
		l.found("%s: its answer %q is none", where, answer)
	}
}

// leadsUpstream wants a route to name its policy and upstreams. Mirrors, redirects, upgrades and clusters that a header
// names have no place.
func (l *lint) leadsUpstream(where string, route *routev3.Route, context map[string]string) {
	rule := []string{checkcontext.Route, checkcontext.Rule, checkcontext.Policy, checkcontext.PolicyHash, checkcontext.Upstream, checkcontext.UpstreamHash}
	action := route.GetRoute()
	if action == nil {
		l.found("%s: it neither leads to an upstream nor answers by itself", where)
		return
	}
	l.onlyFields(where, action, "cluster", "weighted_clusters", "timeout", "idle_timeout", "host_rewrite_literal")
	if action.GetTimeout().AsDuration() <= 0 {
		l.found("%s: its upstream may take for ever", where)
	}
	if action.GetWeightedClusters() == nil {
		l.keys(where, context, rule...)
		l.clusterOf(where, action.GetCluster(), context)
		return
	}
	l.onlyFields(where, action.GetWeightedClusters(), "clusters")
	for _, chosen := range action.GetWeightedClusters().GetClusters() {
		whereChosen := where + ", cluster " + chosen.GetName()
		l.onlyFields(whereChosen, chosen, "name", "weight", "typed_per_filter_config", "host_rewrite_literal")
		merged := l.context(whereChosen, route, chosen)
		l.keys(whereChosen, merged, rule...)
		for key, value := range context {
			if merged[key] != value {
				l.found("%s: it changes %s of the route's context", whereChosen, key)
			}
		}
		l.clusterOf(whereChosen, chosen.GetName(), merged)
	}
}

// keys wants a context to have these keys beside those of every route, each with a value, and no other.
func (l *lint) keys(where string, context map[string]string, own ...string) {
	want := append([]string{checkcontext.Gateway, checkcontext.Listener, checkcontext.Entry}, own...)
	for _, key := range want {
		if context[key] == "" {
			l.found("%s: its context has no %s", where, key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(context)) {
		if !slices.Contains(want, key) {
			l.found("%s: its context has %s, which has no place here", where, key)
		}
	}
}

func (l *lint) clusterOf(where, name string, context map[string]string) {
	if l.resources.Clusters[name] == nil {
		l.found("%s: there is no cluster %q", where, name)
	}
	if want := "upstream/" + context[checkcontext.Upstream]; name != want {
		l.found("%s: it leads to the cluster %q, and its context says %q", where, name, want)
	}
}
