package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
)

// roles, conditions and captures: mapps may read its own prisons.
const (
	ownPrisons = "!has(path.prison_id) || path.prison_id in consumer.attributes.prisons"
	byOwn      = `{authenticate: {certificate: {truststores: [partners]}}, authorize: [{name: granted, permissions: consumer_roles, when: "` + ownPrisons + `"}]}`
)

// prisons is the policy `tested` with its spec, with permissions on prisons for the role reader, of which mapps has MDI and LEI.
func prisons(spec string) string {
	return strings.NewReplacer(
		`paths: ["/persons/{id}", "/files/{rest=**}"]}`, `paths: ["/persons/{id}", "/prisons/{prison_id}", "/prisons/{prison_id}/cells/{rest=**}", "/files/{rest=**}"]}`,
		"metadata: {name: mapps}\nspec:\n", "metadata: {name: mapps, labels: {team: police}}\nspec:\n  attributes: {prisons: [MDI, LEI, a/b]}\n",
	).Replace(policySpec(spec))
}

func withRule(spec, rule string) string {
	return strings.Replace(spec, "{name: everything, match: {prefix: /}, upstreams: [{name: api}], policy: tested}", rule, 1)
}

func TestAConditionLimitsWhomARuleLetsIn(t *testing.T) {
	c := newCallers(t)
	const certificate = `{authenticate: {certificate: {truststores: [partners]}}, authorize: `
	either := `{authenticate: {any_of: [{certificate: {truststores: [partners]}}, {anonymous: {}}]}, authorize: `
	for name, test := range map[string]struct {
		spec, caller, path string
		want               reason.Reason
	}{
		"its own prison":                 {byOwn, "mapps", "/prisons/MDI", reason.PermissionGranted},
		"another prison":                 {byOwn, "mapps", "/prisons/BXI", reason.ConditionNotMet},
		"below its own prison":           {byOwn, "mapps", "/prisons/LEI/cells/1/2", reason.PermissionGranted},
		"below another prison":           {byOwn, "mapps", "/prisons/BXI/cells/MDI", reason.ConditionNotMet},
		"no prison":                      {byOwn, "mapps", "/persons/1", reason.PermissionGranted},
		"no permission at all":           {byOwn, "mapps", "/others", reason.PermissionMissing},
		"an escaped slash in it":         {byOwn, "mapps", "/prisons/a%2Fb", reason.PermissionGranted},
		"an escaped letter in it":        {byOwn, "mapps", "/prisons/M%44I", reason.PermissionGranted},
		"unescaped only once":            {byOwn, "mapps", "/prisons/M%2544I", reason.ConditionNotMet},
		"an attribute that it has not":   {certificate + `[{name: a, permissions: consumer_roles, when: "'x' in consumer.attributes.regions"}]}`, "mapps", "", reason.ConditionError},
		"a listed consumer":              {certificate + `[{name: a, consumers: [mapps], when: "consumer.labels.team == 'police'"}]}`, "mapps", "", reason.ConsumerListed},
		"a consumer that is not listed":  {certificate + `[{name: a, consumers: [nsp], when: "true"}]}`, "mapps", "", reason.NotAuthorized},
		"a role":                         {certificate + `[{name: a, consumer_roles: [reader], when: "request.method == 'POST'"}]}`, "mapps", "", reason.ConditionNotMet},
		"the next rule without one":      {certificate + `[{name: a, consumers: [mapps], when: "false"}, {name: b, consumer_roles: [reader]}]}`, "mapps", "", reason.RoleHeld},
		"the next rule, after an error":  {certificate + `[{name: a, consumers: [mapps], when: "path.x == ''"}, {name: b, consumer_roles: [reader]}]}`, "mapps", "", reason.RoleHeld},
		"everyone, and it is a consumer": {certificate + `[{name: a, everyone: true, when: "has(consumer.name)"}]}`, "mapps", "", reason.Everyone},
		"everyone, and it is none":       {certificate + `[{name: a, everyone: true, when: "has(consumer.name)"}]}`, "stranger", "", reason.ConditionNotMet},
		"everyone, who have certificates": {certificate + `[{name: a, everyone: true, when: "certificate.common_name == 'stranger' && certificate.not_after > request.time && subject == 'certificate:partners:CN=stranger'"}]}`,
			"stranger", "", reason.Everyone},
		"nobody, who is somebody":          {either + `[{name: a, everyone: true, when: "subject != ''"}]}`, "", "", reason.ConditionNotMet},
		"nobody, of whom nothing is known": {either + `[{name: a, everyone: true, when: "consumer.name != 'nsp'"}]}`, "", "", reason.ConditionError},
		"where and when": {certificate + `[{name: a, consumers: [mapps], when: "request.gateway == 'edge' && request.route == 'api' && request.host == 'api.example.org' && request.time.getHours() == 12"}]}`,
			"mapps", "", reason.ConsumerListed},
	} {
		t.Run(name, func(t *testing.T) {
			model := fixture.Model(t, prisons(test.spec))
			r := asks(model, "")
			if test.caller != "" {
				r.Certificate = c.partners.Client(test.caller)
			}
			if test.path != "" {
				r.Path = test.path
			}
			d := engineOf(t, c, model, nil).Evaluate(r, fixture.Noon, nil)
			wantDecision(t, d, test.want)
			if len(d.Conditions) > 0 {
				t.Errorf("a request depends on %q", d.Conditions)
			}
		})
	}
}

func TestADecisionSaysWhichConditionFailed(t *testing.T) {
	c := newCallers(t)
	model := fixture.Model(t, prisons(byOwn))
	r := asks(model, c.partners.Client("mapps"))
	r.Path = "/prisons/BXI"
	d := engineOf(t, c, model, nil).Evaluate(r, fixture.Noon, nil)
	if want := model.Policy("tested").Authorize[0].WhenOrigin; d.Origin != want || d.Role != "" || !strings.HasSuffix(d.Detail, ownPrisons) {
		t.Errorf("denied at %s, want %s: %s (role %q)", d.Origin, want, d.Detail, d.Role)
	}
}

// Each of these names the prison by one of two templates; which is found first must not matter.
func TestCapturesComeFromEveryTemplateThatLetsTheRequestPass(t *testing.T) {
	c := newCallers(t)
	mapps := c.partners.Client("mapps")
	const byTemplate = "{name: everything, match: {template: '/prisons/{prison_id}'}, upstreams: [{name: api}], policy: tested}"
	byConsumer := strings.Replace(byOwn, "permissions: consumer_roles", "consumers: [mapps]", 1)
	for name, test := range map[string]struct {
		model *config.Model
		path  string
		want  reason.Reason
	}{
		"the rule's template":              {fixture.Model(t, withRule(prisons(byConsumer), byTemplate)), "/prisons/BXI", reason.ConditionNotMet},
		"the rule's template, its own":     {fixture.Model(t, withRule(prisons(byConsumer), byTemplate)), "/prisons/MDI", reason.ConsumerListed},
		"no template":                      {fixture.Model(t, prisons(byConsumer)), "/prisons/BXI", reason.ConsumerListed},
		"both, of one mind":                {fixture.Model(t, withRule(prisons(byOwn), byTemplate)), "/prisons/MDI", reason.PermissionGranted},
		"both, of one mind, another":       {fixture.Model(t, withRule(prisons(byOwn), byTemplate)), "/prisons/BXI", reason.ConditionNotMet},
		"a broader permission beside it":   {fixture.Model(t, strings.Replace(prisons(byOwn), `"/files/{rest=**}"]}`, `"/{rest=**}"]}`, 1)), "/prisons/BXI", reason.ConditionNotMet},
		"another name for it beside it":    {fixture.Model(t, strings.Replace(prisons(byOwn), `paths: ["/persons/{id}", "/prisons/{prison_id}"`, `paths: ["/persons/{id}", "/prisons/{other}", "/prisons/{prison_id}"`, 1)), "/prisons/BXI", reason.ConditionNotMet},
		"one name for two parts":           {fixture.Model(t, strings.Replace(prisons(byOwn), `"/files/{rest=**}"]}`, `"/prisons/{a}/cells/{prison_id}"]}`, 1)), "/prisons/MDI/cells/LEI", reason.ConditionError},
		"one name for two parts, the same": {fixture.Model(t, strings.Replace(prisons(byOwn), `"/files/{rest=**}"]}`, `"/prisons/{a}/cells/{prison_id}"]}`, 1)), "/prisons/MDI/cells/MDI", reason.PermissionGranted},
		"one name, and nobody asks":        {fixture.Model(t, strings.Replace(prisons(byPermission), `"/files/{rest=**}"]}`, `"/prisons/{a}/cells/{prison_id}"]}`, 1)), "/prisons/MDI/cells/LEI", reason.PermissionGranted},
	} {
		t.Run(name, func(t *testing.T) {
			r := asks(test.model, mapps)
			r.Path = test.path
			wantDecision(t, engineOf(t, c, test.model, nil).Evaluate(r, fixture.Noon, nil), test.want)
		})
	}
}

func TestARuleThatTakesOtherPathsNowIsJudgedByTheTemplateThatItHad(t *testing.T) {
	c := newCallers(t)
	byConsumer := strings.Replace(byOwn, "permissions: consumer_roles", "consumers: [mapps]", 1)
	with := func(template string) *config.Model {
		return fixture.Model(t, withRule(prisons(byConsumer), "{name: everything, match: {template: '"+template+"'}, upstreams: [{name: api}], policy: tested}"))
	}
	first, second, third := with("/prisons/{prison_id}"), with("/establishments/{prison_id}"), with("/places/{prison_id}")
	for name, test := range map[string]struct {
		models []*config.Model // each in force for a minute
		path   string
		want   reason.Reason
	}{
		"the present one":          {[]*config.Model{first, second}, "/establishments/BXI", reason.ConditionNotMet},
		"the one before":           {[]*config.Model{first, second}, "/prisons/BXI", reason.ConditionNotMet},
		"the one before, its own":  {[]*config.Model{first, second}, "/prisons/MDI", reason.ConsumerListed},
		"the one before that":      {[]*config.Model{first, second, third}, "/prisons/BXI", reason.ConditionNotMet},
		"one that is back":         {[]*config.Model{first, second, first}, "/establishments/MDI", reason.ConsumerListed},
		"one that never was":       {[]*config.Model{second}, "/prisons/MDI", reason.ConditionError},
		"one that was before that": {append([]*config.Model{first}, repeat(second, 62)...), "/prisons/MDI", reason.ConditionError},
	} {
		t.Run(name, func(t *testing.T) {
			engine := inTurn(t, c, time.Minute, test.models...)
			r := asks(first, c.partners.Client("mapps"))
			r.Path = test.path
			wantDecision(t, engine.Evaluate(r, fixture.Noon, nil), test.want)
		})
	}
}

func repeat(model *config.Model, times int) []*config.Model {
	models := make([]*config.Model, times)
	for i := range models {
		models[i] = model
	}
	return models
}

func TestAConditionThatWasTakenAwayHoldsForRoutesThatHadIt(t *testing.T) {
	c := newCallers(t)
	before, after := fixture.Model(t, prisons(byOwn)), fixture.Model(t, prisons(byPermission))
	for name, test := range map[string]struct {
		first, then *config.Model
	}{
		"loosened": {before, after}, "tightened": {after, before},
	} {
		t.Run(name, func(t *testing.T) {
			engine := engineOf(t, c, test.then, engineOf(t, c, test.first, nil))
			r := asks(test.first, c.partners.Client("mapps"))
			r.Path = "/prisons/BXI"
			wantDecision(t, engine.Evaluate(r, fixture.Noon, nil), reason.ConditionNotMet)
			r.Path = "/prisons/MDI"
			wantDecision(t, engine.Evaluate(r, fixture.Noon, nil), reason.PermissionGranted)
		})
	}
}

func TestFactsForHeadersAreThoseOfTheRuleThatLetIn(t *testing.T) {
	c := newCallers(t)
	forwarding := strings.TrimSuffix(byOwn, "}") + ", forward: {headers: [{name: x-prison, value: path.prison_id}]}}"
	model := fixture.Model(t, prisons(forwarding))
	r := asks(model, c.partners.Client("mapps"))
	r.Path = "/prisons/MDI"
	d := engineOf(t, c, model, nil).Evaluate(r, fixture.Noon, nil)
	if d.Facts == nil || d.Facts.Path["prison_id"] != "MDI" || d.Facts.Consumer.Name != "mapps" || d.Facts.Certificate.CommonName != "mapps" {
		t.Errorf("facts %+v", d.Facts)
	}
	r.Path = "/prisons/BXI"
	if d := engineOf(t, c, model, nil).Evaluate(r, fixture.Noon, nil); d.Facts != nil {
		t.Errorf("a refused request has facts %+v", d.Facts)
	}
	plain := fixture.Model(t, prisons(byOwn))
	if d := engineOf(t, c, plain, nil).Evaluate(asks(plain, r.Certificate), fixture.Noon, nil); d.Facts != nil {
		t.Error("facts were collected that nobody needs")
	}
}

func TestWhatIsAnsweredWithoutAnUpstreamIsReadAlone(t *testing.T) {
	c := newCallers(t)
	model := fixture.Model(t, policySpec(byPermission))
	engine := engineOf(t, c, model, nil)
	for method, want := range map[string]reason.Reason{"GET": reason.PermissionGranted, "PUT": reason.MethodNotAllowed, "DELETE": reason.PermissionMissing} {
		r := asks(model, c.partners.Client("mapps"))
		r.Method, r.Upstream, r.Answer = method, "", "whoami"
		d := engine.Evaluate(r, fixture.Noon, nil)
		wantDecision(t, d, want)
		if want.Allows() && (d.Facts == nil || d.Facts.Consumer == nil) {
			t.Error("there is nothing to answer with")
		}
	}
}

func TestALimitTurnsAnAdmissionIntoARefusal(t *testing.T) {
	c := newCallers(t)
	model := fixture.Model(t, policySpec(byPermission))
	d := engineOf(t, c, model, nil).Evaluate(asks(model, c.partners.Client("mapps")), fixture.Noon, nil)
	d.Limit("too many", config.Origin{File: "a.yaml"})
	wantDecision(t, d, reason.RateLimited)
	if last := d.Steps[len(d.Steps)-1]; last.Name != policy.StepLimit || last.Outcome != policy.Denies || d.Consumer != "mapps" {
		t.Errorf("decision %+v", d)
	}
}
