package bearer_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
)

// good is the reason of a token that is accepted.
const good reason.Reason = ""

func requires(names ...config.ClaimName) func(*config.Provider) {
	return func(p *config.Provider) { p.RequiredClaims = names }
}

func takesIDTokens(p *config.Provider) { p.AcceptIDTokens = true }

// rules of the corporate Provider, the header and claims of a token, and what becomes of it.
type judged struct {
	rules          func(*config.Provider)
	header, claims object
	key            func() key
	want           reason.Reason
}

func (one judged) run(t *testing.T) {
	t.Helper()
	if one.rules == nil {
		one.rules = func(*config.Provider) {}
	}
	if one.key == nil {
		one.key = oneKey
	}
	b := newBench(t, corporate(one.rules))
	token := sign(one.key(), one.header, claims(one.claims))
	for _, time := range []string{"first", "second"} { // anew, and remembered
		verdict := b.judge(t, token)
		if got := reasonOf(verdict); got != one.want {
			t.Fatalf("%s time: refused for %q (%+v), want %q", time, got, verdict.Refusal, one.want)
		}
		if (verdict.Token == nil) == (verdict.Refusal == nil) {
			t.Fatalf("verdict %+v has not exactly one of the two", verdict)
		}
	}
}

func TestATokenIsJudgedByItsProvidersRules(t *testing.T) {
	for name, one := range map[string]judged{
		"a good one":                     {},
		"of an RSA key":                  {key: rsaKey},
		"of an Ed25519 key":              {key: edKey},
		"without kid":                    {header: object{"kid": nil}},
		"of type JWT":                    {header: object{"typ": "JWT"}},
		"of a type with its whole name":  {header: object{"typ": "application/AT+JWT"}},
		"without type":                   {header: object{"typ": nil}},
		"of another type":                {header: object{"typ": "hop+jwt"}, want: reason.TokenType},
		"of a development issuer":        {header: object{"typ": "dev+jwt"}, want: reason.TokenType},
		"an id token by its type":        {header: object{"typ": "id+jwt"}, want: reason.TokenType},
		"a logout token by its type":     {header: object{"typ": "logout+jwt"}, want: reason.TokenType},
		"untyped, where that is no type": {rules: func(p *config.Provider) { p.Types = []string{"at+jwt"} }, header: object{"typ": nil}, want: reason.TokenType},

		"an algorithm that is not the Provider's": {rules: func(p *config.Provider) { p.Algorithms = []string{"RS256"} }, want: reason.TokenSignature},
		"the Provider's one algorithm":            {rules: func(p *config.Provider) { p.Algorithms = []string{"RS256"} }, key: rsaKey},
		"no algorithm":                            {header: object{"alg": "none"}, want: reason.TokenSignature},
		"HMAC":                                    {header: object{"alg": "HS256"}, want: reason.TokenSignature},
		"another algorithm than the key's":        {header: object{"alg": "RS256"}, want: reason.TokenKeyUnknown},
		"another algorithm of the key's type":     {header: object{"alg": "PS256"}, key: rsaKey, want: reason.TokenKeyUnknown},
		"an algorithm of another key":             {header: object{"alg": "RS256", "kid": "rsa"}, want: reason.TokenSignature},
		"another's key under a known kid":         {key: func() key { return twoKey().named("one") }, want: reason.TokenSignature},
		"another's key without kid":               {key: func() key { return twoKey() }, header: object{"kid": nil}, want: reason.TokenSignature},
		"an unknown kid":                          {header: object{"kid": "../../etc/passwd"}, want: reason.TokenKeyUnknown},
		"a critical header":                       {header: object{"crit": []string{"exp"}}, want: reason.TokenMalformed},
		"an embedded key":                         {header: object{"jwk": object{"kty": "EC"}}, want: reason.TokenMalformed},
		"the address of a key":                    {header: object{"jku": "https://evil.example.org"}, want: reason.TokenMalformed},

		"another audience":            {claims: object{"aud": "elsewhere"}, want: reason.TokenAudience},
		"the Provider's second one":   {claims: object{"aud": "other-api"}},
		"one audience of a list":      {claims: object{"aud": []string{"elsewhere", "api"}}},
		"none of a list":              {claims: object{"aud": []string{"elsewhere", "API"}}, want: reason.TokenAudience},
		"no audience":                 {claims: object{"aud": nil}, want: reason.TokenAudience},
		"an audience that is none":    {claims: object{"aud": 7}, want: reason.TokenMalformed},
		"no issuer":                   {claims: object{"iss": nil}, want: reason.TokenIssuer},
		"another issuer":              {claims: object{"iss": "https://elsewhere.example.org"}, want: reason.TokenIssuer},
		"an issuer with a slash":      {claims: object{"iss": corporateIssuer + "/"}, want: reason.TokenIssuer},
		"an issuer in capitals":       {claims: object{"iss": strings.ToUpper(corporateIssuer)}, want: reason.TokenIssuer},
		"the Provider's other issuer": {rules: func(p *config.Provider) { p.Issuers = append(p.Issuers, "https://v1.example.org") }, claims: object{"iss": "https://v1.example.org"}},
		"no expiry":                   {claims: object{"exp": nil}, want: reason.TokenClaimMissing},
		"an expiry in text":           {claims: object{"exp": "4070908800"}, want: reason.TokenMalformed},

		"an ID token by nonce":         {claims: object{"nonce": "n"}, want: reason.TokenType},
		"an ID token by at_hash":       {claims: object{"at_hash": "h"}, want: reason.TokenType},
		"an ID token by c_hash":        {claims: object{"c_hash": "h"}, want: reason.TokenType},
		"an ID token by claim":         {claims: object{"typ": "ID"}, want: reason.TokenType},
		"an ID token that may be":      {rules: takesIDTokens, claims: object{"nonce": "n", "at_hash": "h", "typ": "ID"}},
		"a refresh token":              {rules: takesIDTokens, claims: object{"typ": "Refresh"}, want: reason.TokenType},
		"a security event":             {rules: takesIDTokens, claims: object{"events": object{}}, want: reason.TokenType},
		"an access token by its claim": {claims: object{"typ": "Bearer"}},

		"a required claim":                {rules: requires("tenant"), claims: object{"tenant": "t"}},
		"a required claim that is false":  {rules: requires("tenant"), claims: object{"tenant": false}},
		"no required claim":               {rules: requires("tenant"), want: reason.TokenClaimMissing},
		"a required claim that is null":   {rules: requires("org.tenant"), claims: object{"org": map[string]any{"tenant": nil}}, want: reason.TokenClaimMissing},
		"a required claim by path":        {rules: requires("org.tenant"), claims: object{"org": object{"tenant": "t"}}},
		"a required claim by whole name":  {rules: requires("https://example.org/tenant"), claims: object{"https://example.org/tenant": "t"}},
		"one of two required claims":      {rules: requires("tenant", "org"), claims: object{"tenant": "t"}, want: reason.TokenClaimMissing},
		"no subject, but a client":        {claims: object{"sub": nil}},
		"neither subject nor client":      {claims: object{"sub": nil, "client_id": nil}, want: reason.TokenClaimMissing},
		"a subject that is a number":      {claims: object{"sub": 7}, want: reason.TokenMalformed},
		"a mapped subject":                {rules: mapsSubject("user.id"), claims: object{"user": object{"id": "u"}}},
		"a mapped subject that is absent": {rules: mapsSubject("user.id"), want: reason.TokenClaimMissing},
		"a mapped subject of a number":    {rules: mapsSubject("user.id"), claims: object{"user": object{"id": 7}}, want: reason.TokenMalformed},
		"a mapped subject with a control": {rules: mapsSubject("user.id"), claims: object{"user": object{"id": "a\nb"}}, want: reason.TokenMalformed},
		"a client that is a list":         {claims: object{"client_id": nil, "azp": []string{"app"}}, want: reason.TokenMalformed},

		"roles in an object":      {claims: object{"roles": object{"captain": true}}, want: reason.TokenMalformed},
		"roles with a number":     {claims: object{"roles": []any{"captain", 7}}, want: reason.TokenMalformed},
		"scopes that are a truth": {claims: object{"scope": true}, want: reason.TokenMalformed},
		"roles that nobody would look at": {
			rules: func(p *config.Provider) { p.Roles, p.Scopes = nil, nil }, claims: object{"roles": 7, "scope": true},
		},
	} {
		t.Run(name, one.run)
	}
}

func mapsSubject(name config.ClaimName) func(*config.Provider) {
	return func(p *config.Provider) { p.Claims.Subject = []config.ClaimName{name} }
}

func TestATokenCountsFromItsFirstMomentToItsLastWithinTheLeeway(t *testing.T) {
	const leeway = 30 * time.Second
	at := func(seconds int64) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }
	for name, one := range map[string]struct {
		claims object
		now    time.Time
		want   reason.Reason
	}{
		"before the end":                      {object{"exp": at(10).Unix()}, at(9), good},
		"at the end":                          {object{"exp": at(10).Unix()}, at(10), good},
		"a moment before the leeway's end":    {object{"exp": at(10).Unix()}, at(10).Add(leeway - 1), good},
		"at the leeway's end":                 {object{"exp": at(10).Unix()}, at(10).Add(leeway), reason.TokenExpired},
		"long after":                          {object{"exp": at(10).Unix()}, at(9999), reason.TokenExpired},
		"an end with a fraction":              {object{"exp": float64(at(10).Unix()) + 0.5}, at(10).Add(leeway + 499*time.Millisecond), good},
		"after a fraction":                    {object{"exp": float64(at(10).Unix()) + 0.5}, at(10).Add(leeway + 501*time.Millisecond), reason.TokenExpired},
		"at the beginning":                    {object{"nbf": at(10).Unix()}, at(10), good},
		"at the leeway's beginning":           {object{"nbf": at(10).Unix()}, at(10).Add(-leeway), good},
		"a moment before the leeway":          {object{"nbf": at(10).Unix()}, at(10).Add(-leeway - 1), reason.TokenNotYetValid},
		"issued at the leeway's beginning":    {object{"iat": at(10).Unix()}, at(10).Add(-leeway), good},
		"issued beyond the leeway":            {object{"iat": at(10).Unix()}, at(10).Add(-leeway - 1), reason.TokenNotYetValid},
		"expired, and a clock far ahead":      {object{"exp": at(-9999).Unix(), "iat": nil}, noon, reason.TokenExpired},
		"no time of issue":                    {object{"iat": nil}, noon, good},
		"an end before the beginning":         {object{"exp": at(10).Unix(), "nbf": at(90).Unix()}, at(50), reason.TokenExpired},
		"expired, though for another as well": {object{"exp": at(-9999).Unix(), "aud": "elsewhere"}, noon, reason.TokenExpired},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, corporate())
			token := sign(oneKey(), nil, claims(object{"iat": nil}, one.claims))
			if verdict := b.Judge(t.Context(), []string{"corporate"}, nil, token, one.now); reasonOf(verdict) != one.want {
				t.Errorf("refused for %q (%+v), want %q", reasonOf(verdict), verdict.Refusal, one.want)
			}
		})
	}
	t.Run("without leeway", func(t *testing.T) {
		b := newBench(t, corporate(func(p *config.Provider) { p.Leeway = 0 }))
		token := sign(oneKey(), nil, claims(object{"exp": at(10).Unix()}))
		for now, want := range map[time.Time]reason.Reason{at(10).Add(-1): good, at(10): reason.TokenExpired} {
			if got := reasonOf(b.Judge(t.Context(), []string{"corporate"}, nil, token, now)); got != want {
				t.Errorf("at %s: refused for %q, want %q", now, got, want)
			}
		}
	})
	t.Run("at no time", func(t *testing.T) {
		b := newBench(t, corporate())
		if got := reasonOf(b.Judge(t.Context(), []string{"corporate"}, nil, sign(oneKey(), nil, claims()), time.Time{})); got != reason.Internal {
			t.Errorf("refused for %q", got)
		}
	})
}

func TestAudiencesOfTheMethodNarrowThoseOfTheProvider(t *testing.T) {
	b := newBench(t, corporate())
	for name, one := range map[string]struct {
		narrowed []string
		audience any
		want     reason.Reason
	}{
		"none":                        {nil, "other-api", good},
		"the token's":                 {[]string{"api"}, "api", good},
		"one of the token's":          {[]string{"api"}, []string{"other-api", "api"}, good},
		"the Provider's other one":    {[]string{"api"}, "other-api", reason.TokenAudience},
		"one that the Provider lacks": {[]string{"foreign"}, "foreign", reason.TokenAudience},
	} {
		t.Run(name, func(t *testing.T) {
			token := sign(oneKey(), nil, claims(object{"aud": one.audience}))
			b.judge(t, token) // remembered with no narrowing
			if got := reasonOf(b.Judge(t.Context(), []string{"corporate"}, one.narrowed, token, noon)); got != one.want {
				t.Errorf("refused for %q, want %q", got, one.want)
			}
		})
	}
}

func TestARevokedTokenCountsNoMore(t *testing.T) {
	issued := noon.Add(-time.Minute) // as in claims
	for name, one := range map[string]struct {
		revoked []config.RevokedToken
		claims  object
		want    reason.Reason
	}{
		"its id":                                {[]config.RevokedToken{{ID: "id-1"}}, nil, reason.TokenRevoked},
		"another id":                            {[]config.RevokedToken{{ID: "id-2"}}, nil, good},
		"no id of its own":                      {[]config.RevokedToken{{ID: "id-1"}}, object{"jti": nil}, good},
		"its session":                           {[]config.RevokedToken{{Session: "session-1"}}, nil, reason.TokenRevoked},
		"another session":                       {[]config.RevokedToken{{Session: "session-2"}}, nil, good},
		"an id that is another's session":       {[]config.RevokedToken{{Session: "id-1"}, {Subject: "session-1"}}, nil, good},
		"its subject":                           {[]config.RevokedToken{{Subject: "alice"}}, nil, reason.TokenRevoked},
		"another subject":                       {[]config.RevokedToken{{Subject: "bob"}}, nil, good},
		"its subject, issued before":            {[]config.RevokedToken{{Subject: "alice", IssuedBefore: issued.Add(1)}}, nil, reason.TokenRevoked},
		"its subject, issued then":              {[]config.RevokedToken{{Subject: "alice", IssuedBefore: issued}}, nil, good},
		"its subject, issued it knows not when": {[]config.RevokedToken{{Subject: "alice", IssuedBefore: issued}}, object{"iat": nil}, reason.TokenRevoked},
		"the later of two moments": {
			[]config.RevokedToken{{Subject: "alice", IssuedBefore: issued.Add(1)}, {Subject: "alice", IssuedBefore: issued.Add(-time.Hour)}}, nil, reason.TokenRevoked,
		},
		"the later of two moments, told last": {
			[]config.RevokedToken{{Subject: "alice", IssuedBefore: issued.Add(-time.Hour)}, {Subject: "alice", IssuedBefore: issued.Add(1)}}, nil, reason.TokenRevoked,
		},
		"any moment beside a moment": {
			[]config.RevokedToken{{Subject: "alice"}, {Subject: "alice", IssuedBefore: issued.Add(-time.Hour)}}, nil, reason.TokenRevoked,
		},
		"any moment after a moment": {
			[]config.RevokedToken{{Subject: "alice", IssuedBefore: issued.Add(-time.Hour)}, {Subject: "alice"}}, nil, reason.TokenRevoked,
		},
		"a client that is the subject": {[]config.RevokedToken{{Subject: "app"}}, object{"sub": nil}, reason.TokenRevoked},
		"a client that is not":         {[]config.RevokedToken{{Subject: "app"}}, nil, good},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, corporate())
			token := sign(oneKey(), nil, claims(one.claims))
			if got := reasonOf(b.judge(t, token)); got != good {
				t.Fatalf("refused for %q before it was revoked", got)
			}
			b.Apply([]*config.Provider{corporate(func(p *config.Provider) { p.Revoked = one.revoked })})
			if got := reasonOf(b.judge(t, token)); got != one.want {
				t.Errorf("refused for %q, want %q", got, one.want)
			}
		})
	}
	t.Run("both of a mapped subject and sub", func(t *testing.T) {
		for _, subject := range []string{"u", "alice"} {
			b := newBench(t, corporate(mapsSubject("uid"), func(p *config.Provider) { p.Revoked = []config.RevokedToken{{Subject: subject}} }))
			if got := reasonOf(b.judge(t, sign(oneKey(), nil, claims(object{"uid": "u"})))); got != reason.TokenRevoked {
				t.Errorf("refused for %q", got)
			}
		}
	})
}
