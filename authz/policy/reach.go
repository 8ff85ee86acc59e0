package policy

import (
	"slices"

	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/authz/request"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/expression"
	"github.com/sallyport-project/sallyport/config/template"
)

// Reach is requests that a policy lets a caller make, of those that a rule of a route takes.
type Reach struct {
	// Path that they have; nil for any.
	Path *template.Template
	// Methods that they have; empty for any.
	Methods []string
	// Reason and Detail say why they are let in, and Origin where that is written.
	Reason reason.Reason
	Detail string
	Origin config.Origin
	// Conditions that must all hold, and of which it cannot be told.
	Conditions []Condition
}

// Condition is what a rule demands of a request, as far as it is open.
type Condition struct {
	// Text is what is left of the expression, with everything known in its place.
	Text string
	// Origin is where it is written.
	Origin config.Origin
}

// Reach tells what a hypothetical caller may do by a rule of a route, for any path and method. If it is refused for what it is,
// the decision says why; it is nil otherwise. Only the present version of the rule's policy is asked.
func (e *Engine) Reach(at request.Context, h Hypothesis) ([]Reach, *Decision) {
	asked := &request.Request{Context: at}
	if h.Presumed != nil {
		asked.Certificate = presumedCertificate
	}
	ev := &evaluation{Decision: newDecision(asked), engine: e, now: h.At, hypothesis: &h}
	if f, ended := ev.route(); ended {
		ev.conclude(f, "")
		return nil, ev.Decision
	}
	ev.version = e.current[e.PolicyOf(at)]
	ev.by = ev.version
	caller, refused := ev.authenticate(ev.version)
	if refused == nil {
		refused = ev.admit(&caller)
	}
	if refused != nil {
		ev.conclude(*refused, ev.version.id)
		return nil, ev.Decision
	}
	var all []Reach
	for i := range ev.version.rules {
		all = append(all, ev.reach(&ev.version.rules[i], caller)...)
	}
	return all, nil
}

// reach is what one rule of the policy lets in.
func (ev *evaluation) reach(r *rule, c caller) []Reach {
	if !r.permissions {
		f, described := ev.ask(r, c)
		if !described {
			return nil
		}
		return ev.reachIf(r, c, Reach{Reason: f.reason, Detail: f.detail, Origin: f.origin})
	}
	var all []Reach
	for _, permission := range ev.permissionsOf(c) {
		for _, path := range permission.Paths {
			all = append(all, ev.reachIf(r, c, Reach{
				Path: path, Methods: permission.Methods, Reason: reason.PermissionGranted,
				Detail: "the role " + quote(permission.Role.Name) + " permits " + path.String(), Origin: permission.Origin,
			})...)
		}
	}
	return all
}

// permissionsOf are those that the caller's roles have on the route.
func (ev *evaluation) permissionsOf(c caller) []*config.Permission {
	if c.consumer == nil {
		return nil
	}
	var all []*config.Permission
	for _, role := range c.consumer.Roles {
		for _, permission := range role.Permissions {
			if slices.ContainsFunc(permission.Routes, func(route *config.Route) bool { return route.Name == ev.Request.Route }) {
				all = append(all, permission)
			}
		}
	}
	return all
}

// reachIf is what is left of a reach where the rule has a condition: the reach if it holds whatever the request, nothing if it
// never does, and otherwise the reach on that condition.
func (ev *evaluation) reachIf(r *rule, c caller, reach Reach) []Reach {
	if r.when == nil {
		return []Reach{reach}
	}
	facts := ev.facts(c)
	facts.Path = map[string]string{}
	unknown := append(ev.hypothesis.unknown(facts), "request.path", "request.host")
	if len(reach.Methods) == 1 {
		facts.Request.Method = reach.Methods[0]
	} else {
		unknown = append(unknown, "request.method")
	}
	names, several := ev.captureNames(r, c, reach)
	for _, name := range names {
		unknown = append(unknown, expression.NamePath+"."+name)
	}
	outcome, left := r.when.Residual(facts, unknown...)
	if outcome == expression.Holds && several && r.when.ReadsPath() {
		// Where two templates give a name to different parts of a path, the condition lets nobody in.
		outcome, left = expression.Depends, r.when.String()
	}
	switch outcome {
	case expression.Holds:
		return []Reach{reach}
	case expression.Depends:
		reach.Conditions = []Condition{{Text: left, Origin: r.whenOrigin}}
		return []Reach{reach}
	}
	return nil
}

// captureNames are the names that a condition of the rule may see in `path` of a request within a reach, and whether several
// templates may give one of them to different parts of the path. No request within the reach has any other name.
func (ev *evaluation) captureNames(r *rule, c caller, within Reach) (names []string, several bool) {
	type place struct {
		index int
		kind  template.Kind
	}
	places := map[string]place{}
	take := func(t *template.Template) {
		for i, segment := range t.Segments() {
			if segment.Kind == template.Literal {
				continue
			}
			here := place{i, segment.Kind}
			switch known, taken := places[segment.Text]; {
			case !taken:
				places[segment.Text] = here
				names = append(names, segment.Text)
			case known != here:
				several = true
			}
		}
	}
	match := ev.engine.rules[ruleOf(ev.Request.Context)].match
	if match.Kind == config.MatchTemplate {
		take(match.Template)
	}
	if !r.permissions {
		return names, several
	}
	meets := meeting(match, within.Path)
	for _, permission := range ev.permissionsOf(c) {
		if !shareMethod(permission.Methods, within.Methods) {
			continue
		}
		for _, path := range permission.Paths {
			if meets(path) {
				take(path)
			}
		}
	}
	return names, several
}

// meeting returns a function that tells whether a template matches some path that a rule's match takes and the other template,
// which may be nil, matches as well.
func meeting(m config.Match, path *template.Template) func(*template.Template) bool {
	prefix := m.Kind == config.MatchPrefix
	region, below, found := m.Template, prefix, true
	switch {
	case path == nil:
	case !prefix:
		region, found = template.Intersect(m.Template, path)
	default:
		if narrowed, all, some := template.Within(path, m.Template); !all {
			region, below, found = narrowed, false, some
		}
	}
	return func(t *template.Template) bool { return found && template.Overlap(t, region, below) }
}

// shareMethod tells whether some method is in both lists, of which an empty one means any.
func shareMethod(a, b []string) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(method string) bool { return slices.Contains(b, method) })
}
