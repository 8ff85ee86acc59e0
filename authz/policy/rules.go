package policy

import (
	"time"

	"github.com/sallyport-project/sallyport/authz/request"
	"github.com/sallyport-project/sallyport/config"
)

// followTime is the time that proxies need to follow a change: for so long a rule that has been removed is still judged
// as it was, because what is on its way by the old route is no mistake of the caller's. After that, a proxy that sends
// such a request is held on a configuration in which the rule still stands, and the removal is enforced here.
const followTime = 10 * time.Second

// ruleKey is a rule as the proxies' routes name it.
type ruleKey struct{ gateway, route, rule string }

func ruleOf(c request.Context) ruleKey { return ruleKey{c.Gateway, c.Route, c.Rule} }

// assignment is the policy, the match and the upstreams that the Model gives a rule, or gave it at last.
type assignment struct {
	policy string
	// match is the rule's, and earlier those that it had before, the latest first.
	match   config.Match
	earlier []earlierMatch
	// upstreams are the names of those that the rule leads to, and formerUpstreams of those that it led to before.
	upstreams       []string
	formerUpstreams []formerUpstream
	// removed is when the rule went from the Model; zero while it is there.
	removed time.Time
}

// over tells whether the rule was removed and the proxies have had the time to follow.
func (a assignment) over(now time.Time) bool {
	return !a.removed.IsZero() && !now.Before(a.removed.Add(followTime))
}

// compileRules files the policies of a Model's rules.
func compileRules(routes []*config.Route) map[ruleKey]assignment {
	rules := make(map[ruleKey]assignment)
	for _, r := range routes {
		for _, rule := range r.Rules {
			rules[ruleKey{r.Gateway.Name, r.Name, rule.Name}] = assignment{
				policy: rule.Policy.Name, match: rule.Match, upstreams: namesOf(rule.Upstreams),
			}
		}
	}
	return rules
}

// inheritRules remembers the rules that the engine before had and the Model has not, until their time has passed, and of the
// others how they were matched, and where they led.
func (e *Engine) inheritRules(in Input) {
	for key, a := range in.Previous.rules {
		if now, present := e.rules[key]; present {
			now.inherit(a, in.Now, max(in.Grace, followTime))
			now.inheritUpstreams(a, in.Now, max(in.Grace, followTime))
			e.rules[key] = now
			continue
		}
		if a.removed.IsZero() {
			a.removed = in.Now
		}
		if in.Now.Before(a.removed.Add(max(in.Grace, followTime))) {
			e.rules[key] = a
		}
	}
}

// PolicyOf returns the name of the policy that the Model gives the request's rule, which may be another than its route
// was made with; for a rule that has been removed, the one that it had at last; empty for a rule that is not known.
func (e *Engine) PolicyOf(c request.Context) string { return e.rules[ruleOf(c)].policy }
