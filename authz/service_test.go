package authz_test

import (
	"crypto/x509"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sallyport-project/sallyport/authz"
	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config/checkcontext"
)

func TestAPartnersCallIsDecidedAsTheExampleSays(t *testing.T) {
	h := newHouse(t)
	day := 24 * time.Hour
	changed := func(a ask, change func(*ask)) ask { change(&a); return a }
	mapps := persons(h.partners.Client("mapps"))
	for name, test := range map[string]struct {
		ask  ask
		want reason.Reason
	}{
		"right certificate and permitted path": {mapps, reason.PermissionGranted},
		"without any usage":                    {persons(h.partners.Client("mapps", fixture.Usages())), reason.PermissionGranted},
		"for servers alone":                    {persons(h.partners.Client("mapps", fixture.Usages(x509.ExtKeyUsageServerAuth))), reason.CertificateUsage},
		"no certificate":                       {persons(""), reason.CertificateMissing},
		"another CA's":                         {persons(fixture.NewAuthority(t, "partners").Client("mapps")), reason.CertificateUntrusted},
		"our own CA's":                         {persons(h.internal.Client("mapps")), reason.CertificateUntrusted},
		"expired":                              {persons(h.partners.Client("mapps", fixture.Valid(-2*day, -day))), reason.CertificateExpired},
		"not valid yet":                        {persons(h.partners.Client("mapps", fixture.Valid(day, 2*day))), reason.CertificateNotYetValid},
		"unknown consumer":                     {persons(h.partners.Client("stranger")), reason.ConsumerUnknown},
		"suspended consumer":                   {persons(h.partners.Client("pilot")), reason.ConsumerSuspended},
		"unauthorised consumer":                {persons(h.partners.Client("nsp")), reason.PermissionMissing},
		"wrong method":                         {changed(mapps, func(a *ask) { a.method = "POST" }), reason.PermissionMissing},
		"mixed case":                           {changed(mapps, func(a *ask) { a.path = "/v1/persons/1/Alerts" }), reason.PermissionMissing},
		"a trailing slash":                     {changed(mapps, func(a *ask) { a.path += "/" }), reason.PermissionMissing},
		"a query":                              {changed(mapps, func(a *ask) { a.path += "?page=1" }), reason.PermissionGranted},
		"a semicolon":                          {changed(mapps, func(a *ask) { a.path = "/v1/persons/1;x/alerts" }), reason.RequestMalformed},
		"a dot segment":                        {changed(mapps, func(a *ask) { a.path = "/v1/persons/1/../2/alerts" }), reason.RequestMalformed},
		"any partner":                          {changed(mapps, func(a *ask) { a.rule, a.path = "status", "/v1/status" }), reason.ConsumerListed},
		"everyone":                             {changed(persons(""), func(a *ask) { a.rule, a.path = "health", "/health" }), reason.Everyone},
		"everyone, with a stranger's":          {changed(persons("x"), func(a *ask) { a.rule, a.path = "health", "/health" }), reason.Everyone},
		"the edge, at the sidecar": {ask{gateway: "sidecar", host: "integration-api.internal", route: "behind-the-sidecar", rule: "everything",
			method: "GET", path: "/v1/persons/1", certificate: h.internal.Client("", fixture.URI("spiffe://example.org/edge"))}, reason.ConsumerListed},
		"a partner, at the sidecar": {ask{gateway: "sidecar", host: "integration-api.internal", route: "behind-the-sidecar", rule: "everything",
			method: "GET", path: "/v1/persons/1", certificate: h.partners.Client("mapps")}, reason.CertificateUntrusted},
	} {
		t.Run(name, func(t *testing.T) {
			h.TB = t
			h.want(test.ask, test.want)
		})
	}
}

func TestHeadersThatOnlyTheEdgeMaySetAreNeverTheCallers(t *testing.T) {
	h := newHouse(t)
	forged := map[string]string{"x-consumer": "forged", "subject-distinguished-name": "forged", "x-original-url": "/admin", "x-forwarded-client-cert": "forged"}

	partner := persons(h.partners.Client("mapps"))
	partner.headers = forged
	ok := h.want(partner, reason.PermissionGranted).GetOkResponse()
	if got := setBy(ok); !maps.Equal(got, map[string]string{"x-consumer": "mapps", "subject-distinguished-name": "CN=mapps"}) {
		t.Errorf("set %v", got)
	}
	anyone := persons("")
	anyone.rule, anyone.path, anyone.headers = "health", "/health", forged
	ok = h.want(anyone, reason.Everyone).GetOkResponse()
	for name := range forged {
		if !slices.Contains(ok.GetHeadersToRemove(), name) {
			t.Errorf("%s is not removed where the policy does not set it", name)
		}
	}
	edge := ask{gateway: "sidecar", host: "integration-api.internal", route: "behind-the-sidecar", rule: "everything",
		method: "GET", path: "/v1/persons/1", certificate: h.internal.Client("", fixture.URI("spiffe://example.org/edge")), headers: forged}
	ok = h.want(edge, reason.ConsumerListed).GetOkResponse()
	if slices.Contains(ok.GetHeadersToRemove(), "x-consumer") || !slices.Contains(ok.GetHeadersToRemove(), "x-original-url") {
		t.Errorf("behind the sidecar %v are removed", ok.GetHeadersToRemove())
	}
}

func setBy(ok *authv3.OkHttpResponse) map[string]string {
	set := map[string]string{}
	for _, header := range ok.GetHeaders() {
		set[header.GetHeader().GetKey()] = header.GetHeader().GetValue()
	}
	return set
}

func TestCredentialsThatNobodyCanVerifyAreNeverPassedOver(t *testing.T) {
	h := newHouse(t)
	public := persons("")
	public.rule, public.path = "health", "/health"
	malformed := persons(h.partners.Client("mapps"))
	malformed.path = "/v1/../persons"
	for name, test := range map[string]struct {
		ask   ask
		value string
		want  reason.Reason
	}{
		"a token beside a good certificate":   {persons(h.partners.Client("mapps")), "Bearer abc", reason.CredentialsNotAccepted},
		"a token and no certificate":          {persons(""), "Bearer abc", reason.CredentialsNotAccepted},
		"a password":                          {persons(h.partners.Client("mapps")), "Basic YTpi", reason.CredentialsNotAccepted},
		"nothing in the header":               {persons(h.partners.Client("mapps")), "", reason.CredentialsNotAccepted},
		"a token where anonymous callers may": {public, "Bearer abc", reason.CredentialsNotAccepted},
		"a token in a malformed request":      {malformed, "Bearer abc", reason.RequestMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			h.TB = t
			test.ask.headers = map[string]string{"authorization": test.value}
			denied := h.want(test.ask, test.want).GetDeniedResponse()
			challenge := ""
			for _, header := range denied.GetHeaders() {
				if header.GetHeader().GetKey() == "www-authenticate" {
					challenge = header.GetHeader().GetValue()
				}
			}
			if (challenge != "") != (test.want.Status() == 401) {
				t.Errorf("the challenge is %q", challenge)
			}
		})
	}
}

func TestRoutesThatLeadNowhereAreAnsweredByTheirOutcome(t *testing.T) {
	h := newHouse(t)
	for outcome, want := range map[string]reason.Reason{
		checkcontext.OutcomeNoRoute: reason.NoRoute, checkcontext.OutcomeMisdirected: reason.Misdirected, "": reason.ContextMissing,
	} {
		nowhere := persons(h.partners.Client("mapps"))
		nowhere.headers = map[string]string{"authorization": "Bearer abc"} // decides nothing
		check := h.check(nowhere)
		check.Attributes.ContextExtensions = map[string]string{
			checkcontext.Gateway: "edge", checkcontext.Listener: "https", checkcontext.Entry: "api.example.org", checkcontext.Outcome: outcome,
		}
		response, decision, err := h.Decide(t.Context(), "edge", check)
		if err != nil || decision.Reason != want || int(response.GetDeniedResponse().GetStatus().GetCode()) != want.Status() {
			t.Errorf("outcome %q: %v %v, error %v", outcome, decision.Reason, response, err)
		}
		if body := response.GetDeniedResponse().GetBody(); !strings.Contains(body, `"about:blank"`) || !strings.Contains(body, "id-1") {
			t.Errorf("outcome %q: body %s", outcome, body)
		}
	}
}

func TestOnlyTheGatewaysOwnProxiesAreAnswered(t *testing.T) {
	h := newHouse(t)
	check := h.check(persons(h.partners.Client("mapps")))
	for name, group := range map[string]string{"another group": "sidecar", "no group": ""} {
		response, decision, err := h.Decide(t.Context(), group, check)
		if status.Code(err) != codes.PermissionDenied || response != nil || decision.Reason != reason.GatewayNotYours {
			t.Errorf("%s: %v, %v, error %v", name, response, decision.Reason, err)
		}
	}
	if response, err := h.Check(t.Context(), check); status.Code(err) != codes.PermissionDenied || response != nil {
		t.Errorf("an asker without a connection: %v, error %v", response, err)
	}
	records := h.ring.Find("id-1")
	if len(records) != 3 || records[2].Reason != reason.GatewayNotYours {
		t.Errorf("records %+v", records)
	}
}

func TestAPanicIsADenial(t *testing.T) {
	panics := func() { panic("a fault that a test has planted") }
	t.Run("while judging", func(t *testing.T) {
		h := newHouse(t, func(c *authz.Config) {
			c.InUse = func(string, string) bool { panics(); return true }
		})
		h.model = fixture.Load(t, editedExample(t, "consumers: [mapps, nsp, event-service]", "consumers: [mapps]"))
		h.Apply(h.model, h.material)
		old := persons(h.partners.Client("mapps"))
		old.rule, old.path, old.version = "status", "/v1/status", oldVersion(t, "any-partner")
		h.clock.advance(2 * authz.DefaultGrace)
		h.want(old, reason.Internal)
	})
	t.Run("while recording", func(t *testing.T) {
		h := newHouse(t, func(c *authz.Config) { c.Sink = audit.SinkFunc(func(audit.Record) { panics() }) })
		response, decision, err := h.Decide(t.Context(), "edge", h.check(persons(h.partners.Client("mapps"))))
		if err != nil || decision.Reason != reason.Internal || response.GetDeniedResponse().GetStatus().GetCode() != 503 {
			t.Errorf("%v, %v, error %v", response, decision.Reason, err)
		}
	})
}

func TestAMissingTruststoreIsOurFault(t *testing.T) {
	h := newHouse(t)
	h.Apply(h.model, fixture.Material(fixture.Truststore("internal", h.internal)))
	h.want(persons(h.partners.Client("mapps")), reason.TruststoreMissing)
	h.Apply(h.model, h.material)
	h.want(persons(h.partners.Client("mapps")), reason.PermissionGranted)
}

func TestATruststoreThatLosesItsAnchorTrustsItNoMoreAtOnce(t *testing.T) {
	h := newHouse(t)
	mapps := persons(h.partners.Client("mapps"))
	h.want(mapps, reason.PermissionGranted)
	h.Apply(h.model, fixture.Material(fixture.Truststore("partners", fixture.NewAuthority(t, "partners")), fixture.Truststore("internal", h.internal)))
	h.want(mapps, reason.CertificateUntrusted)
}

func TestARememberedCertificateExpires(t *testing.T) {
	h := newHouse(t)
	mapps := persons(h.partners.Client("mapps"))
	h.want(mapps, reason.PermissionGranted)
	h.clock.advance(25 * time.Hour)
	h.want(mapps, reason.CertificateExpired)
	h.clock.advance(-25 * time.Hour)
	h.want(mapps, reason.PermissionGranted)
}
