package authz_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/sallyport-project/sallyport/authz"
	"github.com/sallyport-project/sallyport/authz/asker"
	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/checkcontext"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

// clock is a clock that stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(by)
}

// house is a service over the example configuration.
type house struct {
	testing.TB
	*authz.Service
	clock              *clock
	ring               *audit.Ring
	model              *config.Model
	material           *inventory.Snapshot
	partners, internal *fixture.Authority
}

const example = "../examples/partner-certificates"

// newHouse makes a service that has the example in force, unless the configuration is changed otherwise.
func newHouse(t testing.TB, changes ...func(*authz.Config)) *house {
	t.Helper()
	h := &house{
		TB: t, clock: &clock{now: fixture.Noon}, ring: audit.NewRing(100), model: fixture.Load(t, example),
		partners: fixture.NewAuthority(t, "partners"), internal: fixture.NewAuthority(t, "internal"),
	}
	h.material = fixture.Material(fixture.Truststore("partners", h.partners), fixture.Truststore("internal", h.internal))
	settings := authz.Config{
		Clock: h.clock.Now, Sink: h.ring,
		Identify: asker.Identifier{TrustDomain: "example.org", Clock: h.clock.Now}.Identify,
	}
	for _, change := range changes {
		change(&settings)
	}
	service, err := authz.New(settings)
	if err != nil {
		t.Fatal(err)
	}
	h.Service = service
	h.Apply(h.model, h.material)
	return h
}

// ask is a request as a proxy would ask about it.
type ask struct {
	gateway, host, route, rule, method, path, certificate string
	// version of the rule's policy that the route was made with; the model's if empty.
	version string
	// upstream is the version of the upstream that the route leads to; the model's if empty.
	upstream string
	headers  map[string]string
}

// persons asks for a person's alerts at the edge.
func persons(certificate string) ask {
	return ask{gateway: "edge", host: "api.example.org", route: "integration-api", rule: "persons", method: "GET", path: "/v1/persons/1/alerts", certificate: certificate}
}

func (h *house) check(a ask) *authv3.CheckRequest {
	h.Helper()
	rules := h.model.Route(a.route).Rules
	rule := rules[slices.IndexFunc(rules, func(r *config.Rule) bool { return r.Name == a.rule })]
	version := a.version
	if version == "" {
		version = rule.Policy.Version
	}
	upstream := rule.Upstreams[0].Upstream
	leads := a.upstream
	if leads == "" {
		leads = upstream.Version
	}
	headers := map[string]string{":authority": a.host, "x-request-id": "id-1"}
	maps.Copy(headers, a.headers)
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Source: &authv3.AttributeContext_Peer{Certificate: a.certificate},
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Method: a.method, Host: a.host, Path: a.path, Headers: headers,
		}},
		ContextExtensions: map[string]string{
			checkcontext.Gateway: a.gateway, checkcontext.Listener: "https", checkcontext.Entry: a.host,
			checkcontext.Route: a.route, checkcontext.Rule: a.rule, checkcontext.Policy: rule.Policy.Name, checkcontext.PolicyHash: version,
			checkcontext.Upstream: upstream.Name, checkcontext.UpstreamHash: leads,
		},
	}}
}

// want asks as the gateway's own proxy and wants a decision, an answer and a record that agree.
func (h *house) want(a ask, want reason.Reason) *authv3.CheckResponse {
	h.Helper()
	return h.wantWithin(h.Context(), a, want)
}

func (h *house) wantWithin(ctx context.Context, a ask, want reason.Reason) *authv3.CheckResponse {
	h.Helper()
	response, decision, err := h.Decide(ctx, h.model.Gateway(a.gateway).Group, h.check(a))
	if err != nil {
		h.Fatal(err)
	}
	if decision.Reason != want {
		h.Errorf("%s (%s), want %s", decision.Reason, decision.Detail, want)
	}
	if allowed := response.GetOkResponse() != nil; allowed != want.Allows() {
		h.Errorf("allowed is %t with the reason %s", allowed, want)
	}
	if denied := response.GetDeniedResponse(); denied != nil && int(denied.GetStatus().GetCode()) != want.Status() {
		h.Errorf("status %d, want %d", denied.GetStatus().GetCode(), want.Status())
	}
	records := h.ring.Find("id-1")
	if len(records) == 0 || records[len(records)-1].Reason != want {
		h.Errorf("the last record is not of %s: %+v", want, records)
	}
	return response
}
