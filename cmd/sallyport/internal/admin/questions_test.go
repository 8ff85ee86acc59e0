package admin_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"

	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/admin"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/pipeline"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/question"
	"github.com/sallyport-project/sallyport/config/directory"
	"github.com/sallyport-project/sallyport/internal/serving"
	"github.com/sallyport-project/sallyport/pki/inventory"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// example is a configuration of which everybody knows what it says.
const example = "../../../../examples/partner-certificates"

// serve serves questions about a folder on a socket until the test ends. The pipeline is empty until it is loaded.
func serve(t *testing.T, folder string, remembered question.Remembered, changes ...func(*admin.Questions)) (*pipeline.Pipeline, question.Answerer) {
	t.Helper()
	keeper, err := inventory.New(inventory.Config{Base: folder, Substitute: true})
	if err != nil {
		t.Fatal(err)
	}
	of := pipeline.New(pipeline.Config{Logger: hclog.NewNullLogger(), Keeper: keeper})
	short, err := os.MkdirTemp("", "questions") // a Unix socket needs a short path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(short) })
	path := filepath.Join(short, "admin.sock")
	listener, err := admin.Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	questions := &admin.Questions{Pipeline: of, Keeper: keeper, Remembered: remembered}
	for _, change := range changes {
		change(questions)
	}
	adminv1.RegisterQuestionsServiceServer(server, questions)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- serving.GRPC(ctx, server, listener, time.Second) }()
	answerer, closeClient, err := admin.DialQuestions(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		closeClient()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return of, answerer
}

// load puts what is in a folder in force.
func load(t *testing.T, of *pipeline.Pipeline, folder string) {
	t.Helper()
	reading, err := directory.New(directory.Config{Directory: folder, Logger: hclog.NewNullLogger()}).Read()
	if err != nil {
		t.Fatal(err)
	}
	if err := of.Load(t.Context(), reading); err != nil {
		t.Fatal(err)
	}
}

func TestARunningServerAnswersByWhatIsInForce(t *testing.T) {
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS(example)); err != nil {
		t.Fatal(err)
	}
	of, answerer := serve(t, folder, audit.NewRing(1))
	inquiry := &adminv1.Inquiry{Method: "GET", Url: "https://api.example.org/v1/persons/1"}
	if _, err := answerer.Can(t.Context(), &adminv1.CanRequest{Consumer: "mapps"}); err == nil || !strings.Contains(err.Error(), "no configuration is in force") {
		t.Errorf("before the first configuration: %v", err)
	}
	load(t, of, folder)
	explained, err := answerer.Explain(t.Context(), &adminv1.ExplainRequest{Inquiry: inquiry, Caller: &adminv1.ExplainRequest_Consumer{Consumer: "mapps"}})
	if err != nil || explained.GetVerdict() != question.Allowed || len(explained.GetPassages()) != 2 {
		t.Fatalf("%v, %v", explained, err)
	}
	if can, err := answerer.Can(t.Context(), &adminv1.CanRequest{Consumer: "mapps"}); err != nil || len(can.GetGrants()) == 0 {
		t.Errorf("%v, %v", can, err)
	}

	consumers := filepath.Join(folder, "consumers.yaml")
	content, err := os.ReadFile(consumers)
	if err != nil {
		t.Fatal(err)
	}
	suspended := strings.Replace(string(content), "  contact: integration-team@example.org\n", "  contact: integration-team@example.org\n  suspended: true\n", 1)
	if err := os.WriteFile(consumers, []byte(suspended), 0o600); err != nil {
		t.Fatal(err)
	}
	load(t, of, folder)
	who, err := answerer.WhoCan(t.Context(), &adminv1.WhoCanRequest{Inquiry: inquiry})
	if err != nil || len(who.GetConsumers()) == 0 {
		t.Fatalf("%v, %v", who, err)
	}
	for _, admission := range who.GetConsumers() {
		if admission.GetConsumer() == "mapps" {
			t.Error("the answer is by the configuration before")
		}
	}
}

func TestAMistakeInAQuestionComesBackAsOne(t *testing.T) {
	of, answerer := serve(t, example, nil)
	load(t, of, example)
	_, err := answerer.Can(t.Context(), &adminv1.CanRequest{Consumer: "maps"})
	if mistake := question.Mistake(""); !errors.As(err, &mistake) || !strings.Contains(err.Error(), "did you mean `mapps`?") {
		t.Errorf("error %v", err)
	}
}

func TestWhereNoServerIsTheDirectoryCanBeAsked(t *testing.T) {
	answerer, closeClient, err := admin.DialQuestions(filepath.Join(t.TempDir(), "none.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer closeClient()
	if _, err := answerer.Can(t.Context(), &adminv1.CanRequest{Consumer: "mapps"}); err == nil || !strings.Contains(err.Error(), "--source") {
		t.Errorf("error %v", err)
	}
}

// withProvider is a configuration of one rule that wants a token.
const withProvider = `api_version: sallyport/v1
kind: Provider
metadata: {name: corporate}
spec: {issuers: ["https://login.example.org"], audiences: [vessels]}
---
api_version: sallyport/v1
kind: Gateway
metadata: {name: edge}
spec: {group: edge, listeners: [{name: http, address: 127.0.0.1, port: 8080, plaintext: true}]}
---
api_version: sallyport/v1
kind: Upstream
metadata: {name: api}
spec: {endpoints: {addresses: ["127.0.0.1:7000"]}}
---
api_version: sallyport/v1
kind: Policy
metadata: {name: signed-in}
spec:
  authenticate: {jwt: {providers: [corporate]}}
  authorize: [{name: users, everyone: true}]
---
api_version: sallyport/v1
kind: Route
metadata: {name: api}
spec: {gateway: edge, hostnames: [api.example.org], rules: [{name: all, match: {prefix: /}, upstreams: [{name: api}], policy: signed-in}]}
`

func TestATokenIsJudgedByTheServerThatIsAsked(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "all.yaml"), []byte(withProvider), 0o600); err != nil {
		t.Fatal(err)
	}
	judged := make(chan string, 10)
	of, answerer := serve(t, folder, nil, func(q *admin.Questions) {
		q.Judge = func(_ context.Context, _, _ []string, token string, _ time.Time) *bearer.Verdict {
			judged <- token
			return &bearer.Verdict{Refusal: &bearer.Refusal{Reason: reason.TokenRevoked, Detail: "the token was revoked"}}
		}
	})
	load(t, of, folder)
	answer, err := answerer.Explain(t.Context(), &adminv1.ExplainRequest{
		Inquiry: &adminv1.Inquiry{Method: "GET", Url: "http://api.example.org/"}, Token: []byte("a-token-that-says-nothing"),
	})
	if err != nil || answer.GetPassages()[0].GetReason() != string(reason.TokenRevoked) || answer.GetStatus() != 401 {
		t.Fatalf("%v, %v", answer, err)
	}
	if token := <-judged; token != "a-token-that-says-nothing" {
		t.Errorf("judged %q", token)
	}
	if strings.Contains(answer.String(), "a-token-that-says-nothing") {
		t.Errorf("the token is in the answer: %v", answer)
	}
}
