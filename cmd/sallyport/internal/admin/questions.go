package admin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sallyport-project/sallyport/authz"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/pipeline"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/question"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/inventory"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// Questions answers who may do what by what is in force. It is safe for concurrent use.
type Questions struct {
	adminv1.UnimplementedQuestionsServiceServer
	Pipeline *pipeline.Pipeline
	Keeper   *inventory.Keeper
	// TruststoresOnly says that the keeper keeps no Certificates, as inventory.Config does.
	TruststoresOnly bool
	// Remembered are recent decisions; nil where the process makes none.
	Remembered question.Remembered
	// Judge judges callers' tokens as the process does in earnest; nil where it judges none.
	Judge authz.Judge

	mu sync.Mutex
	// answers are for this model and material, until there are others.
	answers  *question.Answers
	model    *config.Model
	material *inventory.Snapshot
}

// Explain tells what would come of a request, or what came of one.
func (q *Questions) Explain(ctx context.Context, r *adminv1.ExplainRequest) (*adminv1.ExplainResponse, error) {
	return answer(ctx, q, r, (*question.Answers).Explain)
}

// WhoCan tells which callers may make a request.
func (q *Questions) WhoCan(ctx context.Context, r *adminv1.WhoCanRequest) (*adminv1.WhoCanResponse, error) {
	return answer(ctx, q, r, (*question.Answers).WhoCan)
}

// Can tells what a consumer may do.
func (q *Questions) Can(ctx context.Context, r *adminv1.CanRequest) (*adminv1.CanResponse, error) {
	return answer(ctx, q, r, (*question.Answers).Can)
}

// answer has a question answered, and puts a mistake in it into the terms of gRPC.
func answer[Q, A any](ctx context.Context, q *Questions, request Q, by func(*question.Answers, context.Context, Q) (A, error)) (A, error) {
	var none A
	answers, err := q.current()
	if err != nil {
		return none, status.Error(codes.Unavailable, err.Error())
	}
	found, err := by(answers, ctx, request)
	var mistake question.Mistake
	if errors.As(err, &mistake) {
		return none, status.Error(codes.InvalidArgument, mistake.Error())
	}
	return found, err
}

// current returns the answers by what is in force now.
func (q *Questions) current() (*question.Answers, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	model, material := q.Pipeline.Status().Model, q.Keeper.Current()
	if model == nil {
		return nil, pipeline.ErrNotReady
	}
	if q.answers == nil || q.model != model || q.material != material {
		q.answers = question.New(question.Config{
			Model: model, Material: material, TruststoresOnly: q.TruststoresOnly, Remembered: q.Remembered, Judge: q.Judge,
		})
		q.model, q.material = model, material
	}
	return q.answers, nil
}

// maxAnswer is how large an answer may be, in bytes: one about tens of thousands of consumers has a few MiB.
const maxAnswer = 64 << 20

// DialQuestions makes a client of a server's admin socket that answers questions, and returns how to close it. Nothing is sent
// yet. Errors are in words for people; a question.Mistake is one.
func DialQuestions(path string) (question.Answerer, func(), error) {
	connection, closeConnection, err := dial(path, grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)))
	return &remote{path, adminv1.NewQuestionsServiceClient(connection)}, closeConnection, err
}

// remote is a running server that is asked.
type remote struct {
	path   string
	client adminv1.QuestionsServiceClient
}

// Explain asks the server.
func (r *remote) Explain(ctx context.Context, q *adminv1.ExplainRequest) (*adminv1.ExplainResponse, error) {
	a, err := r.client.Explain(ctx, q)
	return a, r.explain(ctx, err)
}

// WhoCan asks the server.
func (r *remote) WhoCan(ctx context.Context, q *adminv1.WhoCanRequest) (*adminv1.WhoCanResponse, error) {
	a, err := r.client.WhoCan(ctx, q)
	return a, r.explain(ctx, err)
}

// Can asks the server.
func (r *remote) Can(ctx context.Context, q *adminv1.CanRequest) (*adminv1.CanResponse, error) {
	a, err := r.client.Can(ctx, q)
	return a, r.explain(ctx, err)
}

// explain tells a mistake in the question from a server that does not answer.
func (r *remote) explain(ctx context.Context, err error) error {
	switch status.Code(err) {
	case codes.OK:
		return nil
	case codes.InvalidArgument:
		return question.Mistake(status.Convert(err).Message())
	}
	if _, missing := os.Stat(r.path); missing != nil {
		return fmt.Errorf("%w, or ask a directory with --source", Explain(ctx, r.path, err))
	}
	return Explain(ctx, r.path, err)
}
