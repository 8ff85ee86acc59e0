// Package estate is a model's gateways without an Envoy: it takes a request from gateway to gateway, and tells what each makes
// of it.
//
// It owns what a proxy does: the choice of a listener, the handshake, the question to the authorization service, and what becomes
// of the headers. Routes are chosen by envoy/routing over the generated configuration, and decisions come from the authorization
// service. It opens no connection, records and counts nothing, and makes neither callers nor tokens.
package estate

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/sallyport-project/sallyport/authz"
	"github.com/sallyport-project/sallyport/authz/asker"
	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/request"
	"github.com/sallyport-project/sallyport/authz/tokens"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/checkcontext"
	"github.com/sallyport-project/sallyport/envoy/routing"
	"github.com/sallyport-project/sallyport/envoy/translate"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

// Listeners are the generated listeners of a model's gateways, ready to choose routes by. A listener is missing that could
// not be generated for want of material.
type Listeners map[*config.Listener]*routing.Listener

// CompileListeners generates and prepares the listeners of every group of a model.
func CompileListeners(model *config.Model, material *inventory.Snapshot) (Listeners, error) {
	listeners := Listeners{}
	for _, group := range translate.Groups(model) {
		resources := translate.Group(model, material, group)
		for _, g := range model.Gateways() {
			for _, l := range g.Listeners {
				generated := resources.Listeners[translate.ListenerName(l)]
				if g.Group != group || generated == nil {
					continue
				}
				compiled, err := routing.Compile(generated, resources.Routes)
				if err != nil {
					return nil, err
				}
				listeners[l] = compiled
			}
		}
	}
	return listeners, nil
}

// Config is what an Estate needs. All fields but the last three are required.
type Config struct {
	Model *config.Model
	// Material is what callers are judged by, and what gateways present to each other.
	Material *inventory.Snapshot
	// Listeners are those of the model.
	Listeners Listeners
	Clock     func() time.Time
	// Substitute stands for all Providers but those that are ourselves, so that nobody is asked over a network; nil where no
	// token of another's is to be judged.
	Substitute tokens.Substitute
	// Judge and Planned are those of the authorization service.
	Judge   authz.Judge
	Planned bool
}

// Estate is a model's gateways without an Envoy: what Envoy chooses is simulated over the generated configuration, what the
// authorization service decides is decided by it. It records nothing, and is safe for concurrent use.
type Estate struct {
	Config
	service  *authz.Service
	verifier *identity.Verifier
	// trust is what callers are judged by in handshakes.
	trust map[*config.Entry]*identity.Trust
	// own are the gateways' certificates by name.
	own map[string]*tls.Certificate
}

// New makes an Estate with an authorization service of its own.
func New(settings Config) (*Estate, error) {
	verifier, err := identity.NewVerifier(identity.Config{})
	if err != nil {
		return nil, err
	}
	if settings.Substitute == nil {
		settings.Substitute = tokens.Nobody{}
	}
	parts, err := tokens.New(tokens.Config{Clock: settings.Clock, Uncounted: true, Substitute: settings.Substitute})
	if err != nil {
		return nil, err
	}
	service, err := authz.New(authz.Config{
		Clock: settings.Clock, Sink: audit.Sinks{}, Uncounted: true, Tokens: parts, Judge: settings.Judge, Planned: settings.Planned,
		Identify: func(context.Context) (asker.Asker, error) { return asker.Asker{}, nil },
	})
	if err != nil {
		return nil, err
	}
	service.Apply(settings.Model, settings.Material)
	e := &Estate{
		Config: settings, service: service, verifier: verifier,
		trust: map[*config.Entry]*identity.Trust{}, own: own(settings.Material),
	}
	for _, g := range settings.Model.Gateways() {
		for _, l := range g.Listeners {
			for _, entry := range l.Entries {
				e.trust[entry] = identity.NewTrust(entry.ClientAuth, settings.Material)
			}
		}
	}
	return e, nil
}

// Credentials are what a caller shows; the zero value is for one without a certificate.
type Credentials struct {
	// Certificate is presented; its key is not needed.
	Certificate *tls.Certificate
	// Hypothesis is a caller of whom less is known; only without Certificate.
	Hypothesis *policy.Hypothesis
}

// presented tells whether there is a certificate.
func (c Credentials) presented() bool {
	return c.Certificate != nil || c.Hypothesis != nil && c.Hypothesis.Presumed != nil
}

// withheld is the same caller without its certificate.
func (c Credentials) withheld() Credentials {
	if c.Hypothesis == nil {
		return Credentials{}
	}
	anonymous := *c.Hypothesis
	anonymous.Presumed = nil
	return Credentials{Hypothesis: &anonymous}
}

// Hop is a request on its way to one listener.
type Hop struct {
	Listener    *config.Listener
	Credentials Credentials
	Request     routing.Request
}

// Passage is what one gateway makes of a request.
type Passage struct {
	Hop
	// Refused says why there is no connection; nothing below is set then.
	Refused string
	// Chosen is Envoy's choice.
	Chosen routing.Decision
	// Decision is nil where Envoy answered before anybody was asked.
	Decision *policy.Decision
	// Status of the gateway's own answer; 0 where the request goes on.
	Status int
	// Answer is what the answer has of headers that this gateway sets, whoever gives it; by name in lower case.
	Answer http.Header
	// Upstream that it is sent to, or nil.
	Upstream *config.Upstream
	// Headers that go on to the upstream.
	Headers http.Header
	// Next is the way to the next of our gateways; nil where there is none.
	Next *Hop
}

// MostHops bounds the gateways that a request may pass, should their upstreams lead in a circle.
const MostHops = 8

// ErrCircle says that a request passes more than MostHops.
var ErrCircle = fmt.Errorf("the request passes more than %d gateways: do their upstreams lead in a circle?", MostHops)

// Follow takes a request from gateway to gateway until it is answered, or has reached an API. There is at least one passage. It
// may fail with ErrCircle.
func (e *Estate) Follow(ctx context.Context, h Hop) ([]Passage, error) {
	var passages []Passage
	for range MostHops {
		passage, err := e.Pass(ctx, h)
		if err != nil {
			return nil, err
		}
		passages = append(passages, passage)
		if passage.Next == nil {
			return passages, nil
		}
		h = *passage.Next
	}
	return nil, ErrCircle
}

// Pass takes a request through one gateway.
func (e *Estate) Pass(ctx context.Context, h Hop) (Passage, error) {
	chosen, err := e.Choose(h)
	if err != nil {
		return Passage{Hop: h}, err
	}
	return e.PassBy(ctx, h, chosen)
}

// Choose is Envoy's choice for a request, whoever makes it.
func (e *Estate) Choose(h Hop) (routing.Decision, error) {
	compiled := e.Listeners[h.Listener]
	if compiled == nil {
		return routing.Decision{}, fmt.Errorf("the listener %s/%s cannot be served", h.Listener.Gateway.Name, h.Listener.Name)
	}
	return compiled.Choose(h.Request), nil
}

// PassBy is Pass where Envoy's choice is known: it is the same for all callers.
func (e *Estate) PassBy(ctx context.Context, h Hop, chosen routing.Decision) (Passage, error) {
	p := Passage{Hop: h, Chosen: chosen}
	if chosen.Closed {
		p.Refused = "no entry of the listener has this server name"
		return p, nil
	}
	caller, refused := e.Handshake(h.Listener.EntryFor(h.Request.SNI), h.Credentials)
	if refused != "" {
		p.Refused = refused
		return p, nil
	}
	p.Answer = chosen.AnswerHeaders.Clone()
	if chosen.Status != 0 {
		p.Status = chosen.Status
		return p, nil
	}
	err := e.decide(ctx, &p, caller)
	return p, err
}

// decide asks the authorization service, and sends the request on as it says.
func (e *Estate) decide(ctx context.Context, p *Passage, caller Credentials) error {
	extensions := p.Chosen.Context
	if len(p.Chosen.Upstreams) > 0 {
		extensions = heaviest(p.Chosen.Upstreams).Context
	}
	group, asked := p.Listener.Gateway.Group, check(p.Hop, p.Chosen, extensions, caller)
	decide := e.service.Decide
	if caller.Hypothesis != nil {
		decide = e.service.DecideAs(*caller.Hypothesis)
	}
	response, decision, err := decide(ctx, group, asked)
	if err != nil {
		return err
	}
	p.Decision, p.Answer = decision, answered(p.Answer, response)
	if denied := response.GetDeniedResponse(); denied != nil {
		p.Status = int(denied.GetStatus().GetCode())
		return nil
	}
	if p.Upstream = e.Model.Upstream(extensions[checkcontext.Upstream]); p.Upstream == nil {
		return fmt.Errorf("the route leads to no upstream")
	}
	p.Headers = forwarded(p.Request.Headers, response.GetOkResponse())
	if listener := ListenerOf(e.Model, p.Upstream); listener != nil {
		name := p.Upstream.TLS.ServerName
		p.Next = &Hop{Listener: listener, Credentials: e.Presented(p.Upstream), Request: routing.Request{
			SNI: name, Method: p.Request.Method, Host: name, Path: p.Chosen.Path, Headers: p.Headers,
		}}
	}
	return nil
}

// Reach is what the authorization service would let a hypothetical caller do by one rule; see policy.Engine.
func (e *Estate) Reach(at request.Context, h policy.Hypothesis) ([]policy.Reach, *policy.Decision) {
	return e.service.Reach(at, h)
}

// heaviest is the upstream with the greatest weight, where Envoy chooses at random; of equals, the first by name.
func heaviest(upstreams []routing.Upstream) routing.Upstream {
	return slices.MinFunc(upstreams, func(a, b routing.Upstream) int {
		return cmp.Or(cmp.Compare(b.Weight, a.Weight), cmp.Compare(a.Context[checkcontext.Upstream], b.Context[checkcontext.Upstream]))
	})
}
