package cache

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// proxy is what is known of one proxy, over its latest stream.
type proxy struct {
	identity, group, userAgent string
	connected                  bool
	since                      time.Time
	types                      map[string]*typeState
	// before holds versions that an earlier stream left it with, until this one says what it has.
	before map[string]bool
}

// running are the versions of all resources that the proxy may be running now.
func (p *proxy) running() map[string]bool {
	versions := maps.Clone(p.before)
	if versions == nil {
		versions = map[string]bool{}
	}
	for _, t := range p.types {
		for _, version := range t.accepted {
			versions[version] = true
		}
		for _, d := range t.inFlight {
			for _, version := range d.versions {
				versions[version] = true
			}
		}
	}
	return versions
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
		state := Proxy{Identity: p.identity, Group: p.group, Connected: p.connected, Since: p.since, UserAgent: p.userAgent}
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
// connected. It says nothing of what was refused.
func (c *Cache) Settled(group string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	snapshot, any := c.snapshots[group], false
	for _, s := range c.streams {
		if s.proxy.group != group {
			continue
		}
		any = true
		for typeURL, named := range snapshot.typesOrNone() {
			if len(named) > 0 && !s.settled(typeURL, snapshot) {
				return false
			}
		}
	}
	return any && snapshot != nil
}

func (s *Snapshot) typesOrNone() map[string]map[string]*sealed {
	if s == nil {
		return nil
	}
	return s.types
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
