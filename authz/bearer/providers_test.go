package bearer_test

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"github.com/sallyport-project/sallyport/authz/keyset"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
)

const partnerIssuer = "https://idp.example.org"

// partner is a Provider of another issuer.
func partner(changes ...func(*config.Provider)) *config.Provider {
	return provider("partner", append([]func(*config.Provider){func(p *config.Provider) {
		p.Issuers, p.Audiences = []string{partnerIssuer}, []string{"api"}
	}}, changes...)...)
}

func TestTheKeysOfOneIssuerNeverVouchForAnother(t *testing.T) {
	b := newBench(t, corporate(), partner())
	ours, theirs := newKey("same"), newKey("same")
	b.keys.put("corporate", ours)
	b.keys.put("partner", theirs)
	both := []string{"corporate", "partner"}
	for name, one := range map[string]struct {
		key       key
		issuer    string
		providers []string
		want      reason.Reason
		provider  string
	}{
		"its own key":                        {ours, corporateIssuer, both, good, "corporate"},
		"the other's own key":                {theirs, partnerIssuer, both, good, "partner"},
		"the other's key in its name":        {theirs, corporateIssuer, both, reason.TokenSignature, ""},
		"its key in the other's name":        {ours, partnerIssuer, both, reason.TokenSignature, ""},
		"an issuer that the policy lacks":    {ours, corporateIssuer, []string{"partner"}, reason.TokenIssuer, ""},
		"an issuer of nobody":                {ours, "https://nobody.example.org", both, reason.TokenIssuer, ""},
		"a policy without Providers":         {ours, corporateIssuer, nil, reason.TokenIssuer, ""},
		"a Provider that is not in force":    {ours, corporateIssuer, []string{"gone"}, reason.ProviderUnavailable, ""},
		"one that is, beside one that isn't": {ours, corporateIssuer, []string{"gone", "corporate"}, good, "corporate"},
	} {
		t.Run(name, func(t *testing.T) {
			token := sign(one.key, nil, claims(object{"iss": one.issuer}))
			for range 2 {
				verdict := b.Judge(t.Context(), one.providers, nil, token, noon)
				if reasonOf(verdict) != one.want {
					t.Fatalf("refused for %q, want %q", reasonOf(verdict), one.want)
				}
				if verdict.Token != nil && verdict.Token.Provider.Name != one.provider {
					t.Errorf("judged by %s", verdict.Token.Provider.Name)
				}
			}
		})
	}
}

func TestOfSeveralProvidersOfAnIssuerTheFirstThatAcceptsCounts(t *testing.T) {
	named := func(name string, changes ...func(*config.Provider)) *config.Provider {
		p := corporate(changes...)
		p.Name = name
		return p
	}
	hears := func(audience string) func(*config.Provider) {
		return func(p *config.Provider) { p.Audiences = []string{audience} }
	}
	revokes := func(p *config.Provider) { p.Revoked = []config.RevokedToken{{ID: "id-1"}} }
	demands := func(p *config.Provider) { p.RequiredClaims = []config.ClaimName{"tenant"} }
	for name, one := range map[string]struct {
		first, second *config.Provider
		without       string // a key set
		want          reason.Reason
		provider      string
	}{
		"both":                                   {named("a"), named("b"), "", good, "a"},
		"the first":                              {named("a"), named("b", hears("x")), "", good, "a"},
		"the second":                             {named("a", hears("x")), named("b"), "", good, "b"},
		"the second, while the first is away":    {named("a"), named("b"), "a", good, "b"},
		"none, for another audience":             {named("a", hears("x")), named("b", hears("y")), "", reason.TokenAudience, ""},
		"none, and one says that it was revoked": {named("a", hears("x")), named("b", revokes), "", reason.TokenRevoked, ""},
		"none, and the other says so":            {named("a", revokes), named("b", hears("x")), "", reason.TokenRevoked, ""},
		"one is away, the other lacks a claim":   {named("a"), named("b", demands), "a", reason.ProviderUnavailable, ""},
		"one lacks a claim, the other is away":   {named("a", demands), named("b"), "b", reason.ProviderUnavailable, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, one.first, one.second)
			for _, p := range []string{"a", "b"} {
				if p != one.without {
					b.keys.put(p, oneKey())
				}
			}
			for range 2 {
				verdict := b.Judge(t.Context(), []string{"a", "b"}, nil, sign(oneKey(), nil, claims()), noon)
				if reasonOf(verdict) != one.want {
					t.Fatalf("refused for %q, want %q", reasonOf(verdict), one.want)
				}
				if verdict.Token != nil && verdict.Token.Provider.Name != one.provider {
					t.Errorf("judged by %s", verdict.Token.Provider.Name)
				}
			}
		})
	}
}

func TestAKeyThatWasWithdrawnVouchesNoMore(t *testing.T) {
	b := newBench(t, corporate())
	b.keys.put("corporate", oneKey(), twoKey())
	withdrawn, stays := sign(oneKey(), nil, claims()), sign(twoKey(), nil, claims())
	for _, token := range []string{withdrawn, stays} {
		if got := reasonOf(b.judge(t, token)); got != good {
			t.Fatalf("refused for %q", got)
		}
	}
	b.keys.put("corporate", twoKey())
	for token, want := range map[string]reason.Reason{withdrawn: reason.TokenKeyUnknown, stays: good} {
		if got := reasonOf(b.judge(t, token)); got != want {
			t.Errorf("refused for %q, want %q", got, want)
		}
	}
	b.keys.put("corporate", twoKey().named("one")) // another key by its name
	for _, token := range []string{withdrawn, stays} {
		if got := reasonOf(b.judge(t, token)); got == good {
			t.Error("accepted by a key that has another name")
		}
	}
	b.keys.put("corporate", oneKey(), twoKey())
	if got := reasonOf(b.judge(t, withdrawn)); got != good {
		t.Errorf("refused for %q once the key is back", got)
	}
}

func TestAnUnknownKeyIsAskedForOnceAndNotRemembered(t *testing.T) {
	b := newBench(t, corporate())
	for i := range 200 {
		if got := reasonOf(b.judge(t, sign(oneKey(), object{"kid": strconv.Itoa(i)}, claims()))); got != reason.TokenKeyUnknown {
			t.Fatalf("refused for %q", got)
		}
	}
	if b.keys.missed != 200 {
		t.Errorf("the key set was asked for %d times in 200 judgements", b.keys.missed)
	}
	rotated := sign(twoKey(), nil, claims())
	if got := reasonOf(b.judge(t, rotated)); got != reason.TokenKeyUnknown {
		t.Fatalf("refused for %q", got)
	}
	b.keys.publish("corporate", oneKey(), twoKey())
	if got := reasonOf(b.judge(t, rotated)); got != good {
		t.Errorf("refused for %q although the Provider has the key", got)
	}
	missed := b.keys.missed
	b.judge(t, sign(oneKey(), nil, claims()))
	b.judge(t, sign(twoKey().named("one"), nil, claims()))
	if b.keys.missed != missed {
		t.Error("a set was asked for that has a key of this name")
	}
}

func TestATokenWithoutKidIsTriedWithTheProvidersPresentKeys(t *testing.T) {
	b := newBench(t, corporate())
	token := sign(twoKey(), object{"kid": nil}, claims())
	if got := reasonOf(b.judge(t, token)); got != reason.TokenSignature {
		t.Fatalf("refused for %q", got)
	}
	b.keys.publish("corporate", twoKey().named(""))
	if got := reasonOf(b.judge(t, token)); got != good {
		t.Errorf("refused for %q", got)
	}
}

func TestWhereTheKeysCannotBeHadTheFaultIsOurs(t *testing.T) {
	known, unknown := sign(oneKey(), nil, claims()), sign(twoKey(), nil, claims())
	away, stop := context.WithCancel(t.Context())
	stop()
	stale := setOf(oneKey())
	stale.Stale = true
	for name, one := range map[string]struct {
		ctx   context.Context
		set   keyset.Set
		token string
		want  reason.Reason
	}{
		"no set":                           {t.Context(), keyset.Set{Problem: "it answers 500"}, known, reason.ProviderUnavailable},
		"a known key":                      {t.Context(), setOf(oneKey()), known, good},
		"a known key, and no time left":    {away, setOf(oneKey()), known, good},
		"an unknown key":                   {t.Context(), setOf(oneKey()), unknown, reason.TokenKeyUnknown},
		"an unknown key, and no time left": {away, setOf(oneKey()), unknown, reason.ProviderUnavailable},
		"a known key in an outage":         {t.Context(), stale, known, good},
		"an unknown key in an outage":      {t.Context(), stale, unknown, reason.ProviderUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, corporate())
			b.keys.store(b.keys.force, "corporate", one.set)
			if verdict := b.Judge(one.ctx, []string{"corporate"}, nil, one.token, noon); reasonOf(verdict) != one.want {
				t.Errorf("refused for %q (%+v), want %q", reasonOf(verdict), verdict.Refusal, one.want)
			}
		})
	}
	t.Run("a remembered token, once the set is gone", func(t *testing.T) {
		b := newBench(t, corporate())
		b.judge(t, known)
		b.keys.store(b.keys.force, "corporate", keyset.Set{})
		if got := reasonOf(b.judge(t, known)); got != reason.ProviderUnavailable {
			t.Errorf("refused for %q", got)
		}
	})
	t.Run("a cold start, where the first set is fetched by the request", func(t *testing.T) {
		b := newBench(t, corporate())
		b.keys.store(b.keys.force, "corporate", keyset.Set{})
		b.keys.publish("corporate", oneKey())
		if got := reasonOf(b.judge(t, known)); got != good {
			t.Errorf("refused for %q", got)
		}
	})
	t.Run("another Provider's tokens", func(t *testing.T) {
		b := newBench(t, corporate(), partner())
		b.keys.store(b.keys.force, "corporate", keyset.Set{})
		b.keys.put("partner", twoKey())
		token := sign(twoKey(), nil, claims(object{"iss": partnerIssuer}))
		if got := reasonOf(b.Judge(t.Context(), []string{"corporate", "partner"}, nil, token, noon)); got != good {
			t.Errorf("refused for %q", got)
		}
	})
}

var errBroken = errors.New("broken")
