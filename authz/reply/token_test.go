package reply_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/authz/reply"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/checkcontext"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

func alice(d *policy.Decision) {
	d.Consumer, d.Certificate, d.Truststore = "", nil, ""
	d.Token = &bearer.Token{
		Provider: &config.Provider{Header: config.Header{Name: "corporate"}}, Subject: "alice", Roles: []string{"clerk"}, Scopes: []string{"read"},
		Expires: fixture.Noon, Raw: "secret",
	}
}

// What the caller sent as its credentials must never reach an upstream by default, and a header that Envoy is told to set and to remove
// would be removed.
func TestAuthorizationGoesOnOnlyAsTheServiceSays(t *testing.T) {
	p := reply.Compile(forwarding(), slices.Values(headers))
	for name, test := range map[string]struct {
		onward  reply.Onward
		change  func(*policy.Decision)
		set     string
		removed bool
	}{
		"nothing":                            {reply.Onward{}, alice, "", true},
		"nothing, of an anonymous caller":    {reply.Onward{}, nil, "", true},
		"the caller's own":                   {reply.Onward{Pass: true}, alice, "", false},
		"the caller's own that nobody took":  {reply.Onward{Pass: true}, nil, "", true},
		"another":                            {reply.Onward{Authorization: "Bearer other"}, alice, "Bearer other", false},
		"another, and to let the own go on":  {reply.Onward{Authorization: "Bearer other", Pass: true}, alice, "Bearer other", false},
		"another, for who has nothing":       {reply.Onward{Authorization: "Bearer other"}, nil, "Bearer other", false},
		"another, where headers are removed": {reply.Onward{Authorization: "Bearer other"}, func(d *policy.Decision) { d.Consumer, d.Certificate = "", nil }, "Bearer other", false},
	} {
		t.Run(name, func(t *testing.T) {
			response, err := reply.Render(p, allowed(test.change), reply.With{Onward: test.onward})
			if err != nil {
				t.Fatal(err)
			}
			ok := response.GetOkResponse()
			if got := headersOf(ok.GetHeaders())["authorization"]; got != test.set {
				t.Errorf("set %q", got)
			}
			if got := slices.Contains(ok.GetHeadersToRemove(), "authorization"); got != test.removed {
				t.Errorf("removed %t, want %t", got, test.removed)
			}
			if !slices.Contains(ok.GetHeadersToRemove(), "x-forwarded-client-cert") {
				t.Error("what is never forwarded is let through")
			}
		})
	}
	for name, value := range map[string]string{"a line feed": "Bearer a\nb", "too long": "Bearer " + strings.Repeat("a", 20<<10)} {
		if response, err := reply.Render(p, allowed(alice), reply.With{Onward: reply.Onward{Authorization: value}}); err == nil || strings.Contains(err.Error(), "a\nb") {
			t.Errorf("%s: answered %v, error %v", name, response, err)
		}
	}
	if response := render(t, p, denied(reason.ScopeMissing), nil); response.GetOkResponse() != nil {
		t.Error("a denial goes on")
	}
	if text := fmt.Sprintf("%v %+v %#v %s", reply.Onward{Authorization: "secret"}, reply.With{Onward: reply.Onward{Authorization: "secret"}}, reply.Onward{Authorization: "secret"}, reply.Onward{Authorization: "secret"}); strings.Contains(text, "secret") {
		t.Errorf("the token is shown: %s", text)
	}
}

func TestTheUpstreamIsToldOfTheTokensSubject(t *testing.T) {
	p := reply.Compile(&config.Policy{Forward: []config.ForwardHeader{
		{Name: "x-user", Value: text("token.subject")}, {Name: "x-subject", Value: text("subject")}, {Name: "x-consumer", Value: text("consumer.name")},
	}}, slices.Values(headers))
	response, err := reply.Render(p, allowed(alice), reply.With{})
	if err != nil {
		t.Fatal(err)
	}
	if got := headersOf(response.GetOkResponse().GetHeaders()); !maps.Equal(got, map[string]string{"x-user": "alice", "x-subject": "token:corporate:alice"}) {
		t.Errorf("set %v", got)
	}
	if got := headersOf(render(t, p, allowed(nil), nil).GetOkResponse().GetHeaders()); got["x-user"] != "" || got["x-consumer"] != "mapps" {
		t.Errorf("set %v of a caller without a token", got)
	}
	var value *reply.ValueError
	_, err = reply.Render(p, allowed(func(d *policy.Decision) { alice(d); d.Token.Subject = "Łódź" }), reply.With{})
	if !errors.As(err, &value) || !value.OfCaller || value.Header != "x-user" {
		t.Errorf("error %v", err)
	}
}

func TestAChallengeSaysHowToGetIn(t *testing.T) {
	nothing := reply.Compile(&config.Policy{}, slices.Values(headers))
	typed := reply.Compile(&config.Policy{Disclose: sallyportv1.Disclose_DISCLOSE_REASON_TYPE}, slices.Values(headers))
	hiding := reply.Compile(&config.Policy{HideAsNotFound: true}, slices.Values(headers))
	const metadata = "https://api.example.org/.well-known/oauth-protected-resource"
	for name, test := range map[string]struct {
		policy    *reply.Policy
		why       reason.Reason
		challenge *policy.Challenge
		want      string
	}{
		"no credentials": {typed, reason.TokenMissing, &policy.Challenge{}, `Bearer realm="api"`},
		"no credentials, and metadata": {typed, reason.TokenMissing, &policy.Challenge{ResourceMetadata: metadata},
			`Bearer realm="api", resource_metadata="` + metadata + `"`},
		"another scheme": {typed, reason.CredentialsNotAccepted, nil, `Bearer realm="api"`},
		"a bad token, nothing disclosed": {nothing, reason.TokenExpired, &policy.Challenge{Error: "invalid_token"},
			`Bearer realm="api", error="invalid_token"`},
		"a bad token": {typed, reason.TokenExpired, &policy.Challenge{Error: "invalid_token", ResourceMetadata: metadata},
			`Bearer realm="api", error="invalid_token", error_description="The token has expired", resource_metadata="` + metadata + `"`},
		"a scope": {nothing, reason.ScopeMissing, &policy.Challenge{Error: "insufficient_scope", Scope: []string{"a", "b"}},
			`Bearer realm="api", error="insufficient_scope", scope="a b"`},
		"step-up": {nothing, reason.StepUpRequired, &policy.Challenge{Error: "insufficient_claims", Claims: `{"a":1}`},
			`Bearer realm="api", error="insufficient_claims", claims="eyJhIjoxfQ=="`},
		"a permission":            {typed, reason.PermissionMissing, nil, ""},
		"a bad token, hidden":     {hiding, reason.TokenExpired, &policy.Challenge{Error: "invalid_token"}, ""},
		"a scope, hidden":         {hiding, reason.ScopeMissing, &policy.Challenge{Error: "insufficient_scope", Scope: []string{"a"}}, ""},
		"what cannot be quoted":   {typed, reason.TokenMissing, &policy.Challenge{ResourceMetadata: `https://a"b`}, `Bearer realm="api"`},
		"a fault of ours":         {typed, reason.ProviderUnavailable, nil, ""},
		"a certificate is needed": {typed, reason.CertificateMissing, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := denied(test.why)
			d.Challenge = test.challenge
			if got := headersOf(render(t, test.policy, d, nil).GetDeniedResponse().GetHeaders())["www-authenticate"]; got != test.want {
				t.Errorf("challenge\n%s, want\n%s", got, test.want)
			}
		})
	}
	for _, entry := range reason.All() {
		if strings.ContainsAny(entry.Title, "\"\\") || strings.ContainsFunc(entry.Title, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("the title of %s cannot stand in a challenge", entry.Reason)
		}
	}
}

func TestAnAnswerOfOurOwnIsGivenAsItIs(t *testing.T) {
	p := reply.Compile(forwarding(), slices.Values(headers))
	asked := allowed(func(d *policy.Decision) { d.Request.Answer, d.Request.Provider = checkcontext.AnswerToken, "own" })
	with := reply.With{
		Onward: reply.Onward{Authorization: "Bearer other"},
		Answer: &reply.Answer{Status: 400, ContentType: "application/json", Headers: map[string]string{"cache-control": "no-store", "pragma": "no-cache"}, Body: `{"error":"invalid_scope"}`},
	}
	response, err := reply.Render(p, asked, with)
	if err != nil {
		t.Fatal(err)
	}
	answer := response.GetDeniedResponse()
	if got := headersOf(answer.GetHeaders()); answer.GetStatus().GetCode() != 400 || answer.GetBody() != `{"error":"invalid_scope"}` || response.GetStatus().GetCode() == 0 ||
		!maps.Equal(got, map[string]string{"content-type": "application/json", "cache-control": "no-store", "pragma": "no-cache"}) {
		t.Errorf("answered %v with %v", answer, got)
	}
	if err := response.ValidateAll(); err != nil {
		t.Errorf("Envoy would refuse the answer: %v", err)
	}
	for name, with := range map[string]reply.With{"no answer": {}, "no status": {Answer: &reply.Answer{}}} {
		if response, err := reply.Render(p, asked, with); err == nil {
			t.Errorf("%s: answered %v", name, response)
		}
	}
	refused := denied(reason.MethodNotAllowed)
	refused.Request.Answer = checkcontext.AnswerToken
	if got := headersOf(render(t, p, refused, nil).GetDeniedResponse().GetHeaders())["allow"]; got != "POST" {
		t.Errorf("a token endpoint allows %q", got)
	}
}

func TestWhoAmITellsOfTheTokenAndNeverTheToken(t *testing.T) {
	d := allowed(func(d *policy.Decision) {
		alice(d)
		d.Request.Gateway, d.Request.Answer = "edge", checkcontext.AnswerWhoAmI
	})
	body := render(t, reply.Compile(forwarding(), slices.Values(headers)), d, nil).GetDeniedResponse().GetBody()
	var got struct{ Token map[string]any }
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if got.Token["provider"] != "corporate" || got.Token["subject"] != "alice" || got.Token["expires"] != "2030-01-02T12:00:00Z" || strings.Contains(body, "secret") {
		t.Errorf("body %s", body)
	}
}
