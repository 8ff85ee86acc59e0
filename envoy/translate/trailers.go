package translate

import (
	rulesv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

// trailersName is the filter that TrailersFilter configures.
const trailersName = "envoy.filters.http.header_mutation"

// TrailersFilter drops every trailer of a request. Authorization is over when they come, so that nobody has taken a
// caller's own x-consumer out of them, and some servers take trailers for headers (RFC 9110, section 6.5.1, warns of it).
// Over HTTP/1.1 Envoy drops them by itself. The filter is the same everywhere: it depends on no policy, and so no change
// of one replaces a listener.
func TrailersFilter() *hcmv3.HttpFilter {
	return &hcmv3.HttpFilter{Name: trailersName, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: pack(&mutationv3.HeaderMutation{
		Mutations: &mutationv3.Mutations{RequestTrailersMutations: []*rulesv3.HeaderMutation{{
			Action: &rulesv3.HeaderMutation_RemoveOnMatch_{RemoveOnMatch: &rulesv3.HeaderMutation_RemoveOnMatch{
				KeyMatcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: ".*"}}},
			}},
		}}},
	})}}
}
