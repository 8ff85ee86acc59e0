package propagation_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/propagation"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
)

// by is a decision about a request whose route leads to a version of the upstream.
func by(version string) *policy.Decision {
	d := anonymous()
	d.Request.UpstreamVersion = version
	return d
}

// becomes is another version of the upstream, with what it gets.
func (h *house) becomes(version string, disposal config.TokenDisposal) {
	h.upstream, h.disposal = version, disposal
	h.apply()
}

// wantNothing wants nothing to go on.
func (h *house) wantNothing(d *policy.Decision) {
	h.Helper()
	onward, refusal := h.ask(h.Context(), d)
	if refusal != nil || onward != (propagation.Onward{}) {
		h.Errorf("%s goes on, refused %v", onward, refusal)
	}
}

func TestARouteToAnotherVersionOfTheUpstreamGetsWhatThatWasToGetAndNothingElse(t *testing.T) {
	elsewhere := acquiring
	elsewhere.ID = "other"
	other := *corporate
	other.Issuers = []string{"https://other.example.org"}
	anotherIssuer := acquiring
	anotherIssuer.Provider = &other
	const nothing, refused = propagation.Remove, -1
	own := config.TokenDisposal{Kind: config.DisposalPass, ID: "1"}
	for name, test := range map[string]struct {
		before, now config.TokenDisposal
		moved       bool
		want        propagation.Kind
	}{
		"the same":                                  {acquiring, acquiring, false, propagation.Set},
		"the same, at another place":                {acquiring, acquiring, true, propagation.Set},
		"another token":                             {elsewhere, acquiring, false, propagation.Set},
		"another token, at another place":           {elsewhere, acquiring, true, refused},
		"one of another issuer":                     {anotherIssuer, acquiring, false, propagation.Set},
		"one of another issuer, at another place":   {anotherIssuer, acquiring, true, refused},
		"none before":                               {config.TokenDisposal{}, acquiring, false, nothing},
		"none before, at another place":             {config.TokenDisposal{}, acquiring, true, nothing},
		"none now":                                  {acquiring, config.TokenDisposal{}, false, nothing},
		"none now, at another place":                {acquiring, config.TokenDisposal{}, true, nothing},
		"the caller's own":                          {own, own, true, propagation.Pass},
		"the caller's own, by now":                  {acquiring, own, false, propagation.Pass},
		"the caller's own, by now at another place": {acquiring, own, true, refused},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t, test.before)
			if test.moved {
				h.place = "another"
			}
			h.becomes("2", test.now)
			h.TB = t
			old := by("1")
			if test.now.Kind == config.DisposalPass || test.before.Kind == config.DisposalPass {
				old = user("alice", func(*bearer.Token) {})
			}
			onward, refusal := h.ask(t.Context(), old)
			if (refusal != nil) != (test.want == refused) || refusal == nil && onward.Kind != test.want {
				t.Errorf("%s: %s goes on, refused %v", name, onward, refusal)
			}
			if planned, refused := h.Plan(old); (refused == nil) != (refusal == nil) || planned.How != onward.How {
				t.Errorf("%s: %s is planned, refused %v", name, planned, refused)
			}
		})
	}
}

func TestAVersionOfTheUpstreamThatIsNotKnownIsRefusedWhatItMightNotHaveGot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, acquiring)
		h.refused(by("unheard-of"), reason.TokenUnavailable)
		if _, refusal := h.Plan(by("unheard-of")); refusal == nil || h.Knows("api", "unheard-of") {
			t.Error("it is planned for")
		}
		if n := h.provider.requests(); n != 0 {
			t.Errorf("%d tokens were got", n)
		}
		if !h.Knows("api", "1") || !h.Knows("gone", "1") || !h.Knows("plain", "unheard-of") {
			t.Error("what gets nothing, or is in force, is not known")
		}
		h.becomes("2", config.TokenDisposal{})
		h.wantNothing(by("unheard-of"))
	})
}

func TestAnEarlierVersionOfTheUpstreamIsRememberedForTheGraceAndNoMoreThanEight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, acquiring, func(c *propagation.Config) { c.Grace = 10 * time.Minute })
		h.becomes("2", acquiring)
		h.apply() // changes nothing
		h.want(by("1"), "Bearer own-1")
		pass(10*time.Minute - time.Second)
		if !h.Knows("api", "1") {
			t.Error("it is forgotten early")
		}
		pass(time.Second)
		h.refused(by("1"), reason.TokenUnavailable)
		h.apply()
		h.refused(by("1"), reason.TokenUnavailable)

		for i := 3; i <= 11; i++ {
			h.becomes(fmt.Sprint(i), acquiring)
		}
		if h.Knows("api", "2") || !h.Knows("api", "3") || !h.Knows("api", "10") {
			t.Error("others than the last eight are remembered")
		}
		h.becomes("10", acquiring) // again
		if !h.Knows("api", "10") || !h.Knows("api", "11") {
			t.Error("going back is not known")
		}
		last := h.View
		h.View = h.Apply(nil, nil)
		h.View = h.Apply([]*config.Upstream{{Header: config.Header{Name: "api"}, Version: "12", Token: config.TokenForwarding{Anonymous: acquiring}}}, nil)
		if !h.Knows("api", "10") || last.Knows("api", "12") {
			t.Error("what was there before it was taken away is not remembered, or known before it comes")
		}
	})
}

func TestWhoDecidesByAViewOfBeforeAsksWhoWasAskedThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, acquiring)
		before, first := h.View, h.provider
		h.provider, h.version = &provider{life: time.Hour}, "2"
		h.apply()
		onward, refusal := before.For(t.Context(), by("1"), time.Now())
		if refusal != nil || onward.Authorization != "Bearer own-1" || first.requests() != 1 || h.provider.requests() != 0 {
			t.Errorf("%q goes on, refused %v", onward.Authorization, refusal)
		}
		h.want(by("1"), "Bearer own-1")
		if h.provider.requests() != 1 {
			t.Error("the token of before goes on")
		}
		h.run()
		pass(30 * time.Minute)
		if n := first.requests(); n != 1 || len(h.States()) != 1 {
			t.Errorf("who is asked no more was asked %d times, states %+v", n, h.States())
		}
	})
}

func TestAVersionThatSomeProxyMayStillLeadToIsRememberedBeyondTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		used := true
		h := newHouse(t, acquiring, func(c *propagation.Config) {
			c.Grace = time.Minute
			c.InUse = func(upstream, version string) bool { return used && upstream == "api" && version == "1" }
		})
		h.becomes("2", acquiring)
		pass(time.Hour)
		h.want(by("1"), "Bearer own-1")
		h.apply() // takes over what is in use
		h.want(by("1"), "Bearer own-1")
		used = false
		pass(time.Minute)
		h.refused(by("1"), reason.TokenUnavailable)
	})
}
