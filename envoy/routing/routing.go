package routing

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/sallyport-project/sallyport/envoy/translate"
)

// Listener is a generated listener with its routes, ready to choose by. It is immutable and may be shared.
type Listener struct {
	listener *listenerv3.Listener
	entries  map[*listenerv3.FilterChain]*entry
}

// entry is one filter chain's HTTP side.
type entry struct {
	options Options
	routes  *routev3.RouteConfiguration
	// conditions of each route.
	conditions map[*routev3.Route][]condition
	// crossOrigin of each virtual host that says something of CORS.
	crossOrigin map[*routev3.VirtualHost]*crossOrigin
}

// Compile prepares a listener with the route configurations that it refers to by name. The error is for one that is
// missing, and for whatever the simulation does not know.
func Compile(listener *listenerv3.Listener, routes map[string]*routev3.RouteConfiguration) (*Listener, error) {
	l := &Listener{listener: listener, entries: map[*listenerv3.FilterChain]*entry{}}
	for _, chain := range listener.GetFilterChains() {
		compiled, err := compileEntry(chain, routes)
		if err != nil {
			return nil, fmt.Errorf("simulate the listener %s, filter chain %s: %w", listener.GetName(), chain.GetName(), err)
		}
		l.entries[chain] = compiled
	}
	return l, nil
}

func compileEntry(chain *listenerv3.FilterChain, routes map[string]*routev3.RouteConfiguration) (*entry, error) {
	if len(chain.GetFilters()) != 1 {
		return nil, fmt.Errorf("it has %d filters, and one is simulated", len(chain.GetFilters()))
	}
	manager := &hcmv3.HttpConnectionManager{}
	if err := chain.GetFilters()[0].GetTypedConfig().UnmarshalTo(manager); err != nil {
		return nil, err
	}
	name := manager.GetRds().GetRouteConfigName()
	e := &entry{routes: routes[name], conditions: map[*routev3.Route][]condition{}, crossOrigin: map[*routev3.VirtualHost]*crossOrigin{}}
	if e.routes == nil {
		return nil, fmt.Errorf("there is no route configuration %q", name)
	}
	var known bool
	if e.options, known = optionsOf(manager); !known || !manager.GetStripAnyHostPort() || !manager.GetStripTrailingHostDot() {
		return nil, fmt.Errorf("it normalises paths or hosts in a way that is not simulated")
	}
	for _, host := range e.routes.GetVirtualHosts() {
		var err error
		if e.crossOrigin[host], err = compileCrossOrigin(host); err != nil {
			return nil, err
		}
		for _, route := range host.GetRoutes() {
			conditions, err := compileMatch(route.GetMatch())
			if err != nil {
				return nil, fmt.Errorf("route %s of %s: %w", route.GetName(), host.GetName(), err)
			}
			e.conditions[route] = conditions
		}
	}
	return e, nil
}

// Request is a request as a caller sends it.
type Request struct {
	// SNI is empty without TLS.
	SNI    string
	Method string
	// Host is the value of the Host header.
	Host string
	// Path is the request target in origin form, with its query, not normalised.
	Path    string
	Headers http.Header
}

// Decision is what Envoy chooses for a request.
type Decision struct {
	// Closed is set where the connection is closed because no filter chain has its SNI. Everything else is empty then.
	Closed bool
	// Status is Envoy's own answer, given before the authorization service is asked, or 0: to a request that cannot be read, and to a
	// browser's preflight.
	Status int
	// AnswerHeaders are what any answer has of Envoy's own, by name in lower case: what it says of CORS.
	AnswerHeaders http.Header
	// Path and Host are in the form in which the authorization service and the upstream see them.
	Path, Host string
	// VirtualHost and Route are nil exactly where Status is set.
	VirtualHost *routev3.VirtualHost
	Route       *routev3.Route
	// Context is what the route tells the authorization service (package checkcontext), without the upstream's part where
	// there are several.
	Context map[string]string
	// Upstreams are the clusters to choose from at random; empty where the route leads nowhere.
	Upstreams []Upstream
}

// Upstream is a cluster that a route leads to.
type Upstream struct {
	Cluster string
	// Weight is the share of the sum of all weights.
	Weight uint32
	// Context is that of the route with what the cluster adds.
	Context map[string]string
}

// Choose tells what Envoy does with a request.
func (l *Listener) Choose(r Request) Decision {
	chain := ChooseChain(l.listener, r.SNI)
	if chain == nil {
		return Decision{Closed: true}
	}
	e := l.entries[chain]
	decision := Decision{Host: normaliseHost(r.Host)}
	headers, valid := receivedHeaders(r.Headers)
	decision.Path, decision.Status = Normalise(r.Path, e.options)
	switch {
	case !valid || !validHost(strings.Trim(r.Host, " \t")) || !methods[r.Method]:
		decision.Status = http.StatusBadRequest
	case r.Method == http.MethodOptions && r.Path == "*":
		decision.Status = http.StatusNotFound
	}
	if decision.Status != 0 {
		return decision
	}
	path, _, _ := strings.Cut(decision.Path, "?")
	e.choose(&decision, request{method: r.Method, path: path, headers: headers})
	return decision
}

// choose finds the route: the virtual host's first whose conditions all hold.
func (e *entry) choose(decision *Decision, r request) {
	host := virtualHost(e.routes, decision.Host)
	for _, route := range host.GetRoutes() {
		if slices.ContainsFunc(e.conditions[route], func(c condition) bool { return !c(r) }) {
			continue
		}
		decision.VirtualHost, decision.Route = host, route
		decision.Context, _ = translate.Context(route, nil) // a route without one is for the lint to report
		decision.Upstreams = upstreams(route)
		decision.AnswerHeaders = e.crossOrigin[host].headers(r)
		if answer, is := e.crossOrigin[host].preflight(r); is {
			decision.AnswerHeaders, decision.Status = answer, http.StatusOK
			decision.VirtualHost, decision.Route, decision.Context, decision.Upstreams = nil, nil, nil, nil
		}
		return
	}
	decision.Status = http.StatusNotFound
}

func upstreams(route *routev3.Route) []Upstream {
	action := route.GetRoute()
	if name := action.GetCluster(); name != "" && name != translate.NowhereCluster {
		context, _ := translate.Context(route, nil)
		return []Upstream{{Cluster: name, Weight: 1, Context: context}}
	}
	var all []Upstream
	for _, c := range action.GetWeightedClusters().GetClusters() {
		context, _ := translate.Context(route, c)
		all = append(all, Upstream{Cluster: c.GetName(), Weight: c.GetWeight().GetValue(), Context: context})
	}
	return all
}

// methods are those that Envoy's HTTP/1.1 codec knows (allow_custom_methods is not set), without CONNECT, which needs a
// route of its own kind. Over HTTP/2 any method comes through.
var methods = func() map[string]bool {
	known := map[string]bool{}
	for method := range strings.FieldsSeq(`ACL BIND CHECKOUT COPY DELETE GET HEAD LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL
		MOVE MSEARCH NOTIFY OPTIONS PATCH POST PROPFIND PROPPATCH PURGE PUT REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE UNBIND
		UNLINK UNLOCK UNSUBSCRIBE`) {
		known[method] = true
	}
	return known
}()

// receivedHeaders are the headers that routes are matched by: names in lower case, values without space around them, and
// without those that the Connection header names (RFC 9110, section 7.6.1). It is false where Envoy answers 400: for an
// underscore in a name (headers_with_underscores_action REJECT_REQUEST).
func receivedHeaders(sent http.Header) (map[string][]string, bool) {
	received := map[string][]string{}
	for name, values := range maps.All(sent) {
		if strings.Contains(name, "_") {
			return nil, false
		}
		name = strings.ToLower(name)
		for _, value := range values {
			received[name] = append(received[name], strings.Trim(value, " \t"))
		}
	}
	for _, named := range received["connection"] {
		for name := range strings.SplitSeq(named, ",") {
			delete(received, strings.ToLower(strings.Trim(name, " \t")))
		}
	}
	return received, true
}
