package policy

import (
	"slices"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/expression"
)

// version is one version of a policy, compiled. It refers to truststores, roles and consumers by name alone, so that an
// earlier version is judged by what they are now: a consumer that was suspended since is suspended for it, too.
type version struct {
	policy, id string
	origin     config.Origin
	method     method
	// usesCertificates is set if some method of the policy looks at the certificate.
	usesCertificates bool
	rules            []rule
	// forwardsFacts is set if the value of some header that it sets must be evaluated.
	forwardsFacts bool
	// forwardsPath is set if one of them is made of the path.
	forwardsPath bool
	// forwarded are the names of the headers that it sets or lets pass.
	forwarded []string
}

// method is a way to authenticate: by certificate if truststores are named, anonymous, or a combination.
type method struct {
	origin       config.Origin
	truststores  []string
	anonymous    bool
	anyOf, allOf []method
}

// rule lets callers in; exactly one form is set.
type rule struct {
	name        string
	origin      config.Origin
	permissions bool
	roles       []string
	consumers   map[string]bool
	everyone    bool
	// when is the further condition, or nil.
	when       *expression.Condition
	whenOrigin config.Origin
}

func compileVersion(p *config.Policy) *version {
	v := &version{policy: p.Name, id: p.Version, origin: p.Origin, method: compileMethod(p.Authenticate)}
	v.usesCertificates = v.method.usesCertificates()
	for _, r := range p.Authorize {
		compiled := rule{name: r.Name, origin: r.Origin, permissions: r.ConsumerPermissions, everyone: r.Everyone, when: r.When, whenOrigin: r.WhenOrigin}
		for _, role := range r.ConsumerRoles {
			compiled.roles = append(compiled.roles, role.Name)
		}
		for _, consumer := range r.Consumers {
			if compiled.consumers == nil {
				compiled.consumers = make(map[string]bool)
			}
			compiled.consumers[consumer.Name] = true
		}
		v.rules = append(v.rules, compiled)
	}
	for _, header := range p.Forward {
		v.forwarded = append(v.forwarded, header.Name)
		v.forwardsPath = v.forwardsPath || header.Value.ReadsPath()
		v.forwardsFacts = v.forwardsFacts || header.Value.Plain() == ""
	}
	v.forwarded = append(v.forwarded, p.Pass...)
	return v
}

func compileMethod(a config.Authenticate) method {
	m := method{origin: a.Origin, anonymous: a.Anonymous}
	for _, truststore := range a.Certificate {
		m.truststores = append(m.truststores, truststore.Name)
	}
	for _, one := range a.AnyOf {
		m.anyOf = append(m.anyOf, compileMethod(one))
	}
	for _, one := range a.AllOf {
		m.allOf = append(m.allOf, compileMethod(one))
	}
	return m
}

func (m method) usesCertificates() bool {
	return len(m.truststores) > 0 || slices.ContainsFunc(m.anyOf, method.usesCertificates) || slices.ContainsFunc(m.allOf, method.usesCertificates)
}

// hasPermissions tells whether the permissions of roles decide in some rule.
func (v *version) hasPermissions() bool {
	return slices.ContainsFunc(v.rules, func(r rule) bool { return r.permissions })
}
