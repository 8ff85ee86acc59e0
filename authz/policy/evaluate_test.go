package policy_test

import (
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/authz/request"
	"github.com/sallyport-project/sallyport/config/checkcontext"
)

func TestPermissionsOfTheConsumersRolesDecide(t *testing.T) {
	c := newCallers(t)
	model := fixture.Model(t, policySpec(byPermission))
	engine := engineOf(t, c, model, nil)
	for name, test := range map[string]struct {
		certificate  string
		method, path string // GET /persons/1 if empty
		route, rule  string // api/everything if empty
		at           time.Duration
		want         reason.Reason
	}{
		"permitted":                         {certificate: c.partners.Client("mapps"), want: reason.PermissionGranted},
		"permitted below":                   {certificate: c.partners.Client("mapps"), path: "/files/a/b", want: reason.PermissionGranted},
		"permitted by a second permission":  {certificate: c.partners.Client("mapps"), method: "PUT", want: reason.PermissionGranted},
		"any method":                        {certificate: c.partners.Client("nsp"), method: "PURGE", path: "/anything/x", want: reason.PermissionGranted},
		"another method":                    {certificate: c.partners.Client("mapps"), method: "DELETE", want: reason.PermissionMissing},
		"HEAD is not GET":                   {certificate: c.partners.Client("mapps"), method: "HEAD", want: reason.PermissionMissing},
		"a method in lower case":            {certificate: c.partners.Client("mapps"), method: "get", want: reason.PermissionMissing},
		"another path":                      {certificate: c.partners.Client("mapps"), path: "/persons/1/alerts", want: reason.PermissionMissing},
		"a trailing slash":                  {certificate: c.partners.Client("mapps"), path: "/persons/1/", want: reason.PermissionMissing},
		"another case":                      {certificate: c.partners.Client("mapps"), path: "/Persons/1", want: reason.PermissionMissing},
		"an escaped slash is no separator":  {certificate: c.partners.Client("mapps"), path: "/persons/1%2Falerts", want: reason.PermissionGranted},
		"a role for another route":          {certificate: c.partners.Client("nsp"), want: reason.PermissionMissing},
		"a permission on another route":     {certificate: c.partners.Client("mapps"), route: "other-api", rule: "other", want: reason.PermissionMissing},
		"a route that was never there":      {certificate: c.partners.Client("mapps"), route: "never", rule: "other", want: reason.PolicyUnknown},
		"nobody":                            {certificate: "", want: reason.CertificateMissing},
		"an unknown consumer":               {certificate: c.partners.Client("stranger"), want: reason.ConsumerUnknown},
		"a namesake under another CA":       {certificate: c.others.Client("mapps"), want: reason.CertificateUntrusted},
		"a suspended consumer":              {certificate: c.partners.Client("suspended"), want: reason.ConsumerSuspended},
		"a consumer before its time":        {certificate: c.partners.Client("seasonal"), at: time.Hour - 1, want: reason.ConsumerNotYetValid},
		"a consumer in its time":            {certificate: c.partners.Client("seasonal"), at: time.Hour, want: reason.PermissionGranted},
		"a consumer at the end of its time": {certificate: c.partners.Client("seasonal"), at: 2 * time.Hour, want: reason.ConsumerExpired},
		"a certificate that two claim": {certificate: c.partners.Client("claimed", fixture.URI("spiffe://example.org/claimed")),
			want: reason.ConsumerAmbiguous},
		"a malformed certificate": {certificate: "x", want: reason.CertificateMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			r := asks(model, test.certificate)
			if test.method != "" {
				r.Method = test.method
			}
			if test.path != "" {
				r.Path = test.path
			}
			if test.route != "" {
				r.Route, r.Rule = test.route, test.rule
			}
			wantDecision(t, engine.Evaluate(r, fixture.Noon.Add(test.at), nil), test.want)
		})
	}
}

func TestCallersAuthenticateAsThePolicySays(t *testing.T) {
	c := newCallers(t)
	ofPartners, ofOthers, ofNobody := c.partners.Client("mapps"), c.others.Client("mapps"), fixture.NewAuthority(t, "nobody").Client("mapps")
	const (
		certificate = `{certificate: {truststores: [partners]}}`
		everyone    = `authorize: [{name: all, everyone: true}]`
	)
	for name, test := range map[string]struct {
		spec        string
		certificate string
		want        reason.Reason
		consumer    string
	}{
		"everyone with a certificate":            {`{authenticate: ` + certificate + `, ` + everyone + `}`, ofPartners, reason.Everyone, "mapps"},
		"everyone includes unknown consumers":    {`{authenticate: ` + certificate + `, ` + everyone + `}`, c.partners.Client("x"), reason.Everyone, ""},
		"everyone excludes suspended ones":       {`{authenticate: ` + certificate + `, ` + everyone + `}`, c.partners.Client("suspended"), reason.ConsumerSuspended, "suspended"},
		"anonymous alone ignores certificates":   {`{authenticate: {anonymous: {}}, ` + everyone + `}`, ofNobody, reason.Everyone, ""},
		"anonymous alone ignores suspension":     {`{authenticate: {anonymous: {}}, ` + everyone + `}`, c.partners.Client("suspended"), reason.Everyone, ""},
		"anonymous alone identifies nobody":      {`{authenticate: {anonymous: {}}, authorize: [{name: known, consumers: [mapps]}]}`, ofPartners, reason.NotAuthorized, ""},
		"either, with none":                      {`{authenticate: {any_of: [` + certificate + `, {anonymous: {}}]}, ` + everyone + `}`, "", reason.Everyone, ""},
		"either, with a good one":                {`{authenticate: {any_of: [` + certificate + `, {anonymous: {}}]}, ` + everyone + `}`, ofPartners, reason.Everyone, "mapps"},
		"either, with a bad one":                 {`{authenticate: {any_of: [` + certificate + `, {anonymous: {}}]}, ` + everyone + `}`, ofNobody, reason.CertificateUntrusted, ""},
		"anonymous first, with a bad one":        {`{authenticate: {any_of: [{anonymous: {}}, ` + certificate + `]}, ` + everyone + `}`, ofNobody, reason.CertificateUntrusted, ""},
		"anonymous first, with a good one":       {`{authenticate: {any_of: [{anonymous: {}}, ` + certificate + `]}, ` + everyone + `}`, ofPartners, reason.Everyone, "mapps"},
		"either, but rules want a consumer":      {`{authenticate: {any_of: [` + certificate + `, {anonymous: {}}]}, authorize: [{name: known, consumers: [mapps]}]}`, "", reason.CertificateMissing, ""},
		"one of two truststores":                 {`{authenticate: {any_of: [` + certificate + `, {certificate: {truststores: [others]}}]}, ` + everyone + `}`, ofOthers, reason.Everyone, "mapps-of-others"},
		"both truststores, with one's":           {`{authenticate: {all_of: [` + certificate + `, {certificate: {truststores: [others]}}]}, ` + everyone + `}`, ofPartners, reason.CertificateUntrusted, ""},
		"all of a certificate and anonymous":     {`{authenticate: {all_of: [` + certificate + `, {anonymous: {}}]}, ` + everyone + `}`, ofPartners, reason.Everyone, "mapps"},
		"all of them, without a certificate":     {`{authenticate: {all_of: [{anonymous: {}}, ` + certificate + `]}, ` + everyone + `}`, "", reason.CertificateMissing, ""},
		"a truststore that the entry has not":    {`{authenticate: {certificate: {truststores: [elsewhere]}}, ` + everyone + `}`, ofPartners, reason.CertificateUntrusted, ""},
		"a listed consumer":                      {`{authenticate: ` + certificate + `, authorize: [{name: known, consumers: [nsp, mapps]}]}`, ofPartners, reason.ConsumerListed, "mapps"},
		"a consumer that is not listed":          {`{authenticate: ` + certificate + `, authorize: [{name: known, consumers: [nsp]}]}`, ofPartners, reason.NotAuthorized, "mapps"},
		"a role that is held":                    {`{authenticate: ` + certificate + `, authorize: [{name: role, consumer_roles: [anything, reader]}]}`, ofPartners, reason.RoleHeld, "mapps"},
		"a role that is not held":                {`{authenticate: ` + certificate + `, authorize: [{name: role, consumer_roles: [anything]}]}`, ofPartners, reason.NotAuthorized, "mapps"},
		"the second rule, where the first won't": {`{authenticate: ` + certificate + `, authorize: [{name: known, consumers: [nsp]}, {name: granted, permissions: consumer_roles}]}`, ofPartners, reason.PermissionGranted, "mapps"},
	} {
		t.Run(name, func(t *testing.T) {
			model := fixture.Model(t, policySpec(test.spec))
			d := engineOf(t, c, model, nil).Evaluate(asks(model, test.certificate), fixture.Noon, nil)
			wantDecision(t, d, test.want)
			if d.Consumer != test.consumer {
				t.Errorf("consumer %q, want %q", d.Consumer, test.consumer)
			}
		})
	}
}

func TestATruststoreThatNeverWasGoodIsOurFault(t *testing.T) {
	c := newCallers(t)
	delete(c.material.Truststores, "partners")
	model := fixture.Model(t, policySpec(byPermission))
	engine := engineOf(t, c, model, nil)
	wantDecision(t, engine.Evaluate(asks(model, c.partners.Client("mapps")), fixture.Noon, nil), reason.TruststoreMissing)
	wantDecision(t, engine.Evaluate(asks(model, ""), fixture.Noon, nil), reason.CertificateMissing)
}

func TestARouteThatLeadsNowhereIsRefusedByItsOutcome(t *testing.T) {
	c := newCallers(t)
	model := fixture.Model(t, policySpec(byPermission))
	engine := engineOf(t, c, model, nil)
	nowhere := request.Context{Gateway: "edge", Listener: "https", Entry: "api.example.org"}
	for outcome, want := range map[string]reason.Reason{
		checkcontext.OutcomeNoRoute: reason.NoRoute, checkcontext.OutcomeMisdirected: reason.Misdirected,
	} {
		r := &request.Request{Context: nowhere, Certificate: c.partners.Client("mapps")}
		r.Outcome = outcome
		wantDecision(t, engine.Evaluate(r, fixture.Noon, nil), want)
	}
	r := asks(model, c.partners.Client("mapps"))
	r.Entry = "another.example.org"
	wantDecision(t, engine.Evaluate(r, fixture.Noon, nil), reason.PolicyUnknown)
}

func TestADecisionSaysWhereItWasMade(t *testing.T) {
	c := newCallers(t)
	model := fixture.Model(t, policySpec(byPermission))
	engine := engineOf(t, c, model, nil)
	granted := engine.Evaluate(asks(model, c.partners.Client("mapps")), fixture.Noon, nil)
	if want := model.Roles()[2].Permissions[0].Origin; granted.Origin != want {
		t.Errorf("granted at %s, want %s", granted.Origin, want)
	}
	suspended := engine.Evaluate(asks(model, c.partners.Client("suspended")), fixture.Noon, nil)
	if want := model.Consumer("suspended").SuspendedOrigin; suspended.Origin != want {
		t.Errorf("suspended at %s, want %s", suspended.Origin, want)
	}
	if granted.Certificate == nil || granted.Truststore != "partners" || len(granted.PolicyVersions) != 1 {
		t.Errorf("decision %+v", granted)
	}
	for _, step := range granted.Steps {
		if step.Outcome == policy.Denies {
			t.Errorf("a step of an allowed request denies: %+v", step)
		}
	}
}
