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
	for name, test := range map[string]struct {
		before, now config.TokenDisposal
		gets        bool
	}{
		"the same":                 {acquiring, acquiring, true},
		"another token":            {elsewhere, acquiring, false},
		"one of another issuer":    {anotherIssuer, acquiring, false},
		"none before":              {config.TokenDisposal{}, acquiring, false},
		"none now":                 {acquiring, config.TokenDisposal{}, false},
		"the caller's own":         {config.TokenDisposal{Kind: config.DisposalPass, ID: "1"}, config.TokenDisposal{Kind: config.DisposalPass, ID: "1"}, true},
		"the caller's own, by now": {acquiring, config.TokenDisposal{Kind: config.DisposalPass, ID: "1"}, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t, test.before)
			h.becomes("2", test.now)
			h.TB = t
			old := by("1")
			if test.now.Kind == config.DisposalPass || test.before.Kind == config.DisposalPass {
				old = user("alice", func(*bearer.Token) {})
			}
			onward, refusal := h.ask(t.Context(), old)
			if refusal != nil || (onward.Kind != propagation.Remove) != test.gets {
				t.Errorf("%s: %s goes on, refused %v", name, onward, refusal)
			}
			if planned, refusal := h.Plan(old); refusal != nil || planned.How != onward.How {
				t.Errorf("%s: %s is planned, refused %v", name, planned, refusal)
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
