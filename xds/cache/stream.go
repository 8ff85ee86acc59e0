package cache

import (
	"maps"
	"slices"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	upstream "github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/hashicorp/go-hclog"
)

// stream is one open ADS stream. The cache's lock guards it.
type stream struct {
	proxy  *proxy
	logger hclog.Logger
	types  map[string]*typeState
}

// typeState is what a stream has of one type of resource.
type typeState struct {
	// wildcard is set where everything is wanted (listeners and clusters); otherwise names are.
	wildcard bool
	names    map[string]struct{}
	// accepted holds name and version of what the proxy has, by its own word.
	accepted map[string]string
	// inFlight are the responses that it has not answered yet, oldest first.
	inFlight []*delivery
	// retry are names from refused responses, to be sent again one by one.
	retry []string
	// wanted are names that must be answered even if the proxy has them (DeltaDiscoveryRequest.resource_names_subscribe:
	// the client may have forgotten them).
	wanted map[string]bool
	// refused holds, by name, what the proxy would not take.
	refused map[string]refusal
	// greeted is set once the first request has had its answer, which may be empty: a proxy starts up by it.
	greeted bool
	watch   *watch
}

// watch is a request that has not been answered yet.
type watch struct {
	request   *discovery.DeltaDiscoveryRequest
	responses chan upstream.DeltaResponse
}

// delivery is a response on its way.
type delivery struct {
	response *discovery.DeltaDiscoveryResponse
	nonce    string
	versions map[string]string
	removed  []string
}

type refusal struct {
	version, message string
	time             time.Time
}

// receive takes in a request: an answer to an earlier response, and changes to the subscription.
func (s *stream) receive(request *discovery.DeltaDiscoveryRequest, subscription upstream.Subscription, w *watch, now time.Time) {
	t := s.types[request.GetTypeUrl()]
	first := t == nil
	if first {
		t = &typeState{accepted: map[string]string{}, wanted: map[string]bool{}, refused: map[string]refusal{}}
		maps.Copy(t.accepted, request.GetInitialResourceVersions())
		t.greeted = len(t.accepted) > 0
		s.types[request.GetTypeUrl()] = t
		s.proxy.before = nil
	}
	s.answered(t, request, now)
	// The subscription's maps are the server's own and change under it; ours are copies.
	t.wildcard, t.names = subscription.IsWildcard(), maps.Clone(subscription.SubscribedResources())
	for _, name := range request.GetResourceNamesSubscribe() {
		t.wanted[name] = !first
	}
	for _, name := range request.GetResourceNamesUnsubscribe() {
		delete(t.accepted, name)
		delete(t.refused, name)
		delete(t.wanted, name)
	}
	t.watch = w
}

// answered takes in an ACK or a NACK.
func (s *stream) answered(t *typeState, request *discovery.DeltaDiscoveryRequest, now time.Time) {
	at := slices.IndexFunc(t.inFlight, func(d *delivery) bool { return d.nonce != "" && d.nonce == request.GetResponseNonce() })
	if at < 0 {
		return
	}
	d := t.inFlight[at]
	t.inFlight = slices.Delete(t.inFlight, at, at+1)
	refused := request.GetErrorDetail()
	kind := shortNames[request.GetTypeUrl()]
	if refused == nil {
		for name, version := range d.versions {
			t.accepted[name] = version
			delete(t.refused, name)
		}
		for _, name := range d.removed {
			delete(t.accepted, name)
			delete(t.refused, name)
		}
		s.logger.Debug("accepted", "type", kind, "resources", len(d.versions), "removed", len(d.removed))
		return
	}
	if names := slices.Sorted(maps.Keys(d.versions)); len(names) > 1 {
		s.logger.Warn("refused; what was in the response is sent again one by one", "type", kind, "resources", names, "error", refused.GetMessage())
		t.retry = append(t.retry, names...)
		return
	}
	if len(d.versions) == 0 { // a removal that was refused is not tried for ever
		for _, name := range d.removed {
			delete(t.accepted, name)
		}
		s.logger.Error("refused a removal", "type", kind, "names", d.removed, "error", refused.GetMessage())
	}
	for name, version := range d.versions {
		t.refused[name] = refusal{version: version, message: refused.GetMessage(), time: now}
		s.logger.Error("refused", "type", kind, "name", name, "version", version, "error", refused.GetMessage())
	}
}

// flush answers the open watches for which there is something to send.
func (s *stream) flush(snapshot *Snapshot, now time.Time) {
	for _, typeURL := range order {
		t := s.types[typeURL]
		if t == nil || t.watch == nil {
			continue
		}
		d := s.next(typeURL, t, snapshot)
		if d == nil {
			continue
		}
		t.greeted = true
		t.inFlight = append(t.inFlight, d)
		w := t.watch
		t.watch = nil
		// The server makes room for one response a type before it opens a watch, so this never blocks.
		w.responses <- &upstream.DeltaPassthroughResponse{
			DeltaRequest: w.request, DeltaDiscoveryResponse: d.response,
			NextVersionMap: map[string]string{}, // the server's own bookkeeping, which nothing reads
		}
	}
}

// next is what to send of a type now, or nil.
func (s *stream) next(typeURL string, t *typeState, snapshot *Snapshot) *delivery {
	have := snapshot.types[typeURL]
	maps.DeleteFunc(t.refused, func(name string, _ refusal) bool { return have[name] == nil })
	if len(t.retry) > 0 {
		return t.nextRetry(typeURL, have)
	}
	if s.held(typeURL, snapshot) {
		return nil
	}
	d := &delivery{versions: map[string]string{}}
	for name := range t.subscribed(have) {
		if t.lacks(name, have[name].version()) {
			d.versions[name] = have[name].version()
		}
	}
	if t.wildcard && s.removable(typeURL, snapshot) {
		d.removed = t.gone(have)
	}
	if len(d.versions) == 0 && len(d.removed) == 0 && (t.greeted || !t.wildcard) {
		return nil
	}
	clear(t.wanted)
	return d.seal(typeURL, have)
}

// nextRetry is the next resource of a refused response, alone, once the one before it has been answered.
func (t *typeState) nextRetry(typeURL string, have map[string]*sealed) *delivery {
	if len(t.inFlight) > 0 {
		return nil
	}
	for len(t.retry) > 0 {
		name := t.retry[0]
		t.retry = t.retry[1:]
		if r := have[name]; r != nil && t.lacks(name, r.version()) {
			d := &delivery{versions: map[string]string{name: r.version()}}
			return d.seal(typeURL, have)
		}
	}
	return nil
}

// subscribed are the names that the proxy wants and the snapshot has. A name that the snapshot lacks is not answered: for
// secrets, routes and endpoints Envoy ignores a removal and waits for initial_fetch_timeout in any case.
func (t *typeState) subscribed(have map[string]*sealed) map[string]struct{} {
	names := map[string]struct{}{}
	if t.wildcard {
		for name := range have {
			names[name] = struct{}{}
		}
	}
	for name := range t.names {
		if have[name] != nil {
			names[name] = struct{}{}
		}
	}
	return names
}

// lacks tells whether the proxy is to be sent this version: it does not have it, it is not on its way, and the proxy has
// not refused it.
func (t *typeState) lacks(name, version string) bool {
	if t.wanted[name] {
		return true
	}
	if t.refused[name].version == version {
		return false
	}
	known := t.accepted[name]
	for _, d := range t.inFlight {
		if sent, ok := d.versions[name]; ok {
			known = sent
		}
	}
	return known != version
}

// gone are names that the proxy has and the snapshot lacks.
func (t *typeState) gone(have map[string]*sealed) []string {
	var names []string
	for name := range t.accepted {
		removing := slices.ContainsFunc(t.inFlight, func(d *delivery) bool { return slices.Contains(d.removed, name) })
		if have[name] == nil && !removing {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// held tells whether a type waits: listeners and routes go out once the proxy has the clusters and endpoints that they
// lead to, so that no request meets a cluster that is not ready.
func (s *stream) held(typeURL string, snapshot *Snapshot) bool {
	if typeURL != resource.ListenerType && typeURL != resource.RouteType {
		return false
	}
	clusters, endpoints := s.types[resource.ClusterType], s.types[resource.EndpointType]
	if clusters == nil || !s.settled(resource.ClusterType, snapshot) {
		return clusters != nil // a proxy that asks for no clusters waits for none
	}
	if endpoints == nil {
		// Without a refused cluster the proxy is about to ask for endpoints.
		return len(snapshot.types[resource.EndpointType]) > 0 && len(clusters.refused) == 0
	}
	if len(clusters.refused) == 0 {
		for name := range snapshot.types[resource.EndpointType] {
			if _, asked := endpoints.names[name]; !asked {
				return true
			}
		}
	}
	return !s.settled(resource.EndpointType, snapshot)
}

// settled tells whether the proxy has answered for everything of the type that it is to have.
func (s *stream) settled(typeURL string, snapshot *Snapshot) bool {
	t := s.types[typeURL]
	if t == nil {
		return false
	}
	if len(t.inFlight) > 0 || len(t.retry) > 0 {
		return false
	}
	have := snapshot.types[typeURL]
	for name := range t.subscribed(have) {
		if version := have[name].version(); t.accepted[name] != version && t.refused[name].version != version {
			return false
		}
	}
	return true
}

// removable tells whether removals of a type may go out: clusters stay until the proxy has answered for the listeners and
// routes that no longer lead to them. Endpoints, routes and secrets are never removed: they go with what refers to them.
func (s *stream) removable(typeURL string, snapshot *Snapshot) bool {
	if typeURL != resource.ClusterType {
		return true
	}
	for _, referring := range []string{resource.ListenerType, resource.RouteType} {
		if s.types[referring] != nil && !s.settled(referring, snapshot) {
			return false
		}
	}
	return true
}

// seal builds the response.
func (d *delivery) seal(typeURL string, have map[string]*sealed) *delivery {
	d.response = &discovery.DeltaDiscoveryResponse{TypeUrl: typeURL, RemovedResources: d.removed}
	for _, name := range slices.Sorted(maps.Keys(d.versions)) {
		d.response.Resources = append(d.response.Resources, have[name].wire)
	}
	return d
}
