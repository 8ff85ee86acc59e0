package config

import (
	"fmt"
	"slices"
)

// takesHops tells whether the method takes tokens that our proxies make for each other.
func (a Authenticate) takesHops() bool {
	return slices.ContainsFunc(a.Tokens, (*Provider).MintsHops)
}

// hops calls yield with each method, of this one and those in it, that takes tokens of class hop, and where it is written.
func (a Authenticate) hops(at string, yield func(at string, m Authenticate)) {
	if a.takesHops() {
		yield(at+".jwt", a)
	}
	for i, m := range a.AnyOf {
		m.hops(fmt.Sprintf("%s.any_of.methods[%d]", at, i), yield)
	}
	for i, m := range a.AllOf {
		m.hops(fmt.Sprintf("%s.all_of.methods[%d]", at, i), yield)
	}
}

// presenters wants it to be certain who vouches for those that present tokens of class hop. Such a token is bound to a name in the
// presenter's certificate, and the same name under another authority is somebody else's.
func (b *builder) presenters() {
	type place struct {
		policy *Policy
		at     string
	}
	reported := map[place]bool{}
	for _, rule := range b.rules() {
		if rule.Policy == nil {
			continue
		}
		d := b.documents["Policy"][rule.Policy.Name]
		rule.Policy.Authenticate.hops("spec.authenticate", func(at string, m Authenticate) {
			for _, e := range rule.entries {
				problem := m.presentersProblem(e)
				if problem == "" || b.unresolved[d] || b.unresolved[b.documents["Gateway"][rule.Route.Gateway.Name]] || reported[place{rule.Policy, at}] {
					continue
				}
				reported[place{rule.Policy, at}] = true
				b.fail(d, at+".truststores", "%s: the rule %q (%s) is reached by the TLS entry %q (%s)", problem, rule.Name, rule.Origin, e.Name, e.Origin)
			}
		})
	}
}

// presentersProblem says why nobody can present a token of class hop at an entry, or who may is not certain; empty if neither is so.
func (a Authenticate) presentersProblem(e *Entry) string {
	switch trusted := e.ClientAuth.Truststores; {
	case len(trusted) == 0:
		return "nobody can present a token of class `hop` where no certificates are asked for"
	case len(a.Presenters) == 0 && len(trusted) > 1:
		return "is missing: name the Truststores that vouch for the proxies which present tokens of class `hop`, since the entry has several"
	case len(a.Presenters) > 0 && !slices.ContainsFunc(a.Presenters, func(t *Truststore) bool { return e.ClientAuth.Trusts(t.Name) }):
		return "names none of the Truststores of the entry, so that nobody can present a token of class `hop`"
	}
	return ""
}
