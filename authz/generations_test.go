package authz_test

import (
	"context"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz"
	"github.com/sallyport-project/sallyport/authz/asker"
	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/reason"
)

const searchScope = `{provider: corporate, scopes: ["api://vessels/.default"]}`

func TestARouteThatLeadsToWhereTheUpstreamWasGetsNoTokenThatItWasNotToGet(t *testing.T) {
	for name, test := range map[string]struct {
		edits []string
		want  reason.Reason
	}{
		"another place, the same token":     {[]string{`dns: "fleet.internal:9444"`, `dns: "fleet.internal:9555"`}, reason.Everyone},
		"the same place, and another token": {[]string{`audience: "api://fleet"`, `audience: "api://fleet/2"`}, reason.Everyone},
		"another place, and another token": {
			[]string{`dns: "fleet.internal:9444"`, `dns: "fleet.internal:9555"`, `audience: "api://fleet"`, `audience: "api://fleet/2"`}, reason.TokenUnavailable,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPort(t)
			old := p.call("fleet", "/fleet/1", p.idp.user("alice"))
			old.upstream = p.model.Upstream("fleet").Version
			p.model = fixture.Load(t, edited(t, registry, test.edits...))
			p.Apply(p.model, p.material)
			if answered := p.want(old, test.want); test.want == reason.Everyone && onward(t, answered) == "" {
				t.Error("nothing goes on")
			}
			now := old
			now.upstream = ""
			if token := onward(t, p.want(now, reason.Everyone)); token == "" {
				t.Error("nothing goes on where the upstream is now")
			}
			p.clock.advance(authz.DefaultGrace)
			old.headers = map[string]string{"authorization": "Bearer " + p.idp.user("alice")}
			p.want(old, reason.TokenUnavailable)
		})
	}
}

func TestAVersionOfAnUpstreamThatIsNewerThanOursIsWaitedFor(t *testing.T) {
	p := newPort(t)
	before := p.model
	newer := fixture.Load(t, edited(t, registry, searchScope, `{provider: corporate, scopes: ["api://vessels/next"]}`))
	byNewRoute := p.call("search", "/vessels/search", "")
	byNewRoute.upstream = newer.Upstream("search").Version
	check := p.check(byNewRoute)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	decided := make(chan *policy.Decision, 1)
	go func() {
		_, decision, err := p.Decide(ctx, "edge", check)
		if err != nil {
			t.Error(err)
		}
		decided <- decision
	}()
	select {
	case early := <-decided:
		t.Fatalf("decided for %s", early.Reason)
	case <-time.After(50 * time.Millisecond):
	}
	p.Apply(newer, p.material)
	if d := <-decided; d.Reason != reason.Everyone {
		t.Errorf("%s (%s)", d.Reason, d.Detail)
	}

	p.Apply(before, p.material)
	byNewRoute.upstream = "never-comes"
	soon, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	p.wantWithin(soon, byNewRoute, reason.TokenUnavailable)
	nobody := p.call("search-as-nobody", "/vessels/search/as-nobody", "")
	nobody.upstream = "never-comes" // gets nothing, whatever version it is
	p.want(nobody, reason.Everyone)
}

// While a configuration is made ready, its Providers are there already, and its policies are not yet.
func TestARequestIsJudgedByRulesAndIssuersOfOneGeneration(t *testing.T) {
	var halfway func()
	p := newPort(t, func(c *authz.Config) {
		c.InUse = func(string, string) bool {
			if halfway != nil {
				halfway()
			}
			return true
		}
	})
	p.model = fixture.Load(t, edited(t, registry, "token_roles: [vessel.read, vessel.write]", "token_roles: [vessel.write]"))
	p.Apply(p.model, p.material)
	p.clock.advance(2 * authz.DefaultGrace) // what was there before is asked about

	old := p.idp.user("alice")
	next := newStandIn(t, p.clock)
	const elsewhere = "https://login.example.org/other"
	fresh := next.sign(map[string]any{"sub": "alice", "iss": elsewhere})
	asked := false
	halfway = func() {
		if asked {
			return
		}
		asked = true
		p.want(p.call("registry", "/registry/1", old), reason.Everyone)
		p.want(p.call("registry", "/registry/1", fresh), reason.TokenIssuer)
	}
	p.idp.signer = next.signer
	model := p.model
	p.Apply(fixture.Load(t, edited(t, registry, issuer, elsewhere)), p.material)
	halfway = nil
	if !asked {
		t.Fatal("nothing was asked halfway")
	}
	p.model = model
	p.want(p.call("registry", "/registry/1", old), reason.TokenIssuer)
	if v := p.Judge(t.Context(), []string{"corporate"}, nil, fresh, p.clock.Now()); v.Refusal != nil {
		t.Errorf("judged outside of a request: %+v", v.Refusal)
	}
}

func TestBeforeTheFirstConfigurationNoTokenIsTaken(t *testing.T) {
	s, err := authz.New(authz.Config{Sink: audit.NewRing(1), Identify: asker.Identifier{}.Identify})
	if err != nil {
		t.Fatal(err)
	}
	if v := s.Judge(t.Context(), []string{"corporate"}, nil, "a.b.c", fixture.Noon); v.Refusal == nil || v.Refusal.Reason != reason.ProviderUnavailable {
		t.Errorf("judged %+v", v)
	}
}
