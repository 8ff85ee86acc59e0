package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/reason"
)

const onlyNSP = `{authenticate: {certificate: {truststores: [partners]}}, authorize: [{name: known, consumers: [nsp]}]}`
const both = `{authenticate: {certificate: {truststores: [partners]}}, authorize: [{name: known, consumers: [nsp, mapps]}]}`

func TestARequestByAnOldRoutePassesOnlyIfBothVersionsLetIt(t *testing.T) {
	c := newCallers(t)
	tight, loose := fixture.Model(t, policySpec(onlyNSP)), fixture.Model(t, policySpec(both))
	mapps, nsp := c.partners.Client("mapps"), c.partners.Client("nsp")

	loosened := engineOf(t, c, loose, engineOf(t, c, tight, nil))
	tightened := engineOf(t, c, tight, engineOf(t, c, loose, nil))
	for name, test := range map[string]struct {
		engine *policy.Engine
		asked  string // version that the route was made with
		caller string
		want   reason.Reason
	}{
		"loosened, by the old route":   {loosened, tight.Policy("tested").Version, mapps, reason.NotAuthorized},
		"loosened, by the new route":   {loosened, loose.Policy("tested").Version, mapps, reason.ConsumerListed},
		"loosened, let in by both":     {loosened, tight.Policy("tested").Version, nsp, reason.ConsumerListed},
		"tightened, by the old route":  {tightened, loose.Policy("tested").Version, mapps, reason.NotAuthorized},
		"tightened, by the new route":  {tightened, tight.Policy("tested").Version, mapps, reason.NotAuthorized},
		"tightened, let in by both":    {tightened, loose.Policy("tested").Version, nsp, reason.ConsumerListed},
		"a version that never existed": {loosened, "ffff", nsp, reason.PolicyUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			r := asks(tight, test.caller)
			r.PolicyVersion = test.asked
			wantDecision(t, test.engine.Evaluate(r, fixture.Noon, nil), test.want)
		})
	}
}

func TestAnOldVersionIsJudgedByTheConsumersOfNow(t *testing.T) {
	c := newCallers(t)
	const byRole = `{authenticate: {certificate: {truststores: [partners]}}, authorize: [{name: role, consumer_roles: [reader]}]}`
	before := fixture.Model(t, policySpec(byRole))
	roleTaken := strings.Replace(policySpec(both), "roles: [reader]", "roles: []", 1) // from mapps
	engine := engineOf(t, c, fixture.Model(t, roleTaken), engineOf(t, c, before, nil))
	wantDecision(t, engine.Evaluate(asks(before, c.partners.Client("mapps")), fixture.Noon, nil), reason.NotAuthorized)
}

func TestAVersionThatComesBackIsTheCurrentOne(t *testing.T) {
	c := newCallers(t)
	tight, loose := fixture.Model(t, policySpec(onlyNSP)), fixture.Model(t, policySpec(both))
	engine := engineOf(t, c, tight, engineOf(t, c, loose, engineOf(t, c, tight, nil)))
	if _, superseded := engine.Superseded("tested", tight.Policy("tested").Version); superseded {
		t.Error("the current version counts as superseded")
	}
	if since, superseded := engine.Superseded("tested", loose.Policy("tested").Version); !superseded || !since.Equal(fixture.Noon) {
		t.Error("the version between is not kept")
	}
}

func TestAVersionIsForgottenWhenNobodyKeepsIt(t *testing.T) {
	c := newCallers(t)
	tight, loose := fixture.Model(t, policySpec(onlyNSP)), fixture.Model(t, policySpec(both))
	verifier, err := identity.NewVerifier(identity.Config{})
	if err != nil {
		t.Fatal(err)
	}
	engine := policy.Compile(policy.Input{
		Model: loose, Material: c.material, Verifier: verifier, Previous: engineOf(t, c, tight, nil), Now: fixture.Noon,
		Keep: func(string, string, time.Time) bool { return false },
	})
	if r := asks(tight, ""); engine.Knows(r.Context) {
		t.Error("the forgotten version is still known")
	}
}

func TestHeadersOfOldVersionsAreStillForwardable(t *testing.T) {
	c := newCallers(t)
	before := fixture.Model(t, policySpec(`{authenticate: {anonymous: {}}, authorize: [{name: all, everyone: true}], forward: {headers: [{name: x-old, value: subject}]}}`))
	engine := engineOf(t, c, fixture.Model(t, policySpec(both)), engineOf(t, c, before, nil))
	found := false
	for name := range engine.ForwardedHeaders {
		found = found || name == "x-old"
	}
	if !found {
		t.Error("x-old would come from callers where an API still believes it")
	}
}
