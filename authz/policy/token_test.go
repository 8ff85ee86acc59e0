package policy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
)

func TestWhatIsPresentedAndBadIsNeverPassedOver(t *testing.T) {
	c := newCallers(t)
	const (
		anyJWTFirst = `{authenticate: {any_of: [{` + byJWT + `}, {anonymous: {}}]}, ` + open + `}`
		anyJWTLast  = `{authenticate: {any_of: [{anonymous: {}}, {` + byJWT + `}]}, ` + open + `}`
		certOrJWT   = `{authenticate: {any_of: [{certificate: {truststores: [partners]}}, {` + byJWT + `}]}, ` + open + `}`
		jwtOrCert   = `{authenticate: {any_of: [{` + byJWT + `}, {certificate: {truststores: [partners]}}]}, ` + open + `}`
		twoJWT      = `{authenticate: {any_of: [{` + byJWT + `}, {jwt: {providers: [partner-idp]}}]}, ` + open + `}`
		onlyJWT     = `{authenticate: {` + byJWT + `}, ` + open + `}`
		onlyOther   = `{authenticate: {jwt: {providers: [corporate], audiences: [other]}}, ` + open + `}`
		onlyCert    = `{authenticate: {certificate: {truststores: [partners]}}, ` + open + `}`
		onlyNobody  = `{authenticate: {anonymous: {}}, ` + open + `}`
		nested      = `{authenticate: {any_of: [{all_of: [{certificate: {truststores: [partners]}}, {` + byJWT + `}]}, {anonymous: {}}]}, ` + open + `}`
	)
	ofPartners, ofNobody := c.partners.Client("mapps"), fixture.NewAuthority(t, "nobody").Client("mapps")
	for name, test := range map[string]struct {
		spec, certificate, header string
		want                      reason.Reason
		kind                      policy.CallerKind
	}{
		"a good token":                                   {onlyJWT, "", "Bearer alice", reason.Everyone, policy.CallerUser},
		"no token":                                       {onlyJWT, "", "", reason.TokenMissing, 0},
		"a certificate in place of a token":              {onlyJWT, ofPartners, "", reason.TokenMissing, 0},
		"a token of another provider":                    {onlyJWT, "", "Bearer idp-mapps", reason.TokenIssuer, 0},
		"a token for another audience":                   {onlyOther, "", "Bearer alice", reason.TokenAudience, 0},
		"a bad certificate beside a good token":          {onlyJWT, ofNobody, "Bearer alice", reason.Everyone, policy.CallerUser},
		"good, or anonymous":                             {anyJWTFirst, "", "Bearer alice", reason.Everyone, policy.CallerUser},
		"good, though anonymous comes first":             {anyJWTLast, "", "Bearer alice", reason.Everyone, policy.CallerUser},
		"anonymous":                                      {anyJWTFirst, "", "", reason.Everyone, policy.CallerAnonymous},
		"bad, or anonymous":                              {anyJWTFirst, "", "Bearer expired", reason.TokenExpired, 0},
		"bad, though anonymous comes first":              {anyJWTLast, "", "Bearer expired", reason.TokenExpired, 0},
		"no keys, or anonymous":                          {anyJWTLast, "", "Bearer later", reason.ProviderUnavailable, 0},
		"another scheme, or anonymous":                   {anyJWTFirst, "", "Basic YTpi", reason.CredentialsNotAccepted, 0},
		"no token behind the scheme":                     {anyJWTFirst, "", "Bearer ", reason.TokenMalformed, 0},
		"two tokens":                                     {anyJWTFirst, "", "Bearer a b", reason.TokenMalformed, 0},
		"another issuer's, or anonymous":                 {anyJWTLast, "", "Bearer idp-mapps", reason.TokenIssuer, 0},
		"a good certificate and a bad token":             {certOrJWT, ofPartners, "Bearer expired", reason.TokenExpired, 0},
		"a bad token and a good certificate":             {jwtOrCert, ofPartners, "Bearer expired", reason.TokenExpired, 0},
		"a bad certificate and a good token":             {certOrJWT, ofNobody, "Bearer alice", reason.Everyone, policy.CallerUser},
		"a bad certificate and a bad token":              {certOrJWT, ofNobody, "Bearer expired", reason.CertificateUntrusted, 0},
		"a bad certificate":                              {certOrJWT, ofNobody, "", reason.CertificateUntrusted, 0},
		"a good certificate":                             {jwtOrCert, ofPartners, "", reason.Everyone, policy.CallerCertificate},
		"both good":                                      {certOrJWT, ofPartners, "Bearer alice", reason.Everyone, policy.CallerUser},
		"neither":                                        {certOrJWT, "", "", reason.TokenMissing, 0},
		"the second provider's":                          {twoJWT, "", "Bearer idp-mapps", reason.Everyone, policy.CallerUser},
		"neither provider takes it":                      {twoJWT, "", "Bearer expired", reason.TokenExpired, 0},
		"a policy without providers":                     {onlyCert, ofPartners, "Bearer alice", reason.CredentialsNotAccepted, 0},
		"a policy for everybody":                         {onlyNobody, "", "Bearer alice", reason.CredentialsNotAccepted, 0},
		"a good token that is not enough, but anonymous": {nested, "", "Bearer alice", reason.Everyone, policy.CallerAnonymous},
		"a bad token that would not be enough":           {nested, "", "Bearer expired", reason.TokenExpired, 0},
	} {
		t.Run(name, func(t *testing.T) {
			model := fixture.Model(t, tokenSpec(test.spec))
			w := newWallet(t, model, c)
			d := engineOf(t, c, model, nil).Evaluate(asksAs(t, model, test.certificate, test.header), fixture.Noon, w.judge(test.header))
			wantDecision(t, d, test.want)
			if d.Bearer() != test.kind || (d.Bearer() == policy.CallerUser) != (d.Token != nil) {
				t.Errorf("caller of kind %d with token %v", d.Bearer(), d.Token)
			}
			slices.Sort(w.asked)
			if len(slices.Compact(slices.Clone(w.asked))) != len(w.asked) {
				t.Errorf("asked for %q", w.asked)
			}
		})
	}
}

func TestATokenThatNobodyCanJudgeIsRefused(t *testing.T) {
	c := newCallers(t)
	model := fixture.Model(t, tokenSpec(`{authenticate: {any_of: [{`+byJWT+`}, {anonymous: {}}]}, `+open+`}`))
	engine := engineOf(t, c, model, nil)
	good := newWallet(t, model, c).tokens["alice"].Token
	for name, judge := range map[string]policy.TokenJudge{
		"no judge": nil, "no verdict": func(_, _ []string) *bearer.Verdict { return nil },
		"an empty verdict":         func(_, _ []string) *bearer.Verdict { return &bearer.Verdict{} },
		"both":                     func(_, _ []string) *bearer.Verdict { return &bearer.Verdict{Token: good, Refusal: &bearer.Refusal{}} },
		"a token that is nobody's": func(_, _ []string) *bearer.Verdict { return &bearer.Verdict{Token: &bearer.Token{}} },
	} {
		t.Run(name, func(t *testing.T) {
			wantDecision(t, engine.Evaluate(asksAs(t, model, "", "Bearer alice"), fixture.Noon, judge), reason.ProviderUnavailable)
		})
	}
}

func TestATokenCountsOnItsOwnConnectionAlone(t *testing.T) {
	c := newCallers(t)
	onlyJWT := `{authenticate: {jwt: {providers: [corporate, hop, own], audiences: [api], truststores: [partners]}}, ` + open + `}`
	mustBoth := `{authenticate: {all_of: [{certificate: {truststores: [partners]}}, {` + byJWT + `}]}, ` + open + `}`
	model := fixture.Model(t, tokenSpec(onlyJWT))
	w := newWallet(t, model, c)
	another, edge := c.partners.Client("mapps"), c.partners.Client("edge", fixture.URI(edgeURI))
	foreign := fixture.NewAuthority(t, "nobody").Client("edge", fixture.URI(edgeURI))
	for name, test := range map[string]struct {
		spec, certificate, token string
		want                     reason.Reason
	}{
		"its certificate":                      {onlyJWT, c.mapps, "bound", reason.Everyone},
		"no certificate":                       {onlyJWT, "", "bound", reason.TokenBinding},
		"another certificate of the caller":    {onlyJWT, another, "bound", reason.TokenBinding},
		"bound to another":                     {onlyJWT, c.mapps, "bound-elsewhere", reason.TokenBinding},
		"a token of our own":                   {onlyJWT, c.mapps, "own-mapps", reason.Everyone},
		"a token of our own, stolen":           {onlyJWT, another, "own-mapps", reason.TokenBinding},
		"the edge":                             {onlyJWT, edge, "hop-anonymous", reason.Everyone},
		"not the edge":                         {onlyJWT, c.mapps, "hop-anonymous", reason.TokenBinding},
		"the edge's name by another authority": {onlyJWT, foreign, "hop-anonymous", reason.TokenBinding},
		"a stolen hop token, no certificate":   {onlyJWT, "", "hop-anonymous", reason.TokenBinding},
		"a token of our own that is unbound":   {onlyJWT, edge, "hop-unbound", reason.TokenBinding},
		"garbage for a certificate":            {onlyJWT, "x", "bound", reason.TokenBinding},
		"an unbound token, and garbage":        {onlyJWT, "x", "alice", reason.Everyone},
		"both demanded, and bound":             {mustBoth, c.mapps, "bound", reason.Everyone},
		"both demanded, bound to another":      {mustBoth, another, "bound", reason.TokenBinding},
		"both demanded, of one consumer":       {mustBoth, another, "app", reason.Everyone},
		"both demanded, of two callers":        {mustBoth, another, "alice", reason.ConsumerMismatch},
		"both demanded, of two consumers":      {mustBoth, c.partners.Client("nsp"), "app", reason.ConsumerMismatch},
		"both demanded, of nobody":             {mustBoth, c.partners.Client("stranger"), "alice", reason.ConsumerMismatch},
		"both demanded, no token":              {mustBoth, another, "", reason.TokenMissing},
		"both demanded, no certificate":        {mustBoth, "", "app", reason.CertificateMissing},
	} {
		t.Run(name, func(t *testing.T) {
			model, header := fixture.Model(t, tokenSpec(test.spec)), ""
			if test.token != "" {
				header = "Bearer " + test.token
			}
			d := engineOf(t, c, model, nil).Evaluate(asksAs(t, model, test.certificate, header), fixture.Noon, w.judge(header))
			wantDecision(t, d, test.want)
		})
	}
}

func TestATokensConsumerIsTheOneThatIsWritten(t *testing.T) {
	c := newCallers(t)
	everyone := `{authenticate: {any_of: [{certificate: {truststores: [partners]}}, {jwt: {providers: [corporate, partner-idp, hop, own], audiences: [api], truststores: [partners]}}]}, ` + open + `}`
	model := fixture.Model(t, tokenSpec(everyone))
	w := newWallet(t, model, c)
	edge, nsp, suspendedEdge := c.partners.Client("edge", fixture.URI(edgeURI)), c.partners.Client("nsp"), c.partners.Client("suspended", fixture.URI(edgeURI))
	engine := engineOf(t, c, model, nil)
	for name, test := range map[string]struct {
		certificate, token string
		want               reason.Reason
		consumer, subject  string
		counts             bool
	}{
		"by client id":                           {"", "app", reason.Everyone, "mapps", "consumer:mapps", true},
		"by subject":                             {"", "idp-mapps", reason.Everyone, "mapps", "consumer:mapps", true},
		"nobody's":                               {"", "alice", reason.Everyone, "", "token:corporate:alice", false},
		"a certificate's, and nobody's token":    {nsp, "alice", reason.Everyone, "nsp", "consumer:nsp", true},
		"a certificate's, and another's token":   {nsp, "app", reason.ConsumerMismatch, "", "", false},
		"a token of our own":                     {c.mapps, "own-mapps", reason.Everyone, "mapps", "consumer:mapps", true},
		"a hop token":                            {edge, "hop-mapps", reason.Everyone, "mapps", "consumer:mapps", false},
		"a hop token of nobody":                  {edge, "hop-anonymous", reason.Everyone, "", "", false},
		"a hop token of a user":                  {edge, "hop-alice", reason.Everyone, "", "token:corporate:alice", false},
		"a hop token of a certificate":           {edge, "hop-certificate", reason.Everyone, "", "certificate:partners:CN=mapps", false},
		"a hop token that names no certificate":  {edge, "hop-garbled", reason.TokenClaimMissing, "", "", false},
		"a hop token of a suspended consumer":    {edge, "hop-suspended", reason.ConsumerSuspended, "suspended", "consumer:suspended", false},
		"a hop token of a consumer that is gone": {edge, "hop-gone", reason.ConsumerUnknown, "", "", false},
		"a hop token by a suspended proxy":       {suspendedEdge, "hop-anonymous", reason.ConsumerSuspended, "suspended", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			header := "Bearer " + test.token
			d := engine.Evaluate(asksAs(t, model, test.certificate, header), fixture.Noon, w.judge(header))
			wantDecision(t, d, test.want)
			if d.Consumer != test.consumer || d.Counts() != test.counts {
				t.Errorf("consumer %q, counts %t", d.Consumer, d.Counts())
			}
			if d.Allowed && d.Subject() != test.subject {
				t.Errorf("subject %q, want %q", d.Subject(), test.subject)
			}
		})
	}
}

// Somebody else verified the certificate; that it was revoked since must stop its caller at the next hop as well.
func TestATokenForARevokedCertificateIsRefused(t *testing.T) {
	c := newCallers(t)
	model := fixture.Model(t, tokenSpec(`{authenticate: {jwt: {providers: [hop], audiences: [api], truststores: [partners, others]}}, `+open+`}`))
	w := newWallet(t, model, c)
	edge, header := c.partners.Client("edge", fixture.URI(edgeURI)), "Bearer hop-certificate"
	ask := func(at time.Duration) *policy.Decision {
		return engineOf(t, c, model, nil).Evaluate(asksAs(t, model, edge, header), fixture.Noon.Add(at), w.judge(header))
	}
	d := ask(0)
	wantDecision(t, d, reason.Everyone)
	if ref := d.Reference(); ref == nil || ref.Serial != c.revocable.SerialNumber.Text(16) || ref.Truststore != "partners" {
		t.Errorf("the next hop would be told of %+v", ref)
	}
	c.material = c.listed(t, 1, 0)
	wantDecision(t, ask(time.Minute), reason.Everyone)
	c.material = c.listed(t, 2, 0, c.revocable)
	wantDecision(t, ask(time.Minute), reason.CertificateRevoked)
	c.material = c.listed(t, 3, 0)
	wantDecision(t, ask(2*time.Hour), reason.RevocationUnavailable)
	other := fixture.NewAuthority(t, "others")
	c.material = fixture.Material(fixture.Truststore("partners", other), fixture.Truststore("others", c.partners), fixture.Truststore("elsewhere", c.partners))
	wantDecision(t, ask(0), reason.CertificateUntrusted)
}

func TestRolesAndScopesOfTheTokenLetIn(t *testing.T) {
	c := newCallers(t)
	either := `{authenticate: {any_of: [{` + byJWT + `}, {certificate: {truststores: [partners]}}, {anonymous: {}}]}, authorize: `
	for name, test := range map[string]struct {
		rules, certificate, token string
		want                      reason.Reason
		challenge                 *policy.Challenge
	}{
		"a scope":                             {`[{name: a, scopes: [write, read]}]`, "", "alice", reason.ScopeHeld, nil},
		"a role":                              {`[{name: a, token_roles: [clerk]}]`, "", "alice", reason.TokenRoleHeld, nil},
		"no scope":                            {`[{name: a, scopes: [write]}, {name: b, scopes: [admin, write]}]`, "", "alice", reason.ScopeMissing, &policy.Challenge{Error: "insufficient_scope", Scope: []string{"write", "admin"}}},
		"no role":                             {`[{name: a, token_roles: [captain]}]`, "", "alice", reason.TokenRoleMissing, nil},
		"our role of the token's name":        {`[{name: a, consumer_roles: [reader]}]`, "", "alice", reason.ConsumerUnknown, nil},
		"its consumer's role":                 {`[{name: a, consumer_roles: [reader]}]`, "", "app", reason.RoleHeld, nil},
		"its consumer":                        {`[{name: a, consumers: [mapps]}]`, "", "app", reason.ConsumerListed, nil},
		"its consumer's permission":           {`[{name: a, permissions: consumer_roles}]`, "", "app", reason.PermissionGranted, nil},
		"a claim":                             {`[{name: a, scopes: [read], when: "token.claims.company == '7'"}]`, "", "alice", reason.ScopeHeld, nil},
		"another claim":                       {`[{name: a, scopes: [read], when: "token.claims.company == '8'"}]`, "", "alice", reason.ConditionNotMet, nil},
		"a claim that it has not":             {`[{name: a, scopes: [read], when: "token.claims.region == '8'"}]`, "", "alice", reason.ConditionError, nil},
		"a token that nobody has":             {`[{name: a, everyone: true, when: "token.subject != 'x'"}]`, "", "", reason.ConditionError, nil},
		"the subject":                         {`[{name: a, everyone: true, when: "subject == 'token:corporate:alice' && token.provider == 'corporate'"}]`, "", "alice", reason.Everyone, nil},
		"anonymous, where a scope is due":     {`[{name: a, scopes: [read]}]`, "", "", reason.TokenMissing, &policy.Challenge{}},
		"a certificate, where a scope is due": {`[{name: a, scopes: [read]}]`, "mapps", "", reason.NotAuthorized, nil},
		"the next rule":                       {`[{name: a, scopes: [write]}, {name: b, token_roles: [clerk]}]`, "", "alice", reason.TokenRoleHeld, nil},
		"a bad token":                         {`[{name: a, scopes: [read]}]`, "", "expired", reason.TokenExpired, &policy.Challenge{Error: "invalid_token"}},
	} {
		t.Run(name, func(t *testing.T) {
			model := fixture.Model(t, tokenSpec(either+test.rules+`}`))
			w, header, certificate := newWallet(t, model, c), "", ""
			if test.token != "" {
				header = "Bearer " + test.token
			}
			if test.certificate != "" {
				certificate = c.partners.Client(test.certificate)
			}
			d := engineOf(t, c, model, nil).Evaluate(asksAs(t, model, certificate, header), fixture.Noon, w.judge(header))
			wantDecision(t, d, test.want)
			if (d.Challenge == nil) != (test.challenge == nil) {
				t.Fatalf("challenge %+v", d.Challenge)
			}
			if got := d.Challenge; got != nil && (got.Error != test.challenge.Error || !slices.Equal(got.Scope, test.challenge.Scope) ||
				got.ResourceMetadata != "https://api.example.org/.well-known/oauth-protected-resource") {
				t.Errorf("challenge %+v", got)
			}
		})
	}
}

func TestARuleThatIsTriedOutChangesNothing(t *testing.T) {
	c := newCallers(t)
	const rules = `[{name: tight, scopes: [write], shadow: true}, {name: broken, everyone: true, when: "token.claims.never == 1", shadow: true},
		{name: fits, scopes: [read], shadow: true}, {name: granted, permissions: consumer_roles, shadow: true}, {name: known, consumers: [mapps]}]`
	model := fixture.Model(t, tokenSpec(`{authenticate: {any_of: [{`+byJWT+`}, {anonymous: {}}]}, authorize: `+rules+`}`))
	w, engine := newWallet(t, model, c), engineOf(t, c, model, nil)
	want := func(d *policy.Decision, verdicts ...string) {
		t.Helper()
		var got []string
		for _, s := range d.Shadow {
			got = append(got, s.Rule+" "+string(s.Reason))
			if s.Policy != "tested" || s.Origin.Line == 0 || s.WouldAllow != s.Reason.Allows() {
				t.Errorf("shadow %+v", s)
			}
		}
		if !slices.Equal(got, verdicts) {
			t.Errorf("shadows %q, want %q", got, verdicts)
		}
		if last := d.Steps[len(d.Steps)-1]; last.Reason != d.Reason {
			t.Errorf("the last step is %+v", last)
		}
	}
	ask := func(token string) *policy.Decision {
		return engine.Evaluate(asksAs(t, model, "", "Bearer "+token), fixture.Noon, w.judge("Bearer "+token))
	}
	d := ask("alice")
	wantDecision(t, d, reason.ConsumerUnknown) // and not scope_missing, which is of a rule that does not count
	want(d, "tight scope_missing", "broken condition_error", "fits scope_held", "granted consumer_unknown")
	d = ask("app")
	wantDecision(t, d, reason.ConsumerListed)
	want(d, "tight scope_missing", "broken condition_error", "fits scope_missing", "granted permission_granted")
	if d.Role != "" {
		t.Errorf("let in by the role %q", d.Role)
	}
	want(ask("expired"))
}

func TestBothVersionsJudgeTheToken(t *testing.T) {
	c := newCallers(t)
	jwt := `{authenticate: {` + byJWT + `}, authorize: [{name: a, scopes: [read]}]}`
	tight := `{authenticate: {` + byJWT + `}, authorize: [{name: a, scopes: [write]}]}`
	none := `{authenticate: {anonymous: {}}, ` + open + `}`
	for name, test := range map[string]struct {
		before, now string
		want        reason.Reason
	}{
		"let in by both":           {jwt, jwt, reason.ScopeHeld},
		"tightened":                {jwt, tight, reason.ScopeMissing},
		"loosened":                 {tight, jwt, reason.ScopeMissing},
		"tokens were not taken":    {none, jwt, reason.CredentialsNotAccepted},
		"tokens are not taken now": {jwt, none, reason.CredentialsNotAccepted},
	} {
		t.Run(name, func(t *testing.T) {
			before, now := fixture.Model(t, tokenSpec(test.before)), fixture.Model(t, tokenSpec(test.now))
			w := newWallet(t, now, c)
			engine := engineOf(t, c, now, engineOf(t, c, before, nil))
			d := engine.Evaluate(asksAs(t, before, "", "Bearer alice"), fixture.Noon, w.judge("Bearer alice"))
			wantDecision(t, d, test.want)
			if len(w.asked) > 1 {
				t.Errorf("asked for %q", w.asked)
			}
		})
	}
}

func TestAPresumedTokenGoesDownTheSameLadder(t *testing.T) {
	c := newCallers(t)
	either := `{authenticate: {any_of: [{` + byJWT + `}, {anonymous: {}}]}, authorize: `
	for name, test := range map[string]struct {
		rules   string
		token   func(*config.Model) *bearer.Token
		want    reason.Reason
		left    string
		reaches int
	}{
		"a scope":                      {`[{name: a, scopes: [read]}]`, presumed("corporate", "read"), reason.ScopeHeld, "", 1},
		"no scope":                     {`[{name: a, scopes: [write]}]`, presumed("corporate", "read"), reason.ScopeMissing, "", 0},
		"another provider":             {`[{name: a, scopes: [read]}]`, presumed("partner-idp", "read"), reason.TokenIssuer, "", 0},
		"a claim":                      {`[{name: a, scopes: [read], when: "token.claims.company == '7' && token.provider == 'corporate'"}]`, presumed("corporate", "read"), reason.ScopeHeld, `token.claims.company == "7"`, 1},
		"a claim that decides nothing": {`[{name: a, scopes: [read], when: "token.claims.company == '7' && token.provider == 'other'"}]`, presumed("corporate", "read"), reason.ConditionNotMet, "", 0},
		"a rule that is tried out":     {`[{name: a, everyone: true, shadow: true}, {name: b, scopes: [write]}]`, presumed("corporate", "read"), reason.ScopeMissing, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			model := fixture.Model(t, tokenSpec(either+test.rules+`}`))
			engine, h := engineOf(t, c, model, nil), policy.Hypothesis{Token: test.token(model), At: fixture.Noon}
			d := engine.EvaluateAs(asks(model, ""), h, nil)
			wantDecision(t, d, test.want)
			if got := strings.Join(d.Conditions, " "); got != test.left {
				t.Errorf("depends on %q, want %q", got, test.left)
			}
			reaches, _ := engine.Reach(asks(model, "").Context, h)
			if len(reaches) != test.reaches {
				t.Errorf("reaches %+v", reaches)
			}
		})
	}
}

func TestARefusalAfterTheAdmissionIsItsReason(t *testing.T) {
	c := newCallers(t)
	model := fixture.Model(t, tokenSpec(`{authenticate: {`+byJWT+`}, `+open+`}`))
	w := newWallet(t, model, c)
	d := engineOf(t, c, model, nil).Evaluate(asksAs(t, model, "", "Bearer alice"), fixture.Noon, w.judge("Bearer alice"))
	d.Refuse(policy.StepForward, policy.Denial{Reason: reason.StepUpRequired, Detail: "the user must sign in again", Claims: `{"a":1}`})
	wantDecision(t, d, reason.StepUpRequired)
	if d.Challenge == nil || d.Challenge.Claims != `{"a":1}` || d.Challenge.Error != "insufficient_claims" || d.Challenge.ResourceMetadata == "" {
		t.Errorf("challenge %+v", d.Challenge)
	}
}
