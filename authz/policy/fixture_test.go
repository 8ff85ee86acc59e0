package policy_test

import (
	"crypto/x509"
	"slices"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/authz/request"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

// house is what all tests' configurations have: a gateway whose one entry trusts `partners` and `others`.
const house = `
api_version: sallyport/v1
kind: Truststore
metadata: {name: partners}
spec: {bundle: "file:partners.pem"}
---
api_version: sallyport/v1
kind: Truststore
metadata: {name: others}
spec: {bundle: "file:others.pem"}
---
api_version: sallyport/v1
kind: Truststore
metadata: {name: elsewhere}
spec: {bundle: "file:elsewhere.pem"}
---
api_version: sallyport/v1
kind: Certificate
metadata: {name: server}
spec: {material: {certificate: "file:server.pem", private_key: "file:server-key.pem"}}
---
api_version: sallyport/v1
kind: Gateway
metadata: {name: edge}
spec:
  group: edge
  listeners:
  - name: https
    address: 0.0.0.0
    port: 8443
    tls:
    - hostnames: [api.example.org]
      certificate: server
      client_auth: {mode: optional, truststores: [partners, others], on_untrusted: explain}
---
api_version: sallyport/v1
kind: Upstream
metadata: {name: api}
spec: {endpoints: {addresses: ["127.0.0.1:9080"]}}
---
api_version: sallyport/v1
kind: Role
metadata: {name: reader}
spec:
  permissions:
  - {routes: [api], methods: [GET], paths: ["/persons/{id}", "/files/{rest=**}"]}
  - {routes: [api], methods: [PUT], paths: ["/persons/{id}"]}
---
api_version: sallyport/v1
kind: Role
metadata: {name: anything}
spec:
  permissions:
  - {routes: [api], paths: ["/anything/{rest=**}"]}
---
api_version: sallyport/v1
kind: Role
metadata: {name: elsewhere}
spec:
  permissions:
  - {routes: [other-api], methods: [GET], paths: ["/persons/{id}", "/other"]}
---
api_version: sallyport/v1
kind: Consumer
metadata: {name: mapps}
spec:
  certificates: [{truststore: partners, subject_common_name: mapps}]
  roles: [reader]
---
api_version: sallyport/v1
kind: Consumer
metadata: {name: nsp}
spec:
  certificates: [{truststore: partners, subject_common_name: nsp}]
  roles: [elsewhere, anything]
---
api_version: sallyport/v1
kind: Consumer
metadata: {name: mapps-of-others}
spec:
  certificates: [{truststore: others, subject_common_name: mapps}]
---
api_version: sallyport/v1
kind: Consumer
metadata: {name: suspended}
spec:
  certificates: [{truststore: partners, subject_common_name: suspended}]
  roles: [reader]
  suspended: true
---
api_version: sallyport/v1
kind: Consumer
metadata: {name: seasonal}
spec:
  certificates: [{truststore: partners, subject_common_name: seasonal}]
  roles: [reader]
  valid_from: "2030-01-02T13:00:00Z"
  valid_until: "2030-01-02T14:00:00Z"
---
api_version: sallyport/v1
kind: Consumer
metadata: {name: first-claimant}
spec: {certificates: [{truststore: partners, subject_common_name: claimed}]}
---
api_version: sallyport/v1
kind: Consumer
metadata: {name: second-claimant}
spec: {certificates: [{truststore: partners, san_uri: "spiffe://example.org/claimed"}]}
---
api_version: sallyport/v1
kind: Route
metadata: {name: other-api}
spec:
  gateway: edge
  hostnames: [api.example.org]
  rules:
  - {name: other, match: {exact: /other}, upstreams: [{name: api}], policy: tested}
---
api_version: sallyport/v1
kind: Route
metadata: {name: api}
spec:
  gateway: edge
  hostnames: [api.example.org]
  rules:
  - {name: everything, match: {prefix: /}, upstreams: [{name: api}], policy: tested}
---
`

// policySpec is the policy `tested` with its spec.
func policySpec(spec string) string {
	return house + "api_version: sallyport/v1\nkind: Policy\nmetadata: {name: tested}\nspec: " + spec + "\n"
}

const byPermission = `{authenticate: {certificate: {truststores: [partners]}}, authorize: [{name: granted, permissions: consumer_roles}]}`

// callers are two authorities and the material made of them.
type callers struct {
	partners, others *fixture.Authority
	material         *inventory.Snapshot
	// mapps is a certificate to which tokens are bound, as Envoy sends it, and revocable is the same.
	mapps     string
	revocable *x509.Certificate
}

func newCallers(t testing.TB) *callers {
	t.Helper()
	c := &callers{partners: fixture.NewAuthority(t, "partners"), others: fixture.NewAuthority(t, "others")}
	c.material = fixture.Material(fixture.Truststore("partners", c.partners), fixture.Truststore("others", c.others), fixture.Truststore("elsewhere", c.partners))
	return c
}

func engineOf(t testing.TB, c *callers, model *config.Model, previous *policy.Engine) *policy.Engine {
	t.Helper()
	verifier, err := identity.NewVerifier(identity.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return policy.Compile(policy.Input{
		Model: model, Material: c.material, Verifier: verifier, Previous: previous, Now: fixture.Noon,
		Keep: func(string, string, time.Time) bool { return true },
	})
}

// asks is a request under the policy `tested` in the version of the model.
func asks(model *config.Model, certificate string) *request.Request {
	return &request.Request{
		Context: request.Context{
			Gateway: "edge", Listener: "https", Entry: "api.example.org", Route: "api", Rule: "everything",
			Policy: "tested", PolicyVersion: model.Policy("tested").Version, Upstream: "api",
			UpstreamVersion: model.Upstream("api").Version,
		},
		Method: "GET", Path: "/persons/1", Host: "api.example.org", Certificate: certificate,
	}
}

// wantDecision wants a reason, and a trace that ends in it.
func wantDecision(t *testing.T, d *policy.Decision, want reason.Reason) {
	t.Helper()
	if d.Reason != want || d.Allowed != want.Allows() {
		t.Errorf("allowed %t for %s (%s), want %s", d.Allowed, d.Reason, d.Detail, want)
	}
	if d.Detail == "" {
		t.Errorf("%s has no detail", d.Reason)
	}
	decided := slices.ContainsFunc(d.Steps, func(s policy.Step) bool { return s.Reason == d.Reason && s.Detail == d.Detail })
	if !decided {
		t.Errorf("no step of %+v decided for %s", d.Steps, d.Reason)
	}
}
