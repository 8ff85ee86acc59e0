package propagation_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/idp"
	"github.com/sallyport-project/sallyport/authz/mint"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/propagation"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/authz/request"
	"github.com/sallyport-project/sallyport/config"
)

// provider is an identity provider that gives tokens until it is told to fail.
type provider struct {
	mu            sync.Mutex
	life          time.Duration
	fault         error
	broken        bool          // panics
	slow          time.Duration // what each request takes
	asked         []string      // what was asked for, in order
	grants        []idp.Grant
	last          idp.Exchange
	behalf        idp.OnBehalfOf
	abreast, most int
}

func (p *provider) give(ctx context.Context, what string) (*idp.Token, error) {
	p.mu.Lock()
	p.asked = append(p.asked, what)
	p.abreast++
	p.most = max(p.most, p.abreast)
	n, life, fault, slow, broken := len(p.asked), p.life, p.fault, p.slow, p.broken
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.abreast--
		p.mu.Unlock()
	}()
	if broken {
		panic("a fault that a test has planted")
	}
	select {
	case <-time.After(slow):
	case <-ctx.Done():
		return nil, &idp.Error{Kind: idp.Timeout}
	}
	if fault != nil {
		return nil, fault
	}
	return &idp.Token{Access: fmt.Sprintf("%s-%d", what, n), Type: "Bearer", Expires: time.Now().Add(life)}, nil
}

func (p *provider) ClientCredentials(ctx context.Context, g idp.Grant) (*idp.Token, error) {
	p.mu.Lock()
	p.grants = append(p.grants, g)
	p.mu.Unlock()
	return p.give(ctx, "own")
}

func (p *provider) Exchange(ctx context.Context, e idp.Exchange) (*idp.Token, error) {
	p.mu.Lock()
	p.last = e
	p.mu.Unlock()
	return p.give(ctx, "for-"+e.SubjectToken)
}

func (p *provider) OnBehalfOf(ctx context.Context, g idp.OnBehalfOf) (*idp.Token, error) {
	p.mu.Lock()
	p.behalf = g
	p.mu.Unlock()
	return p.give(ctx, "for-"+g.Assertion)
}

func (p *provider) fail(fault error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = fault
}

func (p *provider) requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.asked)
}

var errAway = fmt.Errorf("nobody is there: %w", &idp.Error{Kind: idp.Unreachable})

// minter makes tokens that are what they say.
type minter struct {
	life   time.Duration
	claims []mint.Claims
}

func (m *minter) Mint(c mint.Claims, now time.Time) (string, time.Time, error) {
	m.claims = append(m.claims, c)
	expires := now.Add(m.life)
	if !c.NotAfter.IsZero() && c.NotAfter.Before(expires) {
		expires = c.NotAfter
	}
	return fmt.Sprintf("minted-%d", len(m.claims)), expires, nil
}

var (
	corporate = &config.Provider{Header: config.Header{Name: "corporate"}}
	hops      = &config.Provider{Header: config.Header{Name: "hops"}, Mint: &config.Mint{}}
)

// house is a Propagator whose upstream "api" gives a disposal to every caller.
type house struct {
	testing.TB
	*propagation.Propagator
	*propagation.View
	provider *provider
	minter   *minter
	version  string
	disposal config.TokenDisposal
	// upstream is the version of the upstream, and place where it is.
	upstream, place string
}

func newHouse(t testing.TB, disposal config.TokenDisposal, changes ...func(*propagation.Config)) *house {
	t.Helper()
	h := &house{TB: t, provider: &provider{life: 10 * time.Minute}, minter: &minter{life: 2 * time.Minute}, version: "1", disposal: disposal, upstream: "1"}
	settings := propagation.Config{Jitter: func() float64 { return 0.5 }}
	for _, change := range changes {
		change(&settings)
	}
	var err error
	if h.Propagator, err = propagation.New(settings); err != nil {
		t.Fatal(err)
	}
	h.apply()
	return h
}

func (h *house) apply() {
	if h.disposal.ID == "" {
		h.disposal.ID = "1"
	}
	api := &config.Upstream{Header: config.Header{Name: "api"}, Version: h.upstream, Place: h.place, Token: config.TokenForwarding{
		Anonymous: h.disposal, Certificate: h.disposal, User: h.disposal,
	}}
	h.View = h.Apply([]*config.Upstream{api, {Header: config.Header{Name: "plain"}}}, map[string]propagation.Party{
		"corporate": {Client: h.provider, Version: h.version}, "hops": {Minter: h.minter, Version: h.version},
	})
}

// ask decides about an admitted request.
func (h *house) ask(ctx context.Context, d *policy.Decision) (propagation.Onward, *propagation.Refusal) {
	return h.For(ctx, d, time.Now())
}

// want wants a token to go on.
func (h *house) want(d *policy.Decision, authorization string) propagation.Onward {
	h.Helper()
	onward, refusal := h.ask(h.Context(), d)
	if refusal != nil {
		h.Fatalf("refused: %s (%s)", refusal.Reason, refusal.Detail)
	}
	if onward.Authorization != authorization {
		h.Fatalf("%q goes on, want %q", onward.Authorization, authorization)
	}
	return onward
}

func (h *house) refused(d *policy.Decision, why reason.Reason) *propagation.Refusal {
	h.Helper()
	onward, refusal := h.ask(h.Context(), d)
	if refusal == nil {
		h.Fatalf("%q goes on, want %s", onward.Authorization, why)
	}
	if refusal.Reason != why || onward.Authorization != "" {
		h.Fatalf("refused: %s (%s), %q goes on, want %s", refusal.Reason, refusal.Detail, onward.Authorization, why)
	}
	return refusal
}

func anonymous() *policy.Decision {
	return &policy.Decision{Allowed: true, Request: &request.Request{Context: request.Context{Upstream: "api", UpstreamVersion: "1"}}}
}

// user has a token of the Provider corporate that is good for an hour.
func user(raw string, changes ...func(*bearer.Token)) *policy.Decision {
	d := anonymous()
	d.Token = &bearer.Token{Provider: corporate, Subject: raw, Raw: raw, Expires: time.Now().Add(time.Hour), Claims: map[string]any{}}
	for _, change := range changes {
		change(d.Token)
	}
	return d
}

// run runs the background work until the test ends.
func (h *house) run() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = h.Run(ctx) // returns nil
	}()
	h.Cleanup(func() { cancel(); <-ended })
}
