package propagation_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/idp"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/propagation"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
)

var exchanging = config.TokenDisposal{Kind: config.DisposalExchange, Provider: corporate, Audience: "second", Resource: "https://second.example.org", Scopes: []string{"read"}}

func TestEachOfAThousandUsersTokensIsExchangedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, exchanging)
		h.provider.slow = 50 * time.Millisecond
		for range 3 {
			var all sync.WaitGroup
			for i := range 3000 {
				all.Go(func() {
					raw := fmt.Sprintf("user%d", i%1000)
					onward, refusal := h.ask(t.Context(), user(raw))
					if refusal != nil || !strings.HasPrefix(onward.Authorization, "Bearer for-"+raw+"-") {
						t.Errorf("%s: %q goes on, refused %v", raw, onward.Authorization, refusal)
					}
				})
			}
			all.Wait()
		}
		if n := h.provider.requests(); n != 1000 {
			t.Errorf("%d exchanges", n)
		}
		if h.provider.most > 64 {
			t.Errorf("%d exchanges at a time", h.provider.most)
		}
	})
}

func TestExchangedTokensAreHeldUpToANumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, exchanging, func(c *propagation.Config) { c.CacheSize = 10 })
		for range 2 {
			for i := range 20 {
				if _, refusal := h.ask(t.Context(), user(fmt.Sprintf("user%d", i))); refusal != nil {
					t.Fatal(refusal.Detail)
				}
			}
		}
		if n := h.provider.requests(); n != 40 {
			t.Errorf("%d exchanges of 20 users whose tokens do not fit", n)
		}
	})
}

func TestAnExchangedTokenIsUsedBeyondNeithersEnd(t *testing.T) {
	ends := func(in time.Duration) func(*bearer.Token) {
		return func(t *bearer.Token) { t.Expires = time.Now().Add(in) }
	}
	for name, test := range map[string]struct {
		given, got, want time.Duration
		then             reason.Reason
	}{
		"the caller's ends first":     {5 * time.Minute, 10 * time.Minute, 5 * time.Minute, reason.TokenExpired},
		"the exchanged one does":      {time.Hour, 10 * time.Minute, 10 * time.Minute, reason.TokenUnavailable},
		"both at the same time":       {10 * time.Minute, 10 * time.Minute, 10 * time.Minute, reason.TokenExpired},
		"the exchanged is very short": {time.Hour, 3 * time.Second, 3 * time.Second, reason.TokenUnavailable},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t, exchanging)
			h.provider.life = test.got
			d := user("alice", ends(test.given))
			onward := h.want(d, "Bearer for-alice-1")
			if in := time.Until(onward.Expires); in != test.want {
				t.Errorf("%s: ends in %s, want %s", name, in, test.want)
			}
			h.provider.fail(errAway)
			pass(test.want)
			h.refused(d, test.then)
		})
	}
}

func TestATokenWhoseProviderTellsALaterEndEachTimeIsExchangedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, exchanging)
		sliding := func() *policy.Decision {
			return user("alice", func(b *bearer.Token) { b.Expires = time.Now().Add(time.Minute) })
		}
		for range 10 {
			if in := time.Until(h.want(sliding(), "Bearer for-alice-1").Expires); in != time.Minute {
				t.Errorf("ends in %s", in)
			}
			pass(50 * time.Second)
		}
		pass(100 * time.Second) // the exchanged one has run out
		h.want(sliding(), "Bearer for-alice-2")
	})
}

func TestACallersTokenMayRunOutWhileAnotherIsGot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, exchanging)
		h.provider.slow = 3 * time.Second
		h.refused(user("alice", func(b *bearer.Token) { b.Expires = time.Now().Add(2 * time.Second) }), reason.TokenExpired)
	})
}

func TestAnExchangeSaysForWhomAndWhatAndWhoActs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		acting := exchanging
		acting.Actor = true
		h := newHouse(t, acting)
		onward, refusal := h.ask(t.Context(), user("alice"))
		if refusal != nil || onward.Authorization != "Bearer for-alice-2" {
			t.Fatalf("%q goes on, refused %v", onward.Authorization, refusal)
		}
		if e := h.provider.last; e.SubjectToken != "alice" || e.ActorToken != "own-1" || e.Audience != "second" || e.Resource != acting.Resource || len(e.Scopes) != 1 {
			t.Errorf("asked for %+v", e)
		}
		h.want(user("bob"), "Bearer for-bob-3") // by the same actor's token
	})
	synctest.Test(t, func(t *testing.T) {
		behalf := exchanging
		behalf.OnBehalfOf, behalf.Audience = true, ""
		h := newHouse(t, behalf)
		h.want(user("alice"), "Bearer for-alice-1")
		if g := h.provider.behalf; g.Assertion != "alice" || g.Resource != behalf.Resource || g.Scopes[0] != "read" || len(g.Parameters) != 0 {
			t.Errorf("asked for %+v", g)
		}
	})
}

func TestWhatAProviderSaysToAnExchangeIsToldApart(t *testing.T) {
	for _, test := range []struct {
		fault error
		want  reason.Reason
	}{
		{errAway, reason.TokenUnavailable},
		{&idp.Error{Kind: idp.Timeout}, reason.TokenUnavailable},
		{&idp.Error{Kind: idp.BadAnswer, Status: 500}, reason.TokenUnavailable},
		{&idp.Error{Kind: idp.Misconfigured}, reason.TokenUnavailable},
		{&idp.Error{Kind: idp.Refused, Code: "invalid_client"}, reason.TokenUnavailable},
		{&idp.Error{Kind: idp.Refused, Code: "temporarily_unavailable"}, reason.TokenUnavailable},
		{&idp.Error{Kind: idp.Refused, Code: "invalid_grant"}, reason.ExchangeRefused},
		{&idp.Error{Kind: idp.Refused, Code: "invalid_target"}, reason.ExchangeRefused},
		{&idp.Error{Kind: idp.Refused, Code: "insufficient_claims", Claims: `{"access_token":{}}`}, reason.StepUpRequired},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t, exchanging)
			h.provider.fail(test.fault)
			refusal := h.refused(user("alice"), test.want)
			if (refusal.Claims != "") != (test.want == reason.StepUpRequired) {
				t.Errorf("%v: claims %q", test.fault, refusal.Claims)
			}
			h.provider.fail(nil)
			pass(10 * time.Second)
			h.want(user("alice"), "Bearer for-alice-2")
		})
	}
}

func TestARefusalIsRememberedForAWhileForThatCallerAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, exchanging)
		h.provider.fail(&idp.Error{Kind: idp.Refused, Code: "invalid_grant"})
		for range 100 {
			h.refused(user("alice"), reason.ExchangeRefused)
		}
		h.provider.fail(nil)
		h.want(user("bob"), "Bearer for-bob-2")
		pass(9 * time.Second)
		h.refused(user("alice"), reason.ExchangeRefused)
		pass(time.Second)
		h.want(user("alice"), "Bearer for-alice-3")
	})
}

func TestAUserWhomTheProviderRefusesFromNowOnLosesTheTokenBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, exchanging)
		alice := user("alice")
		h.want(alice, "Bearer for-alice-1")
		h.provider.fail(&idp.Error{Kind: idp.Refused, Code: "invalid_grant"})
		pass(7 * time.Minute)
		h.want(alice, "Bearer for-alice-1") // and it is asked again meanwhile
		synctest.Wait()
		h.refused(alice, reason.ExchangeRefused)
	})
}

func TestInAnOutageExchangedTokensServeAndOthersAreRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, exchanging)
		alice := user("alice")
		h.want(alice, "Bearer for-alice-1")
		h.provider.fail(errAway)
		for i := range 1000 {
			h.refused(user(fmt.Sprintf("user%d", i)), reason.TokenUnavailable)
		}
		if n := h.provider.requests(); n != 4 {
			t.Errorf("%d exchanges in the outage, want 3", n-1)
		}
		pass(9 * time.Minute)
		h.want(alice, "Bearer for-alice-1")
		h.provider.fail(nil)
		pass(time.Minute)
		if _, refusal := h.ask(t.Context(), user("bob")); refusal != nil {
			t.Errorf("after the outage: %s", refusal.Detail)
		}
	})
}

func TestACallersTokenIsSentToItsOwnIssuerAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, exchanging)
		h.refused(user("alice", func(b *bearer.Token) { b.Provider = &config.Provider{Header: config.Header{Name: "other"}} }), reason.ExchangeRefused)
		if n := h.provider.requests(); n != 0 {
			t.Errorf("%d exchanges", n)
		}
	})
}

func TestOneCallersTroubleIsNotTheOthers(t *testing.T) {
	for name, fault := range map[string]error{
		"a token that does not fit": &idp.Error{Kind: idp.BadAnswer, Status: 200},
		"garbage":                   &idp.Error{Kind: idp.BadAnswer},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t, exchanging)
			h.provider.fail(fault)
			for range 100 {
				h.refused(user("mallory"), reason.TokenUnavailable)
			}
			if n := h.provider.requests(); n != 1 {
				t.Errorf("%s: asked %d times", name, n)
			}
			for i := range 10 {
				h.refused(user(fmt.Sprintf("mallory%d", i)), reason.TokenUnavailable)
			}
			h.provider.fail(nil)
			if _, refusal := h.ask(t.Context(), user("alice")); refusal != nil {
				t.Errorf("%s: refused: %s", name, refusal.Detail)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, exchanging)
		h.provider.fail(&idp.Error{Kind: idp.BadAnswer, Status: 500})
		for range 100 {
			h.refused(user("mallory"), reason.TokenUnavailable)
		}
		h.provider.fail(nil)
		if _, refusal := h.ask(t.Context(), user("alice")); refusal != nil {
			t.Errorf("refused: %s", refusal.Detail)
		}
	})
}

func TestATokenWithinItsLeewayIsNotExchanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, exchanging)
		for range 10 {
			h.refused(user("late", func(b *bearer.Token) { b.Expires = time.Now() }), reason.TokenExpired)
		}
		if n := h.provider.requests(); n != 0 {
			t.Errorf("asked %d times", n)
		}
		h.want(user("alice"), "Bearer for-alice-1")
	})
}
