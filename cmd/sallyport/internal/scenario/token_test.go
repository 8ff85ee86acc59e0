package scenario

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/config"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// loadTokens is a configuration with Providers of all kinds.
func loadTokens(t *testing.T) *config.Model {
	t.Helper()
	model, problems, err := config.Load("testdata/tokens")
	if err != nil || model == nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	return model
}

func TestTheSimulationTakesTokensFromGatewayToGateway(t *testing.T) {
	for _, result := range judgeAll(t, loadTokens(t)) {
		if !result.Passed() {
			t.Errorf("%s: %s (%s)", result.Case.Spec.GetName(), result.Mismatches, why(result.Outcome, 500))
		}
	}
}

func TestWhatAReceivedTokenSaysIsComparedInWords(t *testing.T) {
	received := &Received{Token: map[string]any{
		"sub": "ada", "act": map[string]any{"sub": "edge"}, "roles": []any{"clerk", "reader"}, "exp": json.Number("7"), "https://example.org/roles": "whole",
	}}
	for name, want := range map[string]string{
		"sub": "ada", "act.sub": "edge", "roles": "clerk,reader", "exp": "7", "https://example.org/roles": "whole", "act": `{"sub":"edge"}`,
		"nonce": "", "sub.name": "", "act.act.sub": "",
	} {
		if got := received.claim(name); got != want {
			t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
	if got := new(Received).claim("sub"); got != "" {
		t.Errorf("without a token it is %q", got)
	}
}

func TestNoTokenIsShownOfACaseThatFails(t *testing.T) {
	model := loadTokens(t)
	simulator, err := NewSimulator(t.Context(), model, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	c := Cases(model)[0]
	c.Spec.Expect.ReceivedHeaders = map[string]string{"authorization": "x"}
	c.Spec.Expect.AbsentHeaders = []string{"authorization"}
	result, err := simulator.Run(t.Context(), c)
	if err != nil || result.Passed() {
		t.Fatal(err, result.Mismatches)
	}
	var table bytes.Buffer
	if err := WriteTable(&table, []Result{result}); err != nil {
		t.Fatal(err)
	}
	if shown := table.String() + fmt.Sprint(result.Outcome.Received); strings.Contains(shown, "eyJ") {
		t.Errorf("a token is shown: %s", shown)
	}
}

func TestATokenThatCannotBeMadeFailsItsCase(t *testing.T) {
	for name, test := range map[string]struct {
		caller *sallyportv1.TestCaller
		want   string
	}{
		"of our own without a certificate": {
			&sallyportv1.TestCaller{Token: &sallyportv1.TestToken{Provider: "partner", Audience: "api://vessels"}}, "say `bound_to`",
		},
		"of class hop without a URI": {
			&sallyportv1.TestCaller{Token: &sallyportv1.TestToken{Provider: "hop", Audience: "vessels", BoundTo: "mapps"}}, "bound to a URI",
		},
	} {
		model := loadTokens(t)
		simulator, err := NewSimulator(t.Context(), model, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		c := Cases(model)[0]
		c.Spec.Caller = test.caller
		result, err := simulator.Run(t.Context(), c)
		if err != nil || result.Passed() || !strings.Contains(strings.Join(result.Mismatches, "\n"), test.want) {
			t.Errorf("%s: %v, %q", name, err, result.Mismatches)
		}
	}
}

func TestTheDevelopmentIssuerSaysThingsWhereTheProviderReadsThem(t *testing.T) {
	for name, want := range map[config.ClaimName][]string{
		"roles": {"roles"}, "realm_access.roles": {"realm_access", "roles"}, "https://example.org/roles": {"https://example.org/roles"},
	} {
		if got := pathOf([]config.ClaimName{name, "other"}); !slices.Equal(got, want) {
			t.Errorf("%s stands at %q", name, got)
		}
	}
	for _, test := range []struct {
		algorithms []string
		want       string
	}{
		{[]string{"RS256", "ES256"}, "ES256"},
		{[]string{"RS256", "PS256"}, "RS256"},
	} {
		if got := algorithmOf(&config.Provider{Algorithms: test.algorithms}); got != test.want {
			t.Errorf("of %q it signs by %q", test.algorithms, got)
		}
	}
}
