package authz_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz"
	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/authz/idp"
	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/authz/tokens"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/checkcontext"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

func TestAnonymousCallersTakeAlongNothingOrWhatWeGotOrWhatWeMade(t *testing.T) {
	p := newPort(t)
	if token := onward(t, p.want(p.call("search-as-nobody", "/vessels/search/as-nobody", ""), reason.Everyone)); token != "" {
		t.Errorf("%s goes on", token)
	}
	p.want(p.behind("search-as-nobody", "/vessels/search/as-nobody", ""), reason.Everyone)

	acquired := onward(t, p.want(p.call("search", "/vessels/search", ""), reason.Everyone))
	p.want(p.behind("search", "/vessels/search", acquired), reason.Everyone)
	again := onward(t, p.want(p.call("search", "/vessels/search", ""), reason.Everyone))
	if again != acquired || p.idp.asked() != 1 {
		t.Errorf("asked %d times", p.idp.asked())
	}

	minted := onward(t, p.want(p.call("search-minted", "/vessels/search/minted", ""), reason.Everyone))
	p.want(p.behind("search-minted", "/vessels/search/minted", minted), reason.Everyone)
	if c := claimsOf(t, minted); c["sub"] != "anonymous" || c["aud"] != "search" || fmt.Sprint(c["act"]) != "map[sub:"+edgeURI+"]" {
		t.Errorf("claims %v", c)
	}
}

func TestAUsersTokenIsJudgedAtTheEdgeAndAgainBehindIt(t *testing.T) {
	p := newPort(t)
	reader, writer := p.idp.user("alice", "vessel.read"), p.idp.user("bob")
	ok := p.want(p.call("registry", "/registry/1", reader), reason.Everyone).GetOkResponse()
	if _, set := setBy(ok)["authorization"]; set || slices.Contains(ok.GetHeadersToRemove(), "authorization") {
		t.Error("the caller's own token does not go on as it is")
	}
	p.want(p.behind("registry", "/registry/1", reader), reason.TokenRoleHeld)
	p.want(p.call("registry", "/registry/1", writer), reason.Everyone)
	p.want(p.behind("registry", "/registry/1", writer), reason.TokenRoleMissing)
	p.want(p.call("registry", "/registry/1", ""), reason.TokenMissing)

	p.want(p.call("search-as-nobody", "/vessels/search/as-nobody", reader), reason.CredentialsNotAccepted)
	for name, test := range map[string]struct {
		token string
		want  reason.Reason
	}{
		"garbage":          {"abc", reason.TokenMalformed},
		"another audience": {p.idp.sign(map[string]any{"sub": "alice", "aud": "api://fleet"}), reason.TokenAudience},
		"expired":          {p.idp.sign(map[string]any{"sub": "alice", "exp": fixture.Noon.Add(-time.Hour).Unix()}), reason.TokenExpired},
		"another issuer":   {p.idp.sign(map[string]any{"sub": "alice", "iss": "https://edge.example.org"}), reason.TokenIssuer},
		"another key":      {newStandIn(t, p.clock).user("alice"), reason.TokenKeyUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			p.TB = t
			p.want(p.call("search", "/vessels/search", test.token), test.want) // where the anonymous may
			p.want(p.call("registry", "/registry/1", test.token), test.want)
		})
	}
	if n := p.idp.asked(); n != 0 {
		t.Errorf("%d tokens were got for callers who were refused", n)
	}
}

func TestAUserIsTheSubjectOfTheTokenForTheNextAPI(t *testing.T) {
	p := newPort(t)
	alice := p.idp.user("alice")
	exchanged := onward(t, p.want(p.call("fleet", "/fleet/1", alice), reason.Everyone))
	if c := claimsOf(t, exchanged); c["sub"] != "alice" || fmt.Sprint(c["act"]) != "map[sub:edge]" {
		t.Errorf("claims %v", c)
	}
	if again := onward(t, p.want(p.call("fleet", "/fleet/1", alice), reason.Everyone)); again != exchanged || p.idp.asked() != 1 {
		t.Errorf("asked %d times", p.idp.asked())
	}

	p.idp.fault = &idp.Error{Kind: idp.Refused, Code: "invalid_grant"}
	p.want(p.call("fleet", "/fleet/1", p.idp.user("mallory")), reason.ExchangeRefused)
	p.idp.fault = &idp.Error{Kind: idp.Refused, Code: "interaction_required", Claims: `{"access_token":{}}`}
	denied := p.want(p.call("fleet", "/fleet/1", p.idp.user("carol")), reason.StepUpRequired).GetDeniedResponse()
	if challenge := header(denied.GetHeaders(), "www-authenticate"); !strings.Contains(challenge, "insufficient_claims") || !strings.Contains(challenge, "claims=") {
		t.Errorf("the challenge is %s", challenge)
	}
	p.idp.fault = errors.New("away")
	p.want(p.call("fleet", "/fleet/1", p.idp.user("dave")), reason.TokenUnavailable)
	p.want(p.call("fleet", "/fleet/1", alice), reason.Everyone)
}

func TestATokenForAHopIsOfNoUseToAnybodyElse(t *testing.T) {
	p := newPort(t)
	stolen := onward(t, p.want(p.call("search-minted", "/vessels/search/minted", ""), reason.Everyone))
	direct := p.behind("search-minted", "/vessels/search/minted", stolen)
	p.want(direct, reason.Everyone)
	direct.certificate = p.internal.Client("", fixture.URI("spiffe://example.org/other"))
	p.want(direct, reason.TokenBinding)
	direct.certificate = ""
	p.want(direct, reason.TokenBinding)
	p.want(p.behind("export", "/export", stolen), reason.TokenAudience)
	p.want(p.behind("registry", "/registry/1", stolen), reason.TokenIssuer)
	p.want(p.call("export", "/export", stolen), reason.TokenIssuer)
	p.clock.advance(3 * time.Minute)
	p.want(p.behind("search-minted", "/vessels/search/minted", stolen), reason.TokenExpired)
}

func TestAPartnersServiceGetsATokenForItsCertificateAndCallsWithBoth(t *testing.T) {
	p := newPort(t)
	answer, decision := p.askForToken("grant_type=client_credentials", p.partner)
	var given struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(answer.GetBody()), &given); err != nil || answer.GetStatus().GetCode() != 200 || header(answer.GetHeaders(), "cache-control") != "no-store" {
		t.Fatalf("%s, answered %v, error %v", decision.Detail, answer, err)
	}
	if record := p.ring.Find("id-1"); len(record) == 0 || record[len(record)-1].Status != 200 || record[len(record)-1].Reason != reason.TokenIssued {
		t.Errorf("recorded %+v", record)
	}

	export := p.call("export", "/export", given.Token)
	p.want(export, reason.TokenBinding)
	export.certificate = p.partner
	hop := onward(t, p.want(export, reason.ScopeHeld))
	if c := claimsOf(t, hop); c["sub"] != "consumer:registry-sync" || c["scope"] != "vessels.export" || c["certificate"] == nil {
		t.Errorf("claims %v", c)
	}
	p.want(p.behind("export", "/export", hop), reason.ScopeHeld)
	p.want(p.behind("export", "/export", given.Token), reason.TokenIssuer)
	p.want(p.behind("search-minted", "/vessels/search/minted", given.Token), reason.TokenIssuer)

	refused, decision := p.askForToken("grant_type=password", p.partner)
	if refused.GetStatus().GetCode() != 400 || !strings.Contains(refused.GetBody(), "unsupported_grant_type") {
		t.Errorf("%v answered %v", decision, refused)
	}
	if record := p.ring.Find("id-1"); record[len(record)-1].Status != 400 {
		t.Errorf("recorded %+v", record[len(record)-1])
	}
	for name, certificate := range map[string]string{"nobody": "", "a stranger": p.partners.Client("stranger"), "the edge": p.edge} {
		if refused, decision := p.askForToken("grant_type=client_credentials", certificate); decision.Allowed || strings.Contains(refused.GetBody(), "access_token") {
			t.Errorf("%s gets %v", name, refused)
		}
	}
}

func TestTheTokenEndpointBoundsHowOftenAConsumerAsks(t *testing.T) {
	const grant = "grant_type=client_credentials"
	p := newPort(t)
	for n := range 20 {
		if answer, decision := p.askForToken(grant, p.partner); decision.Reason != reason.TokenIssued {
			t.Fatalf("request %d: %s, answered %v", n, decision.Reason, answer)
		}
	}
	p.Apply(p.model, p.material) // the configuration comes anew, and what was asked for has been
	refused, decision := p.askForToken(grant, p.partner)
	var told map[string]string
	if err := json.Unmarshal([]byte(refused.GetBody()), &told); err != nil || told["error"] != "temporarily_unavailable" || told["error_description"] == "" {
		t.Errorf("answered %s, error %v", refused.GetBody(), err)
	}
	if refused.GetStatus().GetCode() != 429 || header(refused.GetHeaders(), "retry-after") != "1" || header(refused.GetHeaders(), "cache-control") != "no-store" {
		t.Errorf("answered %v", refused)
	}
	if last := decision.Steps[len(decision.Steps)-1]; last.Name != policy.StepForward || !strings.HasPrefix(last.Detail, "429 temporarily_unavailable") {
		t.Errorf("the last step is %+v", last)
	}
	if record := p.ring.Find("id-1"); record[len(record)-1].Status != 429 || record[len(record)-1].Consumer != "registry-sync" {
		t.Errorf("recorded %+v", record[len(record)-1])
	}
	if keys, _ := p.answers("keys", http.MethodGet, "/oauth2/keys", "", "", checkcontext.AnswerKeySet, "partner-tokens"); keys.GetStatus().GetCode() != 200 {
		t.Errorf("the key set is answered %v", keys)
	}
	p.clock.advance(200 * time.Millisecond)
	for _, want := range []int{200, 429} {
		if answer, _ := p.askForToken(grant, p.partner); int(answer.GetStatus().GetCode()) != want {
			t.Errorf("later it is answered %v, want %d", answer, want)
		}
	}
}

func TestASimulationAsksTheTokenEndpointAsOftenAsItLikes(t *testing.T) {
	p := newPort(t, func(c *authz.Config) {
		var err error
		if c.Tokens, err = tokens.New(tokens.Config{Clock: c.Clock, Substitute: tokens.Nobody{}, Uncounted: true}); err != nil {
			t.Fatal(err)
		}
	})
	for range 30 {
		if answer, _ := p.askForToken("grant_type=client_credentials", p.partner); answer.GetStatus().GetCode() != 200 {
			t.Fatalf("answered %v", answer)
		}
	}
}

func TestAnIssuerOfOursTellsItsKeysAndAddresses(t *testing.T) {
	p := newPort(t)
	keys, _ := p.answers("keys", http.MethodGet, "/oauth2/keys", "", "", checkcontext.AnswerKeySet, "partner-tokens")
	if set, _, err := jose.ParseKeySet([]byte(keys.GetBody())); err != nil || set.Len() != 1 {
		t.Errorf("keys %s, error %v", keys.GetBody(), err)
	}
	const wellKnown = "/.well-known/oauth-authorization-server"
	metadata, _ := p.answers("metadata", http.MethodGet, wellKnown, "", "", checkcontext.AnswerIssuerMetadata, "partner-tokens")
	var told map[string]any
	if err := json.Unmarshal([]byte(metadata.GetBody()), &told); err != nil || told["issuer"] != "https://api.example.org" ||
		told["token_endpoint"] != "https://api.example.org/oauth2/token" || told["jwks_uri"] != "https://api.example.org/oauth2/keys" {
		t.Errorf("metadata %s, error %v", metadata.GetBody(), err)
	}
	// The route of a proxy may be of another time.
	for name, other := range map[string][2]string{"another answer": {checkcontext.AnswerToken, "partner-tokens"}, "another provider": {checkcontext.AnswerKeySet, "hop"}} {
		check := p.checkAnswer("keys", http.MethodGet, "/oauth2/keys", "", other[0], other[1])
		response, decision, err := p.Decide(t.Context(), "edge", check)
		if err != nil || decision.Allowed || strings.Contains(response.GetDeniedResponse().GetBody(), "keys") {
			t.Errorf("%s: %v, error %v", name, response, err)
		}
	}
	p.material.Providers = nil
	p.Apply(p.model, p.material)
	if _, decision := p.answers("keys", http.MethodGet, "/oauth2/keys", "", "", checkcontext.AnswerKeySet, "partner-tokens"); decision.Reason != reason.TokenUnavailable {
		t.Errorf("without keys: %s", decision.Reason)
	}
}

func TestOurOwnTokensAreNoneWithoutKeys(t *testing.T) {
	p := newPort(t)
	minted := onward(t, p.want(p.call("search-minted", "/vessels/search/minted", ""), reason.Everyone))
	p.material.Providers = nil
	p.Apply(p.model, p.material)
	p.want(p.call("search-minted", "/vessels/search/minted", ""), reason.TokenUnavailable)
	p.want(p.behind("search-minted", "/vessels/search/minted", minted), reason.ProviderUnavailable)
	p.want(p.call("search-as-nobody", "/vessels/search/as-nobody", ""), reason.Everyone)
}

func TestATokenIsWaitedForNoLongerThanTheCheckLasts(t *testing.T) {
	p := newPort(t)
	p.idp.stuck = true
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	p.wantWithin(ctx, p.call("search", "/vessels/search", ""), reason.TokenUnavailable)
	if ctx.Err() != nil {
		t.Error("the answer comes too late for the proxy")
	}
}

func TestARecordTellsWhatGoesOnAndNoTokenIsWritten(t *testing.T) {
	p := newPort(t)
	alice := p.idp.user("alice")
	var all []string
	for _, test := range []struct {
		ask            ask
		onward, author string
	}{
		{p.call("search", "/vessels/search", ""), "acquire", "corporate"},
		{p.call("search-minted", "/vessels/search/minted", ""), "mint", "hop"},
		{p.call("fleet", "/fleet/1", alice), "exchange", "corporate"},
		{p.call("registry", "/registry/1", alice), "pass", ""},
		{p.call("search-as-nobody", "/vessels/search/as-nobody", ""), "", ""},
	} {
		all = append(all, setBy(p.want(test.ask, reason.Everyone).GetOkResponse())["authorization"])
		records := p.ring.Find("id-1")
		last := records[len(records)-1]
		if last.Onward != test.onward || last.OnwardProvider != test.author {
			t.Errorf("%s: recorded %q by %q", test.ask.rule, last.Onward, last.OnwardProvider)
		}
	}
	text, err := json.Marshal(p.ring.Find("id-1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range append(all, alice) {
		if _, signature, found := strings.Cut(strings.TrimPrefix(secret, "Bearer "), "."); found && strings.Contains(string(text), signature) {
			t.Error("a token is recorded")
		}
	}
}

func TestNoTokenTravelsWithADenial(t *testing.T) {
	p := newPort(t, func(c *authz.Config) { c.Sink = refusingSink{} })
	for _, rule := range []string{"search", "search-minted"} {
		response, decision, err := p.Decide(t.Context(), "edge", p.check(p.call(rule, "/vessels/search", "")))
		if err != nil || decision.Reason != reason.AuditUnavailable || response.GetOkResponse() != nil || strings.Contains(response.String(), "Bearer ey") {
			t.Errorf("%s: %v, %v, error %v", rule, decision.Reason, response, err)
		}
	}
}

// refusingSink keeps no admission.
type refusingSink struct{}

func (refusingSink) Record(audit.Record) error { return errors.New("the disk is full") }

func TestWhoIsOnlyPresumedGetsNoTokenAndIsToldWhatWouldGoOn(t *testing.T) {
	p := newPort(t)
	for rule, path := range map[string]string{"search": "/vessels/search", "search-minted": "/vessels/search/minted"} {
		response, decision, err := p.DecideAs(policy.Hypothesis{At: p.clock.Now()})(t.Context(), "edge", p.check(p.call(rule, path, "")))
		if err != nil || !decision.Allowed || onward(t, response) != "" {
			t.Errorf("%s: %v, error %v", rule, response, err)
		}
		if last := decision.Steps[len(decision.Steps)-1]; last.Name != policy.StepForward || !strings.HasPrefix(last.Detail, "a token ") {
			t.Errorf("%s: the last step is %+v", rule, last)
		}
	}
	if n := p.idp.asked(); n != 0 {
		t.Errorf("%d tokens were got", n)
	}
	keys := p.checkAnswer("keys", http.MethodGet, "/oauth2/keys", "", checkcontext.AnswerKeySet, "partner-tokens")
	response, decision, err := p.DecideAs(policy.Hypothesis{At: p.clock.Now()})(t.Context(), "edge", keys)
	if err != nil || !decision.Allowed || response.GetDeniedResponse().GetStatus().GetCode() != 200 || response.GetDeniedResponse().GetBody() != "" {
		t.Errorf("%v, answered %v, error %v", decision, response, err)
	}
}

func TestAServiceWithoutTokensTakesAndGetsNone(t *testing.T) {
	p := newPort(t, func(c *authz.Config) { c.Tokens = nil })
	p.want(p.call("registry", "/registry/1", p.idp.user("alice")), reason.ProviderUnavailable)
	p.want(p.call("search", "/vessels/search", ""), reason.TokenUnavailable)
	p.want(p.call("search-as-nobody", "/vessels/search/as-nobody", ""), reason.Everyone)
}

func TestWhatIsTakenBackCountsForTokensThatAreOut(t *testing.T) {
	p := newPort(t)
	given, _ := p.askForToken("grant_type=client_credentials", p.partner)
	var bound struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(given.GetBody()), &bound); err != nil {
		t.Fatal(err)
	}
	export := p.call("export", "/export", bound.Token)
	export.certificate = p.partner
	hop := onward(t, p.want(export, reason.ScopeHeld))
	alice := p.idp.user("alice")
	p.want(p.call("fleet", "/fleet/1", alice), reason.Everyone)

	withdrawn := p.model.Without(config.Withdrawals{
		Suspended: []string{"registry-sync"},
		Revoked:   map[string][]*sallyportv1.RevokedToken{"corporate": {{Subject: "alice"}}},
	})
	p.Apply(withdrawn, p.material)
	p.want(export, reason.ConsumerSuspended)
	p.want(p.behind("export", "/export", hop), reason.ConsumerSuspended)
	p.want(p.call("fleet", "/fleet/1", alice), reason.TokenRevoked)
	if answer, decision := p.askForToken("grant_type=client_credentials", p.partner); decision.Reason != reason.ConsumerSuspended || strings.Contains(answer.GetBody(), "access_token") {
		t.Errorf("%s, answered %v", decision.Reason, answer)
	}

	p.Apply(p.model, p.material)
	p.want(export, reason.ScopeHeld)
	providers := p.material.Providers
	p.material = fixture.Material(fixture.Truststore("partners", fixture.NewAuthority(t, "others")), fixture.Truststore("internal", p.internal))
	p.material.Providers = providers
	p.Apply(p.model, p.material)
	p.want(p.behind("export", "/export", hop), reason.CertificateUntrusted) // whose authority nobody trusts any more
}
