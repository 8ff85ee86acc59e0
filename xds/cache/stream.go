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
	// warming are clusters that were sent before the proxy asked for any endpoints.
	warming map[string]bool
}

// typeState is what a stream has of one type of resource.
type typeState struct {
	// wildcard is set where everything is wanted (listeners and clusters); otherwise names are.
	wildcard bool
	names    map[string]struct{}
	// accepted holds name and version of what the proxy has, by its own word.
	accepted map[string]string
	// doubtful holds name and version of what stood in a refused response with others: the proxy may have applied it.
	doubtful map[string]string
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
		t = s.begin(request)
	}
	// The subscription's maps are the server's own and change under it; ours are copies.
	t.wildcard, t.names = subscription.IsWildcard(), maps.Clone(subscription.SubscribedResources())
	s.answered(t, request, now)
	for _, name := range request.GetResourceNamesSubscribe() {
		if !first { // with its first request the proxy says which versions it has
			t.wanted[name] = true
		}
	}
	for _, name := range request.GetResourceNamesUnsubscribe() {
		t.drop(name)
	}
	t.watch = w
}

// begin makes the state of a type from the stream's first request for it.
func (s *stream) begin(request *discovery.DeltaDiscoveryRequest) *typeState {
	t := &typeState{
		accepted: map[string]string{}, doubtful: map[string]string{}, wanted: map[string]bool{}, refused: map[string]refusal{},
	}
	maps.Copy(t.accepted, request.GetInitialResourceVersions())
	t.greeted = len(t.accepted) > 0
	if request.GetTypeUrl() == resource.EndpointType {
		maps.Copy(t.wanted, s.warming)
	}
	s.types[request.GetTypeUrl()] = t
	delete(s.proxy.before, request.GetTypeUrl())
	return t
}

// answered takes in an ACK or a NACK.
func (s *stream) answered(t *typeState, request *discovery.DeltaDiscoveryRequest, now time.Time) {
	at := slices.IndexFunc(t.inFlight, func(d *delivery) bool { return d.nonce != "" && d.nonce == request.GetResponseNonce() })
	if at < 0 {
		return
	}
	d := t.inFlight[at]
	t.inFlight = slices.Delete(t.inFlight, at, at+1)
	kind := shortNames[request.GetTypeUrl()]
	if refused := request.GetErrorDetail(); refused != nil {
		t.refuse(d, refusal{message: refused.GetMessage(), time: now}, s.logger.With("type", kind))
		return
	}
	for name, version := range d.versions {
		if t.subscribes(name) { // it may have lost interest since
			t.drop(name)
			t.accepted[name] = version
		}
	}
	for _, name := range d.removed {
		t.drop(name)
	}
	s.logger.Debug("accepted", "type", kind, "resources", len(d.versions), "removed", len(d.removed))
}

// refuse takes in a NACK. Of several resources nobody knows which one was bad, so each is sent again alone. What a proxy
// does with the good ones depends on the type: of clusters and listeners it has applied them, of the others it has not.
func (t *typeState) refuse(d *delivery, why refusal, logger hclog.Logger) {
	names := slices.Sorted(maps.Keys(d.versions))
	switch {
	case len(names) > 1:
		logger.Warn("refused; what was in the response is sent again one by one", "resources", names, "error", why.message)
		t.retry = append(t.retry, names...)
		maps.Copy(t.doubtful, d.versions)
	case len(names) == 1:
		name := names[0]
		why.version = d.versions[name]
		if t.doubtful[name] == why.version {
			delete(t.doubtful, name)
		}
		t.refused[name] = why
		logger.Error("refused", "name", name, "version", why.version, "error", why.message)
	default: // a removal that was refused is not tried for ever
		for _, name := range d.removed {
			t.drop(name)
		}
		logger.Error("refused a removal", "names", d.removed, "error", why.message)
	}
}

// drop forgets all that is known of a name.
func (t *typeState) drop(name string) {
	delete(t.accepted, name)
	delete(t.doubtful, name)
	delete(t.refused, name)
	delete(t.wanted, name)
}

// flush answers the open watches for which there is something to send.
func (s *stream) flush(snapshot *Snapshot) {
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
		if typeURL == resource.ClusterType {
			s.wantEndpoints(d)
		}
		w := t.watch
		t.watch = nil
		// The server empties the channel before it takes a request, and a watch is answered once: so at most two responses
		// of each type are in it, for which it has room. This never blocks.
		w.responses <- &upstream.DeltaPassthroughResponse{
			DeltaRequest: w.request, DeltaDiscoveryResponse: d.response,
			NextVersionMap: map[string]string{}, // the server's own bookkeeping, which nothing reads
		}
	}
}

// wantEndpoints has the endpoints of changed clusters sent again. Envoy warms the new cluster up with a subscription of its
// own, for which it asks nothing, because the old cluster's has the same name. Until they come it neither uses the change
// nor acknowledges it, or until initial_fetch_timeout: 15 s.
func (s *stream) wantEndpoints(clusters *delivery) {
	endpoints := s.types[resource.EndpointType]
	for name := range clusters.versions {
		switch {
		case endpoints == nil:
			s.warming[name] = true
		case endpoints.subscribes(name):
			endpoints.wanted[name] = true
		}
	}
}

// next is what to send of a type now, or nil.
func (s *stream) next(typeURL string, t *typeState, snapshot *Snapshot) *delivery {
	have := snapshot.types[typeURL]
	t.forgive(have)
	if s.held(typeURL, snapshot) {
		return nil
	}
	if alone := t.nextRetry(have); alone != nil || len(t.retry) > 0 {
		return alone.seal(typeURL, have)
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

// forgive forgets refusals that are of no matter any more: of what is gone, or has gone back to what the proxy has.
func (t *typeState) forgive(have map[string]*sealed) {
	maps.DeleteFunc(t.refused, func(name string, r refusal) bool {
		now := have[name]
		return now == nil || now.version() != r.version && now.version() == t.accepted[name]
	})
}

// nextRetry is the next resource of a refused response, alone, once the one before it has been answered.
func (t *typeState) nextRetry(have map[string]*sealed) *delivery {
	if len(t.inFlight) > 0 {
		return nil
	}
	for len(t.retry) > 0 {
		name := t.retry[0]
		t.retry = t.retry[1:]
		if r := have[name]; r != nil && t.subscribes(name) && t.lacks(name, r.version()) {
			delete(t.wanted, name)
			return &delivery{versions: map[string]string{name: r.version()}}
		}
	}
	return nil
}

func (t *typeState) subscribes(name string) bool {
	_, named := t.names[name]
	return named || t.wildcard
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

// lacks tells whether the proxy is to be sent this version: it asks for it, or is not known to have it, and it is neither
// on its way nor refused.
func (t *typeState) lacks(name, version string) bool {
	if t.wanted[name] {
		return true
	}
	if t.refused[name].version == version {
		return false
	}
	known := t.accepted[name]
	if t.doubtful[name] != "" {
		known = ""
	}
	for _, d := range t.inFlight {
		if sent, ok := d.versions[name]; ok {
			known = sent
		}
	}
	return known != version
}

// gone are names that the proxy has, or may have, and the snapshot lacks.
func (t *typeState) gone(have map[string]*sealed) []string {
	names := map[string]string{}
	maps.Copy(names, t.accepted)
	maps.Copy(names, t.doubtful)
	for _, d := range t.inFlight {
		maps.DeleteFunc(names, func(name, _ string) bool { return slices.Contains(d.removed, name) })
	}
	maps.DeleteFunc(names, func(name, _ string) bool { return have[name] != nil })
	return slices.Sorted(maps.Keys(names))
}

// seal builds the response; nil stays nil.
func (d *delivery) seal(typeURL string, have map[string]*sealed) *delivery {
	if d == nil {
		return nil
	}
	d.response = &discovery.DeltaDiscoveryResponse{TypeUrl: typeURL, RemovedResources: d.removed}
	for _, name := range slices.Sorted(maps.Keys(d.versions)) {
		d.response.Resources = append(d.response.Resources, have[name].wire)
	}
	return d
}
