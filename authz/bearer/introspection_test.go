package bearer_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/idp"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
)

const opaque = "opaque-token"

func TestAnOpaqueTokenIsJudgedByWhatItsProviderSays(t *testing.T) {
	inactive := &idp.Introspection{}
	for name, one := range map[string]struct {
		says      *idp.Introspection
		rules     func(*config.Provider)
		audiences []string
		want      reason.Reason
	}{
		"active":                        {says: active()},
		"not active":                    {says: inactive, want: reason.TokenInactive},
		"no answer at all":              {says: nil, want: reason.TokenInactive},
		"active without claims":         {says: &idp.Introspection{Active: true}, want: reason.ProviderUnavailable},
		"no issuer":                     {says: active(object{"iss": nil})},
		"another issuer":                {says: active(object{"iss": "https://elsewhere.example.org"}), want: reason.TokenIssuer},
		"no audience":                   {says: active(object{"aud": nil}), want: reason.TokenAudience},
		"no audience of a bearer token": {says: active(object{"aud": nil, "token_type": "Bearer"}), want: reason.TokenAudience},
		"no audience, which may be":     {says: active(object{"aud": nil, "token_type": "Bearer"}), rules: withoutAudience},
		"neither audience nor type":     {says: active(object{"aud": nil}), rules: withoutAudience, want: reason.TokenType},
		"another audience, if any":      {says: active(object{"aud": "elsewhere", "token_type": "Bearer"}), rules: withoutAudience, want: reason.TokenAudience},
		"no audience, and one is asked": {says: active(object{"aud": nil, "token_type": "Bearer"}), rules: withoutAudience, audiences: []string{"api"}, want: reason.TokenAudience},
		"another audience":              {says: active(object{"aud": "elsewhere"}), want: reason.TokenAudience},
		"the method's audience":         {says: active(), audiences: []string{"api"}},
		"not the method's audience":     {says: active(), audiences: []string{"other-api"}, want: reason.TokenAudience},
		"no expiry":                     {says: active(object{"exp": nil}), want: reason.TokenClaimMissing},
		"no expiry, and no audience":    {says: active(object{"exp": nil, "aud": nil, "token_type": "Bearer"}), rules: withoutAudience, want: reason.TokenClaimMissing},
		"expired":                       {says: active(object{"exp": noon.Add(-time.Hour).Unix()}), want: reason.TokenExpired},
		"not yet valid":                 {says: active(object{"nbf": noon.Add(time.Hour).Unix()}), want: reason.TokenNotYetValid},
		"bound by a key":                {says: active(object{"cnf": object{"jkt": "x"}}), want: reason.TokenBinding},
		"bound to a certificate":        {says: active(object{"cnf": object{"x5t#S256": strings.Repeat("A", 43)}})},
		"on the deny list":              {says: active(), rules: func(p *config.Provider) { p.Revoked = []config.RevokedToken{{ID: "id-1"}} }, want: reason.TokenRevoked},
		"no subject and no client":      {says: active(object{"sub": nil, "client_id": nil}), want: reason.TokenClaimMissing},
		"a bearer token":                {says: active(object{"token_type": "Bearer"})},
		"an access token":               {says: active(object{"token_type": "access_token"})},
		"a DPoP token":                  {says: active(object{"token_type": "DPoP"}), want: reason.TokenType},
		"a type that is no text":        {says: active(object{"token_type": 1}), want: reason.TokenType},
		"a refresh token":               {says: active(object{"token_type": "refresh_token"}), want: reason.TokenType},
		"a refresh token, by its typ":   {says: active(object{"typ": "Refresh"}), want: reason.TokenType},
		"a refresh token, by its use":   {says: active(object{"token_type": "Bearer", "token_use": "refresh_token"}), want: reason.TokenType},
		"an access token, by its use":   {says: active(object{"token_type": "Bearer", "token_use": "access_token"})},
		"an ID token":                   {says: active(object{"nonce": "n"}), want: reason.TokenType},
		"a huge answer":                 {says: active(object{"groups": strings.Repeat("g", 9000)}), want: reason.ProviderUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			if one.rules == nil {
				one.rules = func(*config.Provider) {}
			}
			b := newBench(t, corporate(introspects, one.rules))
			b.says.set(opaque, one.says)
			for range 2 {
				verdict := b.Judge(t.Context(), []string{"corporate"}, one.audiences, opaque, noon)
				if reasonOf(verdict) != one.want {
					t.Fatalf("refused for %q (%+v), want %q", reasonOf(verdict), verdict.Refusal, one.want)
				}
				if verdict.Token != nil && (verdict.Token.Issuer != corporateIssuer || verdict.Token.Expires.IsZero() || verdict.Token.Raw != opaque) {
					t.Errorf("a token %s", fields(verdict.Token))
				}
			}
		})
	}
}

func withoutAudience(p *config.Provider) { p.Introspection.WithoutAudience = true }

func TestNoProviderIsShownATokenThatIsNotItsOwn(t *testing.T) {
	other := partner(introspects)
	for name, one := range map[string]struct {
		providers []string
		token     string
		want      reason.Reason
		asked     map[string]int
	}{
		"the only one that can be asked":     {[]string{"plain", "corporate"}, opaque, good, map[string]int{"corporate": 1}},
		"none that can be asked":             {[]string{"plain"}, opaque, reason.TokenMalformed, nil},
		"several that can be asked":          {[]string{"corporate", "partner"}, opaque, reason.TokenIssuer, nil},
		"one that is not in force":           {[]string{"corporate", "gone"}, opaque, reason.ProviderUnavailable, nil},
		"a token of letters that no one has": {[]string{"corporate"}, "ä", reason.TokenMalformed, nil},
		"an empty token":                     {[]string{"corporate"}, "", reason.TokenMalformed, nil},
		"an encrypted token":                 {[]string{"plain"}, "a.b.c.d.e", reason.TokenMalformed, nil},
		"a JWT of nobody":                    {[]string{"corporate", "partner"}, sign(oneKey(), nil, claims(object{"iss": "https://x"})), reason.TokenIssuer, nil},
		"a JWT with a bad signature":         {[]string{"corporate"}, sign(twoKey().named("one"), nil, claims()), reason.TokenSignature, nil},
		"a JWT that cannot be read":          {[]string{"corporate"}, "a.b.c", reason.TokenMalformed, nil},
		"a JWT that has expired":             {[]string{"corporate"}, sign(oneKey(), nil, claims(object{"exp": 1})), reason.TokenExpired, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, corporate(introspects), other, provider("plain", func(p *config.Provider) { p.Issuers = []string{"https://plain.example.org"} }))
			b.says.set(opaque, active())
			verdict := b.Judge(t.Context(), one.providers, nil, one.token, noon)
			if reasonOf(verdict) != one.want {
				t.Errorf("refused for %q, want %q", reasonOf(verdict), one.want)
			}
			if fmt.Sprint(b.says.asked) != fmt.Sprint(one.asked) {
				t.Errorf("asked %v, want %v", b.says.asked, one.asked)
			}
		})
	}
}

func TestAJWTOfAProviderThatIsAskedMustBeActiveToo(t *testing.T) {
	token := sign(oneKey(), nil, claims())
	for name, one := range map[string]struct {
		says  *idp.Introspection
		fails error
		want  reason.Reason
	}{
		"active":             {says: active()},
		"no longer active":   {says: &idp.Introspection{}, want: reason.TokenInactive},
		"of another kind":    {says: active(object{"token_type": "refresh_token"}), want: reason.TokenType},
		"ended before":       {says: active(object{"exp": 1}), want: reason.TokenExpired},
		"cannot be asked":    {fails: errBroken, want: reason.ProviderUnavailable},
		"is away, by kind":   {fails: &idp.Error{Kind: idp.Unreachable}, want: reason.ProviderUnavailable},
		"took too much time": {fails: context.DeadlineExceeded, want: reason.ProviderUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, corporate(introspects))
			b.says.set(token, one.says)
			b.says.fails = one.fails
			if got := reasonOf(b.judge(t, token)); got != one.want {
				t.Errorf("refused for %q, want %q", got, one.want)
			}
		})
	}
	t.Run("nobody asks", func(t *testing.T) {
		b := newBench(t)
		v := asks(t, b.keys, nil, 0)
		v.Apply([]*config.Provider{corporate(introspects)})
		if got := reasonOf(v.Judge(t.Context(), []string{"corporate"}, nil, token, noon)); got != reason.ProviderUnavailable {
			t.Errorf("refused for %q", got)
		}
	})
}

func TestAnAnswerCountsAsLongAsTheConfigurationSays(t *testing.T) {
	p := corporate(introspects)
	b := newBench(t, p)
	at := func(after time.Duration, want reason.Reason, asked int) {
		t.Helper()
		if got := reasonOf(b.Judge(t.Context(), []string{"corporate"}, nil, opaque, noon.Add(after))); got != want {
			t.Errorf("after %s: refused for %q, want %q", after, got, want)
		}
		if b.says.asked["corporate"] != asked {
			t.Errorf("after %s: asked %d times, want %d", after, b.says.asked["corporate"], asked)
		}
	}
	at(0, reason.TokenInactive, 1)
	b.says.set(opaque, active(object{"exp": noon.Add(70 * time.Second).Unix()}))
	at(30*time.Second-1, reason.TokenInactive, 1)
	at(30*time.Second, good, 2)
	b.says.set(opaque, nil)
	at(60*time.Second-1, good, 2)
	at(29*time.Second, reason.TokenInactive, 3) // the clock went back: what it says of later is not believed
	b.says.set(opaque, active(object{"exp": noon.Add(70 * time.Second).Unix()}))
	at(90*time.Second, good, 4)
	at(100*time.Second-1, good, 4) // within the leeway
	at(100*time.Second, reason.TokenExpired, 4)

	b.says.fails = errBroken
	at(150*time.Second, reason.ProviderUnavailable, 5)
	b.says.fails = nil
	b.says.set(opaque, active())
	at(150*time.Second, good, 6) // a failure is not remembered
	b.Apply([]*config.Provider{corporate(introspects)})
	at(150*time.Second, good, 6)
	b.Apply([]*config.Provider{corporate(introspects, func(p *config.Provider) { p.Client = &config.ProviderClient{ID: "other"} })})
	at(150*time.Second, good, 7)
	b.Apply([]*config.Provider{corporate(introspects, func(p *config.Provider) { p.Introspection.Cache = 0 })})
	at(150*time.Second, good, 8)
	at(150*time.Second, good, 9)
}
