package policy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
)

// A name in a certificate is no more than the word of the authority that signed it: a partner's authority must not be able to make
// one of our proxies.
func TestANameToWhichATokenIsBoundCountsUnderTheTruststoresThatAreNamedForIt(t *testing.T) {
	c := newCallers(t)
	const byHop = `{authenticate: {jwt: {providers: [hop], audiences: [api]TRUSTSTORES}}, ` + open + `}`
	spec := func(truststores string) string {
		return tokenSpec(strings.Replace(byHop, "TRUSTSTORES", truststores, 1))
	}
	alone := func(documents string) string {
		return strings.Replace(documents, "truststores: [partners, others], on_untrusted", "truststores: [partners], on_untrusted", 1)
	}
	ofPartners, ofOthers := c.partners.Client("edge", fixture.URI(edgeURI)), c.others.Client("edge", fixture.URI(edgeURI))
	named := fixture.Model(t, spec(", truststores: [partners]"))
	single := fixture.Model(t, alone(spec("")))
	for name, test := range map[string]struct {
		models      []*config.Model // the route is of the first
		certificate string
		want        reason.Reason
	}{
		"by the one that is named":               {[]*config.Model{named}, ofPartners, reason.Everyone},
		"by another of the entry's":              {[]*config.Model{named}, ofOthers, reason.TokenBinding},
		"by any that are named":                  {[]*config.Model{fixture.Model(t, spec(", truststores: [partners, others]"))}, ofOthers, reason.Everyone},
		"by the only one of the entry":           {[]*config.Model{single}, ofPartners, reason.Everyone},
		"by none of the entry's":                 {[]*config.Model{single}, ofOthers, reason.TokenBinding},
		"by an earlier version that names none":  {[]*config.Model{single, named}, ofPartners, reason.TokenBinding},
		"by one that the entry trusts no longer": {[]*config.Model{named, fixture.Model(t, alone(spec(", truststores: [others, partners]")))}, ofOthers, reason.TokenBinding},
	} {
		t.Run(name, func(t *testing.T) {
			routed, now := test.models[0], test.models[len(test.models)-1]
			engine, header := inTurn(t, c, 0, test.models...), "Bearer hop-anonymous"
			d := engine.Evaluate(asksAs(t, routed, test.certificate, header), fixture.Noon, newWallet(t, now, c).judge(header))
			wantDecision(t, d, test.want)
			if d.Allowed && !slices.Contains([]string{"partners", "others"}, d.Truststore) {
				t.Errorf("the certificate is vouched for by %q", d.Truststore)
			}
		})
	}
}

func TestATokenOfAPartnerCountsAsLongAsItWouldBeMadeAgain(t *testing.T) {
	c := newCallers(t)
	const (
		grants  = "{consumers: [mapps], audiences: [api], scopes: [read, write]}"
		matched = "certificates: [{truststore: partners, subject_common_name: mapps}]\n  roles: [reader]"
	)
	base := tokenSpec(`{authenticate: {jwt: {providers: [own], audiences: [api]}}, authorize: [` +
		`{name: writers, scopes: [write], when: "!has(token.claims.scope) || 'write' in token.claims.scope.split(' ')"}, {name: readers, scopes: [read]}, {name: nobody, token_roles: [none]}]}`)
	changed := func(old, with string) *config.Model {
		t.Helper()
		if !strings.Contains(base, old) {
			t.Fatalf("there is no %q", old)
		}
		return fixture.Model(t, strings.Replace(base, old, with, 1))
	}
	granted := func(with string) *config.Model { return changed(grants, with) }
	before := fixture.Model(t, base)
	for name, test := range map[string]struct {
		after  *config.Model
		want   reason.Reason
		scopes []string
	}{
		"nothing has changed":                     {before, reason.ScopeHeld, []string{"read", "write"}},
		"the certificate is another consumer's":   {changed(matched, strings.Replace(matched, "mapps}", "other}", 1)+"\n---\napi_version: sallyport/v1\nkind: Consumer\nmetadata: {name: heir}\nspec:\n  "+matched), reason.ConsumerMismatch, nil},
		"the certificate is nobody's":             {changed(matched, strings.Replace(matched, "mapps}", "other}", 1)), reason.ConsumerUnknown, nil},
		"the certificate is two consumers'":       {changed("subject_common_name: nsp", "san_uri: \"spiffe://example.org/mapps\""), reason.ConsumerAmbiguous, nil},
		"the consumer is known by a token alone":  {changed("  "+matched, "  roles: [reader]"), reason.ConsumerUnknown, nil},
		"it is matched by another truststore":     {changed(matched, strings.Replace(matched, "partners", "elsewhere", 1)), reason.ConsumerUnknown, nil},
		"a scope is granted no more":              {granted("{consumers: [mapps], audiences: [api], scopes: [read]}"), reason.ScopeHeld, []string{"read"}},
		"no scope is granted any more":            {granted("{consumers: [mapps], audiences: [api]}"), reason.ScopeMissing, []string{}},
		"the scopes are granted to another":       {granted("{consumers: [nsp], audiences: [api], scopes: [write]}, {consumers: [mapps], audiences: [api], scopes: [read]}"), reason.ScopeHeld, []string{"read"}},
		"the scopes are of another audience":      {granted("{consumers: [mapps], audiences: [other], scopes: [write]}, {consumers: [mapps], audiences: [api], scopes: [read]}"), reason.ScopeHeld, []string{"read"}},
		"the audience is granted no more":         {granted("{consumers: [mapps], audiences: [other], scopes: [read, write]}"), reason.TokenAudience, nil},
		"the consumer is granted nothing":         {granted("{consumers: [nsp], audiences: [api], scopes: [read, write]}"), reason.TokenAudience, nil},
		"granted by a role":                       {granted("{consumer_roles: [reader], audiences: [api], scopes: [read, write]}"), reason.ScopeHeld, []string{"read", "write"}},
		"granted by a role that it has no longer": {granted("{consumer_roles: [anything], audiences: [api], scopes: [read, write]}"), reason.TokenAudience, nil},
		"suspended, and granted nothing":          {fixture.Model(t, strings.NewReplacer(grants, "{consumers: [nsp], audiences: [api]}", matched, matched+"\n  suspended: true").Replace(base)), reason.ConsumerSuspended, nil},
		"the consumer is gone":                    {fixture.Model(t, strings.NewReplacer("metadata: {name: mapps}", "metadata: {name: heir}", "consumers: [mapps]", "consumers: [heir]").Replace(base)), reason.ConsumerUnknown, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWallet(t, before, c) // as it was judged before the change
			token := w.tokens["own-mapps"].Token
			token.Scopes, token.Claims = []string{"read", "write"}, map[string]any{"scope": "read write"}
			certificate := c.partners.Issued("mapps", fixture.URI("spiffe://example.org/mapps"))
			token.BoundSHA256 = sha256Of(certificate.Raw)
			header := "Bearer own-mapps"
			engine := inTurn(t, c, 0, before, test.after)
			d := engine.Evaluate(asksAs(t, before, fixture.Encode(certificate), header), fixture.Noon, w.judge(header))
			wantDecision(t, d, test.want)
			if test.scopes != nil && !slices.Equal(d.Token.Scopes, test.scopes) {
				t.Errorf("it counts with the scopes %q, want %q", d.Token.Scopes, test.scopes)
			}
			if test.scopes != nil && d.Token.Claims["scope"] != strings.Join(test.scopes, " ") {
				t.Errorf("it claims the scopes %q", d.Token.Claims["scope"])
			}
			if len(token.Scopes) != 2 || token.Claims["scope"] != "read write" {
				t.Error("the token that others are judged by has changed")
			}
		})
	}
}

func TestATokenOfAPartnerIsAConsumers(t *testing.T) {
	c := newCallers(t)
	model := fixture.Model(t, tokenSpec(`{authenticate: {jwt: {providers: [own], audiences: [api]}}, `+open+`}`))
	w := newWallet(t, model, c)
	w.tokens["own-mapps"].Token.Subject = "certificate:partners:CN=mapps"
	d := engineOf(t, c, model, nil).Evaluate(asksAs(t, model, c.mapps, "Bearer own-mapps"), fixture.Noon, w.judge("Bearer own-mapps"))
	wantDecision(t, d, reason.ConsumerUnknown)

	presumed := engineOf(t, c, model, nil).EvaluateAs(asks(model, ""), policy.Hypothesis{At: fixture.Noon,
		Token: &bearer.Token{Provider: model.Provider("own"), Subject: "consumer:mapps", Scopes: []string{"read", "admin"}}}, nil)
	wantDecision(t, presumed, reason.Everyone)
	if !slices.Equal(presumed.Token.Scopes, []string{"read"}) {
		t.Errorf("presumed with the scopes %q", presumed.Token.Scopes)
	}
}
