package policy

import (
	"time"

	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/request"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

// Engine judges requests by one Model, one snapshot of its material, and the earlier versions of policies that it was
// given. It is immutable and safe for concurrent use.
type Engine struct {
	model       *config.Model
	verifier    *identity.Verifier
	consumers   *identity.Consumers
	references  *identity.References // of certificates that tokens of our own name
	groups      map[string]string    // of gateways
	trust       map[entryKey]*identity.Trust
	permissions map[string]*permissions // by route
	current     map[string]*version     // by policy
	superseded  map[versionKey]superseded
	rules       map[ruleKey]assignment // of the Model, and those that were removed from it not long ago
}

type entryKey struct{ gateway, listener, entry string }

type versionKey struct{ policy, version string }

// superseded is a version of a policy that is not the current one any more.
type superseded struct {
	*version
	since time.Time
}

// Input is what an Engine is compiled from.
type Input struct {
	Model    *config.Model
	Material *inventory.Snapshot
	Verifier *identity.Verifier
	// Previous is the engine before this one, or nil. Its policies' versions are kept, as far as Keep says so, and so are
	// its rules, as long as Grace says.
	Previous *Engine
	// Keep tells whether a version is to be kept that was superseded at the moment given.
	Keep func(policy, version string, since time.Time) bool
	// Grace is how long a rule is remembered that has been removed, but never less than the time in which it is still
	// judged as before. One that is forgotten is a rule that nobody has heard of.
	Grace time.Duration
	// Now is when the Model takes effect.
	Now time.Time
}

// Compile makes an Engine. A Model cannot be invalid, so nothing can go wrong.
func Compile(in Input) *Engine {
	e := &Engine{
		model:       in.Model,
		verifier:    in.Verifier,
		consumers:   identity.NewConsumers(in.Model.Consumers()),
		references:  identity.NewReferences(in.Model.Truststores(), in.Material),
		groups:      make(map[string]string),
		trust:       make(map[entryKey]*identity.Trust),
		permissions: compilePermissions(in.Model.Roles()),
		current:     make(map[string]*version),
		superseded:  make(map[versionKey]superseded),
		rules:       compileRules(in.Model.Routes()),
	}
	for _, g := range in.Model.Gateways() {
		e.groups[g.Name] = g.Group
		for _, l := range g.Listeners {
			for _, entry := range l.Entries {
				e.trust[entryKey{g.Name, l.Name, entry.Name}] = identity.NewTrust(entry.ClientAuth, in.Material)
			}
		}
	}
	for _, p := range in.Model.Policies() {
		e.current[p.Name] = compileVersion(p)
	}
	if in.Previous != nil {
		e.inheritVersions(in)
		e.inheritRules(in)
	}
	return e
}

// inheritVersions takes over the versions that the engine before had and this one has not.
func (e *Engine) inheritVersions(in Input) {
	take := func(v *version, since time.Time) {
		if now := e.current[v.policy]; now != nil && now.id == v.id {
			return
		}
		if in.Keep(v.policy, v.id, since) {
			e.superseded[versionKey{v.policy, v.id}] = superseded{v, since}
		}
	}
	for _, old := range in.Previous.superseded {
		take(old.version, old.since)
	}
	for _, v := range in.Previous.current {
		take(v, in.Now)
	}
}

// Group returns the group of proxies that serves a gateway.
func (e *Engine) Group(gateway string) (string, bool) {
	group, found := e.groups[gateway]
	return group, found
}

// Knows tells whether everything is known that a request refers to; a rule that has been removed is, until it is forgotten.
// Where it is not, a newer Model may.
func (e *Engine) Knows(c request.Context) bool {
	if _, found := e.groups[c.Gateway]; !found {
		return false
	}
	if c.Outcome != "" {
		return true
	}
	rule, found := e.rules[ruleOf(c)]
	return found && rule.knowsUpstream(c.Upstream) && e.trust[entryKey{c.Gateway, c.Listener, c.Entry}] != nil && e.version(c.Policy, c.PolicyVersion) != nil
}

// Superseded returns since when a version of a policy is not the current one any more, if it is kept as such.
func (e *Engine) Superseded(policy, version string) (since time.Time, found bool) {
	old, found := e.superseded[versionKey{policy, version}]
	return old.since, found
}

// Policies returns the current policies of the Model that the engine was compiled from, by name.
func (e *Engine) Policies() []*config.Policy { return e.model.Policies() }

// ForwardedHeaders calls yield with the name of every header that any version of any policy here sets or lets pass. A name
// may come more than once.
func (e *Engine) ForwardedHeaders(yield func(string) bool) {
	for _, name := range e.model.ForwardableHeaders() {
		if !yield(name) {
			return
		}
	}
	for _, old := range e.superseded {
		for _, name := range old.forwarded {
			if !yield(name) {
				return
			}
		}
	}
}

// version returns a version of a policy, or nil.
func (e *Engine) version(policy, id string) *version {
	if now := e.current[policy]; now != nil && now.id == id {
		return now
	}
	return e.superseded[versionKey{policy, id}].version
}
