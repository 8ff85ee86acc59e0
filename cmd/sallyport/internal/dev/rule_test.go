package dev

import (
	"slices"
	"testing"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/checkcontext"
	"github.com/sallyport-project/sallyport/config/expression"
)

func TestAConsumerIsShownARuleThatItMayUse(t *testing.T) {
	partners, others := new(config.Truststore), new(config.Truststore)
	role := new(config.Role)
	consumer := &config.Consumer{Certificates: []*config.CertificateMatch{{Truststore: partners}}, Roles: []*config.Role{role}}
	by := func(stores ...*config.Truststore) config.Authenticate {
		return config.Authenticate{Certificate: stores}
	}
	rule := func(path string, how config.Authenticate, who config.AuthorizeRule, methods ...string) *config.Rule {
		return &config.Rule{
			Match:  config.Match{Kind: config.MatchExact, Path: path, Methods: methods},
			Policy: &config.Policy{Authenticate: how, Authorize: []*config.AuthorizeRule{&who}},
		}
	}
	named := config.AuthorizeRule{Consumers: []*config.Consumer{consumer}}
	another := config.AuthorizeRule{Consumers: []*config.Consumer{{}}}
	token := rule("/token", by(partners), named, "POST")
	token.Answer = checkcontext.AnswerToken
	template := rule("/{any}", by(partners), named)
	template.Match.Kind = config.MatchTemplate
	for name, c := range map[string]struct {
		rules      []*config.Rule
		path, form string
	}{
		"by its name, before one that is another's": {
			[]*config.Rule{rule("/another", by(partners), another), rule("/named", by(partners), named)}, "/named", "",
		},
		"by a role": {
			[]*config.Rule{rule("/another", by(partners), another), rule("/role", by(partners), config.AuthorizeRule{ConsumerRoles: []*config.Role{role}})}, "/role", "",
		},
		"a token endpoint, with its form":    {[]*config.Rule{token}, "/token", "grant_type=client_credentials"},
		"the first that asks, if none names": {[]*config.Rule{rule("/anybody", config.Authenticate{Anonymous: true}, config.AuthorizeRule{Everyone: true}), rule("/another", by(partners), another)}, "/another", ""},
		"not one under trial, or on condition": {
			[]*config.Rule{
				rule("/trial", by(partners), config.AuthorizeRule{Consumers: named.Consumers, Shadow: true}),
				rule("/condition", by(partners), config.AuthorizeRule{Everyone: true, When: new(expression.Condition)}),
				rule("/named", by(partners), named),
			}, "/named", "",
		},
		"not one that wants a token besides": {
			[]*config.Rule{
				rule("/both", config.Authenticate{AllOf: []config.Authenticate{by(partners), {Tokens: []*config.Provider{{}}}}}, named),
				rule("/either", config.Authenticate{AnyOf: []config.Authenticate{{Tokens: []*config.Provider{{}}}, by(partners)}}, named),
			}, "/either", "",
		},
		"none that a line cannot call": {[]*config.Rule{template, rule("/write", by(partners), named, "POST"), rule("/others", by(others), named)}, "", ""},
	} {
		host := &config.VirtualHost{Hostname: "api.example.org", Rules: c.rules}
		got := ruleForConsumer(&config.Entry{VirtualHosts: []*config.VirtualHost{{Hostname: "*.example.org", Rules: slices.Clone(c.rules)}, host}}, consumer)
		if got == nil {
			got = new(target)
		}
		if got.path != c.path || got.form != c.form || got.path != "" && got.host != host.Hostname {
			t.Errorf("%s: %s%s, %q", name, got.host, got.path, got.form)
		}
	}
}

func TestAFormIsPosted(t *testing.T) {
	called := target{entry: &config.Entry{Listener: &config.Listener{Address: loopback, Port: 8080}}, host: loopback, path: "/token", form: "grant_type=client_credentials"}
	if got, want := called.curl("", "--cert c.pem"), "curl --cert c.pem \\\n  --data grant_type=client_credentials \\\n  'http://127.0.0.1:8080/token'"; got != want {
		t.Errorf("got %s", got)
	}
}
