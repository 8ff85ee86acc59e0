package propagation

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-project/sallyport/authz/breaker"
	"github.com/sallyport-project/sallyport/authz/idp"
	"github.com/sallyport-project/sallyport/config"
)

// unusedTime is how long a token is kept fresh that nobody asks for.
const unusedTime = time.Hour

func acquisitionKey(d config.TokenDisposal, version string) string {
	return key("acquire", d.Provider.Name, version, d.ID)
}

func actorKey(d config.TokenDisposal, version string) string {
	return key("actor", d.Provider.Name, version)
}

// key joins parts so that no two lists of parts are taken for the same: none of them has a line feed.
func key(parts ...string) string { return strings.Join(parts, "\n") }

var errNoClient = errors.New("it cannot be asked for tokens now")

// acquire gives a token that we got as the Provider's client.
func (p *Propagator) acquire(ctx context.Context, disposal config.TokenDisposal, party Party, now time.Time) (Onward, *Refusal) {
	held := p.slot(acquisitionKey(disposal, party.Version), disposal, party, idp.Grant{
		Scopes: disposal.Scopes, Audience: disposal.Audience, Resource: disposal.Resource, Parameters: values(disposal.Parameters),
	})
	token, expires, refusal := held.get(ctx, now, time.Time{}, held.ask)
	if refusal != nil {
		return Onward{}, refusal
	}
	return set(disposal, token.Access, expires)
}

// slot is the one holding for tokens of a kind that are our own.
func (p *Propagator) slot(key string, disposal config.TokenDisposal, party Party, grant idp.Grant) *holding {
	p.mu.Lock()
	defer p.mu.Unlock()
	held := p.acquired[key]
	if held == nil {
		held = &holding{keeper: p, disposal: disposal, breaker: breaker.New(flightTime), used: p.settings.Clock(), ask: func(ctx context.Context) (*idp.Token, error) {
			client, err := p.client(disposal.Provider.Name, party)
			if err != nil {
				return nil, err
			}
			return client.ClientCredentials(ctx, grant)
		}}
		p.acquired[key] = held
	}
	return held
}

// client is the one in force, as long as it is the same client of the same Provider. Where another one is by now, those who decide by
// the View of before ask theirs.
func (p *Propagator) client(provider string, own Party) (Client, error) {
	asked := own
	if current := p.current.Load().parties[provider]; current.Version == own.Version {
		asked = current
	}
	if asked.Client == nil {
		return nil, errNoClient
	}
	return asked.Client, nil
}

func values(parameters map[string]string) url.Values {
	given := make(url.Values, len(parameters))
	for name, value := range parameters {
		given.Set(name, value)
	}
	return given
}

// Run replaces acquired tokens before they run out, until the context ends, and then returns nil. Without it they are replaced when
// the next request comes.
func (p *Propagator) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-p.wake:
		}
		now := p.settings.Clock()
		if next := p.renew(ctx, now); next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(max(next.Sub(now), time.Millisecond))
		}
	}
}

// changed makes Run look again at what is due when.
func (p *Propagator) changed() {
	select {
	case p.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// renew asks for what is due, drops what nobody uses, and tells when to look again; the zero time if there is nothing to look after.
func (p *Propagator) renew(ctx context.Context, now time.Time) (next time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	current := p.current.Load()
	for key, held := range p.acquired {
		if !current.held[key] { // it was wanted by a View of before
			delete(p.acquired, key)
			continue
		}
		due, unused := held.tend(ctx, now)
		if unused {
			delete(p.acquired, key)
			continue
		}
		if !due.IsZero() && (next.IsZero() || due.Before(next)) {
			next = due
		}
	}
	return next
}

// tend asks for the next token if it is due, and tells when something will be: zero while somebody asks. One that was not used for
// long is not worth asking for.
func (h *holding) tend(ctx context.Context, now time.Time) (due time.Time, unused bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch forgotten := h.used.Add(unusedTime); {
	case h.flight != nil:
		return time.Time{}, false
	case !now.Before(forgotten):
		return time.Time{}, true
	case h.token == nil: // a request will ask
		return forgotten, false
	case now.Before(h.refresh):
		return earlier(h.refresh, forgotten), false
	case h.breaker.Rested(now):
		h.begin(ctx, h.ask)
		return time.Time{}, false
	default:
		return earlier(h.breaker.Pausing(), forgotten), false
	}
}

func earlier(a, b time.Time) time.Time {
	return slices.MinFunc([]time.Time{a, b}, time.Time.Compare)
}
