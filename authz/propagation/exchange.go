package propagation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/breaker"
	"github.com/sallyport-project/sallyport/authz/idp"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
)

// abreast is how many exchanges are asked of one Provider at a time. The others stand in line.
const abreast = 64

// queue is what all exchanges at one Provider have in common.
type queue struct {
	breaker *breaker.Breaker
	places  chan struct{}
}

func queueKey(d config.TokenDisposal, version string) string {
	return key("queue", d.Provider.Name, version)
}

// queue of the Provider that a disposal names.
func (p *Propagator) queue(d config.TokenDisposal, version string) *queue {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := queueKey(d, version)
	q := p.queues[k]
	if q == nil {
		q = &queue{breaker: breaker.New(flightTime), places: make(chan struct{}, abreast)}
		p.queues[k] = q
	}
	return q
}

// exchange gives a token in place of the caller's.
func (p *Propagator) exchange(ctx context.Context, subject *bearer.Token, disposal config.TokenDisposal, party Party, now time.Time) (Onward, *Refusal) {
	switch {
	case subject == nil || subject.Provider == nil:
		return Onward{}, unavailable(disposal, "there is no verified token to exchange")
	case subject.Provider.Name != disposal.Provider.Name:
		return Onward{}, &Refusal{Reason: reason.ExchangeRefused, Origin: disposal.Origin, Detail: "the caller's token is of the Provider " +
			quote(subject.Provider.Name) + ", and is sent to no other to be exchanged"}
	case !now.Before(subject.Expires): // the Provider's leeway lets it in, and leaves no time for another
		return Onward{}, outlived(disposal)
	}
	queue, raw := p.queue(disposal, party.Version), subject.Raw
	held := p.exchangedFor(subject, disposal, party.Version, queue)
	token, expires, refusal := held.get(ctx, now, subject.Expires, func(ctx context.Context) (*idp.Token, error) {
		select {
		case queue.places <- struct{}{}:
			defer func() { <-queue.places }()
			return p.ask(ctx, raw, disposal, party)
		case <-ctx.Done():
			return nil, errors.New("too many tokens are being exchanged")
		}
	})
	switch {
	case refusal != nil:
		return Onward{}, refusal
	case !p.settings.Clock().Before(subject.Expires):
		return Onward{}, outlived(disposal)
	}
	return set(disposal, token.Access, expires)
}

// outlived refuses a caller whose token has run out, perhaps while another was got for it.
func outlived(disposal config.TokenDisposal) *Refusal {
	return &Refusal{Reason: reason.TokenExpired, Origin: disposal.Origin, Detail: "the token has run out and cannot be exchanged any more"}
}

// exchangedFor is the holding for a caller's token, of which it keeps a hash alone, and a target.
func (p *Propagator) exchangedFor(subject *bearer.Token, disposal config.TokenDisposal, version string, queue *queue) *holding {
	sum := sha256.Sum256([]byte(subject.Raw))
	k := key(disposal.Provider.Name, version, disposal.ID, hex.EncodeToString(sum[:]))
	if held, found := p.exchanged.Get(k); found {
		return held
	}
	made := &holding{keeper: p, disposal: disposal, exchanged: true, breaker: queue.breaker}
	if held, found, _ := p.exchanged.PeekOrAdd(k, made); found { // somebody was faster
		return held
	}
	return made
}

// ask makes one exchange.
func (p *Propagator) ask(ctx context.Context, raw string, disposal config.TokenDisposal, party Party) (*idp.Token, error) {
	client, err := p.client(disposal.Provider.Name, party)
	if err != nil {
		return nil, err
	}
	if disposal.OnBehalfOf {
		parameters := values(disposal.Parameters)
		if disposal.Audience != "" && !parameters.Has("audience") {
			parameters.Set("audience", disposal.Audience)
		}
		return client.OnBehalfOf(ctx, idp.OnBehalfOf{Assertion: raw, Scopes: disposal.Scopes, Resource: disposal.Resource, Parameters: parameters})
	}
	wanted := idp.Exchange{
		SubjectToken: raw, Audience: disposal.Audience, Resource: disposal.Resource, Scopes: disposal.Scopes, Parameters: values(disposal.Parameters),
	}
	if disposal.Actor {
		own := p.slot(actorKey(disposal, party.Version), disposal, party, idp.Grant{})
		actor, _, refusal := own.get(ctx, p.settings.Clock(), time.Time{}, own.ask)
		if refusal != nil {
			return nil, errors.New("the token that says who acts for the caller cannot be had: " + refusal.Detail)
		}
		wanted.ActorToken = actor.Access
	}
	return client.Exchange(ctx, wanted)
}
