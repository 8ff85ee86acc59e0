package scenario

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/pipeline"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/envoy/routing"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

// Simulator judges cases without an Envoy, by an Estate.
type Simulator struct {
	estate  *Estate
	callers *Callers
}

// NewSimulator makes a simulator of a model. All material is replaced by ephemeral development authorities.
func NewSimulator(ctx context.Context, model *config.Model, clock func() time.Time) (*Simulator, error) {
	keeper, err := inventory.New(inventory.Config{Substitute: true, Clock: clock})
	if err != nil {
		return nil, err
	}
	material := keeper.Apply(ctx, pipeline.SpecsOf(model))
	callers, err := NewCallers(model, keeper, clock)
	if err != nil {
		return nil, err
	}
	listeners, err := CompileListeners(model, material)
	if err != nil {
		return nil, err
	}
	estate, err := NewEstate(EstateConfig{Model: model, Material: material, Listeners: listeners, Clock: clock})
	if err != nil {
		return nil, err
	}
	return &Simulator{estate: estate, callers: callers}, nil
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

func (s *Simulator) simulate(ctx context.Context, c *config.TestCase) (Outcome, error) {
	request := c.Spec.GetRequest()
	host, path, _ := config.SplitURL(request.GetUrl())
	h := Hop{Listener: Target(c, AsConfigured)}
	if h.Listener == nil {
		return Outcome{}, fmt.Errorf("the Gateway %q has no listener for it", c.Test.Gateway.Name)
	}
	h.Request = routing.Request{Method: Method(c), Host: host, Path: path, Headers: http.Header{}}
	for name, value := range request.GetHeaders() {
		if strings.EqualFold(name, "host") {
			h.Request.Host = value
			continue
		}
		h.Request.Headers[strings.ToLower(name)] = []string{value}
	}
	if !h.Listener.Plaintext() {
		h.Request.SNI = ServerName(c)
		var err error
		if h.Credentials.Certificate, err = s.callers.Certificate(c.Spec.GetCaller()); err != nil {
			return Outcome{}, err
		}
	}
	passages, err := s.estate.Follow(ctx, h)
	if err != nil {
		return Outcome{}, err
	}
	return outcomeOf(passages), nil
}

// outcomeOf is what the caller sees of a request that has passed these gateways: the first one's decision, and the last
// one's answer.
func outcomeOf(passages []Passage) Outcome {
	first, last := passages[0], passages[len(passages)-1]
	if first.Refused != "" {
		return Outcome{Refused: true, Why: first.Refused}
	}
	o := Outcome{Status: last.Status}
	if first.Decision != nil {
		o.Reason, o.Why = string(first.Decision.Reason), first.Decision.Detail
	}
	if first.Upstream != nil {
		o.Upstream = first.Upstream.Name
	}
	switch {
	case last.Refused != "":
		o.Status = http.StatusServiceUnavailable // Envoy's answer to a failed upstream connection
	case last.Status == 0:
		o.Status = http.StatusOK
		o.Received = &Received{Path: last.Chosen.Path, Headers: map[string]string{}}
		for name, values := range last.Headers {
			o.Received.Headers[name] = strings.Join(values, ",")
		}
	}
	return o
}
