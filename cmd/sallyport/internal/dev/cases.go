package dev

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/scenario"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/envoy/translate"
	"github.com/sallyport-project/sallyport/pki/ca"
)

// startTimeout bounds the time until every proxy has its first configuration.
const startTimeout = 30 * time.Second

// run waits for the proxies, runs the Test cases and prints what came of them.
func (e *environment) run(ctx context.Context) error {
	if err := e.waitReady(ctx); err != nil {
		return err
	}
	model := e.pipeline.Status().Model
	results, err := e.cases(ctx, model)
	if err != nil {
		return err
	}
	if len(results) > 0 {
		if err := e.output.table(results); err != nil {
			return err
		}
	}
	if e.config.Once {
		if scenario.Failed(results) > 0 {
			return ErrCases
		}
		return nil
	}
	return e.welcome(model)
}

// checkCases is an error where the cases cannot be run.
func (e *environment) checkCases(model *config.Model) error {
	if unserved := scenario.Unserved(model); len(unserved) > 0 {
		return unserved
	}
	if e.config.Once && len(scenario.Cases(model)) == 0 {
		return ErrNoCases
	}
	return nil
}

// waitReady waits until every Envoy serves the configuration.
func (e *environment) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for name, admin := range e.admins {
		if err := admin.WaitReady(ctx); err != nil {
			return fmt.Errorf("the Envoy of %s does not become ready: %w", name, err)
		}
	}
	for _, group := range translate.Groups(e.pipeline.Status().Model) {
		if err := e.waitSettled(ctx, group); err != nil {
			return err
		}
	}
	return e.refusals()
}

// waitSettled waits until the group's Envoy has answered for everything that it was sent.
func (e *environment) waitSettled(ctx context.Context, group string) error {
	const look = 20 * time.Millisecond
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for !e.cache.Settled(group) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the Envoy of %s has not taken its configuration: %w", group, context.Cause(ctx))
		case <-ticker.C:
		}
	}
	return nil
}

// refusals is an error that says what the Envoys would not take.
func (e *environment) refusals() error {
	for _, proxy := range e.cache.Proxies() {
		for _, t := range proxy.Types {
			for _, refused := range t.Refused {
				return fmt.Errorf("the Envoy of %s refused the %s %s: %s", proxy.Group, t.Type, refused.Name, refused.Message)
			}
		}
	}
	return nil
}

// cases runs every Test case, one after the other, so that what reaches an API can be told apart.
func (e *environment) cases(ctx context.Context, model *config.Model) ([]scenario.Result, error) {
	callers, err := e.callers(model)
	if err != nil {
		return nil, err
	}
	live := &scenario.Live{
		Callers: callers, Ports: e.addresses.configured, IssuerName: e.issuer.asConfigured, Roots: e.roots(model),
		Decision: e.decision, Denial: e.denial, Clock: e.clock, Reached: e.apis.requests,
	}
	var results []scenario.Result
	for _, c := range scenario.Cases(model) {
		result, err := live.Run(ctx, c)
		if err != nil {
			return results, err
		}
		results = append(results, result)
	}
	return results, nil
}

// callers make what callers of this model show.
func (e *environment) callers(model *config.Model) (*scenario.Callers, error) {
	return scenario.NewCallers(scenario.CallersConfig{Model: model, Keeper: e.keeper, Issuer: e.issuer.server, Clock: e.clock})
}

// authorities are those that issue the gateways' certificates.
func (e *environment) authorities(model *config.Model) []*ca.Authority {
	var authorities []*ca.Authority
	for _, a := range model.Authorities() {
		if authority, ok := e.keeper.Authority(a.Name); ok {
			authorities = append(authorities, authority)
		}
	}
	for _, t := range model.Truststores() {
		if authority, ok := e.keeper.TruststoreAuthority(t.Name); ok {
			authorities = append(authorities, authority)
		}
	}
	return authorities
}

// roots verify the gateways' certificates.
func (e *environment) roots(model *config.Model) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, authority := range e.authorities(model) {
		pool.AddCert(authority.Certificate())
	}
	return pool
}

// decision finds the decision on a request in the audit; it is written before the proxy has its answer.
func (e *environment) decision(_ context.Context, gateway, requestID string) (scenario.Decision, bool) {
	for _, record := range e.ring.Find(requestID) {
		if record.Gateway == gateway {
			return decided(record), true
		}
	}
	return scenario.Decision{}, false
}

// denial finds the newest denial at another gateway since a moment: that of the one case that runs.
func (e *environment) denial(gateway string, since time.Time) (scenario.Decision, bool) {
	found := e.ring.Last(1, func(r audit.Record) bool {
		return r.Kind == audit.KindDecision && !r.Allowed && r.Gateway != gateway && !r.Time.Before(since)
	})
	if len(found) == 0 {
		return scenario.Decision{}, false
	}
	return decided(found[0]), true
}

// decided is what a record tells of a decision.
func decided(r audit.Record) scenario.Decision {
	return scenario.Decision{Gateway: r.Gateway, Reason: string(r.Reason), Detail: r.Detail, Upstream: r.Upstream, Allowed: r.Allowed}
}
