package routing

import (
	"fmt"
	"net/http"
	"slices"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"

	"github.com/sallyport-project/sallyport/envoy/translate"
)

// crossOrigin is what a virtual host says of CORS, ready to answer by.
type crossOrigin struct {
	policy  *corsv3.CorsPolicy
	origins []func(string) bool
}

// compileCrossOrigin is nil for a host that says nothing of it.
func compileCrossOrigin(host *routev3.VirtualHost) (*crossOrigin, error) {
	packed := host.GetTypedPerFilterConfig()[translate.CrossOriginFilterName]
	if packed == nil {
		return nil, nil //nolint:nilnil // there is nothing, and nothing is wrong
	}
	c := &crossOrigin{policy: &corsv3.CorsPolicy{}}
	if err := packed.UnmarshalTo(c.policy); err != nil {
		return nil, err
	}
	for _, matcher := range c.policy.GetAllowOriginStringMatch() {
		matches, err := compileText(matcher)
		if err != nil {
			return nil, fmt.Errorf("the origins of %s: %w", host.GetName(), err)
		}
		c.origins = append(c.origins, matches)
	}
	return c, nil
}

// allows tells whether a page of the origin that a request names may call.
func (c *crossOrigin) allows(r request) (origin string, allowed bool) {
	if c == nil || len(r.headers["origin"]) == 0 {
		return "", false
	}
	origin = r.headers["origin"][0]
	return origin, origin != "" && slices.ContainsFunc(c.origins, func(matches func(string) bool) bool { return matches(origin) })
}

// preflight is Envoy's own answer to a preflight (Fetch, section 4.8): its headers, and false where the request is none, or from an
// origin that may not call and is judged like any other.
func (c *crossOrigin) preflight(r request) (http.Header, bool) {
	origin, allowed := c.allows(r)
	asked := r.headers["access-control-request-method"]
	if !allowed || r.method != http.MethodOptions || len(asked) == 0 || asked[0] == "" {
		return nil, false
	}
	answer := c.answer(origin)
	set := func(name, value string) {
		if value != "" {
			answer[name] = []string{value}
		}
	}
	set("access-control-allow-methods", c.policy.GetAllowMethods())
	set("access-control-allow-headers", c.policy.GetAllowHeaders())
	set("access-control-max-age", c.policy.GetMaxAge())
	delete(answer, "access-control-expose-headers")
	return answer, true
}

// answer is what every answer to a page of the origin says.
func (c *crossOrigin) answer(origin string) http.Header {
	headers := http.Header{"access-control-allow-origin": {origin}}
	if c.policy.GetAllowCredentials().GetValue() {
		headers["access-control-allow-credentials"] = []string{"true"}
	}
	if exposed := c.policy.GetExposeHeaders(); exposed != "" {
		headers["access-control-expose-headers"] = []string{exposed}
	}
	return headers
}

// headers are what any answer to this request says of CORS, whoever gives it; nil for nothing.
func (c *crossOrigin) headers(r request) http.Header {
	origin, allowed := c.allows(r)
	if !allowed {
		return nil
	}
	return c.answer(origin)
}
