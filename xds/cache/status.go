package cache

import (
	"crypto/x509"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
)

// proxy is what is known of one proxy, over its latest stream.
type proxy struct {
	identity, group, userAgent string
	certificate                *x509.Certificate // nil where nobody told
	connected                  bool
	since                      time.Time
	types                      map[string]*typeState
	// before holds, by type, versions that an earlier stream left it with: until it says what it has, it may be running them.
	before map[string][]string
}

// versions are those of all resources that the proxy may be running now, by type.
func (p *proxy) versions() map[string][]string {
	versions := maps.Clone(p.before)
	if versions == nil {
		versions = map[string][]string{}
	}
	for typeURL, t := range p.types {
		versions[typeURL] = slices.Collect(t.running)
	}
	return versions
}

// running yields the versions of all resources that the proxy may be running now.
func (p *proxy) running(yield func(version string) bool) {
	for _, versions := range p.versions() {
		for _, version := range versions {
			if !yield(version) {
				return
			}
		}
	}
}

// running yields the versions that the proxy has, or may have, of the type.
func (t *typeState) running(yield func(version string) bool) {
	possible := []map[string]string{t.accepted, t.doubtful}
	for _, d := range t.inFlight {
		possible = append(possible, d.versions)
	}
	for _, named := range possible {
		for _, version := range named {
			if !yield(version) {
				return
			}
		}
	}
}

// Proxy is the state of one proxy as the control plane sees it.
type Proxy struct {
	// Identity is the URI in its certificate.
	Identity, Group string
	Connected       bool
	// Since is when it connected, or disconnected.
	Since time.Time
	// UserAgent is what it says of itself; not verified.
	UserAgent string
	// Certificate is what it connected with last; nil where nobody told.
	Certificate *x509.Certificate
	// Types in the order in which they are sent.
	Types []TypeState
}

// TypeState is what a proxy has of one type.
type TypeState struct {
	// Type is cluster, endpoint, secret, listener or route.
	Type string
	// Accepted counts resources that it has; Pending those sent and not answered.
	Accepted, Pending int
	// Refused by name.
	Refused []Refused
}

// Refused is a resource that a proxy would not take.
type Refused struct {
	Name, Version string
	// Message is the proxy's own.
	Message string
	Time    time.Time
}

// Proxies returns the proxies that are connected, or went away within the grace, by identity.
func (c *Cache) Proxies() []Proxy {
	c.mu.Lock()
	defer c.mu.Unlock()
	var proxies []Proxy
	for _, identity := range slices.Sorted(maps.Keys(c.proxies)) {
		p := c.proxies[identity]
		if c.expired(p) {
			continue
		}
		state := Proxy{Identity: p.identity, Group: p.group, Connected: p.connected, Since: p.since, UserAgent: p.userAgent, Certificate: p.certificate}
		for _, typeURL := range order {
			if t := p.types[typeURL]; t != nil {
				state.Types = append(state.Types, t.state(shortNames[typeURL]))
			}
		}
		proxies = append(proxies, state)
	}
	return proxies
}

// Settled tells whether every connected proxy of a group has answered for its whole snapshot, and at least one is
// connected. A resource that was refused has been answered for, and what only that would have asked for is not waited for.
func (c *Cache) Settled(group string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	snapshot, connected := c.snapshots[group], false
	if snapshot == nil {
		return false
	}
	for _, s := range c.streams {
		if s.proxy.group != group {
			continue
		}
		connected = true
		if !s.complete(snapshot) {
			return false
		}
	}
	return connected
}

// Behind returns the identities, sorted, of the connected proxies that have not answered for their whole snapshot yet.
func (c *Cache) Behind() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var behind []string
	for _, s := range c.streams {
		if snapshot := c.snapshots[s.proxy.group]; snapshot != nil && !s.complete(snapshot) {
			behind = append(behind, s.proxy.identity)
		}
	}
	slices.Sort(behind)
	return behind
}

// complete tells whether the proxy has answered for everything that it asks for, or is about to ask for.
func (s *stream) complete(snapshot *Snapshot) bool {
	refused := false
	for _, typeURL := range order {
		t, have := s.types[typeURL], snapshot.types[typeURL]
		switch {
		case t == nil && len(have) > 0 && !refused:
			return false
		case t == nil:
			continue
		case !s.settled(typeURL, snapshot), t.wildcard && len(t.gone(have)) > 0:
			return false
		case typeURL == resource.RouteType && !refused && len(t.subscribed(have)) < len(have):
			return false // it has just taken a listener
		}
		refused = refused || len(t.refused) > 0
	}
	return s.types[resource.ClusterType] == nil || !s.awaitsEndpoints(snapshot)
}

func (t *typeState) state(kind string) TypeState {
	state := TypeState{Type: kind, Accepted: len(t.accepted)}
	for _, d := range t.inFlight {
		state.Pending += len(d.versions) + len(d.removed)
	}
	for name, r := range t.refused {
		state.Refused = append(state.Refused, Refused{Name: name, Version: r.version, Message: r.message, Time: r.time})
	}
	slices.SortFunc(state.Refused, func(a, b Refused) int { return strings.Compare(a.Name, b.Name) })
	return state
}
