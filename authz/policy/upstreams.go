package policy

import (
	"slices"
	"time"

	"github.com/sallyport-project/sallyport/config"
)

// maxFormer is how many upstreams are remembered to which a rule led before.
const maxFormer = 8

// formerUpstream is an upstream to which a rule led, and to which the routes of proxies may still lead.
type formerUpstream struct {
	name string
	// until is when it counts no more.
	until time.Time
}

// inheritUpstreams remembers the upstreams to which a rule led before, for as long as proxies may have them, the latest first.
func (a *assignment) inheritUpstreams(before assignment, now time.Time, grace time.Duration) {
	for _, name := range before.upstreams {
		if !slices.Contains(a.upstreams, name) {
			a.formerUpstreams = append(a.formerUpstreams, formerUpstream{name, now.Add(grace)})
		}
	}
	for _, former := range before.formerUpstreams {
		if now.Before(former.until) && !slices.Contains(a.upstreams, former.name) {
			a.formerUpstreams = append(a.formerUpstreams, former)
		}
	}
	a.formerUpstreams = a.formerUpstreams[:min(len(a.formerUpstreams), maxFormer)]
}

// namesOf are the names of a rule's upstreams.
func namesOf(upstreams []config.WeightedUpstream) []string {
	names := make([]string, len(upstreams))
	for i, u := range upstreams {
		names[i] = u.Upstream.Name
	}
	return names
}

// knowsUpstream tells whether the rule leads to an upstream, or led to it and that is not forgotten; so does one that has none to none.
func (a assignment) knowsUpstream(name string) bool {
	return name == "" || slices.Contains(a.upstreams, name) || slices.ContainsFunc(a.formerUpstreams, func(former formerUpstream) bool { return former.name == name })
}

// leadsTo tells whether a request may be on its way to an upstream by the rule: it leads there, or proxies have not had the time to
// follow. A proxy that names any other would be given the credentials of another rule's upstream.
func (a assignment) leadsTo(name string, now time.Time) bool {
	return slices.Contains(a.upstreams, name) || slices.ContainsFunc(a.formerUpstreams, func(former formerUpstream) bool {
		return former.name == name && now.Before(former.until)
	})
}
