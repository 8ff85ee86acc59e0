package cache

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	upstream "github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sallyport-project/sallyport/xds/node"
)

// DefaultGrace is how long a proxy that has gone away is thought to go on running what it had.
const DefaultGrace = time.Hour

// Config is what a Cache needs.
type Config struct {
	Logger hclog.Logger
	// Clock is time.Now unless a test says otherwise.
	Clock func() time.Time
	// Grace is how long a proxy without a stream is remembered, and counts as running what it had. Default DefaultGrace.
	Grace time.Duration
}

// Cache holds a snapshot for each group and the state of each stream. It is safe for concurrent use.
type Cache struct {
	config Config

	mu        sync.Mutex
	snapshots map[string]*Snapshot
	streams   map[string]*stream
	// proxies by identity, with those that went away within the grace.
	proxies map[string]*proxy
	// labels by resource version, for every version that some proxy may still run.
	labels map[string][]string
}

var _ upstream.Cache = (*Cache)(nil)

// New makes an empty cache.
func New(config Config) *Cache {
	if config.Clock == nil {
		config.Clock = time.Now
	}
	if config.Grace == 0 {
		config.Grace = DefaultGrace
	}
	if config.Logger == nil {
		config.Logger = hclog.NewNullLogger()
	}
	return &Cache{
		config: config, snapshots: map[string]*Snapshot{}, streams: map[string]*stream{},
		proxies: map[string]*proxy{}, labels: map[string][]string{},
	}
}

// SetSnapshot replaces what the proxies of a group are to have, and sends the difference to those that are connected.
func (c *Cache) SetSnapshot(group string, snapshot *Snapshot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.snapshots[group] = snapshot
	for _, named := range snapshot.types {
		for _, r := range named {
			if len(r.labels) > 0 {
				c.labels[r.version()] = r.labels
			}
		}
	}
	c.forget()
	for _, s := range c.streams {
		if s.proxy.group == group {
			s.flush(snapshot)
		}
	}
}

// InUse tells whether some proxy may be running a resource that carries the label: one that it was sent, or that it
// accepted and has not replaced since. Proxies that went away count as long as the grace lasts.
func (c *Cache) InUse(label string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := range c.counted {
		for version := range p.running {
			if slices.Contains(c.labels[version], label) {
				return true
			}
		}
	}
	return false
}

// counted are the proxies that may be running something: those on a stream, and those that went away within the grace.
// For a while a proxy can have two streams, when the loss of the first has not been noticed; both count.
func (c *Cache) counted(yield func(*proxy) bool) {
	for _, s := range c.streams {
		if !yield(s.proxy) {
			return
		}
	}
	for _, p := range c.proxies {
		if !p.connected && !c.expired(p) && !yield(p) {
			return
		}
	}
}

// CreateDeltaWatch takes a proxy's request: its answer to what it was sent, and what it wants. It answers on the channel,
// now or when there is something to send; at most once for each request.
func (c *Cache) CreateDeltaWatch(request *discovery.DeltaDiscoveryRequest, subscription upstream.Subscription, responses chan upstream.DeltaResponse) (func(), error) {
	if shortNames[request.GetTypeUrl()] == "" {
		return nil, status.Errorf(codes.InvalidArgument, "resources of the type %q are not served", request.GetTypeUrl())
	}
	claim, err := node.FromProto(request.GetNode())
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.streams[claim.Stream]
	if s == nil {
		return nil, errors.New("the stream is not open")
	}
	s.proxy.userAgent = claim.UserAgent
	w := &watch{request: request, responses: responses}
	s.receive(request, subscription, w, c.config.Clock())
	if snapshot := c.snapshots[s.proxy.group]; snapshot != nil {
		s.flush(snapshot)
	}
	return func() { c.cancel(s, w) }, nil
}

// cancel forgets a watch that the server gives up. What was put into the channel before is sent all the same.
func (c *Cache) cancel(s *stream, w *watch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := s.types[w.request.GetTypeUrl()]; t != nil && t.watch == w {
		t.watch = nil
	}
}

// Open notes a new stream. Its proxy's state begins anew.
func (c *Cache) Open(id node.Identity) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := &proxy{identity: id.String(), group: id.Group, certificate: id.Certificate, connected: true, since: c.config.Clock()}
	s := &stream{proxy: p, logger: c.config.Logger.With("proxy", p.identity), types: map[string]*typeState{}, warming: map[string]bool{}}
	p.types = s.types
	c.streams[id.Stream] = s
	if before := c.proxies[p.identity]; before != nil {
		p.before = before.versions()
	}
	c.proxies[p.identity] = p
	s.logger.Info("proxy connected", "group", p.group)
}

// Close forgets a stream; what its proxy had is remembered for the grace.
func (c *Cache) Close(id node.Identity) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.streams[id.Stream]
	if s == nil {
		return
	}
	delete(c.streams, id.Stream)
	s.proxy.connected, s.proxy.since = false, c.config.Clock()
	s.logger.Info("proxy disconnected", "group", s.proxy.group)
}

// Sent notes the nonce under which a response goes out, so that the answer to it is understood.
func (c *Cache) Sent(claim node.Identity, response *discovery.DeltaDiscoveryResponse) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.streams[claim.Stream]
	if s == nil {
		return
	}
	if t := s.types[response.GetTypeUrl()]; t != nil {
		for _, d := range t.inFlight {
			if d.response == response {
				d.nonce = response.GetNonce()
			}
		}
	}
}

// forget drops proxies past their grace, and labels of versions that nobody can be running.
func (c *Cache) forget() {
	maps.DeleteFunc(c.proxies, func(_ string, p *proxy) bool { return c.expired(p) })
	needed := map[string]bool{}
	for p := range c.counted {
		for version := range p.running {
			needed[version] = true
		}
	}
	for _, snapshot := range c.snapshots {
		for _, named := range snapshot.types {
			for _, r := range named {
				needed[r.version()] = true
			}
		}
	}
	maps.DeleteFunc(c.labels, func(version string, _ []string) bool { return !needed[version] })
}

func (c *Cache) expired(p *proxy) bool {
	return !p.connected && c.config.Clock().Sub(p.since) > c.config.Grace
}

// errStateOfTheWorld answers what only a state-of-the-world or polling client would ask for.
var errStateOfTheWorld = errors.New("only incremental (delta) ADS is served")

// CreateWatch serves state-of-the-world streams, of which there are none.
func (c *Cache) CreateWatch(*upstream.Request, upstream.Subscription, chan upstream.Response) (func(), error) {
	return nil, errStateOfTheWorld
}

// Fetch serves polling clients, of which there are none.
func (c *Cache) Fetch(context.Context, *upstream.Request) (upstream.Response, error) {
	return nil, errStateOfTheWorld
}
