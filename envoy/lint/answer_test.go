package lint_test

import (
	"net/http"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/sallyport-project/sallyport/config/checkcontext"
	"github.com/sallyport-project/sallyport/envoy/lint"
	"github.com/sallyport-project/sallyport/envoy/translate"
)

// found are the findings in words.
func found(resources *translate.Resources) []string {
	var texts []string
	for _, finding := range lint.Check(resources) {
		texts = append(texts, finding.String())
	}
	return texts
}

// A route without an upstream must leave every answer to the authorization service.
func TestAnAnswerIsTheAuthorizationServices(t *testing.T) {
	for name, test := range map[string]struct {
		want   string // empty: no finding
		change func(*routev3.Route)
	}{
		"as it is generated": {"", func(*routev3.Route) {}},
		"an answer of its own": {"it answers 200 by itself", func(r *routev3.Route) {
			r.GetDirectResponse().Status = http.StatusOK
		}},
		"a body": {"body", func(r *routev3.Route) {
			r.GetDirectResponse().Body = &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: "you"}}
		}},
		"no policy":         {"its context has no policy", context(func(c map[string]string) { delete(c, checkcontext.Policy) })},
		"an upstream":       {"its context has upstream, which has no place", context(func(c map[string]string) { c[checkcontext.Upstream] = "api" })},
		"an outcome":        {"its context has outcome, which has no place", context(func(c map[string]string) { c[checkcontext.Outcome] = checkcontext.OutcomeNoRoute })},
		"an unknown answer": {"is none", context(func(c map[string]string) { c[checkcontext.Answer] = "fine" })},
		"no authorization": {"no settings", func(r *routev3.Route) {
			delete(r.GetTypedPerFilterConfig(), translate.AuthorizationFilter)
		}},
		"an upstream behind it": {"its context has no upstream", func(r *routev3.Route) {
			r.Action = &routev3.Route_Route{Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: "upstream/integration-api"}}}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			resources := generate(t, "../../examples/partner-certificates", "edge")
			var asked *routev3.Route
			for _, r := range host(resources, "edge/https/api.example.org", "api.example.org").GetRoutes() {
				if r.GetName() == "integration-api/whoami" {
					asked = r
				}
			}
			test.change(asked)
			problems := found(resources)
			if test.want == "" && len(problems) > 0 || test.want != "" && !contains(problems, test.want) {
				t.Errorf("found %q, want %q", problems, test.want)
			}
		})
	}
}

// A route that takes everything and is answered is no end of a virtual host: it says where nothing leads.
func TestAnAnswerIsNoEndOfAVirtualHost(t *testing.T) {
	resources := generate(t, "../../examples/partner-certificates", "edge")
	all := host(resources, "edge/https/api.example.org", "api.example.org")
	last := all.GetRoutes()[len(all.GetRoutes())-1]
	context(func(c map[string]string) {
		delete(c, checkcontext.Outcome)
		c[checkcontext.Answer] = checkcontext.AnswerWhoAmI
	})(last)
	if problems := found(resources); !contains(problems, "its last route does not take all that is left") {
		t.Errorf("found %q", problems)
	}
}
