package propagation_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-project/sallyport/authz/idp"
	"github.com/sallyport-project/sallyport/authz/propagation"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
)

var acquiring = config.TokenDisposal{
	Kind: config.DisposalAcquire, Provider: corporate, Scopes: []string{"vessels"}, Audience: "api", Parameters: map[string]string{"x": "y"},
}

// pass lets time pass, and what is due then happen.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestAThousandRequestsAtAColdStartCauseOneTokenRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, acquiring)
		h.provider.slow = 100 * time.Millisecond
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() {
				onward, refusal := h.ask(t.Context(), anonymous())
				if refusal != nil || onward.Authorization != "Bearer own-1" || onward.Kind != propagation.Set {
					t.Errorf("%q goes on, refused %v", onward.Authorization, refusal)
				}
			})
		}
		all.Wait()
		if n := h.provider.requests(); n != 1 {
			t.Errorf("%d token requests", n)
		}
		g := h.provider.grants[0]
		if g.Audience != "api" || len(g.Scopes) != 1 || g.Parameters.Get("x") != "y" {
			t.Errorf("asked for %+v", g)
		}
	})
}

func TestAnAcquiredTokenIsReplacedBeforeItRunsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, acquiring)
		h.run()
		h.want(anonymous(), "Bearer own-1")
		pass(6 * time.Minute)
		h.want(anonymous(), "Bearer own-1")
		pass(time.Minute) // two thirds of ten minutes
		if n := h.provider.requests(); n != 2 {
			t.Fatalf("%d token requests, though nobody asks", n)
		}
		h.want(anonymous(), "Bearer own-2")
	})
}

func TestARequestReplacesATokenThatIsDueWithoutWaitingForTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, acquiring)
		h.want(anonymous(), "Bearer own-1")
		pass(7 * time.Minute)
		h.provider.slow = time.Second
		h.want(anonymous(), "Bearer own-1")
		pass(time.Second)
		h.want(anonymous(), "Bearer own-2")
	})
}

func TestInAnOutageTheLastTokenServesUntilItRunsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, acquiring)
		h.run()
		h.want(anonymous(), "Bearer own-1")
		h.provider.fail(errAway)
		for range 9 {
			pass(time.Minute)
			h.want(anonymous(), "Bearer own-1")
		}
		if states := h.States(); len(states) != 1 || states[0].Problem == "" || states[0].Since.IsZero() {
			t.Errorf("states %+v", states)
		}
		pass(time.Minute)
		h.refused(anonymous(), reason.TokenUnavailable)
		asked := h.provider.requests()
		for range 1000 {
			h.refused(anonymous(), reason.TokenUnavailable) // at once: the circuit is open
		}
		if n := h.provider.requests(); n != asked || n > 20 {
			t.Errorf("%d requests in the outage, %d of them from requests", n, n-asked)
		}
		h.provider.fail(nil)
		pass(time.Minute)
		onward, refusal := h.ask(t.Context(), anonymous())
		if refusal != nil || !strings.HasPrefix(onward.Authorization, "Bearer own-") {
			t.Errorf("a minute after the outage: %v", refusal)
		}
	})
}

func TestAColdStartInAnOutageAsksAFewTimesAndThenWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, acquiring)
		h.provider.fail(errAway)
		for range 100 {
			h.refused(anonymous(), reason.TokenUnavailable)
		}
		if n := h.provider.requests(); n != 3 {
			t.Errorf("%d requests", n)
		}
		pass(4 * time.Second)
		for range 100 {
			h.refused(anonymous(), reason.TokenUnavailable)
		}
		if n := h.provider.requests(); n != 4 {
			t.Errorf("%d requests after a pause, want one more", n)
		}
		h.provider.fail(nil)
		pass(10 * time.Second)
		h.want(anonymous(), "Bearer own-5")
	})
}

func TestAProviderThatAsksToBeLeftAloneIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, acquiring)
		h.provider.fail(&idp.Error{Kind: idp.BadAnswer, Status: 429, RetryAfter: 30 * time.Second})
		for range 5 {
			h.refused(anonymous(), reason.TokenUnavailable)
		}
		asked := h.provider.requests()
		pass(29 * time.Second)
		h.refused(anonymous(), reason.TokenUnavailable)
		if n := h.provider.requests(); n != asked {
			t.Errorf("asked %d times more", n-asked)
		}
	})
}

func TestATokenRequestOutlivesTheCallThatCausedIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, acquiring)
		h.provider.slow = 2 * time.Second
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		began := time.Now()
		if _, refusal := h.ask(ctx, anonymous()); refusal == nil || refusal.Reason != reason.TokenUnavailable {
			t.Errorf("refused %v", refusal)
		}
		if waited := time.Since(began); waited != 200*time.Millisecond {
			t.Errorf("waited %s", waited)
		}
		pass(2 * time.Second)
		h.want(anonymous(), "Bearer own-1")
		if n := h.provider.requests(); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
}

func TestATokenThatNobodyUsesIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, acquiring)
		h.run()
		h.want(anonymous(), "Bearer own-1")
		pass(2 * time.Hour)
		asked := h.provider.requests()
		if asked < 8 || len(h.States()) != 0 {
			t.Errorf("%d requests, states %+v", asked, h.States())
		}
		pass(2 * time.Hour)
		if n := h.provider.requests(); n != asked {
			t.Errorf("%d requests for nobody", n-asked)
		}
	})
}

func TestAnotherVersionOfTheProviderGetsATokenOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, acquiring)
		h.want(anonymous(), "Bearer own-1")
		h.apply() // material changes, and this does not
		h.want(anonymous(), "Bearer own-1")
		h.version = "2"
		h.apply()
		h.want(anonymous(), "Bearer own-2")
		h.disposal.ID = "other"
		h.apply()
		h.want(anonymous(), "Bearer own-3")
		if n := len(h.States()); n != 1 {
			t.Errorf("%d tokens are held", n)
		}
	})
}

func TestWhateverIsWrongWithAnAcquisitionIsNotTheCallersFault(t *testing.T) {
	faults := map[string]error{
		"away": errAway, "a refusal": &idp.Error{Kind: idp.Refused, Code: "invalid_grant"}, "a refusal of the client": &idp.Error{Kind: idp.Refused, Code: "invalid_client"},
		"a step up": &idp.Error{Kind: idp.Refused, Code: "interaction_required", Claims: "{}"}, "something else": errors.New("something"),
	}
	for name, fault := range faults {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t, acquiring)
			h.provider.fail(fault)
			if refusal := h.refused(anonymous(), reason.TokenUnavailable); refusal.Claims != "" {
				t.Errorf("%s: claims %q", name, refusal.Claims)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, acquiring)
		h.provider.broken = true
		h.refused(anonymous(), reason.TokenUnavailable)
	})
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, acquiring)
		h.provider.life = -time.Second
		h.refused(anonymous(), reason.TokenUnavailable)
	})
}
