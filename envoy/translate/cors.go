package translate

import (
	"regexp"
	"strconv"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-project/sallyport/config"
)

// CrossOriginFilterName is the name of the filter that answers preflights, and of its settings on a virtual host.
const CrossOriginFilterName = "envoy.filters.http.cors"

// CrossOriginFilter answers the preflights of browsers (Fetch, section 4.8) and tells them which page may read an answer. It stands
// before authorization, because a preflight carries no credentials: it lets nothing through to an upstream. It is the same
// everywhere, and without settings on the virtual host it does nothing; so no Route's change replaces a listener.
func CrossOriginFilter() *hcmv3.HttpFilter {
	return &hcmv3.HttpFilter{Name: CrossOriginFilterName, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: pack(&corsv3.Cors{})}}
}

// crossOrigin sets what a hostname says of CORS. A preflight may come by any route of the host, by its last one too, so it cannot
// stand on a route.
func crossOrigin(host *routev3.VirtualHost, cors *config.CORS) {
	if cors == nil {
		return
	}
	policy := &corsv3.CorsPolicy{
		AllowMethods: strings.Join(cors.Methods, ", "), AllowHeaders: strings.Join(cors.Headers, ", "), ExposeHeaders: strings.Join(cors.Exposed, ", "),
		MaxAge:           strconv.Itoa(int(cors.MaxAge.Seconds())),
		AllowCredentials: wrapperspb.Bool(cors.Credentials),
	}
	for _, origin := range cors.Origins {
		policy.AllowOriginStringMatch = append(policy.AllowOriginStringMatch, originMatcher(origin))
	}
	host.TypedPerFilterConfig = map[string]*anypb.Any{CrossOriginFilterName: pack(policy)}
}

// label is one label of a host name (RFC 1123, section 2.1).
const label = `[a-z0-9]([-a-z0-9]*[a-z0-9])?`

// originMatcher matches an origin letter by letter, but for a first label `*`. Envoy has a regular expression match the whole value.
func originMatcher(origin string) *matcherv3.StringMatcher {
	before, after, wildcard := strings.Cut(origin, "*")
	if !wildcard {
		return exactly(origin)
	}
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{
		Regex: regexp.QuoteMeta(before) + label + regexp.QuoteMeta(after),
	}}}
}
