package reply

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"

	"github.com/sallyport-project/sallyport/authz/limit"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config/checkcontext"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// Render answers as a decision says. The policy is that which the request's rule has now; nil if there is none,
// and then nothing is disclosed. An allowed request without a policy is an error, and so are, as a *ValueError, one with a header
// value that Envoy would not set, and one that neither has an upstream nor is given an answer; all must be denied.
func Render(p *Policy, d *policy.Decision, with With) (*authv3.CheckResponse, error) {
	switch {
	case d.Reason == reason.TokenRefused && with.Answer != nil:
		return answer(with.Answer, with.Quota)
	case !d.Allowed:
		return deny(p, d, with.Quota), nil
	case p == nil:
		return nil, fmt.Errorf("the policy %q is not there to forward by", d.Request.Policy)
	case d.Request.Answer == checkcontext.AnswerWhoAmI:
		return answerWhoAmI(d, with.Quota)
	case d.Request.Answer != "" && with.Answer == nil:
		return nil, fmt.Errorf("there is nothing to answer as %q", d.Request.Answer)
	case d.Request.Answer != "":
		return answer(with.Answer, with.Quota)
	}
	return allow(p, d, with)
}

var okStatus = &statuspb.Status{Code: int32(codes.OK)}

func allow(p *Policy, d *policy.Decision, with With) (*authv3.CheckResponse, error) {
	headers, remove, err := p.mutations(d, with.Onward)
	if err != nil {
		return nil, err
	}
	return &authv3.CheckResponse{
		Status: okStatus,
		HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{
			Headers: headers, HeadersToRemove: remove, ResponseHeadersToAdd: quotaHeaders(with.Quota),
		}},
	}, nil
}

// answer gives an answer of our own. To Envoy every one is a refusal to go on; nothing is asked of an upstream, because there is none.
func answer(a *Answer, quota *limit.Quota) (*authv3.CheckResponse, error) {
	if http.StatusText(a.Status) == "" {
		return nil, fmt.Errorf("%d is no status of an answer", a.Status)
	}
	headers := []*corev3.HeaderValueOption{set("content-type", a.ContentType)}
	for _, name := range slices.Sorted(maps.Keys(a.Headers)) {
		headers = append(headers, set(name, a.Headers[name]))
	}
	return &authv3.CheckResponse{
		Status: deniedStatus,
		HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
			Status:  &typev3.HttpStatus{Code: typev3.StatusCode(a.Status)}, //nolint:gosec // G115: a status, as was checked
			Headers: append(headers, quotaHeaders(quota)...), Body: a.Body,
		}},
	}, nil
}

// problem is the body of a denial (RFC 9457, section 3.1).
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	// Instance is the request's id, by which the log has the rest.
	Instance string `json:"instance,omitempty"`
}

// aboutBlank is the type of a problem that says no more than its status; its title is the status's own phrase.
const aboutBlank = "about:blank"

var denialHeaders = []*corev3.HeaderValueOption{
	set("content-type", "application/problem+json"),
	set("cache-control", "no-store"),
}

var deniedStatus = &statuspb.Status{Code: int32(codes.PermissionDenied)}

func deny(p *Policy, d *policy.Decision, quota *limit.Quota) *authv3.CheckResponse {
	if p == nil {
		p = undisclosed
	}
	told := p.tell(d)
	body, err := json.Marshal(told)
	if err != nil { // strings and a number cannot fail
		body = nil
	}
	headers := denialHeaders
	switch told.Status {
	case http.StatusUnauthorized, http.StatusForbidden: // and not where it is hidden
		if challenge := p.challenge(d); challenge != nil {
			headers = append(slices.Clone(denialHeaders), challenge)
		}
	case http.StatusMethodNotAllowed: // RFC 9110, section 15.5.6
		headers = append(slices.Clone(denialHeaders), set("allow", policy.AnswerMethods(d.Request.Answer)))
	case http.StatusTooManyRequests:
		headers = append(slices.Clone(denialHeaders), quotaHeaders(quota)...)
	}
	return &authv3.CheckResponse{
		Status: deniedStatus,
		HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
			Status:  &typev3.HttpStatus{Code: typev3.StatusCode(told.Status)}, //nolint:gosec // G115: the statuses of the reasons
			Headers: headers,
			Body:    string(body),
		}},
	}
}

// tell chooses how much of a denial the caller learns.
func (p *Policy) tell(d *policy.Decision) problem {
	told := problem{Type: aboutBlank, Status: Status(p, d), Instance: d.Request.ID}
	told.Title = http.StatusText(told.Status)
	hidden := told.Status != d.Status()
	if hidden || p.disclose == sallyportv1.Disclose_DISCLOSE_NOTHING || d.Reason.OurFault() {
		return told
	}
	told.Type, told.Title = d.Reason.Type(), d.Reason.Title()
	if p.disclose == sallyportv1.Disclose_DISCLOSE_DETAIL {
		told.Detail = d.Detail
	}
	return told
}

// Status is the HTTP status that the caller sees: the decision's, or 404 where the policy hides that there is something. That of an
// answer of our own is its own. The policy may be nil.
func Status(p *Policy, d *policy.Decision) int {
	status := d.Status()
	if p != nil && p.hideAsNotFound && (status == http.StatusForbidden || status == http.StatusUnauthorized) {
		return http.StatusNotFound
	}
	return status
}

// Unavailable is the answer where not even a decision could be made: 503, and nothing else.
func Unavailable(requestID string) *authv3.CheckResponse {
	body, err := json.Marshal(problem{
		Type: aboutBlank, Title: http.StatusText(http.StatusServiceUnavailable), Status: reason.Internal.Status(), Instance: requestID,
	})
	if err != nil {
		body = nil
	}
	return &authv3.CheckResponse{
		Status: deniedStatus,
		HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
			Status: &typev3.HttpStatus{Code: typev3.StatusCode_ServiceUnavailable}, Headers: denialHeaders, Body: string(body),
		}},
	}
}
