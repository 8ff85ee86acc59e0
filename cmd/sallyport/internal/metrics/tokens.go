package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport-project/sallyport/authz/tokens"
)

// WatchTokens exposes how it stands with the key sets of Providers, and with the tokens that we have as their clients. Call it once.
func (m *Metrics) WatchTokens(states func() tokens.States) {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(namespace+"_provider_"+name, help, []string{"provider"}, nil)
	}
	fetched := desc("key_set_fetched_timestamp_seconds", "When the key set in force was fetched; absent where none is in force.")
	until := desc("key_set_until_timestamp_seconds", "Until when it serves while its provider is away.")
	problem := desc("key_set_problem_since_timestamp_seconds", "Since when a key set cannot be fetched or used; absent while nothing is wrong.")
	expiry := desc("token_expiry_timestamp_seconds", "When the token ends that we have as a client; the earliest, of several.")
	failing := desc("token_problem_since_timestamp_seconds", "Since when no such token can be got; absent while nothing is wrong.")
	m.registry.MustRegister(collector{
		about: []*prometheus.Desc{fetched, until, problem, expiry, failing},
		collect: func(to chan<- prometheus.Metric) {
			tell := func(about *prometheus.Desc, provider string, at time.Time) {
				if !at.IsZero() {
					to <- prometheus.MustNewConstMetric(about, prometheus.GaugeValue, unix(at), provider)
				}
			}
			now := states()
			for _, s := range now.KeySets {
				if s.Set.KeySet != nil && !s.Static {
					tell(fetched, s.Name, s.Set.Fetched)
					tell(until, s.Name, s.Set.Until)
				}
				if s.Set.Problem != "" {
					tell(problem, s.Name, s.Since)
				}
			}
			expires, since := map[string]time.Time{}, map[string]time.Time{}
			for _, s := range now.Acquired {
				earliest(expires, s.Provider, s.Expires)
				if s.Problem != "" {
					earliest(since, s.Provider, s.Since)
				}
			}
			for provider, at := range expires {
				tell(expiry, provider, at)
			}
			for provider, at := range since {
				tell(failing, provider, at)
			}
		},
	})
}

// earliest keeps the earlier of two moments, of which a zero one is none.
func earliest(of map[string]time.Time, name string, at time.Time) {
	if before, found := of[name]; !at.IsZero() && (!found || at.Before(before)) {
		of[name] = at
	}
}
