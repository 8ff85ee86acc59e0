package propagation

import (
	"context"
	"slices"
	"time"

	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/config"
)

// maxEarlier is how many earlier versions of an Upstream are remembered, the latest ones.
const maxEarlier = 8

// View decides what goes on by the Upstreams and Providers of one Apply. It is immutable, and safe for concurrent use.
type View struct {
	propagator *Propagator
	upstreams  map[string]*config.Upstream
	earlier    map[string][]earlierVersion // by Upstream, the oldest first
	parties    map[string]Party
	// held are the keys under which something may be held for long.
	held map[string]bool
}

// earlierVersion is what an Upstream was to get. Proxies may have routes yet that lead to where it was then.
type earlierVersion struct {
	version, place string
	token          config.TokenForwarding
	until          time.Time // until when it is remembered
}

// newView takes over from the one before what Upstreams were to get.
func (p *Propagator) newView(upstreams []*config.Upstream, parties map[string]Party, before *View) *View {
	v := &View{
		propagator: p, parties: parties, upstreams: make(map[string]*config.Upstream, len(upstreams)), earlier: make(map[string][]earlierVersion),
	}
	for _, u := range upstreams {
		v.upstreams[u.Name] = u
	}
	now := p.settings.Clock()
	for name, list := range before.earlier {
		v.remember(name, now, list...)
	}
	for name, u := range before.upstreams {
		v.remember(name, now, earlierVersion{version: u.Version, place: u.Place, token: u.Token, until: now.Add(p.settings.Grace)})
	}
	v.held = v.keys()
	return v
}

// remember adds versions of an Upstream, unless it is one of them now, or they are to be forgotten.
func (v *View) remember(name string, now time.Time, versions ...earlierVersion) {
	current := v.upstreams[name]
	for _, one := range versions {
		if current != nil && current.Version == one.version {
			continue
		}
		if !now.Before(one.until) {
			if !v.inUse(name, one.version) {
				continue
			}
			one.until = now.Add(v.propagator.settings.Grace)
		}
		list := slices.DeleteFunc(v.earlier[name], func(other earlierVersion) bool { return other.version == one.version })
		list = append(list, one)
		v.earlier[name] = list[max(0, len(list)-maxEarlier):]
	}
}

// inUse tells whether some proxy may still have routes that lead to this version of an Upstream.
func (v *View) inUse(name, version string) bool {
	in := v.propagator.settings.InUse
	return in != nil && in(name, version)
}

// keys are those under which something may be held for long.
func (v *View) keys() map[string]bool {
	keys := make(map[string]bool)
	for _, u := range v.upstreams {
		for _, d := range []config.TokenDisposal{u.Token.Anonymous, u.Token.Certificate, u.Token.User} {
			if d.Provider == nil {
				continue
			}
			version := v.parties[d.Provider.Name].Version
			keys[acquisitionKey(d, version)], keys[actorKey(d, version)], keys[queueKey(d, version)] = true, true, true
		}
	}
	return keys
}

// Knows tells whether it is known what goes to this version of an Upstream: nothing to any version, or what is remembered of it.
func (v *View) Knows(upstream, version string) bool {
	u := v.upstreams[upstream]
	if u == nil || !u.Token.Any() || u.Version == version {
		return true
	}
	_, found := v.earlierOf(upstream, version)
	return found
}

func (v *View) earlierOf(upstream, version string) (earlierVersion, bool) {
	now := v.propagator.settings.Clock()
	for _, one := range v.earlier[upstream] {
		if one.version == version && (now.Before(one.until) || v.inUse(upstream, version)) {
			return one, true
		}
	}
	return earlierVersion{}, false
}

// For decides what goes on with a request that was admitted. A request that is not, or that leads to no upstream, or to one that
// is not known, takes nothing along. Where the proxy's route leads to another version of the upstream than the present one, it takes
// along what the present one gets if it leads to the same place, or if that version was to get the same. Otherwise that may be another
// host: it takes nothing along if that version was to get nothing, and is refused if it was to get something else, or is not
// remembered. For waits for tokens as long as the context lasts; exactly one of the results
// counts.
func (v *View) For(ctx context.Context, d *policy.Decision, now time.Time) (Onward, *Refusal) {
	disposal, refusal := v.disposal(d)
	if refusal != nil {
		return Onward{}, refusal
	}
	switch disposal.Kind {
	case config.DisposalRemove:
		return Onward{}, nil
	case config.DisposalPass:
		if d.Token == nil {
			return Onward{}, unavailable(disposal, "there is no verified token to pass on")
		}
		return plan(disposal), nil
	}
	p := v.propagator
	party, found := v.parties[disposal.Provider.Name]
	if !found {
		return Onward{}, unavailable(disposal, "the Provider %s cannot be asked", quote(disposal.Provider.Name))
	}
	switch disposal.Kind {
	case config.DisposalMint:
		return p.mint(d, disposal, party, now)
	case config.DisposalAcquire:
		return p.acquire(ctx, disposal, party, now)
	case config.DisposalExchange:
		return p.exchange(ctx, d.Token, disposal, party, now)
	default:
		return Onward{}, unavailable(disposal, "what is to go on is not known")
	}
}

// Plan says what would go on with a request that was admitted, and gets nothing. It refuses what For would refuse whoever is asked.
func (v *View) Plan(d *policy.Decision) (Onward, *Refusal) {
	disposal, refusal := v.disposal(d)
	if refusal != nil {
		return Onward{}, refusal
	}
	return plan(disposal), nil
}

// disposal is what the upstream gets for this caller, where the proxy's route leads.
func (v *View) disposal(d *policy.Decision) (config.TokenDisposal, *Refusal) {
	at := d.Request.Context
	upstream := v.upstreams[at.Upstream]
	if !d.Allowed || upstream == nil {
		return config.TokenDisposal{}, nil
	}
	present := Disposal(upstream.Token, d)
	if present.Kind == config.DisposalRemove || at.UpstreamVersion == upstream.Version {
		return present, nil
	}
	earlier, known := v.earlierOf(at.Upstream, at.UpstreamVersion)
	switch {
	case !known:
		return config.TokenDisposal{}, unavailable(present, "the proxy's route leads to another version of the upstream %s, which is not known here", quote(at.Upstream))
	case same(Disposal(earlier.token, d), present), earlier.place == upstream.Place && earlier.token.Any():
		return present, nil // a route to a version that got tokens withholds them from the caller
	case Disposal(earlier.token, d).Kind == config.DisposalRemove:
		return config.TokenDisposal{}, nil
	}
	return config.TokenDisposal{}, unavailable(present, "the proxy's route leads to an earlier place of the upstream %s, which was to get something else", quote(at.Upstream))
}

// same tells whether two disposals give the same token: as they are written, and by the same issuer.
func same(a, b config.TokenDisposal) bool {
	if a.Kind != b.Kind || a.ID != b.ID || a.BoundTo != b.BoundTo || (a.Provider == nil) != (b.Provider == nil) {
		return false
	}
	return a.Provider == nil || a.Provider.Name == b.Provider.Name && slices.Equal(a.Provider.Issuers, b.Provider.Issuers)
}

// plan is what a disposal comes to, without a token.
func plan(disposal config.TokenDisposal) Onward {
	onward := Onward{How: disposal.Kind, Origin: disposal.Origin}
	switch disposal.Kind {
	case config.DisposalRemove:
	case config.DisposalPass:
		onward.Kind = Pass
	default:
		onward.Kind, onward.Provider = Set, disposal.Provider.Name
	}
	return onward
}

// Disposal is what becomes of the Authorization header of this caller on the way to an upstream.
func Disposal(token config.TokenForwarding, d *policy.Decision) config.TokenDisposal {
	switch d.Bearer() {
	case policy.CallerUser:
		return token.User
	case policy.CallerCertificate:
		return token.Certificate
	default:
		return token.Anonymous
	}
}
