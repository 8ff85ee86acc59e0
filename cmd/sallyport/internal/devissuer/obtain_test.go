package devissuer

import (
	"net/url"
	"testing"
)

func TestASimulationObtainsWhatTheTokenEndpointGives(t *testing.T) {
	server, err := New(Config{Issuers: []Issuer{{
		Name: "corporate", URL: "https://login.example.org/tenant", Audiences: []string{"api"}, Roles: []string{"clerk"}, Scopes: []string{"read", "write"}, ClientID: "edge",
	}}})
	if err != nil {
		t.Fatal(err)
	}
	user, err := server.Token("corporate", TokenSpec{Subject: "ada", Roles: []string{"clerk"}, Scopes: []string{"read"}})
	if err != nil {
		t.Fatal(err)
	}
	realm, _ := server.realm("corporate")
	for name, test := range map[string]struct {
		form            url.Values
		subject, actor  string
		audience, scope string
	}{
		"for the client": {url.Values{"scope": {"write"}, "audience": {"other"}}, "edge", "", "other", "write"},
		"for a user":     {url.Values{"subject_token": {user}, "resource": {"other"}}, "ada", "edge", "other", "read"},
		"on behalf of":   {url.Values{"assertion": {user}, "scope": {"write"}}, "ada", "edge", "api", ""},
		"with an actor":  {url.Values{"subject_token": {user}, "actor_token": {user}}, "ada", "ada", "api", "read"},
	} {
		given, err := server.Obtain("corporate", test.form)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		claims, err := realm.verify(given.AccessToken)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		actor, _ := claimAt(claims, []string{"act", "sub"}).(string)
		scope, _ := claims["scope"].(string)
		if claims["iss"] != "https://login.example.org/tenant" || claims["sub"] != test.subject || actor != test.actor || claims["aud"] != test.audience || scope != test.scope {
			t.Errorf("%s: %v", name, claims)
		}
	}
	for name, form := range map[string]url.Values{
		"a token of another": {"subject_token": {"x.y.z"}},
		"a wrong actor":      {"subject_token": {user}, "actor_token": {"x"}},
	} {
		if _, err := server.Obtain("corporate", form); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := server.Obtain("elsewhere", nil); err == nil {
		t.Error("an issuer that is not there gives a token")
	}
}
