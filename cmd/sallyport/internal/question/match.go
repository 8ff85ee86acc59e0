package question

import (
	"slices"

	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/template"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// The kinds of PathMatch.
const (
	kindExact    = "exact"
	kindPrefix   = "prefix"
	kindTemplate = "template"
)

// meet is what a rule takes of what a policy lets in.
func meet(m config.Match, reach policy.Reach) (*adminv1.PathMatch, bool) {
	methods, some := common(m.Methods, reach.Methods)
	if !some {
		return nil, false
	}
	whole := &adminv1.PathMatch{Kind: kindOf(m), Path: m.Path, Methods: methods}
	if reach.Path == nil {
		return whole, true
	}
	if m.Kind != config.MatchPrefix {
		met, found := template.Intersect(m.Template, reach.Path)
		if !found {
			return nil, false
		}
		return pathMatch(met, methods), true
	}
	within, all, found := template.Within(reach.Path, m.Template)
	switch {
	case !found:
		return nil, false
	case all:
		return whole, true
	}
	return pathMatch(within, methods), true
}

func kindOf(m config.Match) string {
	switch m.Kind {
	case config.MatchExact:
		return kindExact
	case config.MatchPrefix:
		return kindPrefix
	}
	return kindTemplate
}

// pathMatch is a template, or an exact path where it has no variables.
func pathMatch(t *template.Template, methods []string) *adminv1.PathMatch {
	kind := kindExact
	if slices.ContainsFunc(t.Segments(), func(s template.Segment) bool { return s.Kind != template.Literal }) {
		kind = kindTemplate
	}
	return &adminv1.PathMatch{Kind: kind, Path: t.String(), Methods: methods}
}

// common are the methods that stand in both lists, of which an empty one means any; false where there are none.
func common(a, b []string) ([]string, bool) {
	switch {
	case len(a) == 0:
		return slices.Sorted(slices.Values(b)), true
	case len(b) == 0:
		return a, true
	}
	both := slices.DeleteFunc(slices.Clone(a), func(method string) bool { return !slices.Contains(b, method) })
	return both, len(both) > 0
}

// takes tells whether a list of methods, of which an empty one means any, has a method.
func takes(methods []string, method string) bool {
	return len(methods) == 0 || slices.Contains(methods, method)
}

// except is what rules of higher precedence take of a match.
func except(before []*config.Rule, of *adminv1.PathMatch) []*adminv1.PathMatch {
	var all []*adminv1.PathMatch
	for _, rule := range before {
		methods, some := common(rule.Match.Methods, of.GetMethods())
		if !some || len(rule.Match.Headers) > 0 || !overlap(rule.Match, of) {
			continue
		}
		all = append(all, &adminv1.PathMatch{Kind: kindOf(rule.Match), Path: rule.Match.Path, Methods: methods})
	}
	return all
}

// overlap tells whether some path is taken by both.
func overlap(m config.Match, of *adminv1.PathMatch) bool {
	t, err := template.Parse(of.GetPath())
	if err != nil {
		return false // never: it was one before
	}
	switch isPrefix := of.GetKind() == kindPrefix; {
	case isPrefix && m.Kind == config.MatchPrefix:
		return template.Overlap(t, m.Template, true) || template.Overlap(m.Template, t, true)
	case isPrefix:
		return template.Overlap(m.Template, t, true)
	}
	return template.Overlap(t, m.Template, m.Kind == config.MatchPrefix)
}

// covered tells whether a rule of higher precedence takes all of a match.
func covered(before []*config.Rule, of *adminv1.PathMatch) bool {
	t, err := template.Parse(of.GetPath())
	if err != nil {
		return false // never: it was one before
	}
	return slices.ContainsFunc(before, func(rule *config.Rule) bool {
		m := rule.Match
		if methods, _ := common(m.Methods, of.GetMethods()); len(m.Headers) > 0 || len(methods) != len(of.GetMethods()) {
			return false
		}
		switch {
		case of.GetKind() == kindPrefix:
			return m.Kind == config.MatchPrefix && m.MatchesPath(of.GetPath())
		case m.Kind == config.MatchPrefix:
			within, all, found := template.Within(t, m.Template)
			return found && !all && within.Shape() == t.Shape()
		}
		met, found := template.Intersect(t, m.Template)
		return found && met.Shape() == t.Shape()
	})
}
