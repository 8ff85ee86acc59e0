package lint_test

import (
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	extauthzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	luav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sallyport-project/sallyport/config/checkcontext"
	"github.com/sallyport-project/sallyport/envoy/translate"
)

// pagesHost is the virtual host of the good resources that says something of CORS.
const pagesHost = "two.example.org"

func pages(change func(*corsv3.CorsPolicy)) func(*translate.Resources) {
	return func(r *translate.Resources) {
		repack(host(r, publicRoutes, pagesHost).GetTypedPerFilterConfig()[translate.CrossOriginFilterName], &corsv3.CorsPolicy{}, change)
	}
}

func origin(matcher *matcherv3.StringMatcher) func(*translate.Resources) {
	return pages(func(p *corsv3.CorsPolicy) { p.AllowOriginStringMatch = []*matcherv3.StringMatcher{matcher} })
}

func regex(text string) *matcherv3.StringMatcher {
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: text}}}
}

func tokenRoute(name string, change func(*routev3.Route)) func(*translate.Resources) {
	return func(r *translate.Resources) {
		for _, candidate := range host(r, publicRoutes, pagesHost).GetRoutes() {
			if candidate.GetName() == name {
				change(candidate)
				return
			}
		}
		panic("there is no route " + name)
	}
}

func checks(change func(*extauthzv3.CheckSettings)) func(*routev3.Route) {
	return settings(func(s *extauthzv3.ExtAuthzPerRoute) { change(s.GetCheckSettings()) })
}

func TestPagesOfOtherOriginsAreThoseThatAreMeant(t *testing.T) {
	testViolations(t, map[string]violation{
		"any origin":                    {"pages of any origin", origin(&matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: "*"}})},
		"what ends so":                  {"suffix has no place", origin(&matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Suffix{Suffix: "example.org"}})},
		"any label":                     {"pages of any origin", origin(regex(`https://.*\.example\.org`))},
		"a dot that is any character":   {"pages of any origin", origin(regex(`https://[a-z0-9]([-a-z0-9]*[a-z0-9])?.example\.org`))},
		"a policy that is on by chance": {"filter_enabled has no place", pages(func(p *corsv3.CorsPolicy) { p.FilterEnabled = &corev3.RuntimeFractionalPercent{} })},
		"another filter's settings": {"have no place here", func(r *translate.Resources) {
			host(r, publicRoutes, pagesHost).TypedPerFilterConfig["other"] = &anypb.Any{TypeUrl: "type.googleapis.com/google.protobuf.Empty"}
		}},
		"preflights by another filter": {"does something else than to answer preflights", manager(func(m *hcmv3.HttpConnectionManager) { m.HttpFilters[0].ConfigType = m.HttpFilters[2].ConfigType })},
		"tokens are withheld otherwise": {"does something else than to withhold tokens", manager(func(m *hcmv3.HttpConnectionManager) {
			repack(m.HttpFilters[3].GetTypedConfig(), &luav3.Lua{}, func(l *luav3.Lua) { l.SourceCodes = nil })
		})},
		"nowhere is somewhere": {`there is a cluster "nowhere"`, func(r *translate.Resources) {
			r.Clusters[translate.NowhereCluster] = &clusterv3.Cluster{Name: translate.NowhereCluster}
		}},
		"nowhere with more than its name": {"timeout has no place", tokenRoute(translate.NoRoute, func(r *routev3.Route) { r.GetRoute().Timeout = durationpb.New(time.Second) })},
	})
}

func TestADecisionMayHaveMoreTimeAndNothingElse(t *testing.T) {
	service := func(change func(*corev3.GrpcService)) func(*translate.Resources) {
		return tokenRoute("tokens/acquired", checks(func(s *extauthzv3.CheckSettings) { change(s.GetGrpcService()) }))
	}
	testViolations(t, map[string]violation{
		"another service":     {"it asks another service", service(func(s *corev3.GrpcService) { s.GetEnvoyGrpc().ClusterName = "upstream/by-name" })},
		"for ever":            {"waits for ever", service(func(s *corev3.GrpcService) { s.Timeout = nil })},
		"with metadata":       {"initial_metadata has no place", service(func(s *corev3.GrpcService) { s.InitialMetadata = []*corev3.HeaderValue{{Key: "a"}} })},
		"what callers send":   {"is shown what callers send", tokenRoute("tokens/acquired", checks(func(s *extauthzv3.CheckSettings) { s.WithRequestBody = &extauthzv3.BufferSettings{MaxRequestBytes: 1} }))},
		"a part of a request": {"allow_partial_message has no place", tokenRoute("tokens/token", checks(func(s *extauthzv3.CheckSettings) { s.GetWithRequestBody().AllowPartialMessage = true }))},
		"an answer of nobody": {"its context has no provider", tokenRoute("tokens/keys", context(func(c map[string]string) { delete(c, checkcontext.Provider) }))},
		"another script": {"have no place here", tokenRoute("tokens/acquired", func(r *routev3.Route) {
			r.TypedPerFilterConfig[translate.WithholdingFilterName] = &anypb.Any{TypeUrl: "type.googleapis.com/google.protobuf.Empty"}
		})},
		"no check, but the script": {"there are no settings", tokenRoute("tokens/acquired", func(r *routev3.Route) { delete(r.TypedPerFilterConfig, translate.AuthorizationFilter) })},
	})
}
