package bearer_test

import (
	"testing"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
)

func TestATokenThatIsPresumedIsJudgedByItsProviderAndAudience(t *testing.T) {
	theirs := &config.Provider{Header: config.Header{Name: "idp"}, Audiences: []string{"vessels", "visits"}}
	ours := &config.Provider{Header: config.Header{Name: "idp"}}
	for name, test := range map[string]struct {
		provider                       *config.Provider
		providers, audiences, narrowed []string
		want                           reason.Reason
	}{
		"of a Provider that is taken":               {provider: theirs, providers: []string{"other", "idp"}},
		"of another Provider":                       {provider: theirs, providers: []string{"other"}, want: reason.TokenIssuer},
		"for one of the Provider's audiences":       {provider: theirs, providers: []string{"idp"}, audiences: []string{"x", "visits"}},
		"for none of them":                          {provider: theirs, providers: []string{"idp"}, audiences: []string{"x"}, want: reason.TokenAudience},
		"for the one that the policy names":         {provider: theirs, providers: []string{"idp"}, audiences: []string{"visits"}, narrowed: []string{"visits"}},
		"for another than the policy names":         {provider: theirs, providers: []string{"idp"}, audiences: []string{"vessels"}, narrowed: []string{"visits"}, want: reason.TokenAudience},
		"for two, of which neither is both's":       {provider: theirs, providers: []string{"idp"}, audiences: []string{"vessels", "x"}, narrowed: []string{"x"}, want: reason.TokenAudience},
		"of our own, for what the policy names":     {provider: ours, providers: []string{"idp"}, audiences: []string{"visits"}, narrowed: []string{"visits"}},
		"of our own, for another":                   {provider: ours, providers: []string{"idp"}, audiences: []string{"x"}, narrowed: []string{"visits"}, want: reason.TokenAudience},
		"that says nothing of audiences":            {provider: theirs, providers: []string{"idp"}, narrowed: []string{"visits"}},
		"of our own that says nothing of audiences": {provider: ours, providers: []string{"idp"}, narrowed: []string{"visits"}},
	} {
		token := &bearer.Token{Provider: test.provider, Audiences: test.audiences}
		verdict := bearer.Presume(token, test.providers, test.narrowed)
		switch {
		case test.want == "" && (verdict.Refusal != nil || verdict.Token != token):
			t.Errorf("%s: %+v", name, verdict.Refusal)
		case test.want != "" && (verdict.Token != nil || verdict.Refusal == nil || verdict.Refusal.Reason != test.want):
			t.Errorf("%s: %+v", name, verdict.Refusal)
		}
	}
}
