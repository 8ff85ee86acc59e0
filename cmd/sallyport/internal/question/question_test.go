package question_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/authz/request"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/question"
	"github.com/sallyport-project/sallyport/config"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

var update = flag.Bool("update", false, "write the golden files")

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

// The policies' conditions look at a variable of one path alone.
const ownPrisons = "!has(path.prison_id) || path.prison_id in consumer.attributes.areas"

func TestAGrantHasAConditionOnlyWhereItsPathsHaveTheVariable(t *testing.T) {
	text := strings.Replace(partners, "authorize: [{name: granted, permissions: consumer_roles}]",
		`authorize: [{name: granted, permissions: consumer_roles, when: "`+ownPrisons+`"}]`, 1)
	text = strings.Replace(text, `{name: visits, match: {template: "/v1/visits/{prison_id}"}, upstreams: [{name: persons}], policy: own-prisons}`,
		`{name: visits, match: {prefix: /v1/visits}, upstreams: [{name: persons}], policy: partners}`, 1)
	answer, err := answersOf(t, text).Can(t.Context(), &adminv1.CanRequest{Consumer: "mapps"})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, grant := range answer.GetGrants() {
		for _, condition := range grant.GetConditions() {
			got[grant.GetMatch().GetPath()] += condition.GetText()
		}
		got[grant.GetMatch().GetPath()] += ""
	}
	want := map[string]string{
		"/v1/health": "", "/v1/persons/{id}": "", "/v1/persons/{id}/alerts": "",
		"/v1/visits/{prison_id}": `!has(path.prison_id) || path.prison_id in ["MDI"]`,
	}
	if !maps.Equal(got, want) {
		t.Errorf("grants %q, want %q", got, want)
	}
}

func TestOneOfAKindIsNotSeveral(t *testing.T) {
	for want, write := range map[string]func(*bytes.Buffer) error{
		"1 shape of requests\n": func(b *bytes.Buffer) error {
			return question.WriteCan(b, &adminv1.CanResponse{Grants: []*adminv1.Grant{{}}})
		},
		"2 shapes of requests\n": func(b *bytes.Buffer) error {
			return question.WriteCan(b, &adminv1.CanResponse{Grants: []*adminv1.Grant{{}, {}}})
		},
		"0 of 1 consumer may\n": func(b *bytes.Buffer) error {
			return question.WriteWhoCan(b, &adminv1.WhoCanResponse{Considered: 1})
		},
		"0 of 3 consumers may\n": func(b *bytes.Buffer) error {
			return question.WriteWhoCan(b, &adminv1.WhoCanResponse{Considered: 3})
		},
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil || !strings.HasSuffix(b.String(), want) {
			t.Errorf("%v, %q, want %q", err, b.String(), want)
		}
	}
}
