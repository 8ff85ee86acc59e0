package policy

import (
	"maps"
	"slices"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/template"
)

// permissions are what all roles permit on one route. To find one costs as much among thousands of roles as among few: the
// path finds the templates, and the consumer's own roles are looked up there.
type permissions struct {
	templates template.Set[*permitted]
	shapes    map[string]*permitted
}

// permitted is what roles permit on paths of one shape.
type permitted struct {
	byRole map[string][]grant
}

type grant struct {
	path     *template.Template
	template string
	methods  []string // empty means any
	origin   config.Origin
}

func (g grant) permits(method string) bool {
	return len(g.methods) == 0 || slices.Contains(g.methods, method)
}

func compilePermissions(roles []*config.Role) map[string]*permissions {
	byRoute := make(map[string]*permissions)
	for _, role := range roles {
		for _, permission := range role.Permissions {
			for _, route := range permission.Routes {
				of := byRoute[route.Name]
				if of == nil {
					of = &permissions{shapes: make(map[string]*permitted)}
					byRoute[route.Name] = of
				}
				for _, path := range permission.Paths {
					of.add(path, role.Name, grant{path: path, template: path.String(), methods: permission.Methods, origin: permission.Origin})
				}
			}
		}
	}
	return byRoute
}

func (p *permissions) add(path *template.Template, role string, g grant) {
	shape := path.Shape()
	at := p.shapes[shape]
	if at == nil {
		at = &permitted{byRole: make(map[string][]grant)}
		p.shapes[shape] = at
		p.templates.Add(path, at)
	}
	at.byRole[role] = append(at.byRole[role], g)
}

// find returns the grant by which one of the roles permits the method on the path. A nil *permissions permits nothing.
func (p *permissions) find(path, method string, roles []*config.Role) (role *config.Role, found grant, ok bool) {
	if p == nil {
		return nil, grant{}, false
	}
	p.templates.Visit(path, func(at *permitted) bool {
		for _, candidate := range roles {
			for _, g := range at.byRole[candidate.Name] {
				if g.permits(method) {
					role, found, ok = candidate, g, true
					return false
				}
			}
		}
		return true
	})
	return role, found, ok
}

// granting calls yield with every grant by which one of the roles permits the method on the path.
func (p *permissions) granting(path, method string, roles []*config.Role, yield func(grant)) {
	if p == nil {
		return
	}
	p.templates.Visit(path, func(at *permitted) bool {
		for _, role := range roles {
			for _, g := range at.byRole[role.Name] {
				if g.permits(method) {
					yield(g)
				}
			}
		}
		return true
	})
}

// otherMethods returns, sorted, the methods that the roles permit on the path.
func (p *permissions) otherMethods(path string, roles []*config.Role) []string {
	if p == nil {
		return nil
	}
	methods := make(map[string]bool)
	p.templates.Visit(path, func(at *permitted) bool {
		for _, role := range roles {
			for _, g := range at.byRole[role.Name] {
				for _, method := range g.methods {
					methods[method] = true
				}
			}
		}
		return true
	})
	return slices.Sorted(maps.Keys(methods))
}
