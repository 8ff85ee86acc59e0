package reply

import (
	"fmt"
	"math"
	"strconv"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/sallyport-project/sallyport/authz/limit"
)

// limitName is the name of the one policy that a caller has (RateLimit header fields for HTTP, draft-ietf-httpapi-ratelimit-headers,
// section 3.1).
const limitName = `"default"`

// quotaHeaders tell a caller what it has left: RateLimit-Policy and RateLimit, and for one request too many Retry-After
// (RFC 9110, section 10.2.3). Times are whole seconds, rounded up, so that who waits for so long has waited long enough.
func quotaHeaders(q *limit.Quota) []*corev3.HeaderValueOption {
	if q == nil {
		return nil
	}
	headers := []*corev3.HeaderValueOption{
		set("ratelimit-policy", fmt.Sprintf("%s;q=%d;w=%d", limitName, q.Requests, seconds(q.Window))),
		set("ratelimit", fmt.Sprintf("%s;r=%d;t=%d", limitName, q.Remaining, seconds(q.Reset))),
	}
	if q.Exceeded() {
		headers = append(headers, set("retry-after", strconv.Itoa(seconds(q.RetryAfter))))
	}
	return headers
}

func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }
