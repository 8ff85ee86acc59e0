package question

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/authz/keyset"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
)

// judge judges tokens for the gateways of an estate: one that a gateway before has sent on, one of our own that was made for this
// question, and otherwise what the caller has shown.
func (a *Answers) judge(ctx context.Context, providers, audiences []string, token string, now time.Time) *bearer.Verdict {
	if sent := carriedIn(ctx); sent != nil && sent.is(token) {
		return bearer.Presume(sent.token, providers, audiences)
	}
	if own := a.ourselves(providers); len(own) > 0 {
		if verdict := a.stand.Judge(ctx, own, audiences, token, now); verdict.Token != nil {
			return verdict
		}
	}
	if a.config.Judge != nil {
		return a.config.Judge(ctx, providers, audiences, token, now)
	}
	return a.examine(ctx, providers, audiences, token, now)
}

// ourselves are those of the named Providers that we are.
func (a *Answers) ourselves(providers []string) []string {
	return slices.DeleteFunc(slices.Clone(providers), func(name string) bool {
		p := a.config.Model.Provider(name)
		return p == nil || p.Mint == nil
	})
}

// examine judges a token apart from the servers, by the key sets that are at hand. Where there is none, or the Provider would have to be
// asked, the rest is judged: tokenNotes say so.
func (a *Answers) examine(ctx context.Context, providers, audiences []string, token string, now time.Time) *bearer.Verdict {
	verdict := a.verifier.Judge(ctx, providers, audiences, token, now)
	if verdict.Refusal == nil || verdict.Refusal.Reason != reason.ProviderUnavailable {
		return verdict
	}
	read, err := jose.Parse(token)
	if err != nil {
		return verdict
	}
	for _, name := range providers {
		p := a.config.Model.Provider(name)
		if p == nil || !slices.Contains(p.Issuers, read.Claims.Issuer) {
			continue
		}
		examined := bearer.Examine(p, audiences, a.config.Keys[name], read, now)
		if found := examined.Token(); found != nil {
			found.Raw = token
			return &bearer.Verdict{Token: found}
		}
		verdict = &bearer.Verdict{Refusal: examined.Refusal()}
	}
	return verdict
}

// keysAtHand are key sets that do not change.
type keysAtHand map[string]*jose.KeySet

// Keys is the set of a Provider.
func (k keysAtHand) Keys(provider string) (keyset.Set, bool) {
	set, found := k[provider]
	return keyset.Set{KeySet: set, Problem: "it is not at hand"}, found
}

// Missing is Keys: nothing is fetched.
func (k keysAtHand) Missing(_ context.Context, provider, _ string) (keyset.Set, bool) {
	return k.Keys(provider)
}

// opaque tells whether a token says nothing by itself, so that its Provider has to be asked.
func opaque(token []byte) bool { return strings.Count(string(token), ".") != 2 }

// undecided says why it cannot be told what a gateway makes of a caller's token; empty where it can.
func (a *Answers) undecided(token []byte, why reason.Reason) string {
	if len(token) == 0 || a.config.Judge != nil || why != reason.ProviderUnavailable {
		return ""
	}
	asked := slices.ContainsFunc(a.config.Model.Providers(), func(p *config.Provider) bool { return p.Introspection != nil })
	if opaque(token) && asked {
		return "the token says nothing by itself, and its Provider is asked about it by a running server alone"
	}
	return "the token's Provider cannot be asked here, and a running server can"
}
