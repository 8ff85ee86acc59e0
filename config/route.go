package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-project/sallyport/config/document"
	"github.com/sallyport-project/sallyport/config/template"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// DefaultTimeout is how long an upstream may take for its whole answer, unless the rule says otherwise.
const DefaultTimeout = 15 * time.Second

func (b *builder) route(d *document.Document, m *sallyportv1.Route) {
	spec := m.GetSpec()
	r := &Route{Header: header(d, m.GetMetadata()), Hostnames: spec.GetHostnames(), CORS: crossOrigin(d, spec.GetCors())}
	r.Gateway, _ = lookup(b, b.model.gateways, d, "spec.gateway", "Gateway", spec.GetGateway())
	if r.Gateway != nil {
		for i, hostname := range r.Hostnames {
			if len(entriesFor(r.Gateway, hostname)) == 0 {
				b.fail(d, fmt.Sprintf("spec.hostnames[%d]", i), "no listener of the Gateway %q (%s) serves %q", r.Gateway.Name, r.Gateway.Origin, hostname)
			}
		}
	}
	names := map[string]bool{}
	for i, rule := range spec.GetRules() {
		at := fmt.Sprintf("spec.rules[%d]", i)
		if names[rule.GetName()] {
			b.fail(d, at+".name", "there are two rules %q in this route", rule.GetName())
		}
		names[rule.GetName()] = true
		r.Rules = append(r.Rules, b.rule(d, r, rule, at))
	}
	b.model.routes[d.Name] = r
}

func (b *builder) rule(d *document.Document, r *Route, m *sallyportv1.RouteRule, at string) *Rule {
	rule := &Rule{Route: r, Name: m.GetName(), Origin: origin(d, at), Timeout: DefaultTimeout}
	if timeout := m.GetTimeout(); timeout != nil {
		rule.Timeout = timeout.AsDuration()
	}
	rule.Match = b.match(d, m.GetMatch(), at+".match")
	rule.Policy, _ = lookup(b, b.model.policies, d, at+".policy", "Policy", m.GetPolicy())
	b.answer(d, rule, m, at)
	seen := map[string]bool{}
	for i, u := range m.GetUpstreams() {
		atUpstream := fmt.Sprintf("%s.upstreams[%d].name", at, i)
		if seen[u.GetName()] {
			b.fail(d, atUpstream, "the Upstream %q stands twice in this rule", u.GetName())
			continue
		}
		seen[u.GetName()] = true
		if upstream, ok := lookup(b, b.model.upstreams, d, atUpstream, "Upstream", u.GetName()); ok {
			weight := uint32(1)
			if u.Weight != nil {
				weight = u.GetWeight()
			}
			rule.Upstreams = append(rule.Upstreams, WeightedUpstream{Upstream: upstream, Weight: weight})
		}
	}
	return rule
}

func (b *builder) match(d *document.Document, m *sallyportv1.RouteMatch, at string) Match {
	match := Match{Methods: slices.Sorted(slices.Values(m.GetMethods()))}
	var err error
	switch path := m.GetPath().(type) {
	case *sallyportv1.RouteMatch_Exact:
		at += ".exact"
		match.Kind, match.Path = MatchExact, path.Exact
		match.Template, err = template.ParseLiteral(path.Exact)
	case *sallyportv1.RouteMatch_Prefix:
		at += ".prefix"
		match.Kind, match.Path = MatchPrefix, path.Prefix
		match.Template, err = template.ParseLiteral(path.Prefix)
		if err == nil && len(path.Prefix) > 1 && strings.HasSuffix(path.Prefix, "/") {
			err = fmt.Errorf("a prefix matches whole segments and has no trailing slash; write %q", strings.TrimSuffix(path.Prefix, "/"))
		}
	case *sallyportv1.RouteMatch_Template:
		at += ".template"
		match.Kind, match.Path = MatchTemplate, path.Template
		match.Template, err = template.Parse(path.Template)
	}
	if err != nil {
		b.fail(d, at, "%v", err)
	}
	for _, h := range m.GetHeaders() {
		match.Headers = append(match.Headers, HeaderMatch{Name: h.GetName(), Present: h.GetPresent(), Value: h.GetValue()})
	}
	slices.SortFunc(match.Headers, func(a, b HeaderMatch) int { return strings.Compare(a.Name, b.Name) })
	return match
}

// entriesFor returns the entries of a gateway by which a request for the hostname can come: on each listener the one whose
// hostnames name it most exactly, as TLS server names choose it.
func entriesFor(g *Gateway, hostname string) []*Entry {
	var entries []*Entry
	for _, l := range g.Listeners {
		if e := l.EntryFor(hostname); e != nil {
			entries = append(entries, e)
		}
	}
	return entries
}

// EntryFor is the entry that a server name chooses, which is also the one that its rules belong to: the entry with the
// hostname itself, or else with the longest wildcard that takes it, or nil.
func (l *Listener) EntryFor(hostname string) *Entry {
	var best *Entry
	longest := -1
	for _, e := range l.Entries {
		for _, pattern := range e.Hostnames {
			switch {
			case pattern == hostname:
				return e
			case covered(hostname, []string{pattern}) && len(pattern) > longest:
				best, longest = e, len(pattern)
			}
		}
	}
	return best
}

// virtualHosts gives every entry its hostnames with the rules of all routes, in order of precedence, and reports rules of
// which one can never be told from the other.
func (b *builder) virtualHosts() {
	rules := map[*Entry]map[string][]*Rule{}
	for _, r := range b.model.Routes() {
		if r.Gateway == nil {
			continue
		}
		for _, hostname := range r.Hostnames {
			for _, e := range entriesFor(r.Gateway, hostname) {
				if rules[e] == nil {
					rules[e] = map[string][]*Rule{}
				}
				rules[e][hostname] = append(rules[e][hostname], r.Rules...)
			}
		}
	}
	reported := map[[2]*Rule]bool{}
	for _, g := range b.model.Gateways() {
		for _, l := range g.Listeners {
			for _, e := range l.Entries {
				for _, hostname := range slices.Sorted(maps.Keys(rules[e])) {
					host := &VirtualHost{Hostname: hostname, Rules: rules[e][hostname]}
					b.order(host, reported)
					b.crossOriginOf(host)
					e.VirtualHosts = append(e.VirtualHosts, host)
				}
			}
		}
	}
}

// order sorts a host's rules by precedence and reports equal ones, each pair once.
func (b *builder) order(host *VirtualHost, reported map[[2]*Rule]bool) {
	for _, rule := range host.Rules {
		if rule.Match.Template == nil {
			return // reported where it is written
		}
	}
	slices.SortStableFunc(host.Rules, func(a, b *Rule) int { return a.Match.Compare(b.Match) })
	for i, first := range host.Rules {
		for _, second := range host.Rules[i+1:] {
			if first.Match.comparePath(second.Match) != 0 {
				break
			}
			if pair := [2]*Rule{first, second}; first.Match.Ambiguous(second.Match) && !reported[pair] {
				reported[pair] = true
				b.ambiguous(host.Hostname, first, second)
			}
		}
	}
}

func (b *builder) ambiguous(hostname string, first, second *Rule) {
	if second.Origin.Compare(first.Origin) < 0 {
		first, second = second, first
	}
	at := fmt.Sprintf("spec.rules[%d].match", slices.Index(second.Route.Rules, second))
	b.fail(b.documents["Route"][second.Route.Name], at,
		"takes the same requests for %s as the rule %q at %s, and neither is the more specific", hostname, first.Name, first.Origin)
}
