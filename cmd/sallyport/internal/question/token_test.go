package question_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/question"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// registry is an edge with a sidecar behind it, to which each route sends something else in the Authorization header.
const registry = `api_version: sallyport/v1
kind: Provider
metadata: {name: idp0}
spec:
  issuers: ["https://idp0.example.org"]
  audiences: [vessels]
  may_assert: {roles: [reader, writer], scopes: [own]}
  client: {id: edge, secret: "env:SECRET"}
---
api_version: sallyport/v1
kind: Provider
metadata: {name: hop}
spec: {issuers: ["https://edge.example.org"], may_assert: {roles: [reader, writer]}, mint: {class: hop}}
---
` + internals + `api_version: sallyport/v1
kind: Gateway
metadata: {name: edge}
spec:
  group: edge
  listeners:
  - {name: https, address: 0.0.0.0, port: 8443, tls: [{hostnames: [api.example.org], certificate: server}]}
---
api_version: sallyport/v1
kind: Gateway
metadata: {name: sidecar}
spec:
  group: sidecar
  listeners:
  - {name: https, address: 127.0.0.1, port: 9443, tls: [{hostnames: [vessels.internal], certificate: server, client_auth: {mode: required, truststores: [internal]}}]}
---
api_version: sallyport/v1
kind: Upstream
metadata: {name: passed}
spec:
  endpoints: {addresses: ["127.0.0.1:9443"]}
  tls: {truststore: internal, server_name: vessels.internal, client_certificate: edge-client}
  token: {user: {pass: true}, anonymous: {acquire: {provider: idp0}}}
---
api_version: sallyport/v1
kind: Upstream
metadata: {name: minted}
spec:
  endpoints: {addresses: ["127.0.0.1:9443"]}
  tls: {truststore: internal, server_name: vessels.internal, client_certificate: edge-client}
  token: {user: {mint: {audience: minted, claims: [roles]}}}
---
api_version: sallyport/v1
kind: Upstream
metadata: {name: exchanged}
spec:
  endpoints: {addresses: ["127.0.0.1:9443"]}
  tls: {truststore: internal, server_name: vessels.internal, client_certificate: edge-client}
  token: {user: {exchange: {provider: idp0, audience: vessels}}}
---
api_version: sallyport/v1
kind: Upstream
metadata: {name: api}
spec: {endpoints: {addresses: ["127.0.0.1:7000"]}}
---
api_version: sallyport/v1
kind: Route
metadata: {name: edge}
spec:
  gateway: edge
  hostnames: [api.example.org]
  rules:
  - {name: passed, match: {prefix: /passed}, upstreams: [{name: passed}], policy: signed-in}
  - {name: minted, match: {prefix: /minted}, upstreams: [{name: minted}], policy: signed-in}
  - {name: exchanged, match: {prefix: /exchanged}, upstreams: [{name: exchanged}], policy: signed-in}
  - {name: writes, match: {prefix: /writes}, upstreams: [{name: api}], policy: writers}
  - {name: search, match: {prefix: /search}, upstreams: [{name: passed}], policy: anybody}
---
api_version: sallyport/v1
kind: Route
metadata: {name: sidecar}
spec:
  gateway: sidecar
  hostnames: [vessels.internal]
  rules:
  - {name: minted, match: {prefix: /minted}, upstreams: [{name: api}], policy: from-the-edge}
  - {name: search, match: {prefix: /search}, upstreams: [{name: api}], policy: any-token}
  - {name: rest, match: {prefix: /}, upstreams: [{name: api}], policy: writers}
---
api_version: sallyport/v1
kind: Policy
metadata: {name: signed-in}
spec:
  authenticate: {jwt: {providers: [idp0]}}
  authorize: [{name: users, everyone: true}]
---
api_version: sallyport/v1
kind: Policy
metadata: {name: anybody}
spec:
  authenticate: {any_of: [{jwt: {providers: [idp0]}}, {anonymous: {}}]}
  authorize: [{name: anyone, everyone: true}]
---
api_version: sallyport/v1
kind: Policy
metadata: {name: any-token}
spec:
  authenticate: {jwt: {providers: [idp0]}}
  authorize: [{name: edge, everyone: true, when: "token.client_id == 'edge'"}]
---
api_version: sallyport/v1
kind: Policy
metadata: {name: writers}
spec:
  authenticate: {jwt: {providers: [idp0]}}
  authorize:
  - {name: writers, token_roles: [writer]}
  - {name: owners, scopes: [own], when: "token.claims.company == 'a'"}
  deny: {disclose: detail}
---
api_version: sallyport/v1
kind: Policy
metadata: {name: from-the-edge}
spec:
  authenticate: {jwt: {providers: [hop], audiences: [minted]}}
  authorize: [{name: writers, token_roles: [writer]}]`

// token is a real one of idp0.
func token(t *testing.T, changes map[string]any) []byte {
	t.Helper()
	claims := map[string]any{"iss": "https://idp0.example.org", "sub": "alice", "aud": "vessels", "exp": noon.Add(time.Hour).Unix()}
	for name, value := range changes {
		claims[name] = value
	}
	signed, err := signers()["idp0"].Sign("at+jwt", claims)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(signed)
}

// keysOf are the key sets that vouch for the named signer's tokens in the place of idp0's.
func keysOf(t *testing.T, signer string) map[string]*jose.KeySet {
	t.Helper()
	encoded, err := jose.MarshalKeySet([]jose.Key{signers()[signer].Public()})
	if err != nil {
		t.Fatal(err)
	}
	set, _, err := jose.ParseKeySet(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*jose.KeySet{"idp0": set}
}

func ask(t *testing.T, answers *question.Answers, of *adminv1.ExplainRequest) *adminv1.ExplainResponse {
	t.Helper()
	answer, err := answers.Explain(t.Context(), of)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestATokenIsJudgedByTheKeysAtHand(t *testing.T) {
	const writes = "https://api.example.org/writes"
	role := map[string]any{"roles": []string{"writer"}}
	for name, c := range map[string]struct {
		keys    map[string]*jose.KeySet
		token   []byte
		verdict string
		why     string
		note    string
	}{
		"with its key":             {keysOf(t, "idp0"), token(t, role), question.Allowed, "reaches api", ""},
		"with another key":         {keysOf(t, "idp1"), token(t, role), question.Denied, string(reason.TokenKeyUnknown), ""},
		"without a key":            {nil, token(t, role), question.Allowed, "the token's signature was not verified here", "anybody could have made the token"},
		"without a key, expired":   {nil, token(t, map[string]any{"exp": noon.Add(-time.Hour).Unix()}), question.Denied, string(reason.TokenExpired), "anybody could have made the token"},
		"without the role":         {keysOf(t, "idp0"), token(t, nil), question.Denied, string(reason.ScopeMissing), ""},
		"with a claim":             {keysOf(t, "idp0"), token(t, map[string]any{"scope": "own", "company": "a"}), question.Allowed, "reaches api", ""},
		"with another claim":       {keysOf(t, "idp0"), token(t, map[string]any{"scope": "own", "company": "b"}), question.Denied, string(reason.ConditionNotMet), ""},
		"of nobody that is known":  {nil, token(t, map[string]any{"iss": "https://other.example.org"}), question.Denied, string(reason.TokenIssuer), ""},
		"that cannot be read":      {nil, []byte("abc.def.ghi"), question.Denied, string(reason.TokenMalformed), ""},
		"with key, other audience": {keysOf(t, "idp0"), token(t, map[string]any{"aud": "them"}), question.Denied, string(reason.TokenAudience), ""},
	} {
		answers := answersOf(t, registry, func(c2 *question.Config) { c2.Keys = c.keys })
		answer := ask(t, answers, &adminv1.ExplainRequest{Inquiry: get(writes), Token: c.token})
		noted := slices.ContainsFunc(answer.GetNotes(), func(note string) bool { return strings.Contains(note, "anybody could have made") })
		if answer.GetVerdict() != c.verdict || !strings.Contains(answer.GetSummary(), c.why) || noted != (c.note != "") {
			t.Errorf("%s: %s %q", name, answer.GetSummary(), answer.GetNotes())
		}
	}
}

func TestARunningServersJudgeIsTheOneThatCounts(t *testing.T) {
	asked := 0
	answers := answersOf(t, registry, func(c *question.Config) {
		c.Judge = func(_ context.Context, providers, _ []string, token string, now time.Time) *bearer.Verdict {
			asked++
			if providers[0] != "idp0" || token != "opaque" || !now.Equal(noon) {
				t.Errorf("asked about %v, %q at %s", providers, token, now)
			}
			return &bearer.Verdict{Refusal: &bearer.Refusal{Reason: reason.TokenInactive, Detail: "it is not active"}}
		}
	})
	answer := ask(t, answers, &adminv1.ExplainRequest{Inquiry: get("https://api.example.org/writes"), Token: []byte("opaque")})
	if asked == 0 || answer.GetPassages()[0].GetReason() != string(reason.TokenInactive) || answer.GetVerdict() != question.Denied {
		t.Errorf("%s", answer.GetSummary())
	}
}

func TestWhatIsSentOnIsJudgedByTheNextGateway(t *testing.T) {
	writer := &adminv1.PresumedToken{Provider: "idp0", Roles: []string{"writer"}}
	reader := &adminv1.PresumedToken{Provider: "idp0", Roles: []string{"reader"}}
	owner := &adminv1.PresumedToken{Provider: "idp0", Scopes: []string{"own"}}
	for name, c := range map[string]struct {
		path    string
		asToken *adminv1.PresumedToken
		verdict string
		why     string
	}{
		"passed":                            {"/passed", writer, question.Allowed, "reaches api"},
		"passed, without the role":          {"/passed", reader, question.Denied, "sidecar answers 403"},
		"passed, with claims that are open": {"/passed", owner, question.Unknown, "not all is known here that the token says"},
		"minted":                            {"/minted", writer, question.Allowed, "reaches api"},
		"minted, without the role":          {"/minted", reader, question.Denied, "token_role_missing"},
		"exchanged":                         {"/exchanged", writer, question.Allowed, "reaches api"},
		"exchanged, without the role":       {"/exchanged", reader, question.Unknown, "not all is known here that the token says"},
		"acquired for nobody in particular": {"/search", nil, question.Allowed, "reaches api"},
	} {
		of := &adminv1.ExplainRequest{Inquiry: get("https://api.example.org" + c.path), AsToken: c.asToken}
		if c.asToken == nil {
			of.Caller = &adminv1.ExplainRequest_Anonymous{Anonymous: true}
		}
		answer := ask(t, answersOf(t, registry), of)
		if answer.GetVerdict() != c.verdict || !strings.Contains(answer.GetSummary(), c.why) || len(answer.GetPassages()) != 2 {
			t.Errorf("%s: %d gateways, %s", name, len(answer.GetPassages()), answer.GetSummary())
		}
	}
}

func TestARealTokenIsPassedOnAndMintedFrom(t *testing.T) {
	answers := answersOf(t, registry, func(c *question.Config) { c.Keys = keysOf(t, "idp0") })
	for path, want := range map[string]string{"/passed": question.Allowed, "/minted": question.Allowed} {
		answer := ask(t, answers, &adminv1.ExplainRequest{Inquiry: get("https://api.example.org" + path), Token: token(t, map[string]any{"roles": "writer"})})
		if answer.GetVerdict() != want || len(answer.GetPassages()) != 2 {
			t.Errorf("%s: %s", path, answer.GetSummary())
		}
	}
}

func TestWhoCanTellsWhichRolesAndScopesATokenNeeds(t *testing.T) {
	answers := answersOf(t, registry)
	answer, err := answers.WhoCan(t.Context(), &adminv1.WhoCanRequest{Inquiry: get("https://api.example.org/writes")})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := question.WriteWhoCan(&b, answer); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, of := range answer.GetTokens() {
		got[of.GetProvider()+" "+of.GetRole()+of.GetScope()] = of.GetAdmission().GetVerdict()
	}
	want := map[string]string{"idp0 ": question.Denied, "idp0 writer": question.Allowed, "idp0 own": question.Conditional}
	if len(got) != len(want) || got["idp0 "] != want["idp0 "] || got["idp0 writer"] != want["idp0 writer"] || got["idp0 own"] != want["idp0 own"] {
		t.Errorf("tokens %v\n%s", got, b.String())
	}
	for _, line := range []string{"(token of idp0 with the role writer)  yes", "(token of idp0 with the scope own)    if", `token.claims.company == "a"`} {
		if !strings.Contains(b.String(), line) {
			t.Errorf("%q is not in\n%s", line, b.String())
		}
	}
}

func TestCanTellsWhatSomebodyWithATokenMayDo(t *testing.T) {
	answer, err := answersOf(t, registry).Can(t.Context(), &adminv1.CanRequest{AsToken: &adminv1.PresumedToken{Provider: "idp0", Roles: []string{"writer"}}})
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, grant := range answer.GetGrants() {
		paths = append(paths, grant.GetMatch().GetPath())
	}
	slices.Sort(paths)
	if !slices.Equal(paths, []string{"/exchanged", "/minted", "/passed", "/search", "/writes"}) || answer.GetConsumer() != "" ||
		!strings.Contains(answer.GetCaller(), "the Provider idp0 with the role writer") {
		t.Errorf("%s: %v", answer.GetCaller(), paths)
	}
}

func TestAMistakeAboutATokenIsTold(t *testing.T) {
	answers := answersOf(t, registry)
	header := &adminv1.Inquiry{Method: "GET", Url: "https://api.example.org/writes", Headers: []*adminv1.Header{{Name: "Authorization", Value: "Bearer x"}}}
	for want, of := range map[string]*adminv1.ExplainRequest{
		"there is no Provider \"idp2\"; did you mean":   {Inquiry: get("https://api.example.org/writes"), AsToken: &adminv1.PresumedToken{Provider: "idp2"}},
		"may not assert the role \"writr\"":             {Inquiry: get("https://api.example.org/writes"), AsToken: &adminv1.PresumedToken{Provider: "idp0", Roles: []string{"writr"}}},
		"may not assert the scope":                      {Inquiry: get("https://api.example.org/writes"), AsToken: &adminv1.PresumedToken{Provider: "idp0", Scopes: []string{"x"}}},
		"a caller comes with one token":                 {Inquiry: header, Token: token(t, nil)},
		"has more than 8192 bytes":                      {Inquiry: get("https://api.example.org/writes"), Token: bytes.Repeat([]byte("x"), 9000)},
		"this is no bearer token":                       {Inquiry: get("https://api.example.org/writes"), Token: []byte("two words")},
		"with a certificate that is judged, no token c": {Inquiry: get("https://api.example.org/writes"), AsToken: &adminv1.PresumedToken{Provider: "idp0"}, Caller: &adminv1.ExplainRequest_CertificatePem{CertificatePem: "x"}},
	} {
		_, err := answers.Explain(t.Context(), of)
		var mistake question.Mistake
		if !errors.As(err, &mistake) || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
		if err != nil && len(of.GetToken()) > 0 && len(of.GetToken()) < 1000 && strings.Contains(err.Error(), string(of.GetToken())) {
			t.Errorf("the token is in %v", err)
		}
	}
}
