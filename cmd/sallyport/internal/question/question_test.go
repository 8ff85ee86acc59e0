package question_test

import (
	"bytes"
	"context"
	"crypto/x509/pkix"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/authz/request"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/pipeline"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/question"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/inventory"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

var update = flag.Bool("update", false, "write the golden files")

// base is an edge with a sidecar behind it.
const base = `api_version: sallyport/v1
kind: Truststore
metadata: {name: partners}
spec: {bundle: "file:partners.pem"}
---
api_version: sallyport/v1
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

func TestWhatPeopleRead(t *testing.T) {
	answers := answersOf(t, partners)
	for name, show := range map[string]func(*bytes.Buffer) error{
		"explain-allowed": func(b *bytes.Buffer) error {
			answer, err := answers.Explain(t.Context(), by("mapps", "https://api.example.org/v1/persons/1/alerts"))
			return errors.Join(err, question.WriteExplain(b, answer))
		},
		"explain-denied": func(b *bytes.Buffer) error {
			answer, err := answers.Explain(t.Context(), by("mapps", "https://api.example.org/v1/prisons"))
			return errors.Join(err, question.WriteExplain(b, answer))
		},
		"explain-conditional": func(b *bytes.Buffer) error {
			answer, err := answers.Explain(t.Context(), by("mapps", "https://api.example.org/v1/visits/MDI"))
			return errors.Join(err, question.WriteExplain(b, answer))
		},
		"who-can": func(b *bytes.Buffer) error {
			answer, err := answers.WhoCan(t.Context(), &adminv1.WhoCanRequest{Inquiry: get("https://api.example.org/v1/persons/1")})
			return errors.Join(err, question.WriteWhoCan(b, answer))
		},
		"who-can-conditional": func(b *bytes.Buffer) error {
			answer, err := answers.WhoCan(t.Context(), &adminv1.WhoCanRequest{Inquiry: get("https://api.example.org/v1/visits/LEI")})
			return errors.Join(err, question.WriteWhoCan(b, answer))
		},
		"can": func(b *bytes.Buffer) error {
			answer, err := answers.Can(t.Context(), &adminv1.CanRequest{Consumer: "mapps"})
			return errors.Join(err, question.WriteCan(b, answer))
		},
		"can-nothing": func(b *bytes.Buffer) error {
			answer, err := answers.Can(t.Context(), &adminv1.CanRequest{Consumer: "pilot", Host: "api.example.org", Method: "GET"})
			return errors.Join(err, question.WriteCan(b, answer))
		},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := show(&b); err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(golden, b.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if b.String() != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", b.String(), want)
			}
		})
	}
}

func TestAMistakeInAQuestionIsToldWithWhatWasMeant(t *testing.T) {
	answers := answersOf(t, partners)
	for name, c := range map[string]struct {
		ask  func(context.Context) error
		want string
	}{
		"an unknown consumer": {
			func(ctx context.Context) error {
				_, err := answers.Explain(ctx, by("maps", "https://api.example.org/v1"))
				return err
			}, "there is no Consumer \"maps\"; did you mean `mapps`?",
		},
		"an unknown consumer of can": {
			func(ctx context.Context) error {
				_, err := answers.Can(ctx, &adminv1.CanRequest{Consumer: "nps"})
				return err
			}, "did you mean `nsp`?",
		},
		"a host that nobody serves": {
			func(ctx context.Context) error {
				_, err := answers.WhoCan(ctx, &adminv1.WhoCanRequest{Inquiry: get("https://api.exmple.org/v1")})
				return err
			}, "no gateway serves https://api.exmple.org/v1; did you mean `api.example.org`?",
		},
		"an unknown gateway": {
			func(ctx context.Context) error {
				_, err := answers.WhoCan(ctx, &adminv1.WhoCanRequest{Inquiry: &adminv1.Inquiry{Method: "GET", Url: "https://api.example.org/", Via: "egde"}})
				return err
			}, "there is no Gateway \"egde\"; did you mean `edge`?",
		},
		"a method in small letters": {
			func(ctx context.Context) error {
				_, err := answers.WhoCan(ctx, &adminv1.WhoCanRequest{Inquiry: &adminv1.Inquiry{Method: "get", Url: "https://api.example.org/"}})
				return err
			}, "expected a method in capitals",
		},
		"no URL": {
			func(ctx context.Context) error {
				_, err := answers.WhoCan(ctx, &adminv1.WhoCanRequest{Inquiry: get("/v1")})
				return err
			}, "expected a URL such as",
		},
		"nobody who calls": {
			func(ctx context.Context) error {
				_, err := answers.Explain(ctx, &adminv1.ExplainRequest{Inquiry: get("https://api.example.org/")})
				return err
			}, "who calls?",
		},
		"a private key in place of a certificate": {
			func(ctx context.Context) error {
				_, err := answers.Explain(ctx, &adminv1.ExplainRequest{Inquiry: get("https://api.example.org/"), Caller: &adminv1.ExplainRequest_CertificatePem{
					CertificatePem: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
				}})
				return err
			}, "there is a private key",
		},
		"a request id where nothing is remembered": {
			func(ctx context.Context) error {
				_, err := answers.Explain(ctx, &adminv1.ExplainRequest{RequestId: "x"})
				return err
			}, "remembered by a running server",
		},
	} {
		var mistake question.Mistake
		if err := c.ask(t.Context()); !errors.As(err, &mistake) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheMomentDecidesAboutConsumersWithATerm(t *testing.T) {
	answers := answersOf(t, partners)
	for at, want := range map[time.Time]reason.Reason{
		noon:                         reason.ConsumerNotYetValid,
		noon.AddDate(0, 0, 40):       reason.PermissionGranted,
		noon.AddDate(0, 0, 60):       reason.ConsumerExpired,
		noon.AddDate(20, 0, 0).UTC(): reason.ConsumerExpired,
	} {
		asked := by("nsp", "https://api.example.org/v1/persons/1")
		asked.Inquiry.At = timestamppb.New(at)
		answer, err := answers.Explain(t.Context(), asked)
		if err != nil {
			t.Fatal(err)
		}
		if got := answer.GetPassages()[0].GetReason(); got != string(want) {
			t.Errorf("at %s: %s, want %s", at, got, want)
		}
		if want == reason.PermissionGranted && answer.GetVerdict() != question.Allowed {
			t.Errorf("it ends with %s", answer.GetSummary())
		}
	}
}

func TestACertificateIsJudgedByRealTruststores(t *testing.T) {
	model, err := build(partners)
	if err != nil {
		t.Fatal(err)
	}
	keeper, err := inventory.New(inventory.Config{Substitute: true, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	material := keeper.Apply(t.Context(), pipeline.SpecsOf(model))
	authority, _ := keeper.TruststoreAuthority("partners")
	own, _ := keeper.TruststoreAuthority("internal")
	answers := answersOf(t, partners, func(c *question.Config) { c.Material, c.TruststoresOnly = material, true })
	for name, c := range map[string]struct {
		pem  string
		want reason.Reason
	}{
		"its own":              {certificate(t, authority, "mapps"), reason.PermissionGranted},
		"a stranger's":         {certificate(t, authority, "stranger"), reason.ConsumerUnknown},
		"another authority's":  {certificate(t, own, "mapps"), reason.CertificateUntrusted},
		"with another beneath": {certificate(t, authority, "mapps") + certificate(t, own, "x"), reason.PermissionGranted},
	} {
		answer, err := answers.Explain(t.Context(), &adminv1.ExplainRequest{
			Inquiry: get("https://api.example.org/v1/persons/1"), Caller: &adminv1.ExplainRequest_CertificatePem{CertificatePem: c.pem},
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := answer.GetPassages()[0].GetReason(); got != string(c.want) {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestATruststoreThatIsNotGoodIsTold(t *testing.T) {
	broken := &inventory.Snapshot{Problems: []inventory.Problem{{Kind: inventory.KindTruststore, Name: "partners", Err: errors.New("it is empty")}}}
	answers := answersOf(t, partners, func(c *question.Config) { c.Material, c.TruststoresOnly = broken, true })
	answer, err := answers.Explain(t.Context(), by("mapps", "https://api.example.org/v1/persons/1"))
	if err != nil {
		t.Fatal(err)
	}
	if answer.GetPassages()[0].GetReason() != string(reason.TruststoreMissing) || answer.GetStatus() != 503 ||
		!slices.ContainsFunc(answer.GetNotes(), func(note string) bool { return strings.Contains(note, "it is empty") }) {
		t.Errorf("answer %v", answer)
	}
}

func TestARecentDecisionIsRecalled(t *testing.T) {
	ring := audit.NewRing(2)
	denial := policy.Deny(&request.Request{
		Context: request.Context{Gateway: "edge", Listener: "https", Entry: "api.example.org", Route: "persons", Rule: "all", Policy: "partners"},
		ID:      "id-1", Method: "GET", Host: "api.example.org", Path: "/v1/persons/1",
	}, policy.StepDefault, reason.PermissionMissing, `no role of "nsp" permits it`)
	denial.Consumer, denial.Steps[0].Origin = "nsp", config.Origin{File: "world.yaml", Line: 1, Column: 1}
	if err := ring.Record(audit.NewRecord(denial, audit.Circumstances{Time: noon, Status: 403})); err != nil {
		t.Fatal(err)
	}
	answers := answersOf(t, partners, func(c *question.Config) { c.Remembered = ring })
	answer, err := answers.Explain(t.Context(), &adminv1.ExplainRequest{RequestId: "id-1"})
	if err != nil {
		t.Fatal(err)
	}
	p := answer.GetPassages()[0]
	if answer.GetVerdict() != question.Denied || answer.GetStatus() != 403 || answer.GetCaller() != "the Consumer nsp" ||
		p.GetSteps()[0].GetResource() != "Truststore partners" || p.GetSteps()[0].GetOrigin() != "world.yaml:1:1" {
		t.Errorf("answer %v", answer)
	}
	if _, err := answers.Explain(t.Context(), &adminv1.ExplainRequest{RequestId: "id-2"}); err == nil {
		t.Error("another request is remembered")
	}
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
