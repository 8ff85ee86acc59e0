package authz

import (
	"context"
	"net/http"
	"time"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/propagation"
	"github.com/sallyport-project/sallyport/authz/reply"
	"github.com/sallyport-project/sallyport/authz/request"
	"github.com/sallyport-project/sallyport/authz/tokens"
	"github.com/sallyport-project/sallyport/config"
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
func (s *Service) judgeToken(ctx context.Context, r *request.Request, now time.Time) policy.TokenJudge {
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
		return s.settings.Tokens.Judge(ctx, providers, audiences, token, now)
	}
}

// forward gets what an admitted request takes along, or what it is answered. Where that cannot be had, the admission becomes a
// refusal: nothing goes on without the token that it is to have.
func (s *Service) forward(ctx context.Context, d *policy.Decision, by *basis) {
	switch {
	case !d.Allowed:
	case d.Request.Upstream != "":
		s.onward(ctx, d, by)
	case tokens.Answers(d.Request.Answer):
		s.ofIssuer(d, by)
	}
}

func (s *Service) onward(ctx context.Context, d *policy.Decision, by *basis) {
	if s.settings.Tokens.Plan(d).How == config.DisposalRemove {
		return // as with most upstreams: there is nothing to wait for
	}
	ctx, enough := leavingTime(ctx)
	defer enough()
	onward, refusal := s.settings.Tokens.Onward(ctx, d, d.Time)
	if refusal != nil {
		d.Refuse(policy.StepForward, policy.Denial{Reason: refusal.Reason, Detail: refusal.Detail, Origin: refusal.Origin, Claims: refusal.Claims})
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
func (s *Service) plan(d *policy.Decision, by *basis) {
	switch {
	case !d.Allowed:
	case d.Request.Upstream != "":
		note(d, s.settings.Tokens.Plan(d))
	case tokens.Answers(d.Request.Answer):
		by.with.Answer = &reply.Answer{Status: http.StatusOK, ContentType: "application/json"} // which nobody gets
	}
}

// note tells what goes on in the decision's steps, where it is not nothing.
func note(d *policy.Decision, onward propagation.Onward) {
	if onward.How != config.DisposalRemove {
		d.Note(policy.StepForward, policy.Passed, onward.String(), onward.Origin)
	}
}

// ofIssuer answers for an issuer of our own.
func (s *Service) ofIssuer(d *policy.Decision, by *basis) {
	answer, denial := s.settings.Tokens.Answer(d, d.Time)
	if denial != nil {
		d.Refuse(policy.StepForward, *denial)
		return
	}
	if answer.Issued {
		d.Issue(answer.Told)
	} else {
		d.Note(policy.StepForward, policy.Passed, answer.Told, config.Origin{})
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
