package reply_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/codes"

	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/authz/reply"
	"github.com/sallyport-project/sallyport/authz/request"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/expression"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// headers of all policies of the tests' models.
var headers = []string{"x-consumer", "x-dn", "x-not-after", "x-serial", "x-subject", "x-other"}

func allowed(change func(*policy.Decision)) *policy.Decision {
	d := &policy.Decision{
		Request: &request.Request{ID: "id-1"}, Allowed: true, Reason: reason.PermissionGranted, Consumer: "mapps", Truststore: "partners",
		Certificate: &identity.Certificate{Subject: "CN=mapps", Serial: "abc", NotAfter: fixture.Noon.In(time.FixedZone("", 3600))},
	}
	if change != nil {
		change(d)
	}
	return d
}

func denied(why reason.Reason) *policy.Decision {
	return &policy.Decision{Request: &request.Request{ID: "id-1"}, Reason: why, Detail: `no role of "mapps" permits it`}
}

// text compiles an expression.
func text(source string) *expression.Text {
	compiled, err := expression.CompileText(source)
	if err != nil {
		panic(err)
	}
	return compiled
}

// forwarding is a policy that sets every attribute, and lets x-other pass or not.
func forwarding(pass ...string) *config.Policy {
	return &config.Policy{Pass: pass, Forward: []config.ForwardHeader{
		{Name: "x-consumer", Value: text("consumer.name")}, {Name: "x-dn", Value: text("certificate.subject_dn")},
		{Name: "x-serial", Value: text("certificate.serial")}, {Name: "x-not-after", Value: text("certificate.not_after")},
		{Name: "x-subject", Value: text("subject")},
	}}
}

func TestWhatTheUpstreamIsToldIsOursAlone(t *testing.T) {
	always := append(config.NeverForwarded(), "authorization")
	all := map[string]string{"x-consumer": "mapps", "x-dn": "CN=mapps", "x-serial": "abc", "x-not-after": "2030-01-02T12:00:00Z", "x-subject": "consumer:mapps"}
	for name, test := range map[string]struct {
		policy   *config.Policy
		decision *policy.Decision
		set      map[string]string
		removed  []string // beside those that always are
	}{
		"every attribute":         {forwarding(), allowed(nil), all, []string{"x-other"}},
		"a header that may pass":  {forwarding("x-other"), allowed(nil), all, nil},
		"a policy that sets none": {&config.Policy{}, allowed(nil), nil, headers},
		"a certificate of nobody": {forwarding(), allowed(func(d *policy.Decision) { d.Consumer = "" }),
			map[string]string{"x-dn": "CN=mapps", "x-serial": "abc", "x-not-after": "2030-01-02T12:00:00Z", "x-subject": "certificate:partners:CN=mapps"},
			[]string{"x-consumer", "x-other"}},
		"an anonymous caller":                   {forwarding(), allowed(func(d *policy.Decision) { d.Consumer, d.Certificate, d.Truststore = "", nil, "" }), nil, headers},
		"a certificate that nobody vouches for": {forwarding(), allowed(func(d *policy.Decision) { d.Consumer, d.Truststore = "", "" }), nil, headers},
	} {
		t.Run(name, func(t *testing.T) {
			response, err := reply.Render(reply.Compile(test.policy, slices.Values(headers)), test.decision, reply.With{})
			if err != nil {
				t.Fatal(err)
			}
			ok := response.GetOkResponse()
			if ok == nil || response.GetStatus().GetCode() != int32(codes.OK) {
				t.Fatalf("response %v", response)
			}
			got := map[string]string{}
			for _, h := range ok.GetHeaders() {
				got[h.GetHeader().GetKey()] = h.GetHeader().GetValue()
				if h.GetAppendAction().String() != "OVERWRITE_IF_EXISTS_OR_ADD" {
					t.Errorf("%s is set by %s", h.GetHeader().GetKey(), h.GetAppendAction())
				}
				if slices.Contains(ok.GetHeadersToRemove(), h.GetHeader().GetKey()) {
					t.Errorf("%s is set and removed: Envoy would remove it", h.GetHeader().GetKey())
				}
			}
			if !maps.Equal(got, test.set) {
				t.Errorf("set %v, want %v", got, test.set)
			}
			removed := slices.Sorted(slices.Values(ok.GetHeadersToRemove()))
			if want := slices.Sorted(slices.Values(slices.Concat(always, test.removed))); !slices.Equal(removed, want) {
				t.Errorf("removed %v, want %v", removed, want)
			}
		})
	}
}

func TestRenderingLeavesThePreparedPolicyAsItWas(t *testing.T) {
	p := reply.Compile(forwarding(), slices.Values(headers))
	render := func(d *policy.Decision) []string {
		response, err := reply.Render(p, d, reply.With{})
		if err != nil {
			t.Fatal(err)
		}
		return slices.Clone(response.GetOkResponse().GetHeadersToRemove())
	}
	before := render(allowed(nil))
	render(allowed(func(d *policy.Decision) { d.Consumer, d.Certificate = "", nil }))
	if after := render(allowed(nil)); !slices.Equal(before, after) {
		t.Errorf("first %v, then %v", before, after)
	}
}

func TestAValueThatEnvoyWouldRefuseIsNoAnswer(t *testing.T) {
	p := reply.Compile(forwarding(), slices.Values(headers))
	for name, value := range map[string]string{"a line feed": "a\nb", "no ASCII": "Ł", "a space at its end": "a ", "5 KiB": strings.Repeat("a", 5<<10)} {
		t.Run(name, func(t *testing.T) {
			if response, err := reply.Render(p, allowed(func(d *policy.Decision) { d.Consumer = value }), reply.With{}); err == nil {
				t.Errorf("answered %v", response)
			}
		})
	}
	if response, err := reply.Render(nil, allowed(nil), reply.With{}); err == nil {
		t.Errorf("without a policy answered %v", response)
	}
}

func TestADenialTellsWhatThePolicyDiscloses(t *testing.T) {
	const permissionMissing = "https://github.com/sallyport-project/sallyport/blob/main/docs/reference/reasons.md#permission_missing"
	policyOf := func(disclose sallyportv1.Disclose, hide bool) *reply.Policy {
		return reply.Compile(&config.Policy{Disclose: disclose, HideAsNotFound: hide}, slices.Values(headers))
	}
	nothing, typed, detailed := sallyportv1.Disclose_DISCLOSE_NOTHING, sallyportv1.Disclose_DISCLOSE_REASON_TYPE, sallyportv1.Disclose_DISCLOSE_DETAIL
	detail := denied(reason.PermissionMissing).Detail
	for name, test := range map[string]struct {
		policy *reply.Policy
		why    reason.Reason
		want   map[string]any
	}{
		"nothing":             {policyOf(nothing, false), reason.PermissionMissing, map[string]any{"type": "about:blank", "title": "Forbidden", "status": 403.}},
		"the type":            {policyOf(typed, false), reason.PermissionMissing, map[string]any{"type": permissionMissing, "title": "Permission is missing", "status": 403.}},
		"the detail":          {policyOf(detailed, false), reason.PermissionMissing, map[string]any{"type": permissionMissing, "title": "Permission is missing", "status": 403., "detail": detail}},
		"hidden":              {policyOf(detailed, true), reason.PermissionMissing, map[string]any{"type": "about:blank", "title": "Not Found", "status": 404.}},
		"credentials":         {policyOf(typed, false), reason.CredentialsNotAccepted, map[string]any{"type": reason.CredentialsNotAccepted.Type(), "title": "Credentials are not accepted", "status": 401.}},
		"credentials, hidden": {policyOf(detailed, true), reason.CredentialsNotAccepted, map[string]any{"type": "about:blank", "title": "Not Found", "status": 404.}},
		"hidden, and bad":     {policyOf(typed, true), reason.RequestMalformed, map[string]any{"type": reason.RequestMalformed.Type(), "title": "The request is malformed", "status": 400.}},
		"hidden, our fault":   {policyOf(detailed, true), reason.TruststoreMissing, map[string]any{"type": "about:blank", "title": "Service Unavailable", "status": 503.}},
		"without a policy":    {nil, reason.NoRoute, map[string]any{"type": "about:blank", "title": "Not Found", "status": 404.}},
		"another's host":      {nil, reason.Misdirected, map[string]any{"type": "about:blank", "title": "Misdirected Request", "status": 421.}},
		"an unknown reason":   {policyOf(detailed, false), "", map[string]any{"type": "about:blank", "title": "Service Unavailable", "status": 503.}},
	} {
		t.Run(name, func(t *testing.T) {
			response, err := reply.Render(test.policy, denied(test.why), reply.With{})
			if err != nil {
				t.Fatal(err)
			}
			test.want["instance"] = "id-1"
			wantProblem(t, response, test.want)
		})
	}
	wantProblem(t, reply.Unavailable("id-1"), map[string]any{"type": "about:blank", "title": "Service Unavailable", "status": 503., "instance": "id-1"})
}

func wantProblem(t *testing.T, response *authv3.CheckResponse, want map[string]any) {
	t.Helper()
	denied := response.GetDeniedResponse()
	if denied == nil || response.GetStatus().GetCode() == int32(codes.OK) {
		t.Fatalf("response %v", response)
	}
	var body map[string]any
	if err := json.Unmarshal([]byte(denied.GetBody()), &body); err != nil {
		t.Fatalf("body %q: %v", denied.GetBody(), err)
	}
	if !maps.Equal(body, want) {
		t.Errorf("body %v, want %v", body, want)
	}
	if status := float64(denied.GetStatus().GetCode()); status != want["status"] {
		t.Errorf("status %v, want %v", status, want["status"])
	}
	got := map[string]string{}
	for _, h := range denied.GetHeaders() {
		got[h.GetHeader().GetKey()] = h.GetHeader().GetValue()
	}
	wantHeaders := map[string]string{"content-type": "application/problem+json", "cache-control": "no-store"}
	if want["status"] == 401. {
		wantHeaders["www-authenticate"] = `Bearer realm="api"`
	}
	if !maps.Equal(got, wantHeaders) {
		t.Errorf("headers %v, want %v", got, wantHeaders)
	}
	if err := response.ValidateAll(); err != nil {
		t.Errorf("Envoy would refuse the answer: %v", err)
	}
}
