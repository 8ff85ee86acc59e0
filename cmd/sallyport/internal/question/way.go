package question

import (
	"strings"

	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/estate"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/checkcontext"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// way is the part of a passage that does not depend on the caller: where the request goes.
func (a *Answers) way(p estate.Passage) *adminv1.Passage {
	context := p.Chosen.Context
	told := &adminv1.Passage{
		Gateway: p.Listener.Gateway.Name, Listener: p.Listener.Name, Entry: context[checkcontext.Entry],
		Host: p.Chosen.Host, Path: p.Chosen.Path,
		Route: context[checkcontext.Route], Rule: context[checkcontext.Rule], Policy: context[checkcontext.Policy],
	}
	if entry := p.Listener.EntryFor(p.Request.SNI); told.Entry == "" && entry != nil {
		told.Entry = entry.Name
	}
	if rule := a.rule(told.GetRoute(), told.GetRule()); rule != nil {
		told.RuleAt, told.PolicyAt = rule.Origin.String(), rule.Policy.Origin.String()
	}
	if p.Upstream != nil {
		told.Upstream = p.Upstream.Name
	}
	return told
}

// rule is a route's rule, or nil.
func (a *Answers) rule(route, name string) *config.Rule {
	r := a.config.Model.Route(route)
	if r == nil {
		return nil
	}
	for _, rule := range r.Rules {
		if rule.Name == name {
			return rule
		}
	}
	return nil
}

// verdictOf is the verdict of a decision.
func verdictOf(d *policy.Decision) string {
	switch {
	case !d.Allowed:
		return Denied
	case len(d.Conditions) > 0:
		return Conditional
	}
	return Allowed
}

// conditionsOf are those of a decision, each with its place, which is that of the step that found it open.
func conditionsOf(d *policy.Decision) []*adminv1.Condition {
	var all []*adminv1.Condition
	for _, step := range d.Steps {
		if step.Outcome == policy.Depends && len(all) < len(d.Conditions) {
			all = append(all, &adminv1.Condition{Text: d.Conditions[len(all)], Origin: step.Origin.String()})
		}
	}
	return all
}

// upstreamsOf is where the rule that was chosen sends a request, whoever makes it: the upstream's name, or all of them.
func upstreamsOf(p estate.Passage) string {
	names := make([]string, len(p.Chosen.Upstreams))
	for i, u := range p.Chosen.Upstreams {
		names[i] = u.Context[checkcontext.Upstream]
	}
	return strings.Join(names, ", ")
}
