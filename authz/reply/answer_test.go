package reply_test

import (
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"

	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/authz/limit"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/authz/reply"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/checkcontext"
	"github.com/sallyport-project/sallyport/config/expression"
)

func headersOf(options []*corev3.HeaderValueOption) map[string]string {
	all := map[string]string{}
	for _, h := range options {
		all[h.GetHeader().GetKey()] = h.GetHeader().GetValue()
	}
	return all
}

func render(t *testing.T, p *reply.Policy, d *policy.Decision, quota *limit.Quota) *authv3.CheckResponse {
	t.Helper()
	response, err := reply.Render(p, d, reply.With{Quota: quota})
	if err != nil {
		t.Fatal(err)
	}
	if err := response.ValidateAll(); err != nil {
		t.Errorf("Envoy would refuse the answer: %v", err)
	}
	return response
}

func TestACallerIsToldItsQuota(t *testing.T) {
	p := reply.Compile(&config.Policy{}, slices.Values(headers))
	left := &limit.Quota{Requests: 100, Window: 90 * time.Second, Remaining: 7, Reset: 1500 * time.Millisecond}
	if got, want := headersOf(render(t, p, allowed(nil), left).GetOkResponse().GetResponseHeadersToAdd()), map[string]string{
		"ratelimit-policy": `"default";q=100;w=90`, "ratelimit": `"default";r=7;t=2`,
	}; !maps.Equal(got, want) {
		t.Errorf("on the answer %v, want %v", got, want)
	}
	exceeded := &limit.Quota{Requests: 100, Window: time.Second, Reset: time.Second, RetryAfter: time.Millisecond}
	refused := render(t, p, denied(reason.RateLimited), exceeded).GetDeniedResponse()
	want := map[string]string{
		"ratelimit-policy": `"default";q=100;w=1`, "ratelimit": `"default";r=0;t=1`, "retry-after": "1",
		"content-type": "application/problem+json", "cache-control": "no-store",
	}
	if got := headersOf(refused.GetHeaders()); refused.GetStatus().GetCode() != 429 || !maps.Equal(got, want) {
		t.Errorf("refused with %d %v, want 429 %v", refused.GetStatus().GetCode(), got, want)
	}
	if got := render(t, p, allowed(nil), nil).GetOkResponse().GetResponseHeadersToAdd(); got != nil {
		t.Errorf("a caller without a limit is told %v", got)
	}
}

func TestAMethodThatIsNotAllowedComesWithThoseThatAre(t *testing.T) {
	p := reply.Compile(&config.Policy{HideAsNotFound: true}, slices.Values(headers))
	refused := render(t, p, denied(reason.MethodNotAllowed), nil).GetDeniedResponse()
	if got := headersOf(refused.GetHeaders())["allow"]; refused.GetStatus().GetCode() != 405 || got != "GET, HEAD" {
		t.Errorf("refused with %d, allow %q", refused.GetStatus().GetCode(), got)
	}
}

// What is hidden must look like what is not there, byte for byte.
func TestWhatIsHiddenLooksLikeWhatIsNotThere(t *testing.T) {
	hiding := reply.Compile(&config.Policy{HideAsNotFound: true, Disclose: 2}, slices.Values(headers))
	nothing := render(t, nil, denied(reason.NoRoute), nil)
	for _, entry := range reason.All() {
		if entry.Status != 401 && entry.Status != 403 {
			continue
		}
		if hidden := render(t, hiding, denied(entry.Reason), nil); !proto.Equal(hidden, nothing) {
			t.Errorf("%s is answered\n%v, and what is not there\n%v", entry.Reason, hidden, nothing)
		}
	}
	for _, shown := range []reason.Reason{reason.RateLimited, reason.TruststoreMissing, reason.RequestMalformed} {
		if code := int(render(t, hiding, denied(shown), &limit.Quota{RetryAfter: 1}).GetDeniedResponse().GetStatus().GetCode()); code != shown.Status() {
			t.Errorf("%s is answered %d", shown, code)
		}
	}
}

func TestWhoAmITellsWhatIsKnown(t *testing.T) {
	asked := func(change func(*policy.Decision)) *policy.Decision {
		return allowed(func(d *policy.Decision) {
			d.Request.Gateway, d.Request.Answer = "edge", checkcontext.AnswerWhoAmI
			d.Time = fixture.Noon.Add(-50 * time.Hour)
			d.Facts = &expression.Facts{Consumer: expression.NewConsumer("mapps", []string{"reader", "writer"}, nil, nil)}
			if change != nil {
				change(d)
			}
		})
	}
	for name, test := range map[string]struct {
		decision *policy.Decision
		want     map[string]any
	}{
		"a consumer": {asked(nil), map[string]any{
			"consumer": "mapps", "roles": []any{"reader", "writer"}, "gateway": "edge",
			"certificate": map[string]any{"subject": "CN=mapps", "serial": "abc", "not_after": "2030-01-02T12:00:00Z", "days_left": 2.},
		}},
		"a certificate of nobody": {asked(func(d *policy.Decision) { d.Consumer, d.Facts = "", &expression.Facts{} }), map[string]any{
			"gateway":     "edge",
			"certificate": map[string]any{"subject": "CN=mapps", "serial": "abc", "not_after": "2030-01-02T12:00:00Z", "days_left": 2.},
		}},
		"a certificate that nobody vouches for": {asked(func(d *policy.Decision) { d.Consumer, d.Truststore, d.Facts = "", "", nil }),
			map[string]any{"gateway": "edge"}},
	} {
		t.Run(name, func(t *testing.T) {
			response := render(t, reply.Compile(forwarding(), slices.Values(headers)), test.decision, &limit.Quota{Requests: 1, Window: time.Second})
			if response.GetOkResponse() != nil || response.GetStatus().GetCode() == 0 {
				t.Fatal("the request goes on to an upstream that is not there")
			}
			answer := response.GetDeniedResponse()
			got := headersOf(answer.GetHeaders())
			if answer.GetStatus().GetCode() != 200 || got["content-type"] != "application/json" || got["cache-control"] != "no-store" || got["ratelimit"] == "" {
				t.Errorf("answered %d, %v", answer.GetStatus().GetCode(), got)
			}
			var body map[string]any
			if err := json.Unmarshal([]byte(answer.GetBody()), &body); err != nil || !reflect.DeepEqual(body, test.want) {
				t.Errorf("body %s, error %v, want %v", answer.GetBody(), err, test.want)
			}
		})
	}
}

func TestValuesAreMadeOfFacts(t *testing.T) {
	p := reply.Compile(&config.Policy{Forward: []config.ForwardHeader{
		{Name: "x-roles", Value: text("consumer.roles.join(',')")}, {Name: "x-prison", Value: text("path.prison_id")},
	}}, slices.Values(headers))
	of := func(path map[string]string) *policy.Decision {
		return allowed(func(d *policy.Decision) {
			d.Facts = &expression.Facts{Consumer: expression.NewConsumer("mapps", []string{"a", "b"}, nil, nil), Path: path}
		})
	}
	ok := render(t, p, of(map[string]string{"prison_id": "MDI"}), nil).GetOkResponse()
	if got := headersOf(ok.GetHeaders()); got["x-roles"] != "a,b" || got["x-prison"] != "MDI" {
		t.Errorf("set %v", got)
	}
	ok = render(t, p, of(nil), nil).GetOkResponse()
	if got := headersOf(ok.GetHeaders()); len(got) != 1 || !slices.Contains(ok.GetHeadersToRemove(), "x-prison") {
		t.Errorf("set %v, removed %v, where the path has no prison", got, ok.GetHeadersToRemove())
	}
	var value *reply.ValueError
	if _, err := reply.Render(p, of(map[string]string{"prison_id": "Łódź"}), reply.With{}); !errors.As(err, &value) || !value.OfCaller || value.Header != "x-prison" {
		t.Errorf("error %v", err)
	}
}
