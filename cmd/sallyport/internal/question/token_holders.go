package question

import (
	"context"
	"maps"
	"slices"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/config"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// tokens tells what comes of callers with a token of each Provider of the policy: one with nothing in it, and then those that get further
// by a single role or scope, of those that the Provider may assert. Where the request shows a token, that one alone counts.
func (w *whoCan) tokens(ctx context.Context, at *adminv1.Passage) ([]*adminv1.TokenAdmission, error) {
	rule := w.answers.rule(at.GetRoute(), at.GetRule())
	if rule == nil || w.with.shown {
		return nil, nil
	}
	var all []*adminv1.TokenAdmission
	asked := map[string]bool{}
	for p := range rule.Policy.Authenticate.Providers {
		if asked[p.Name] {
			continue
		}
		asked[p.Name] = true
		found, err := w.tokensOf(ctx, p)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// tokensOf tells it of one Provider.
func (w *whoCan) tokensOf(ctx context.Context, p *config.Provider) ([]*adminv1.TokenAdmission, error) {
	bare, err := w.holder(ctx, &adminv1.TokenAdmission{Provider: p.Name}, p)
	if err != nil {
		return nil, err
	}
	all := []*adminv1.TokenAdmission{bare}
	consider := func(one *adminv1.TokenAdmission) error {
		found, err := w.holder(ctx, one, p)
		if err == nil && further(found.GetAdmission(), bare.GetAdmission()) {
			all = append(all, found)
		}
		return err
	}
	for _, role := range slices.Sorted(maps.Keys(p.Roles)) {
		if err := consider(&adminv1.TokenAdmission{Provider: p.Name, Role: role}); err != nil {
			return nil, err
		}
	}
	for _, scope := range slices.Sorted(maps.Keys(p.Scopes)) {
		if err := consider(&adminv1.TokenAdmission{Provider: p.Name, Scope: scope}); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// further tells whether one admission takes its caller further than another: to a surer yes, or past a gateway that stops the other.
func further(one, than *adminv1.Admission) bool {
	return surer(one, than) || !surer(than, one) && one.GetStoppedAt() == "" && than.GetStoppedAt() != ""
}

// holder asks about somebody with such a token.
func (w *whoCan) holder(ctx context.Context, of *adminv1.TokenAdmission, p *config.Provider) (*adminv1.TokenAdmission, error) {
	token := &bearer.Token{Provider: p, Issuer: onlyIssuer(p)}
	if of.GetRole() != "" {
		token.Roles = []string{of.GetRole()}
	}
	if of.GetScope() != "" {
		token.Scopes = []string{of.GetScope()}
	}
	var err error
	of.Admission, _, err = w.ask(ctx, hypothetical(nil, token, w.at, !w.at.chosen))
	return of, err
}
