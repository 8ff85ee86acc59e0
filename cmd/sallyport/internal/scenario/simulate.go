package scenario

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/devissuer"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/estate"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/pipeline"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/sampleapi"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/envoy/routing"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

// Simulator judges cases without an Envoy, by an estate.Estate.
type Simulator struct {
	model   *config.Model // with the development issuer in the place of its Providers
	estate  *estate.Estate
	callers *Callers
}

// NewSimulator makes a simulator of a model. All material is replaced by ephemeral development authorities, and all Providers but
// ourselves by a development issuer.
func NewSimulator(ctx context.Context, configured *config.Model, clock func() time.Time) (*Simulator, error) {
	model, err := withDevelopmentTokens(configured)
	if err != nil {
		return nil, err
	}
	keeper, err := inventory.New(inventory.Config{Substitute: true, Clock: clock})
	if err != nil {
		return nil, err
	}
	material := keeper.Apply(ctx, pipeline.SpecsOf(model))
	issuer, err := devissuer.New(devissuer.Config{Issuers: Issuers(model), Clock: clock})
	if err != nil {
		return nil, err
	}
	callers, err := NewCallers(CallersConfig{Model: model, Keeper: keeper, Issuer: issuer, Clock: clock})
	if err != nil {
		return nil, err
	}
	listeners, err := estate.CompileListeners(model, material)
	if err != nil {
		return nil, err
	}
	gateways, err := estate.New(estate.Config{
		Model: model, Material: material, Listeners: listeners, Clock: clock, Substitute: substitute{issuer: issuer, clock: clock},
	})
	if err != nil {
		return nil, err
	}
	return &Simulator{model: model, estate: gateways, callers: callers}, nil
}

// Run judges one case of the configured model; one that cannot be simulated has failed. The error is that of the context, if it has ended.
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
	target := Target(c, estate.AsConfigured)
	if target == nil {
		return Outcome{}, fmt.Errorf("the Gateway %q has no listener for it", c.Test.Gateway.Name)
	}
	h := estate.Hop{Listener: s.model.Gateway(target.Gateway.Name).Listener(target.Name)}
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
	}
	shown, err := s.callers.Show(c.Spec.GetCaller(), h.Listener.Plaintext())
	if err != nil {
		return Outcome{}, err
	}
	h.Credentials.Certificate = shown.Certificate
	if shown.Authorization != "" {
		h.Request.Headers[sampleapi.Authorization] = []string{shown.Authorization}
	}
	passages, err := s.estate.Follow(ctx, h)
	if err != nil {
		return Outcome{}, err
	}
	return outcomeOf(passages), nil
}

// outcomeOf is what the caller sees of a request that has passed these gateways: the first one's decision, the last one's
// answer, and why that one turned it away.
func outcomeOf(passages []estate.Passage) Outcome {
	first, last := passages[0], passages[len(passages)-1]
	if first.Refused != "" {
		return Outcome{Refused: true, Why: first.Refused}
	}
	o := Outcome{Status: last.Status}
	if first.Decision != nil {
		o.Reason, o.Why = string(first.Decision.Reason), first.Decision.Detail
	}
	if why := turnedAway(last); why != "" && len(passages) > 1 {
		o.Why, o.Beyond = why, true
	}
	if first.Upstream != nil {
		o.Upstream = first.Upstream.Name
	}
	o.Answer = answerOf(passages)
	switch {
	case last.Refused != "":
		o.Status = http.StatusServiceUnavailable // Envoy's answer to a failed upstream connection
	case last.Status == 0:
		o.Status = http.StatusOK
		o.Received = receivedBy(last)
	}
	return o
}

// turnedAway is why a gateway behind the first one has turned a request away; empty if it has not.
func turnedAway(p estate.Passage) string {
	gateway := p.Listener.Gateway.Name
	switch {
	case p.Refused != "":
		return beyond(gateway, "", p.Refused)
	case p.Decision != nil && !p.Decision.Allowed:
		return beyond(gateway, string(p.Decision.Reason), p.Decision.Detail)
	}
	return ""
}

// answerOf are the headers of the answer, on whose way back each gateway sets its own.
func answerOf(passages []estate.Passage) map[string]string {
	headers := map[string]string{}
	for _, p := range slices.Backward(passages) {
		for name, values := range p.Answer {
			headers[name] = strings.Join(values, ",")
		}
	}
	return headers
}

// receivedBy is what reached the upstream, as a sample API would tell of it: nobody's token is told, but what it says.
func receivedBy(last estate.Passage) *Received {
	received := &Received{Path: last.Chosen.Path, Headers: map[string]string{}}
	for name, values := range last.Headers {
		received.Headers[name] = strings.Join(values, ",")
	}
	if authorization, sent := received.Headers[sampleapi.Authorization]; sent {
		received.Token = sampleapi.TokenClaims(authorization)
		received.Headers[sampleapi.Authorization] = sampleapi.Redacted
	}
	return received
}
