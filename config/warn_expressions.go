package config

import (
	"maps"
	"slices"

	"github.com/sallyport-project/sallyport/config/document"
	"github.com/sallyport-project/sallyport/config/template"
)

// warnOfExpressions finds expressions that read what is never there: captures that no path has, attributes that no consumer
// has.
func (b *builder) warnOfExpressions() {
	captures := b.captures()
	attributes := b.attributes()
	for _, p := range b.model.Policies() {
		for _, rule := range p.Authorize {
			if rule.When != nil {
				b.warnOfNames(rule.WhenOrigin, p, rule.When.Captures(), rule.When.Attributes(), captures[p], attributes)
			}
		}
		for _, header := range p.Forward {
			b.warnOfNames(header.Origin, p, header.Value.Captures(), header.Value.Attributes(), captures[p], attributes)
		}
	}
}

func (b *builder) warnOfNames(at Origin, p *Policy, captures, attributes, known, knownAttributes []string) {
	for _, name := range captures {
		if !slices.Contains(known, name) {
			b.warnAt(at, "nothing is called `path.%s`: no template of a rule with the Policy %q, and no permission on its routes, has {%s}%s",
				name, p.Name, name, document.DidYouMean(name, known))
		}
	}
	for _, name := range attributes {
		if !slices.Contains(knownAttributes, name) {
			b.warnAt(at, "no Consumer has the attribute `%s`%s", name, document.DidYouMean(name, knownAttributes))
		}
	}
}

// captures are the names, sorted, that paths can have under each policy: those of its rules' own templates, and where
// permissions decide those of the permissions on their routes.
func (b *builder) captures() map[*Policy][]string {
	byRoute := map[*Route]map[string]bool{}
	for _, role := range b.model.Roles() {
		for _, permission := range role.Permissions {
			for _, route := range permission.Routes {
				for _, path := range permission.Paths {
					collect(byRoute, route, path)
				}
			}
		}
	}
	byPolicy := map[*Policy]map[string]bool{}
	for _, rule := range b.rules() {
		collect(byPolicy, rule.Policy, rule.Match.Template)
		if slices.ContainsFunc(rule.Policy.Authorize, func(a *AuthorizeRule) bool { return a.ConsumerPermissions }) {
			maps.Copy(byPolicy[rule.Policy], byRoute[rule.Route])
		}
	}
	names := map[*Policy][]string{}
	for p, of := range byPolicy {
		names[p] = slices.Sorted(maps.Keys(of))
	}
	return names
}

func collect[K comparable](names map[K]map[string]bool, of K, t *template.Template) {
	if names[of] == nil {
		names[of] = map[string]bool{}
	}
	for _, s := range t.Segments() {
		if s.Kind != template.Literal {
			names[of][s.Text] = true
		}
	}
}

// attributes are the names, sorted, of the attributes that consumers have.
func (b *builder) attributes() []string {
	names := map[string]bool{}
	for _, c := range b.model.Consumers() {
		for name := range c.Facts.Attributes {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}
