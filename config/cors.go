package config

import (
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/sallyport-project/sallyport/config/document"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// DefaultMaxAge is how long a browser may remember the answer to a preflight.
const DefaultMaxAge = 10 * time.Minute

func crossOrigin(d *document.Document, m *sallyportv1.CrossOrigin) *CORS {
	if m == nil {
		return nil
	}
	cors := &CORS{
		Origin: origin(d, "spec.cors"), Origins: sortedCopy(m.GetAllowOrigins()), Methods: sortedCopy(m.GetAllowMethods()),
		Headers: sortedCopy(m.GetAllowHeaders()), Exposed: sortedCopy(m.GetExposeHeaders()),
		Credentials: m.GetAllowCredentials(), MaxAge: durationOr(m.GetMaxAge(), DefaultMaxAge),
	}
	if len(cors.Methods) == 0 {
		cors.Methods = []string{http.MethodGet, http.MethodHead, http.MethodPost}
	}
	return cors
}

func sortedCopy(names []string) []string { return slices.Sorted(slices.Values(names)) }

// same tells whether two say the same, wherever they are written.
func (c *CORS) same(other *CORS) bool {
	if c == nil || other == nil {
		return c == other
	}
	first, second := *c, *other
	first.Origin, second.Origin = Origin{}, Origin{}
	return reflect.DeepEqual(first, second)
}

// crossOriginOf gives a hostname what its Routes say of CORS. A preflight has no more than the hostname to go by, so they must agree.
func (b *builder) crossOriginOf(host *VirtualHost) {
	if len(host.Rules) == 0 {
		return
	}
	first := host.Rules[0].Route
	for _, rule := range host.Rules {
		if rule.Route.Origin.Compare(first.Origin) < 0 {
			first = rule.Route
		}
	}
	host.CORS = first.CORS
	reported := map[*Route]bool{}
	for _, rule := range host.Rules {
		if r := rule.Route; !reported[r] && !r.CORS.same(first.CORS) {
			reported[r] = true
			b.fail(b.documents["Route"][r.Name], "spec.cors", "differs from that of the Route %q (%s), which has the hostname %s as well: it holds for a hostname as a whole",
				first.Name, first.Origin, host.Hostname)
		}
	}
}
