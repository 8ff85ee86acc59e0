package reply

import (
	"encoding/base64"
	"net/http"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/sallyport-project/sallyport/authz/policy"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// bare is the challenge of a 401 that says no more: RFC 6750, section 3, wants the scheme and at least one parameter. There is no
// error code, as section 3.1 has it for a request without credentials, or by a method of authentication that is not supported:
// `invalid_token` would invite the caller to fetch another token and try again.
const bare = `Bearer realm="api"`

// challenge is the WWW-Authenticate header of a denial whose status the caller sees; nil where it has none. A 401 must have one
// (RFC 9110, section 15.5.2). What is wrong with a token is described only as far as the policy discloses reasons; codes, scopes and
// addresses are for programs, which can do nothing without them.
func (p *Policy) challenge(d *policy.Decision) *corev3.HeaderValueOption {
	c := d.Challenge
	switch {
	case c == nil && d.Status() != http.StatusUnauthorized:
		return nil
	case c == nil:
		return set("www-authenticate", bare)
	}
	var b strings.Builder
	b.WriteString(bare)
	parameter := func(name, value string) {
		if value != "" && isQuotable(value) {
			b.WriteString(", " + name + `="` + value + `"`)
		}
	}
	parameter("error", c.Error)
	if c.Error != "" && p.disclose != sallyportv1.Disclose_DISCLOSE_NOTHING {
		parameter("error_description", d.Reason.Title())
	}
	parameter("scope", strings.Join(c.Scope, " "))
	parameter("claims", base64.StdEncoding.EncodeToString([]byte(c.Claims)))
	parameter("resource_metadata", c.ResourceMetadata)
	return set("www-authenticate", b.String())
}

// isQuotable tells whether a text can stand between quotes as it is (RFC 6750, section 3).
func isQuotable(text string) bool {
	return isVisible(text, maxFieldValue) && !strings.ContainsAny(text, `"\`)
}
