package metrics_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/authz/keyset"
	"github.com/sallyport-project/sallyport/authz/propagation"
	"github.com/sallyport-project/sallyport/authz/tokens"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/metrics"
)

func TestShadowVerdictsAreCountedBesideWhatWasDecided(t *testing.T) {
	m := metrics.New()
	record(t, m, audit.Record{Kind: audit.KindDecision, Allowed: true, Shadow: []audit.Shadow{{Policy: "p", Rule: "tight"}, {Policy: "p", Rule: "wide", WouldAllow: true}}})
	record(t, m, audit.Record{Kind: audit.KindDecision, Shadow: []audit.Shadow{{Policy: "p", Rule: "wide", WouldAllow: true}}})
	wantLines(t, scrape(t, m),
		`sallyport_shadow_verdicts_total{allowed="true",policy="p",rule="tight",would_allow="false"} 1`,
		`sallyport_shadow_verdicts_total{allowed="true",policy="p",rule="wide",would_allow="true"} 1`,
		`sallyport_shadow_verdicts_total{allowed="false",policy="p",rule="wide",would_allow="true"} 1`)
}

func TestProvidersAreToldOfByMoments(t *testing.T) {
	m := metrics.New()
	m.WatchTokens(func() tokens.States {
		return tokens.States{
			KeySets: []keyset.State{
				{Name: "good", Set: keyset.Set{KeySet: new(jose.KeySet), Fetched: noon, Until: noon.Add(time.Hour)}},
				{Name: "away", Since: noon, Set: keyset.Set{Problem: "no answer"}},
				{Name: "ours", Static: true, Set: keyset.Set{KeySet: new(jose.KeySet), Fetched: noon}},
			},
			Acquired: []propagation.State{
				{Provider: "good", Expires: noon.Add(2 * time.Minute)}, {Provider: "good", Expires: noon.Add(time.Minute)},
				{Provider: "away", Problem: "no answer", Since: noon},
			},
		}
	})
	text := scrape(t, m)
	for _, line := range []string{
		`sallyport_provider_key_set_fetched_timestamp_seconds{provider="good"}`,
		`sallyport_provider_key_set_until_timestamp_seconds{provider="good"}`, `sallyport_provider_key_set_problem_since_timestamp_seconds{provider="away"}`,
		`sallyport_provider_token_expiry_timestamp_seconds{provider="good"}`, `sallyport_provider_token_problem_since_timestamp_seconds{provider="away"}`,
	} {
		if !strings.Contains(text, line) {
			t.Errorf("there is no %s in\n%s", line, text)
		}
	}
	if strings.Contains(text, `{provider="ours"}`) {
		t.Error("our own keys are told of as if they were fetched")
	}
}
