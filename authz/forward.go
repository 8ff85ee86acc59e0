package authz

import (
	"context"
	"net/http"
	"time"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/propagation"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/authz/reply"
	"github.com/sallyport-project/sallyport/authz/request"
	"github.com/sallyport-project/sallyport/authz/tokens"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/checkcontext"
)

// leavingTime bounds what a decision waits for, so that the answer still reaches the proxy in time.
func leavingTime(ctx context.Context) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok {
		return context.WithDeadline(ctx, deadline.Add(-replyMargin))
	}
	return ctx, func() {}
}

// judgeToken judges what stands in the request's Authorization header, and nothing else of the request: a token in its query or body
// is not looked at.
func (s *Service) judgeToken(ctx context.Context, by *view, r *request.Request, now time.Time) policy.TokenJudge {
	return func(providers, audiences []string) *bearer.Verdict {
		ctx, enough := leavingTime(ctx)
		defer enough()
		header, _ := r.Header("authorization")
		token, refusal := bearer.Parse(header)
		if refusal != nil {
			return &bearer.Verdict{Refusal: refusal}
		}
		if s.settings.Judge != nil {
			return s.settings.Judge(ctx, providers, audiences, token, now)
		}
		return by.tokens.Judge(ctx, providers, audiences, token, now)
	}
}

// Judge judges a token as requests that come now are judged; see tokens.View. Before the first Apply it refuses every token.
func (s *Service) Judge(ctx context.Context, providers, audiences []string, token string, now time.Time) *bearer.Verdict {
	by := s.view.Load()
	if by.tokens == nil {
		return &bearer.Verdict{Refusal: &bearer.Refusal{Reason: reason.ProviderUnavailable, Detail: "there is no configuration yet"}}
	}
	return by.tokens.Judge(ctx, providers, audiences, token, now)
}

// forward gets what an admitted request takes along, or what it is answered. Where that cannot be had, the admission becomes a
// refusal: nothing goes on without the token that it is to have.
func (v *view) forward(ctx context.Context, d *policy.Decision, by *basis) {
	switch {
	case !d.Allowed:
	case d.Request.Upstream != "":
		v.onward(ctx, d, by)
	case tokens.Answers(d.Request.Answer):
		v.ofIssuer(d, by)
	}
}

func (v *view) onward(ctx context.Context, d *policy.Decision, by *basis) {
	if planned, refusal := v.tokens.Plan(d); refusal == nil && planned.How == config.DisposalRemove {
		return // as with most upstreams: there is nothing to wait for
	}
	ctx, enough := leavingTime(ctx)
	defer enough()
	onward, refusal := v.tokens.Onward(ctx, d, d.Time)
	if refusal != nil {
		withhold(d, refusal)
		return
	}
	note(d, onward)
	by.onward, by.onwardProvider = onward.Name(), onward.Provider
	switch onward.Kind {
	case propagation.Set:
		by.with.Onward.Authorization = onward.Authorization
	case propagation.Pass:
		by.with.Onward.Pass = true
	default: // and so it is removed
	}
}

// plan tells what would go on, and gets nothing of it.
func (v *view) plan(d *policy.Decision, by *basis) {
	switch {
	case !d.Allowed:
	case d.Request.Upstream != "":
		planned, refusal := v.tokens.Plan(d)
		if refusal != nil {
			withhold(d, refusal)
			return
		}
		note(d, planned)
	case tokens.Answers(d.Request.Answer):
		by.with.Answer = &reply.Answer{Status: http.StatusOK, ContentType: "application/json"} // which nobody gets
	}
}

// withhold turns an admission into a refusal, because the token that it is to have cannot be had.
func withhold(d *policy.Decision, refusal *propagation.Refusal) {
	d.Refuse(policy.StepForward, policy.Denial{Reason: refusal.Reason, Detail: refusal.Detail, Origin: refusal.Origin, Claims: refusal.Claims})
}

// note tells what goes on in the decision's steps, where it is not nothing.
func note(d *policy.Decision, onward propagation.Onward) {
	if onward.How != config.DisposalRemove {
		d.Note(policy.StepForward, policy.Passed, onward.String(), onward.Origin)
	}
}

// ofIssuer answers for an issuer of our own.
func (v *view) ofIssuer(d *policy.Decision, by *basis) {
	answer, denial := v.tokens.Answer(d, d.Time)
	if denial != nil {
		d.Refuse(policy.StepForward, *denial)
		return
	}
	switch {
	case answer.Issued():
		d.Issue(answer.String())
	case d.Request.Answer == checkcontext.AnswerToken:
		d.RefuseToken(answer.String())
	default:
		d.Note(policy.StepForward, policy.Passed, answer.String(), config.Origin{})
	}
	told := &reply.Answer{Status: answer.Status, Headers: make(map[string]string, len(answer.Headers)), Body: string(answer.Body)}
	for _, header := range answer.Headers {
		if header.Name == "content-type" {
			told.ContentType = header.Value
			continue
		}
		told.Headers[header.Name] = header.Value
	}
	by.with.Answer = told
}
