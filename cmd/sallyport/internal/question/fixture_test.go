package question_test

import (
	"crypto/x509/pkix"
	"testing"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/question"
	"github.com/sallyport-project/sallyport/pki/ca"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// internals are what an edge and a sidecar behind it have of certificates.
const internals = `api_version: sallyport/v1
kind: Authority
metadata: {name: internal-ca}
spec: {development: {}}
---
api_version: sallyport/v1
kind: Truststore
metadata: {name: internal}
spec: {bundle: "authority:internal-ca"}
---
api_version: sallyport/v1
kind: Certificate
metadata: {name: server}
spec: {material: {certificate: "file:server.pem", private_key: "file:server.key"}}
---
api_version: sallyport/v1
kind: Certificate
metadata: {name: edge-client}
spec: {issued: {authority: internal-ca, profile: client, uris: ["spiffe://example.org/edge"]}}
---
`

// base is an edge with a sidecar behind it.
const base = `api_version: sallyport/v1
kind: Truststore
metadata: {name: partners}
spec: {bundle: "file:partners.pem"}
---
` + internals + `api_version: sallyport/v1
kind: Gateway
metadata: {name: edge}
spec:
  group: edge
  listeners:
  - name: https
    address: 0.0.0.0
    port: 8443
    tls:
    - {hostnames: [api.example.org], certificate: server, client_auth: {mode: optional, truststores: [partners], on_untrusted: explain}}
---
api_version: sallyport/v1
kind: Gateway
metadata: {name: sidecar}
spec:
  group: sidecar
  listeners:
  - name: https
    address: 127.0.0.1
    port: 9443
    tls:
    - {hostnames: [persons.internal], certificate: server, client_auth: {mode: required, truststores: [internal]}}
---
api_version: sallyport/v1
kind: Upstream
metadata: {name: persons}
spec: {endpoints: {addresses: ["127.0.0.1:9443"]}, tls: {truststore: internal, server_name: persons.internal, client_certificate: edge-client}}
---
api_version: sallyport/v1
kind: Upstream
metadata: {name: api}
spec: {endpoints: {addresses: ["127.0.0.1:7000"]}}
---
api_version: sallyport/v1
kind: Route
metadata: {name: persons}
spec:
  gateway: edge
  hostnames: [api.example.org]
  rules:
  - {name: health, match: {exact: /v1/health}, upstreams: [{name: persons}], policy: public}
  - {name: visits, match: {template: "/v1/visits/{prison_id}"}, upstreams: [{name: persons}], policy: own-prisons}
  - {name: all, match: {prefix: /v1}, upstreams: [{name: persons}], policy: partners}
---
api_version: sallyport/v1
kind: Route
metadata: {name: sidecar}
spec:
  gateway: sidecar
  hostnames: [persons.internal]
  rules:
  - {name: all, match: {prefix: /}, upstreams: [{name: api}], policy: edge-only}
---
api_version: sallyport/v1
kind: Role
metadata: {name: reader}
spec: {permissions: [{routes: [persons], methods: [GET], paths: ["/v1/persons/{id}", "/v1/persons/{id}/alerts", "/v1/visits/{prison_id}"]}]}
---
api_version: sallyport/v1
kind: Role
metadata: {name: idler}
spec: {permissions: [{routes: [persons], methods: [GET], paths: [/v1/nothing]}]}
---
api_version: sallyport/v1
kind: Policy
metadata: {name: partners}
spec:
  authenticate: {certificate: {truststores: [partners]}}
  authorize: [{name: granted, permissions: consumer_roles}]
  forward: {headers: [{name: x-consumer, value: consumer.name}]}
  deny: {disclose: detail}
---
api_version: sallyport/v1
kind: Policy
metadata: {name: own-prisons}
spec:
  authenticate: {certificate: {truststores: [partners]}}
  authorize: [{name: granted, permissions: consumer_roles, when: "path.prison_id in consumer.attributes.areas && certificate.not_after > request.time"}]
---
api_version: sallyport/v1
kind: Policy
metadata: {name: public}
spec:
  authenticate: {anonymous: {}}
  authorize: [{name: anyone, everyone: true}]
---
api_version: sallyport/v1
kind: Policy
metadata: {name: edge-only}
spec:
  authenticate: {certificate: {truststores: [internal]}}
  authorize: [{name: edge, consumers: [edge-proxy]}]
  forward: {pass: [x-consumer]}
---
api_version: sallyport/v1
kind: Consumer
metadata: {name: edge-proxy}
spec: {certificates: [{truststore: internal, san_uri: "spiffe://example.org/edge"}]}`

// partners are consumers of each kind.
const partners = base + `
---
api_version: sallyport/v1
kind: Consumer
metadata: {name: mapps}
spec:
  certificates: [{truststore: partners, subject_common_name: mapps}]
  roles: [reader]
  attributes: {areas: [MDI]}
---
api_version: sallyport/v1
kind: Consumer
metadata: {name: nsp}
spec:
  certificates: [{truststore: partners, certificate_sha256: "00000000000000000000000000000000000000000000000000000000000000aa"}]
  roles: [reader]
  attributes: {areas: [LEI]}
  valid_from: "2030-02-01T00:00:00Z"
  valid_until: "2030-03-01T00:00:00Z"
---
api_version: sallyport/v1
kind: Consumer
metadata: {name: pilot}
spec:
  certificates: [{truststore: partners, patterns: {subject_common_name: "pilot-[0-9]+"}}]
  roles: [reader]
  suspended: true
---
api_version: sallyport/v1
kind: Consumer
metadata: {name: nobody}
spec: {roles: [reader]}`

// answersOf are the answers about a configuration, of which all material is taken to be good.
func answersOf(t *testing.T, text string, changes ...func(*question.Config)) *question.Answers {
	t.Helper()
	model, err := build(text)
	if err != nil {
		t.Fatal(err)
	}
	settings := question.Config{Model: model, Clock: clock}
	for _, change := range changes {
		change(&settings)
	}
	return question.New(settings)
}

func get(url string) *adminv1.Inquiry { return &adminv1.Inquiry{Method: "GET", Url: url} }

func by(consumer, url string) *adminv1.ExplainRequest {
	return &adminv1.ExplainRequest{Inquiry: get(url), Caller: &adminv1.ExplainRequest_Consumer{Consumer: consumer}}
}

// certificate is one of this name, in PEM.
func certificate(t *testing.T, authority *ca.Authority, name string) string {
	t.Helper()
	pair, err := authority.Issue(ca.Request{Profile: ca.Client, Subject: pkix.Name{CommonName: name}})
	if err != nil {
		t.Fatal(err)
	}
	return string(pair.CertificatePEM)
}
