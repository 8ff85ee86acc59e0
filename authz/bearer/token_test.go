package bearer_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

func TestATokenIsDescribed(t *testing.T) {
	p := corporate()
	b := newBench(t, p)
	raw := sign(oneKey(), nil, claims(object{"nbf": noon.Unix(), "level": 3}))
	got := b.judge(t, raw).Token
	if got == nil {
		t.Fatal("refused")
	}
	if got.Claims["level"] != int64(3) || got.Claims["sub"] != "alice" || len(got.Claims) != 12 {
		t.Errorf("claims %v", got.Claims)
	}
	want := &bearer.Token{
		Provider: p, Issuer: corporateIssuer, Subject: "alice", ClientID: "app", ID: "id-1", Session: "session-1", Audiences: []string{"api"},
		Roles: []string{"captain"}, Scopes: []string{"read", "write"}, IssuedAt: noon.Add(-time.Minute), Expires: noon.Add(time.Hour),
		Claims: got.Claims, Raw: raw,
	}
	if got.Provider != want.Provider || fields(got) != fields(want) {
		t.Errorf("a token\n%s\nwant\n%s", fields(got), fields(want))
	}
}

// fields are all of a token, for tests alone.
func fields(t *bearer.Token) string {
	return fmt.Sprintf("%q %q %q %q %q %q %q %q %s %s %q %q %q %v", t.Issuer, t.Subject, t.ClientID, t.ID, t.Session, t.Audiences, t.Roles, t.Scopes,
		t.IssuedAt, t.Expires, t.BoundSHA256, t.BoundURI, t.Raw, t.Claims)
}

func TestClaimsAreMapped(t *testing.T) {
	names := func(subject, client, roles, scopes config.ClaimName) func(*config.Provider) {
		return func(p *config.Provider) {
			for to, name := range map[*[]config.ClaimName]config.ClaimName{
				&p.Claims.Subject: subject, &p.Claims.ClientID: client, &p.Claims.Roles: roles, &p.Claims.Scopes: scopes,
			} {
				if name != "" {
					*to = []config.ClaimName{name}
				}
			}
		}
	}
	type told struct {
		subject, client string
		roles, scopes   []string
	}
	for name, one := range map[string]struct {
		rules  func(*config.Provider)
		claims object
		want   told
	}{
		"as usual":                      {nil, nil, told{"alice", "app", []string{"captain"}, []string{"read", "write"}}},
		"no roles and scopes":           {nil, object{"roles": nil, "scope": nil}, told{"alice", "app", nil, nil}},
		"a role in one text":            {nil, object{"roles": "mate"}, told{"alice", "app", []string{"mate"}, []string{"read", "write"}}},
		"a text is one role":            {nil, object{"roles": "mate captain"}, told{"alice", "app", nil, []string{"read", "write"}}},
		"scopes in a list":              {nil, object{"scope": []string{"write", "read", "write"}}, told{"alice", "app", []string{"captain"}, []string{"write", "read"}}},
		"scp where there is no scope":   {nil, object{"scope": nil, "scp": "read"}, told{"alice", "app", []string{"captain"}, []string{"read"}}},
		"scope before scp":              {nil, object{"scope": "", "scp": "read"}, told{"alice", "app", []string{"captain"}, nil}},
		"azp where there is no client":  {nil, object{"client_id": nil, "azp": "spa"}, told{"alice", "spa", []string{"captain"}, []string{"read", "write"}}},
		"a client as its own subject":   {nil, object{"sub": nil}, told{"app", "app", []string{"captain"}, []string{"read", "write"}}},
		"a claim of no text, in no use": {nil, object{"scp": 7}, told{"alice", "app", []string{"captain"}, []string{"read", "write"}}},
		"what the Provider may not say": {nil, object{"roles": []string{"admin", "Captain"}, "scope": "delete"}, told{"alice", "app", nil, nil}},
		"by paths": {
			names("user.id", "app.id", "realm_access.roles", "grants.scopes"),
			object{"user": object{"id": "u"}, "app": object{"id": "a"}, "realm_access": object{"roles": []string{"mate"}}, "grants": object{"scopes": "read"}},
			told{"u", "a", []string{"mate"}, []string{"read"}},
		},
		"a whole name before a path": {
			names("", "", "realm_access.roles", ""),
			object{"realm_access": object{"roles": []string{"mate"}}, "realm_access.roles": "captain"},
			told{"alice", "app", []string{"captain"}, []string{"read", "write"}},
		},
		"a name that is an address": {
			names("", "", "https://example.org/roles", ""),
			object{"https://example.org/roles": []string{"mate"}},
			told{"alice", "app", []string{"mate"}, []string{"read", "write"}},
		},
		"a path through what is no path": {names("", "", "roles.list", ""), nil, told{"alice", "app", nil, []string{"read", "write"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if one.rules == nil {
				one.rules = func(*config.Provider) {}
			}
			verdict := newBench(t, corporate(one.rules)).judge(t, sign(oneKey(), nil, claims(one.claims)))
			if verdict.Token == nil {
				t.Fatalf("refused: %+v", verdict.Refusal)
			}
			if got := (told{verdict.Token.Subject, verdict.Token.ClientID, verdict.Token.Roles, verdict.Token.Scopes}); !reflect.DeepEqual(got, one.want) {
				t.Errorf("%+v, want %+v", got, one.want)
			}
		})
	}
}

func TestConfirmationsAreUnderstoodOrRefused(t *testing.T) {
	sum := bytes.Repeat([]byte{0xab}, 32)
	thumbprint := base64.RawURLEncoding.EncodeToString(sum)
	const uri = "spiffe://example.org/proxy/edge"
	for name, one := range map[string]struct {
		class       sallyportv1.TokenClass // unspecified: the corporate Provider
		cnf         any
		sha256, uri string
		want        reason.Reason
	}{
		"none":                          {},
		"a certificate":                 {cnf: object{"x5t#S256": thumbprint}, sha256: hex.EncodeToString(sum)},
		"a certificate in hexadecimal":  {cnf: object{"x5t#S256": hex.EncodeToString(sum)}, want: reason.TokenBinding},
		"a thumbprint with padding":     {cnf: object{"x5t#S256": thumbprint + "="}, want: reason.TokenBinding},
		"a thumbprint that is shorter":  {cnf: object{"x5t#S256": thumbprint[1:]}, want: reason.TokenBinding},
		"a thumbprint with bits left":   {cnf: object{"x5t#S256": thumbprint[:42] + "t"}, want: reason.TokenBinding},
		"a thumbprint with a line feed": {cnf: object{"x5t#S256": thumbprint[:42] + "\n"}, want: reason.TokenBinding},
		"a thumbprint in base64":        {cnf: object{"x5t#S256": "+" + thumbprint[1:]}, want: reason.TokenBinding},
		"a thumbprint that is a number": {cnf: object{"x5t#S256": 7}, want: reason.TokenBinding},
		"nothing in it":                 {cnf: object{}, want: reason.TokenBinding},
		"a text":                        {cnf: "x", want: reason.TokenMalformed},
		"a key":                         {cnf: object{"jkt": thumbprint}, want: reason.TokenBinding},
		"a key beside a certificate":    {cnf: object{"x5t#S256": thumbprint, "jkt": thumbprint}, want: reason.TokenBinding},
		"an older hash":                 {cnf: object{"x5t": "abc"}, want: reason.TokenBinding},
		"a URI in another's token":      {cnf: object{"san_uri": uri}, want: reason.TokenBinding},
		"a hop's URI":                   {class: sallyportv1.TokenClass_TOKEN_CLASS_HOP, cnf: object{"san_uri": uri}, uri: uri},
		"a hop's empty URI":             {class: sallyportv1.TokenClass_TOKEN_CLASS_HOP, cnf: object{"san_uri": ""}, want: reason.TokenBinding},
		"a hop without":                 {class: sallyportv1.TokenClass_TOKEN_CLASS_HOP, want: reason.TokenBinding},
		"a hop bound as a partner":      {class: sallyportv1.TokenClass_TOKEN_CLASS_HOP, cnf: object{"x5t#S256": thumbprint}, want: reason.TokenBinding},
		"a hop bound twice":             {class: sallyportv1.TokenClass_TOKEN_CLASS_HOP, cnf: object{"san_uri": uri, "x5t#S256": thumbprint}, want: reason.TokenBinding},
		"a partner's certificate":       {class: sallyportv1.TokenClass_TOKEN_CLASS_PARTNER, cnf: object{"x5t#S256": thumbprint}, sha256: hex.EncodeToString(sum)},
		"a partner without":             {class: sallyportv1.TokenClass_TOKEN_CLASS_PARTNER, want: reason.TokenBinding},
		"a partner bound as a hop":      {class: sallyportv1.TokenClass_TOKEN_CLASS_PARTNER, cnf: object{"san_uri": uri}, want: reason.TokenBinding},
	} {
		t.Run(name, func(t *testing.T) {
			b, providers, k, header, issuer := newBench(t, corporate()), []string{"corporate"}, oneKey(), object{}, corporateIssuer
			if one.class != 0 {
				p := edge(one.class)
				b, providers, k, header, issuer = newBench(t, p), []string{"edge"}, edgeKey(), object{"typ": p.Mint.Type()}, edgeIssuer
			}
			verdict := b.Judge(t.Context(), providers, []string{"api"}, sign(k, header, claims(object{"cnf": one.cnf, "iss": issuer})), noon)
			if reasonOf(verdict) != one.want {
				t.Fatalf("refused for %q, want %q", reasonOf(verdict), one.want)
			}
			if one.want == good && (verdict.Token.BoundSHA256 != one.sha256 || verdict.Token.BoundURI != one.uri) {
				t.Errorf("bound to %q and %q", verdict.Token.BoundSHA256, verdict.Token.BoundURI)
			}
		})
	}
}

func TestATokenOfOurOwnIsOfOneClassAndAudience(t *testing.T) {
	hop := edge(sallyportv1.TokenClass_TOKEN_CLASS_HOP)
	b := newBench(t, hop, corporate())
	base := claims(object{"iss": edgeIssuer, "cnf": object{"san_uri": "spiffe://example.org/edge"}})
	for name, one := range map[string]struct {
		audiences      []string
		header, claims object
		want           reason.Reason
	}{
		"the method's audience":      {[]string{"api"}, nil, nil, good},
		"one of the method's":        {[]string{"x", "api"}, nil, nil, good},
		"another upstream's":         {[]string{"x"}, nil, nil, reason.TokenAudience},
		"where the method has none":  {nil, nil, nil, reason.TokenAudience},
		"without audience":           {[]string{"api"}, nil, object{"aud": nil}, reason.TokenAudience},
		"of the other class by type": {[]string{"api"}, object{"typ": "at+jwt"}, nil, reason.TokenType},
		"without type":               {[]string{"api"}, object{"typ": nil}, nil, reason.TokenType},
		"without subject":            {[]string{"api"}, nil, object{"sub": nil}, reason.TokenClaimMissing},
	} {
		t.Run(name, func(t *testing.T) {
			token := sign(edgeKey(), with(object{"typ": "hop+jwt"}, one.header), with(base, one.claims))
			if got := reasonOf(b.Judge(t.Context(), []string{"corporate", "edge"}, one.audiences, token, noon)); got != one.want {
				t.Errorf("refused for %q, want %q", got, one.want)
			}
		})
	}
}

func TestNothingOfATokenIsEverShown(t *testing.T) {
	const canary = "canary-4711"
	b := newBench(t, corporate(introspects))
	b.says.set(canary, active())
	var shown, encoded bytes.Buffer
	logger := hclog.New(&hclog.LoggerOptions{Output: &shown, Level: hclog.Trace})
	parts := []string{canary}
	for _, raw := range []string{
		canary, canary + "~", sign(oneKey(), object{"kid": canary}, claims()), sign(oneKey(), object{"typ": canary}, claims()), sign(oneKey(), object{"alg": canary}, claims()),
		sign(oneKey(), nil, claims(object{"iss": canary})), sign(oneKey(), nil, claims(object{"aud": canary})), sign(oneKey(), nil, claims(object{"sub": canary + "\n"})),
		sign(oneKey(), nil, claims(object{"cnf": object{canary: 1}})), sign(oneKey(), nil, claims(object{"sub": canary, canary: canary})),
		sign(oneKey(), object{canary: 1, "crit": []string{canary}}, claims()), sign(twoKey().named("one"), nil, claims(object{"jti": canary})),
		sign(oneKey(), nil, claims(object{"exp": canary})), canary + "." + canary + "." + canary, "ä" + canary,
	} {
		parts = append(parts, raw)
		if _, after, ok := strings.Cut(raw, "."); ok {
			parts = append(parts, after)
		}
		verdict := b.judge(t, raw)
		_, refusal := bearer.Parse("Bearer " + raw + "\x00")
		if verdict.Token != nil {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
				fmt.Fprintf(&shown, verb+verb+verb, verdict.Token, *verdict.Token, []any{verdict.Token})
			}
			_ = json.NewEncoder(&encoded).Encode(verdict) // the claims may be told, the token not
			logger.Info("judged", "token", verdict.Token, "value", *verdict.Token)
		}
		logger.Info("judged", "verdict", verdict, "refusal", verdict.Refusal, "form", refusal)
		if verdict.Refusal != nil {
			fmt.Fprintf(&shown, "%+v %+v", *verdict.Refusal, *refusal)
		}
	}
	for _, part := range parts {
		if strings.Contains(shown.String(), part) {
			t.Errorf("shown: %s", part)
		}
		if part != canary && strings.Contains(encoded.String(), part) {
			t.Errorf("encoded: %s", part)
		}
	}
	if !strings.Contains(shown.String(), `a token of the Provider`) || !strings.Contains(encoded.String(), `alice`) {
		t.Error("nothing was shown at all")
	}
}
