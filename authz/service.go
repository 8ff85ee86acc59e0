package authz

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/limit"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/reply"
	"github.com/sallyport-project/sallyport/authz/tokens"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

// Service decides on requests. It is safe for concurrent use. Until the first Apply it turns everything away.
type Service struct {
	authv3.UnimplementedAuthorizationServer

	settings Config
	verifier *identity.Verifier

	applying sync.Mutex // one Apply at a time
	view     atomic.Pointer[view]
}

// view is an engine and what goes with it, swapped as one: a request is judged, and gets its token, by one generation of all.
type view struct {
	engine  *policy.Engine // nil before the first Apply
	replies map[string]*reply.Policy
	limits  *limit.Buckets
	tokens  *tokens.View // nil before the first Apply
	// revision of the model.
	revision string
	// superseded is closed when the next view is in place.
	superseded chan struct{}
}

// New makes a service.
func New(settings Config) (*Service, error) {
	if err := settings.complete(); err != nil {
		return nil, err
	}
	verifier, err := identity.NewVerifier(identity.Config{CacheSize: settings.CacheSize, Unregistered: settings.unregistered})
	if err != nil {
		return nil, err
	}
	s := &Service{settings: settings, verifier: verifier}
	s.view.Store(&view{superseded: make(chan struct{})})
	return s, nil
}

// Apply decides by this model and material from now on. Versions of policies that were current before, and rules that were
// there, stay known for proxies whose routes were made with them. When Apply returns, no later request is judged by what was before.
func (s *Service) Apply(model *config.Model, material *inventory.Snapshot) {
	s.applying.Lock()
	defer s.applying.Unlock()
	before := s.view.Load()
	now := s.settings.Clock()
	parts := s.settings.Tokens.Apply(model, material)
	engine := policy.Compile(policy.Input{
		Model: model, Material: material, Verifier: s.verifier, Now: now, Previous: before.engine, Grace: s.settings.Grace,
		Keep: func(name, version string, since time.Time) bool { return s.keeps(name, version, since, now) },
	})
	after := &view{
		engine: engine, replies: make(map[string]*reply.Policy), limits: limit.New(model.Consumers(), before.limits), tokens: parts,
		revision: model.Revision(), superseded: make(chan struct{}),
	}
	for _, p := range engine.Policies() {
		after.replies[p.Name] = reply.Compile(p, engine.ForwardedHeaders)
	}
	s.view.Store(after)
	close(before.superseded)
}

// Ready tells whether there is a configuration to decide by.
func (s *Service) Ready() bool { return s.view.Load().engine != nil }

// Group tells which group of proxies serves a gateway; false while no such gateway is known.
func (s *Service) Group(gateway string) (string, bool) {
	engine := s.view.Load().engine
	if engine == nil {
		return "", false
	}
	return engine.Group(gateway)
}

// keeps tells whether a version of a policy is still good that was superseded at the moment given.
func (s *Service) keeps(name, version string, since, now time.Time) bool {
	if now.Before(since.Add(s.settings.Grace)) {
		return true
	}
	return s.settings.InUse != nil && s.settings.InUse(name, version)
}

// Check answers a proxy. An asker that cannot be identified, or asks about another group's gateway, gets the gRPC error
// PermissionDenied; every other request gets a decision.
func (s *Service) Check(ctx context.Context, check *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	response, _, err := s.decide(ctx, check, s.settings.Identify, asPresented)
	return response, err
}
