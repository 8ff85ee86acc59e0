package authz_test

import (
	"encoding/json"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/sallyport-project/sallyport/authz"
	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config/checkcontext"
)

const mappsName = "metadata: {name: mapps, labels: {team: police}}\nspec:\n"

// limitedTo gives the example's mapps a limit.
func limitedTo(t *testing.T, limit string, more ...string) string {
	return editedExample(t, append([]string{mappsName, mappsName + "  rate_limit: " + limit + "\n"}, more...)...)
}

func header(options []*corev3.HeaderValueOption, name string) string {
	for _, h := range options {
		if h.GetHeader().GetKey() == name {
			return h.GetHeader().GetValue()
		}
	}
	return ""
}

func TestAConsumerThatAsksTooOftenWaits(t *testing.T) {
	h := newHouse(t)
	h.model = fixture.Load(t, limitedTo(t, "{requests: 2, per: 10s}"))
	h.Apply(h.model, h.material)
	mapps, nsp := persons(h.partners.Client("mapps")), persons(h.partners.Client("nsp"))
	nsp.path = "/v1/persons/1"
	forbidden := mapps
	forbidden.method = "DELETE"

	h.want(forbidden, reason.PermissionMissing) // does not count
	first := h.want(mapps, reason.PermissionGranted).GetOkResponse()
	if got := header(first.GetResponseHeadersToAdd(), "ratelimit"); got != `"default";r=1;t=5` {
		t.Errorf("told %q", got)
	}
	h.want(mapps, reason.PermissionGranted)
	refused := h.want(mapps, reason.RateLimited).GetDeniedResponse()
	if got := header(refused.GetHeaders(), "retry-after"); got != "5" {
		t.Errorf("told to try again after %q", got)
	}
	h.want(forbidden, reason.PermissionMissing)
	h.want(nsp, reason.PermissionGranted) // another's limit is another's

	h.Apply(h.model, h.material) // the material changes, and the limit does not
	h.want(mapps, reason.RateLimited)
	h.clock.advance(5 * time.Second)
	h.want(mapps, reason.PermissionGranted)
	h.want(mapps, reason.RateLimited)

	h.model = fixture.Load(t, limitedTo(t, "{requests: 3, per: 10s}"))
	h.Apply(h.model, h.material)
	h.want(mapps, reason.PermissionGranted)

	h.model = fixture.Load(t, example)
	h.Apply(h.model, h.material)
	for range 10 {
		h.want(mapps, reason.PermissionGranted)
	}
}

func TestQuestionsCountForNothing(t *testing.T) {
	h := newHouse(t, func(c *authz.Config) { c.Uncounted = true })
	h.model = fixture.Load(t, limitedTo(t, "{requests: 1, per: 60s}"))
	h.Apply(h.model, h.material)
	for range 3 {
		h.want(persons(h.partners.Client("mapps")), reason.PermissionGranted)
	}
}

// aboutMe is a rule that answers by itself, as a proxy asks about it.
func (h *house) aboutMe(method, certificate string) *authv3.CheckRequest {
	a := persons(certificate)
	a.method, a.path = method, "/v1/whoami"
	check := h.check(a)
	extensions := check.GetAttributes().GetContextExtensions()
	delete(extensions, checkcontext.Upstream)
	delete(extensions, checkcontext.UpstreamHash)
	policy := h.model.Policy("any-partner")
	extensions[checkcontext.Rule], extensions[checkcontext.Answer] = "whoami", checkcontext.AnswerWhoAmI
	extensions[checkcontext.Policy], extensions[checkcontext.PolicyHash] = policy.Name, policy.Version
	return check
}

func TestWhoAmIIsAnsweredByTheServiceAlone(t *testing.T) {
	h := newHouse(t)
	h.model = fixture.Load(t, limitedTo(t, "{requests: 1, per: 60s}"))
	h.Apply(h.model, h.material)
	answered := func(check *authv3.CheckRequest, want reason.Reason) *authv3.DeniedHttpResponse {
		t.Helper()
		response, decision, err := h.Decide(t.Context(), "edge", check)
		if err != nil || decision.Reason != want || response.GetOkResponse() != nil || int(response.GetDeniedResponse().GetStatus().GetCode()) != want.Status() {
			t.Errorf("%s (%s), %v, error %v, want %s", decision.Reason, decision.Detail, response, err, want)
		}
		return response.GetDeniedResponse()
	}
	mapps := h.partners.Client("mapps")
	var told struct {
		Consumer    string
		Roles       []string
		Certificate struct {
			Subject  string
			DaysLeft int `json:"days_left"`
		}
	}
	body := answered(h.aboutMe("GET", mapps), reason.ConsumerListed).GetBody()
	if err := json.Unmarshal([]byte(body), &told); err != nil || told.Consumer != "mapps" || len(told.Roles) == 0 || told.Certificate.Subject != "CN=mapps" || told.Certificate.DaysLeft != 1 {
		t.Errorf("told %s, error %v", body, err)
	}
	answered(h.aboutMe("GET", mapps), reason.RateLimited)
	answered(h.aboutMe("GET", ""), reason.CertificateMissing)
	answered(h.aboutMe("POST", h.partners.Client("nsp")), reason.MethodNotAllowed)
	answered(h.aboutMe("HEAD", h.partners.Client("nsp")), reason.ConsumerListed)
	if record := h.ring.Find("id-1")[0]; !record.Allowed || record.Status != 200 {
		t.Errorf("recorded as %+v", record)
	}
}

func TestAHeaderThatCannotBeMadeOfTheRequestIsTheCallersFault(t *testing.T) {
	h := newHouse(t)
	h.model = fixture.Load(t, editedExample(t,
		"    - {name: x-consumer, value: consumer.name}\n    - {name: subject", "    - {name: x-consumer, value: path.hmpps_id}\n    - {name: subject"))
	h.Apply(h.model, h.material)
	asked := persons(h.partners.Client("mapps"))
	if ok := h.want(asked, reason.PermissionGranted).GetOkResponse(); setBy(ok)["x-consumer"] != "1" {
		t.Errorf("set %v", setBy(ok))
	}
	asked.path = "/v1/persons/%C5%81/alerts"
	h.want(asked, reason.RequestMalformed)
}
