package config

import (
	"slices"
	"strings"
	"testing"
	"time"

	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

const (
	corporate = "{issuers: ['https://login.example.org/tenant'], audiences: ['api://persons'], may_assert: {roles: [person.read], scopes: [persons]}, client: {id: edge, secret: 'env:SECRET'}}"
	hop       = "{issuers: ['https://edge.example.org'], mint: {class: hop}}"
	partner   = "{issuers: ['https://api.example.org'], mint: {class: partner, grants: [{consumers: [mapps], audiences: [api], scopes: [read]}]}}"
)

// tokens is the base with two Providers, a policy that takes tokens of the first, and an Upstream with TLS that gets some.
func tokens() files {
	return base().
		add("providers.yaml", resource("Provider", "corporate", corporate)+"---\n"+resource("Provider", "hop", hop)).
		add("users.yaml", resource("Policy", "users", "{authenticate: {jwt: {providers: [corporate]}}, authorize: [{name: readers, token_roles: [person.read]}]}")).
		add("sidecar.yaml", resource("Certificate", "edge-client", "{issued: {authority: partner-ca, profile: client, uris: ['spiffe://example.org/edge']}}")+"---\n"+
			resource("Upstream", "sidecar", "{endpoints: {dns: 'sidecar.internal:8443'}, tls: {truststore: partners, server_name: sidecar.internal, client_certificate: edge-client}, "+
				"token: {user: {exchange: {provider: corporate, audience: 'api://persons'}}, anonymous: {mint: {audience: sidecar}}}}")).
		replace("  - {name: all,", "  - {name: user, match: {prefix: /users}, upstreams: [{name: sidecar}], policy: users}\n  - {name: all,")
}

func TestAProviderIsCompleted(t *testing.T) {
	model := build(t, tokens())
	p := model.Provider("corporate")
	if !slices.Equal(p.Algorithms, []string{"RS256", "PS256", "ES256", "EdDSA"}) || !slices.Equal(p.Types, []string{"at+jwt", "jwt", ""}) {
		t.Errorf("algorithms %v, types %q", p.Algorithms, p.Types)
	}
	if p.Leeway != 30*time.Second || p.MaxStale != 24*time.Hour || !p.Remote() || !p.Roles["person.read"] || p.Roles["other"] {
		t.Errorf("leeway %v, stale %v, remote %t, roles %v", p.Leeway, p.MaxStale, p.Remote(), p.Roles)
	}
	if got := p.Claims.Scopes; !slices.Equal(got, []ClaimName{"scope", "scp"}) {
		t.Errorf("scopes stand in %v", got)
	}
	ours := model.Provider("hop")
	if ours.Remote() || !slices.Equal(ours.Types, []string{HopType}) || ours.Mint.Lifetime != 2*time.Minute || ours.Mint.RotateEvery != 720*time.Hour {
		t.Errorf("our own: types %q, %+v", ours.Types, ours.Mint)
	}
	sent := model.Upstream("sidecar").Token
	if sent.User.Kind != DisposalExchange || sent.User.Provider != p || sent.Certificate.Kind != DisposalRemove ||
		sent.Anonymous.Kind != DisposalMint || sent.Anonymous.Provider != ours || sent.Anonymous.BoundTo != "spiffe://example.org/edge" {
		t.Errorf("the upstream gets %+v", sent)
	}
	if !model.Route("persons").Rules[0].Fetches() || model.Route("persons").Rules[1].Fetches() {
		t.Error("which rules may fetch is not told")
	}
}

func TestAnAnswerAboutATokenNeedsAnAudienceUnlessTheConfigurationSaysOtherwise(t *testing.T) {
	for written, want := range map[string]bool{"{}": false, "{without_audience: true}": true} {
		model := build(t, tokens().replace("audiences: ['api://persons'], ", "audiences: ['api://persons'], introspection: "+written+", "))
		if got := model.Provider("corporate").Introspection; got == nil || got.WithoutAudience != want || got.Cache != DefaultIntrospectionCache {
			t.Errorf("%s: %+v", written, got)
		}
	}
}

func TestTheNameOfAClaimCanBeAPath(t *testing.T) {
	if got := ClaimName("realm_access.roles").Path(); !slices.Equal(got, []string{"realm_access", "roles"}) {
		t.Errorf("path %q", got)
	}
	if got := ClaimName("roles").Path(); got != nil {
		t.Errorf("path %q", got)
	}
}

func TestMistakesInProvidersAndTokens(t *testing.T) {
	corporateIs := func(old, with string) files { return tokens().replace(old, with) }
	answering := func(rule string) files {
		return tokens().add("partner.yaml", resource("Provider", "partner", partner)).
			replace("  - {name: all,", "  - "+rule+"\n  - {name: all,")
	}
	for name, test := range map[string]struct {
		files files
		want  string // a part of the only problem
	}{
		"by http":                           {corporateIs("https://login.example.org/tenant", "http://login.example.org"), "spec.issuers[0]: is not https"},
		"keys by http":                      {corporateIs("audiences:", "jwks_uri: 'http://login.example.org/keys', audiences:"), "spec.jwks_uri: is not https"},
		"no audience":                       {corporateIs("audiences: ['api://persons'], ", ""), "spec.audiences: is missing: without an audience"},
		"a symmetric algorithm":             {corporateIs("audiences:", "algorithms: [HS256], audiences:"), "spec.algorithms[0]: "},
		"none":                              {corporateIs("audiences:", "algorithms: [none], audiences:"), "spec.algorithms[0]: "},
		"a leeway beyond a minute":          {corporateIs("audiences:", "leeway: 61s, audiences:"), "spec.leeway: expected 0s to 1m"},
		"two key sets":                      {corporateIs("audiences:", "jwks_uri: 'https://login.example.org/keys', key_set: 'file:keys.json', audiences:"), "stands beside `jwks_uri`"},
		"introspection by nobody":           {tokens().replace(", client: {id: edge, secret: 'env:SECRET'}", ", introspection: {}").replace("user: {exchange: {provider: corporate, audience: 'api://persons'}}, ", ""), "needs a `client`"},
		"no secret":                         {corporateIs("secret: 'env:SECRET'", "authentication: client_secret_post"), "spec.client.secret: is missing"},
		"a secret for another method":       {corporateIs("secret: 'env:SECRET'", "secret: 'env:SECRET', authentication: private_key_jwt, private_key: 'file:key.pem'"), "spec.client.secret: is of no use"},
		"a secret as it is":                 {corporateIs("'env:SECRET'", "'hunter2hunter2'"), "expected a reference such as"},
		"a parameter of ours":               {corporateIs("secret: 'env:SECRET'", "secret: 'env:SECRET', parameters: {scope: all}"), "is set by us"},
		"revoked by two criteria":           {corporateIs("audiences:", "revoked: [{jti: a, sid: b}], audiences:"), "spec.revoked[0]: give exactly one"},
		"revoked before, but whose":         {corporateIs("audiences:", "revoked: [{jti: a, issued_before: '2030-01-01T00:00:00Z'}], audiences:"), "goes with `subject`"},
		"our own, with another's keys":      {tokens().replace("mint: {class: hop}", "mint: {class: hop}, jwks_uri: 'https://edge.example.org/keys'"), "spec.jwks_uri: has no place beside `mint`"},
		"grants for hops":                   {tokens().replace("class: hop", "class: hop, grants: [{consumers: [mapps], audiences: [a]}]"), "belong to tokens of class `partner`"},
		"longer than five minutes":          {tokens().replace("class: hop", "class: hop, lifetime: 301s"), "expected 10s to 5m"},
		"one issuer of two":                 {tokens().replace("https://edge.example.org", "https://login.example.org/tenant"), "makes tokens of our own"},
		"a key of two classes":              {tokens().replace("class: hop", "class: hop, keys: ['file:a.pem']").add("partner.yaml", resource("Provider", "partner", strings.Replace(partner, "class: partner", "class: partner, keys: ['file:a.pem']", 1))).replace("  - {name: all,", "  - {name: keys, match: {exact: /keys}, key_set: partner, policy: users}\n  - {name: all,"), "classes of tokens differ in their keys"},
		"nobody's audience":                 {tokens().replace("jwt: {providers: [corporate]}", "jwt: {providers: [corporate], audiences: [b]}"), `no Provider here has the audience "b"`},
		"our own tokens for anybody":        {tokens().add("s.yaml", resource("Policy", "s", "{authenticate: {jwt: {providers: [hop]}}, authorize: [{name: a, everyone: true}]}")).replace("prefix: /v1/persons}, upstreams: [{name: api}], policy: partners", "prefix: /v1/persons}, upstreams: [{name: api}], policy: s"), "spec.authenticate.jwt.audiences: is missing"},
		"claims of our own tokens":          {tokens().replace("mint: {class: hop}", "mint: {class: hop}, claims: {subject: user}"), "spec.claims: has no place beside `mint`"},
		"keys that are given and rotate":    {tokens().replace("class: hop", "class: hop, keys: ['file:a.pem'], rotate_every: 24h"), "spec.mint.rotate_every: is of keys that are generated"},
		"stale material":                    {corporateIs("audiences:", "key_set: 'file:keys.json', max_stale: 1h, audiences:"), "spec.max_stale: has no effect"},
		"a key that nobody has":             {corporateIs("secret: 'env:SECRET'", "secret: 'env:SECRET', key_id: a"), "spec.client.key_id: is of no use"},
		"a token as a parameter":            {corporateIs("secret: 'env:SECRET'", "secret: 'env:SECRET', parameters: {token: a}"), "is set by us"},
		"bound to another name":             {tokens().replace("mint: {audience: sidecar}", "mint: {audience: sidecar, bound_to: 'spiffe://example.org/other'}"), "is no URI of the Certificate"},
		"a client of no use":                {tokens().replace("user: {exchange: {provider: corporate, audience: 'api://persons'}}, ", ""), "warning: the `client` of the Provider \"corporate\" has no effect"},
		"less time to fetch than to decide": {tokens().replace("  group: edge\n", "  group: edge\n  authorization: {timeout: 2s, fetch_timeout: 1s}\n"), "spec.authorization.fetch_timeout: is shorter"},
		"passed for nobody":                 {tokens().replace("anonymous: {mint: {audience: sidecar}}", "anonymous: {pass: true}"), "spec.token.anonymous: there is no token to pass"},
		"exchanged by a stranger":           {tokens().replace(", client: {id: edge, secret: 'env:SECRET'}", ""), "has no `client`"},
		"acquired from ourselves":           {tokens().replace("mint: {audience: sidecar}", "acquire: {provider: hop}"), "is ourselves: use `mint`"},
		"minted for anybody who has it":     {tokens().replace(", client_certificate: edge-client", ""), "needs `tls` with a `client_certificate`"},
		"bound to what nobody knows":        {tokens().replace("issued: {authority: partner-ca, profile: client, uris: ['spiffe://example.org/edge']}", "material: {certificate: 'file:a.pem', private_key: 'file:a-key.pem'}"), "bound_to: is missing"},
		"one audience of two upstreams":     {tokens().add("b.yaml", resource("Upstream", "second", "{endpoints: {dns: 'b.internal:8443'}, tls: {truststore: partners, server_name: b.internal, client_certificate: edge-client}, token: {anonymous: {mint: {audience: sidecar}}}}")), "a token for one would be good for the other"},
		"sent to another's issuer":          {tokens().add("other.yaml", resource("Provider", "other", strings.Replace(corporate, "login.", "other.", 1))).replace("jwt: {providers: [corporate]}", "jwt: {providers: [corporate, other]}"), `would be sent tokens of the Provider "other"`},
		"a token endpoint for hops":         {answering("{name: t, match: {exact: /token}, token_endpoint: hop, policy: partners}"), "for which nobody asks"},
		"a token endpoint without callers":  {answering("{name: t, match: {exact: /token}, token_endpoint: partner, policy: users}"), "would give tokens to callers without a certificate"},
		"a token endpoint everywhere":       {answering("{name: t, match: {prefix: /token}, token_endpoint: partner, policy: partners}"), "needs an exact match"},
		"keys of somebody else":             {answering("{name: t, match: {exact: /keys}, key_set: corporate, policy: partners}"), "is somebody else's"},
		"two answers":                       {answering("{name: t, match: {exact: /keys}, key_set: partner, whoami: true, policy: partners}"), "stands beside `whoami`"},
		"two answers to a browser":          {tokens().add("r.yaml", resource("Route", "more", "{gateway: edge, hostnames: [api.example.org], cors: {allow_origins: ['https://app.example.org']}, rules: [{name: m, match: {prefix: /more}, upstreams: [{name: api}], policy: users}]}")), "it holds for a hostname as a whole"},
		"any origin":                        {tokens().replace("  rules:\n  - {name: user", "  cors: {allow_origins: ['*']}\n  rules:\n  - {name: user"), "spec.cors.allow_origins[0]: expected an origin"},
		"tokens of two consumers":           {tokens().replace("  roles: [reader]\n", "  roles: [reader]\n  tokens: [{provider: corporate, client_id: a}]\n").add("c.yaml", resource("Consumer", "nsp", "{tokens: [{provider: corporate, client_id: a}]}")), "the same tokens are claimed"},
		"tokens of two consumers, in part":  {tokens().replace("  roles: [reader]\n", "  roles: [reader]\n  tokens: [{provider: corporate, client_id: a}]\n").add("c.yaml", resource("Consumer", "nsp", "{tokens: [{provider: corporate, client_id: a, subject: b}]}")), "every such token is claimed"},
		"a consumer's tokens, by ourselves": {tokens().replace("  roles: [reader]\n", "  roles: [reader]\n  tokens: [{provider: hop, client_id: a}]\n"), "its tokens name the Consumer"},
		"a role that nobody may assert":     {tokens().replace("token_roles: [person.read]", "token_roles: [admin]"), `warning: the rule "readers": no Provider of the Policy "users" may assert the role "admin"`},
		"a scope that nobody may assert":    {tokens().replace("token_roles: [person.read]", "scopes: [all]"), `may assert the scope "all"`},
		"a token's role without a token":    {base().replace("permissions: consumer_roles}]", "permissions: consumer_roles}, {name: b, token_roles: [a]}]"), `warning: the rule "b" lets nobody in: the Policy "partners" asks for no token`},
		"rules under trial alone":           {tokens().replace("token_roles: [person.read]}", "token_roles: [person.read], shadow: true}"), `warning: the Policy "users" lets nobody in: all of its rules are`},
		"a Provider that nobody names":      {base().add("p.yaml", resource("Provider", "corporate", corporate)), "warning: no Policy, Upstream or Route names the Provider"},
		"tokens in plaintext":               {tokens().replace(`{addresses: ["10.0.0.7:8080"]}`, `{addresses: ["10.0.0.7:8080"]}`+"\n  token: {user: {pass: true}}"), "warning: tokens travel to the Upstream \"api\" in plaintext"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, got := read(test.files); len(got) != 1 || !strings.Contains(got[0], test.want) {
				t.Errorf("found %q, want one with %q", got, test.want)
			}
		})
	}
}

func TestWhatIsValidOfTokens(t *testing.T) {
	for name, f := range map[string]files{
		"all of it": tokens(),
		"a token endpoint, its keys and its metadata": tokens().add("partner.yaml", resource("Provider", "partner", partner)).
			replace("  - {name: all,", "  - {name: t, match: {exact: /token, methods: [POST]}, token_endpoint: partner, policy: partners}\n"+
				"  - {name: k, match: {exact: /keys}, key_set: partner, policy: partners}\n  - {name: m, match: {exact: /metadata}, issuer_metadata: partner, policy: partners}\n  - {name: all,"),
		"tokens of class hop for one upstream": tokens().add("s.yaml", resource("Policy", "s", "{authenticate: {jwt: {providers: [hop], audiences: [sidecar]}}, authorize: [{name: a, everyone: true}]}")).
			replace("prefix: /users}, upstreams: [{name: sidecar}], policy: users", "prefix: /users}, upstreams: [{name: sidecar}], policy: users}\n  - {name: s, match: {prefix: /s}, upstreams: [{name: api}], policy: s"),
		"one answer to a browser": tokens().replace("  rules:\n  - {name: user", "  cors: {allow_origins: ['https://app.example.org', 'https://*.example.org']}\n  rules:\n  - {name: user"),
		"a consumer by token":     tokens().add("c.yaml", resource("Consumer", "nsp", "{tokens: [{provider: corporate, client_id: a}, {provider: corporate, subject: b}]}")),
	} {
		t.Run(name, func(t *testing.T) { expectProblems(t, f) })
	}
}

func TestARevokedTokenCountsWhateverElseIsBroken(t *testing.T) {
	revoking := tokens().replace("audiences: ['api://persons']", "audiences: ['api://persons'], revoked: [{sid: stolen}]")
	model := build(t, tokens())
	got := model.Without(WithdrawalsOf(documentsOf(t, revoking.replace("gateway: edge", "gatway: edge"))))
	want := build(t, revoking)
	if got.Revision() != want.Revision() || len(got.Provider("corporate").Revoked) != 1 || got.Provider("corporate").Revoked[0].Session != "stolen" {
		t.Errorf("revoked are %+v", got.Provider("corporate").Revoked)
	}
	if again := want.Without(WithdrawalsOf(documentsOf(t, revoking))); again != want {
		t.Error("a Model that has the revocation has become another")
	}
	ill := Withdrawals{Revoked: map[string][]*sallyportv1.RevokedToken{"corporate": {{Jti: "a", Sid: "b"}}}}
	if model.Without(ill) != model {
		t.Error("an entry that nobody can read has changed the Model")
	}
}
