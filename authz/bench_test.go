package authz_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport-project/sallyport/authz"
	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/authz/reason"
)

// BenchmarkDecide is a decision on a remembered certificate, in process, among few and among many. The second should not
// cost more than a tenth more than the first.
func BenchmarkDecide(b *testing.B) {
	for _, size := range []struct{ consumers, roles int }{{10, 10}, {10_000, 1_000}} {
		b.Run(fmt.Sprintf("consumers=%d/roles=%d", size.consumers, size.roles), func(b *testing.B) {
			h := newHouse(b, func(c *authz.Config) { c.Sink = audit.SinkFunc(func(audit.Record) {}) })
			h.model = fixture.Model(b, crowd(size.consumers, size.roles))
			h.Apply(h.model, h.material)
			check := h.check(persons(h.partners.Client("consumer-7")))
			if _, decision, err := h.Decide(b.Context(), "edge", check); err != nil || decision.Reason != reason.PermissionGranted {
				b.Fatal(decision.Reason, decision.Detail, err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for b.Loop() {
				if _, _, err := h.Decide(b.Context(), "edge", check); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDecideConditionally is a decision with a condition on the path, a limit, and a header value that must be evaluated.
func BenchmarkDecideConditionally(b *testing.B) {
	h := newHouse(b, func(c *authz.Config) { c.Sink = audit.SinkFunc(func(audit.Record) {}) })
	h.model = fixture.Model(b, strings.NewReplacer(
		"permissions: consumer_roles}", `permissions: consumer_roles, when: "!has(path.prison_id) || path.prison_id in consumer.attributes.prisons"}`,
		"/v1/persons/{id}/alerts", "/v1/persons/{prison_id}/alerts",
		"roles: [role-", "attributes: {prisons: ['1', LEI, MDI]}, rate_limit: {requests: 1000000}, roles: [role-",
		"value: certificate.subject_dn", "value: 'consumer.roles.join(\",\")'",
	).Replace(crowd(10, 10)))
	h.Apply(h.model, h.material)
	check := h.check(persons(h.partners.Client("consumer-7")))
	if _, decision, err := h.Decide(b.Context(), "edge", check); err != nil || decision.Reason != reason.PermissionGranted {
		b.Fatal(decision.Reason, decision.Detail, err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		if _, _, err := h.Decide(b.Context(), "edge", check); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecideAnew verifies the certificate each time.
func BenchmarkDecideAnew(b *testing.B) {
	h := newHouse(b, func(c *authz.Config) { c.Sink, c.CacheSize = audit.SinkFunc(func(audit.Record) {}), 1 })
	one, two := h.check(persons(h.partners.Client("mapps"))), h.check(persons(h.partners.Client("mapps")))
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		if _, _, err := h.Decide(b.Context(), "edge", one); err != nil {
			b.Fatal(err)
		}
		one, two = two, one
	}
}

// crowd is the example's edge with so many consumers and roles. All roles permit the same path.
func crowd(consumers, roles int) string {
	var y strings.Builder
	y.WriteString(`
api_version: sallyport/v1
kind: Truststore
metadata: {name: partners}
spec: {bundle: "file:partners.pem"}
---
api_version: sallyport/v1
kind: Certificate
metadata: {name: server}
spec: {material: {certificate: "file:a.pem", private_key: "file:b.pem"}}
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
    tls: [{hostnames: [api.example.org], certificate: server, client_auth: {mode: optional, truststores: [partners]}}]
---
api_version: sallyport/v1
kind: Upstream
metadata: {name: api}
spec: {endpoints: {addresses: ["127.0.0.1:9080"]}}
---
api_version: sallyport/v1
kind: Policy
metadata: {name: partners}
spec:
  authenticate: {certificate: {truststores: [partners]}}
  authorize: [{name: granted, permissions: consumer_roles}]
  forward: {headers: [{name: x-consumer, value: consumer.name}, {name: subject-distinguished-name, value: certificate.subject_dn}]}
---
api_version: sallyport/v1
kind: Route
metadata: {name: integration-api}
spec:
  gateway: edge
  hostnames: [api.example.org]
  rules: [{name: persons, match: {prefix: /v1/persons}, upstreams: [{name: api}], policy: partners}]
`)
	for i := range roles {
		fmt.Fprintf(&y, "---\napi_version: sallyport/v1\nkind: Role\nmetadata: {name: role-%d}\nspec: {permissions: [{routes: [integration-api], methods: [GET], paths: [\"/v1/persons/{id}/alerts\", \"/v1/persons/{id}/other-%d\"]}]}\n", i, i)
	}
	for i := range consumers {
		fmt.Fprintf(&y, "---\napi_version: sallyport/v1\nkind: Consumer\nmetadata: {name: consumer-%d}\nspec: {certificates: [{truststore: partners, subject_common_name: consumer-%d}], roles: [role-%d]}\n", i, i, i%roles)
	}
	return y.String()
}

// BenchmarkDecideOnATokenThatGoesOn is a decision on a remembered token, in whose place one of ours goes on.
func BenchmarkDecideOnATokenThatGoesOn(b *testing.B) {
	p := newPort(b, func(c *authz.Config) { c.Sink = audit.SinkFunc(func(audit.Record) {}) })
	check := p.check(p.call("search-minted", "/vessels/search/minted", p.idp.user("alice", "vessel.read")))
	if _, decision, err := p.Decide(b.Context(), "edge", check); err != nil || decision.Reason != reason.Everyone {
		b.Fatal(decision.Reason, decision.Detail, err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		if _, _, err := p.Decide(b.Context(), "edge", check); err != nil {
			b.Fatal(err)
		}
	}
}
