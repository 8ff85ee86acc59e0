package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
)

const (
	onlyMapps = `{authenticate: {certificate: {truststores: [partners]}}, authorize: [{name: known, consumers: [mapps]}]}`

	everythingRule = "{name: everything, match: {prefix: /}, upstreams: [{name: api}], policy: tested}"
	// grace for which rules are remembered in these tests, and the time in which proxies follow a change.
	grace, follow = time.Hour, 10 * time.Second
)

// twoPolicies has the policy `tested`, and the policy `second` on the rule `everything`.
func twoPolicies(tested, second string) string {
	return strings.Replace(policySpec(tested), everythingRule, strings.Replace(everythingRule, "policy: tested", "policy: second", 1), 1) +
		"---\napi_version: sallyport/v1\nkind: Policy\nmetadata: {name: second}\nspec: " + second + "\n"
}

// withoutTested has the policy `second` alone, on every rule.
func withoutTested(second string) string {
	return strings.NewReplacer("policy: tested", "policy: second", "name: tested", "name: second").Replace(policySpec(second))
}

// withoutRule has another rule in place of `everything`.
func withoutRule(documents string) string {
	return strings.Replace(documents, "name: everything", "name: replaced", 1)
}

// inTurn compiles an engine from each model, each an interval after the one before, and returns the last.
func inTurn(t testing.TB, c *callers, interval time.Duration, models ...*config.Model) *policy.Engine {
	t.Helper()
	verifier, err := identity.NewVerifier(identity.Config{})
	if err != nil {
		t.Fatal(err)
	}
	var engine *policy.Engine
	for i, model := range models {
		engine = policy.Compile(policy.Input{
			Model: model, Material: c.material, Verifier: verifier, Previous: engine, Grace: grace,
			Now: fixture.Noon.Add(time.Duration(i) * interval), Keep: func(string, string, time.Time) bool { return true },
		})
	}
	return engine
}

func TestARuleThatIsGivenAnotherPolicyIsJudgedByThatAndByTheOldOne(t *testing.T) {
	c := newCallers(t)
	before := fixture.Model(t, policySpec(both))
	mapps, nsp := c.partners.Client("mapps"), c.partners.Client("nsp")
	for name, test := range map[string]struct {
		after    string
		caller   string
		want     reason.Reason
		versions int // that were asked
	}{
		"a stricter one refuses at once":         {twoPolicies(both, onlyNSP), mapps, reason.NotAuthorized, 1},
		"a stricter one and the old one let in":  {twoPolicies(both, onlyNSP), nsp, reason.ConsumerListed, 2},
		"the old one has been tightened as well": {twoPolicies(onlyMapps, both), nsp, reason.NotAuthorized, 2},
		"the old one has been tightened, let in": {twoPolicies(onlyMapps, both), mapps, reason.ConsumerListed, 2},
		"three versions are asked":               {twoPolicies(onlyNSP, byEveryone), nsp, reason.Everyone, 3},
		"the third of them refuses":              {twoPolicies(onlyNSP, byEveryone), mapps, reason.NotAuthorized, 3},
		"the old one is gone, the new one lets":  {withoutTested(onlyNSP), nsp, reason.ConsumerListed, 2},
		"the old one is gone, the new one's no":  {withoutTested(onlyNSP), mapps, reason.NotAuthorized, 1},
		"the new one needs no one, the old does": {twoPolicies(both, byEveryone), c.partners.Client("x"), reason.ConsumerUnknown, 2},
		"another rule's policy changes nothing":  {strings.Replace(twoPolicies(both, onlyNSP), "policy: second", "policy: tested", 1), mapps, reason.ConsumerListed, 1},
		"a rule of its name in another route":    {strings.Replace(withoutRule(policySpec(both)), "name: other,", "name: everything,", 1), mapps, reason.RuleRemoved, 0},
	} {
		t.Run(name, func(t *testing.T) {
			engine := inTurn(t, c, time.Minute, before, fixture.Model(t, test.after))
			d := engine.Evaluate(asks(before, test.caller), fixture.Noon.Add(time.Minute+follow), nil)
			wantDecision(t, d, test.want)
			if len(d.PolicyVersions) != test.versions {
				t.Errorf("asked %d versions, want %d: %+v", len(d.PolicyVersions), test.versions, d.Steps)
			}
		})
	}
}

const byEveryone = `{authenticate: {certificate: {truststores: [partners]}}, authorize: [{name: all, everyone: true}]}`

func TestARemovedRuleIsJudgedAsBeforeUntilProxiesHaveHadTimeToFollow(t *testing.T) {
	c := newCallers(t)
	before, without := fixture.Model(t, policySpec(onlyNSP)), fixture.Model(t, withoutRule(policySpec(onlyNSP)))
	reassigned := fixture.Model(t, twoPolicies(both, onlyNSP))
	reassignedWithout := fixture.Model(t, withoutRule(twoPolicies(both, onlyNSP)))
	mapps, nsp := c.partners.Client("mapps"), c.partners.Client("nsp")
	for name, test := range map[string]struct {
		models []*config.Model // each is in force for a second
		caller string
		at     time.Duration // after Noon
		want   reason.Reason
	}{
		"let in at first":                      {[]*config.Model{before, without}, nsp, follow, reason.ConsumerListed},
		"refused at first":                     {[]*config.Model{before, without}, mapps, follow, reason.NotAuthorized},
		"then removed":                         {[]*config.Model{before, without}, nsp, time.Second + follow, reason.RuleRemoved},
		"counted from the removal":             {[]*config.Model{before, without, without, without}, nsp, time.Second + follow, reason.RuleRemoved},
		"removed twice":                        {[]*config.Model{before, without, before, without}, nsp, time.Second + follow, reason.ConsumerListed},
		"back again":                           {[]*config.Model{before, without, before}, nsp, grace, reason.ConsumerListed},
		"by the policy that it had at last":    {[]*config.Model{fixture.Model(t, policySpec(both)), reassigned, reassignedWithout}, mapps, follow, reason.NotAuthorized},
		"gone with its policy":                 {[]*config.Model{before, fixture.Model(t, withoutRule(withoutTested(onlyNSP)))}, nsp, follow, reason.PolicyRemoved},
		"gone with its policy, after the time": {[]*config.Model{before, fixture.Model(t, withoutRule(withoutTested(onlyNSP)))}, nsp, time.Second + follow, reason.RuleRemoved},
		"never heard of":                       {[]*config.Model{without}, nsp, 0, reason.PolicyUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			engine := inTurn(t, c, time.Second, test.models...)
			wantDecision(t, engine.Evaluate(asks(test.models[0], test.caller), fixture.Noon.Add(test.at), nil), test.want)
		})
	}
}

func TestARuleIsKnownUntilItIsForgotten(t *testing.T) {
	c := newCallers(t)
	before, without := fixture.Model(t, policySpec(onlyNSP)), fixture.Model(t, withoutRule(policySpec(onlyNSP)))
	r := asks(without, "")
	for name, test := range map[string]struct {
		engine *policy.Engine
		known  bool
	}{
		"present":              {inTurn(t, c, 0, before), true},
		"never heard of":       {inTurn(t, c, 0, without), false},
		"just removed":         {inTurn(t, c, 0, before, without), true},
		"before the grace":     {inTurn(t, c, grace-1, before, without, without), true},
		"at the grace's end":   {inTurn(t, c, grace, before, without, without), false},
		"long after its grace": {inTurn(t, c, grace/2, before, without, without, without), false},
	} {
		t.Run(name, func(t *testing.T) {
			if known := test.engine.Knows(r.Context); known != test.known {
				t.Errorf("known: %t, want %t", known, test.known)
			}
			if known := test.engine.PolicyOf(r.Context) == "tested"; known != test.known {
				t.Errorf("its policy is %q", test.engine.PolicyOf(r.Context))
			}
		})
	}
}
