package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
)

const (
	loopback     = "\n---\napi_version: sallyport/v1\nkind: Upstream\nmetadata: {name: "
	anotherThere = loopback + "secret}\nspec: {endpoints: {addresses: [\"127.0.0.1:9081\"]}}\n"
)

// leading is the policy `tested` for everybody, where the rule `everything` leads to the upstreams named, and another rule to `secret`.
func leading(t *testing.T, upstreams string) *config.Model {
	t.Helper()
	documents := strings.Replace(policySpec(`{authenticate: {anonymous: {}}, authorize: [{name: all, everyone: true}]}`),
		everythingRule, strings.Replace(everythingRule, "{name: api}", upstreams, 1), 1)
	return fixture.Model(t, strings.Replace(documents, "match: {exact: /other}, upstreams: [{name: api}]", "match: {exact: /other}, upstreams: [{name: secret}]", 1)+anotherThere)
}

func TestARequestIsLetInToTheUpstreamsOfItsOwnRuleAlone(t *testing.T) {
	c := newCallers(t)
	one, both, other := leading(t, "{name: api}"), leading(t, "{name: api}, {name: secret}"), leading(t, "{name: secret}")
	for name, test := range map[string]struct {
		models   []*config.Model // each is in force for a second
		upstream string
		at       time.Duration // after Noon
		want     reason.Reason
		known    bool
	}{
		"its own":                           {[]*config.Model{one}, "api", 0, reason.Everyone, true},
		"another rule's":                    {[]*config.Model{one}, "secret", 0, reason.RuleRemoved, false},
		"none that there is":                {[]*config.Model{one}, "nowhere", 0, reason.RuleRemoved, false},
		"one of several":                    {[]*config.Model{both}, "secret", 0, reason.Everyone, true},
		"the former one":                    {[]*config.Model{one, other}, "api", grace, reason.Everyone, true},
		"the former one, after the grace":   {[]*config.Model{one, other}, "api", grace + time.Second, reason.RuleRemoved, true},
		"counted from when it was replaced": {[]*config.Model{one, other, other}, "api", grace + time.Second, reason.RuleRemoved, true},
		"replaced twice, the first":         {[]*config.Model{one, other, both}, "api", 2 * grace, reason.Everyone, true},
		"back again":                        {[]*config.Model{both, one, both}, "secret", 2 * grace, reason.Everyone, true},
		"the second of two, replaced":       {[]*config.Model{both, one}, "secret", 2 * time.Second, reason.Everyone, true},
		"another rule's, after a change":    {[]*config.Model{one, one}, "secret", 2 * time.Second, reason.RuleRemoved, false},
	} {
		t.Run(name, func(t *testing.T) {
			engine := inTurn(t, c, time.Second, test.models...)
			r := asks(test.models[0], "")
			r.Upstream = test.upstream
			if known := engine.Knows(r.Context); known != test.known {
				t.Errorf("known: %t", known)
			}
			wantDecision(t, engine.Evaluate(r, fixture.Noon.Add(test.at), nil), test.want)
		})
	}
}
