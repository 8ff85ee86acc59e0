package lint

import (
	"regexp"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"

	"github.com/sallyport-project/sallyport/envoy/translate"
)

// originPattern is the only form in which an origin may be more than one: a first label, whatever it is.
var originPattern = regexp.MustCompile(`^https?://\[a-z0-9\]\(\[-a-z0-9\]\*\[a-z0-9\]\)\?(\\\.[-a-z0-9]+)+(:[0-9]+)?$`)

// crossOrigin wants the settings of a virtual host to be about CORS alone, and each origin to be exact, or to be open in its first label
// and anchored.
func (l *lint) crossOrigin(where string, host *routev3.VirtualHost) {
	for name, packed := range host.GetTypedPerFilterConfig() {
		policy := &corsv3.CorsPolicy{}
		if name != translate.CrossOriginFilterName {
			l.found("%s: it has settings of the filter %s, which have no place here", where, name)
			continue
		}
		if !unpack(l, where, packed, policy) {
			continue
		}
		l.onlyFields(where, policy, "allow_origin_string_match", "allow_methods", "allow_headers", "expose_headers", "max_age", "allow_credentials")
		for _, origin := range policy.GetAllowOriginStringMatch() {
			l.onlyFields(where, origin, "exact", "safe_regex")
			switch exact, regex := origin.GetExact(), origin.GetSafeRegex().GetRegex(); {
			case exact != "" && !strings.Contains(exact, "*"):
			case exact == "" && originPattern.MatchString(regex):
			default:
				l.found("%s: pages of any origin may call, or of more than are meant (%s%s)", where, exact, regex)
			}
		}
	}
}
