package scenario

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-project/sallyport/authz"
	"github.com/sallyport-project/sallyport/authz/asker"
	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/pipeline"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/checkcontext"
	"github.com/sallyport-project/sallyport/envoy/routing"
	"github.com/sallyport-project/sallyport/envoy/translate"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

// Simulator judges cases without an Envoy: what Envoy chooses is simulated over the generated configuration, what the
// authorization service decides is decided by it.
type Simulator struct {
	model     *config.Model
	keeper    *inventory.Keeper
	callers   *Callers
	service   *authz.Service
	verifier  *identity.Verifier
	clock     func() time.Time
	listeners map[*config.Listener]*routing.Listener
}

// NewSimulator makes a simulator of a model. All material is replaced by ephemeral development authorities.
func NewSimulator(ctx context.Context, model *config.Model, clock func() time.Time) (*Simulator, error) {
	s := &Simulator{model: model, clock: clock, listeners: map[*config.Listener]*routing.Listener{}}
	var err error
	if s.keeper, err = inventory.New(inventory.Config{Substitute: true, Clock: clock}); err != nil {
		return nil, err
	}
	material := s.keeper.Apply(ctx, pipeline.SpecsOf(model))
	if s.callers, err = NewCallers(model, s.keeper, clock); err != nil {
		return nil, err
	}
	if s.verifier, err = identity.NewVerifier(0); err != nil {
		return nil, err
	}
	s.service, err = authz.New(authz.Config{
		Clock: clock, Sink: audit.Sinks{}, Identify: func(context.Context) (asker.Asker, error) { return asker.Asker{}, nil },
	})
	if err != nil {
		return nil, err
	}
	s.service.Apply(model, material)
	for _, group := range translate.Groups(model) {
		if err := s.compile(translate.Group(model, material, group)); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// compile prepares the listeners of a group.
func (s *Simulator) compile(resources *translate.Resources) error {
	for _, g := range s.model.Gateways() {
		for _, l := range g.Listeners {
			generated := resources.Listeners[translate.ListenerName(l)]
			if g.Group != resources.Group || generated == nil {
				continue
			}
			compiled, err := routing.Compile(generated, resources.Routes)
			if err != nil {
				return err
			}
			s.listeners[l] = compiled
		}
	}
	return nil
}

// Run judges one case; one that cannot be simulated has failed. The error is that of the context, if it has ended.
func (s *Simulator) Run(ctx context.Context, c *config.TestCase) (Result, error) {
	outcome, err := s.simulate(ctx, c)
	if ctx.Err() != nil {
		return Result{}, ctx.Err()
	}
	if err != nil {
		return unjudged(c, err), nil
	}
	return judge(c, outcome), nil
}

// hop is a request on its way to one listener.
type hop struct {
	listener *config.Listener
	// certificate that is presented, or nil.
	certificate *tls.Certificate
	request     routing.Request
}

func (s *Simulator) simulate(ctx context.Context, c *config.TestCase) (Outcome, error) {
	request := c.Spec.GetRequest()
	host, path, _ := config.SplitURL(request.GetUrl())
	h := hop{listener: Target(c, AsConfigured)}
	if h.listener == nil {
		return Outcome{}, fmt.Errorf("the Gateway %q has no listener for it", c.Test.Gateway.Name)
	}
	h.request = routing.Request{Method: Method(c), Host: host, Path: path, Headers: http.Header{}}
	for name, value := range request.GetHeaders() {
		if strings.EqualFold(name, "host") {
			h.request.Host = value
			continue
		}
		h.request.Headers[strings.ToLower(name)] = []string{value}
	}
	if !h.listener.Plaintext() {
		h.request.SNI = ServerName(c)
		var err error
		if h.certificate, err = s.callers.Certificate(c.Spec.GetCaller()); err != nil {
			return Outcome{}, err
		}
	}
	return s.follow(ctx, h)
}

// heaviest is the upstream with the greatest weight, where Envoy chooses at random; of equals, the first by name.
func heaviest(upstreams []routing.Upstream) routing.Upstream {
	return slices.MinFunc(upstreams, func(a, b routing.Upstream) int {
		return cmp.Or(cmp.Compare(b.Weight, a.Weight), cmp.Compare(a.Context[checkcontext.Upstream], b.Context[checkcontext.Upstream]))
	})
}

// mostHops bounds the gateways that a request may pass, should their upstreams lead in a circle.
const mostHops = 8

// follow takes a request from gateway to gateway until it is answered.
func (s *Simulator) follow(ctx context.Context, h hop) (Outcome, error) {
	var first Outcome
	for i := range mostHops {
		outcome, next, err := s.step(ctx, h)
		if err != nil {
			return Outcome{}, err
		}
		if i == 0 {
			first = outcome
		} else {
			// What a later gateway answers is what the caller sees.
			first.Status, first.Received = outcome.Status, outcome.Received
			if outcome.Refused {
				first.Status = http.StatusServiceUnavailable // Envoy's answer to a failed upstream connection
			}
		}
		if next == nil {
			return first, nil
		}
		h = *next
	}
	return Outcome{}, fmt.Errorf("the request passes more than %d gateways: do their upstreams lead in a circle?", mostHops)
}

// step takes a request through one gateway. Next is nil where it ends.
func (s *Simulator) step(ctx context.Context, h hop) (o Outcome, next *hop, err error) {
	compiled := s.listeners[h.listener]
	if compiled == nil {
		return Outcome{}, nil, fmt.Errorf("the listener %s/%s cannot be served", h.listener.Gateway.Name, h.listener.Name)
	}
	chosen := compiled.Choose(h.request)
	if chosen.Closed {
		return Outcome{Refused: true, Why: "no entry of the listener has this server name"}, nil, nil
	}
	certificate, why := s.handshake(h)
	if why != "" {
		return Outcome{Refused: true, Why: why}, nil, nil
	}
	if chosen.Status != 0 {
		return Outcome{Status: chosen.Status}, nil, nil
	}
	extensions := chosen.Context
	if len(chosen.Upstreams) > 0 {
		extensions = heaviest(chosen.Upstreams).Context
	}
	response, decision, err := s.service.Decide(ctx, h.listener.Gateway.Group, check(h, chosen, extensions, certificate))
	if err != nil {
		return Outcome{}, nil, err
	}
	o = Outcome{Reason: string(decision.Reason), Why: decision.Detail}
	if denied := response.GetDeniedResponse(); denied != nil {
		o.Status = int(denied.GetStatus().GetCode())
		return o, nil, nil
	}
	upstream := s.model.Upstream(extensions[checkcontext.Upstream])
	if upstream == nil {
		return Outcome{}, nil, fmt.Errorf("the route leads to no upstream")
	}
	o.Upstream = upstream.Name
	headers := forwarded(h.request.Headers, response.GetOkResponse())
	if listener := ListenerOf(s.model, upstream); listener != nil {
		next = &hop{listener: listener, certificate: s.presented(upstream), request: routing.Request{
			SNI: upstream.TLS.ServerName, Method: h.request.Method, Host: upstream.TLS.ServerName, Path: chosen.Path, Headers: headers,
		}}
		return o, next, nil
	}
	o.Status = http.StatusOK
	o.Received = &Received{Path: chosen.Path, Headers: map[string]string{}}
	for name, values := range headers {
		o.Received.Headers[name] = strings.Join(values, ",")
	}
	return o, nil, nil
}
