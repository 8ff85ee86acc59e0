package authz

import (
	"context"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/request"
)

// Decider is the type of Decide.
type Decider func(ctx context.Context, group string, check *authv3.CheckRequest) (*authv3.CheckResponse, *policy.Decision, error)

// DecideAs returns Decide for a hypothetical caller; what the check says of certificates counts for nothing. What goes on to the
// upstream is told in the decision's steps, and not got. No proxy reaches it: it is for a Service of one's own, which answers
// `explain`, `who-can` and `can`.
func (s *Service) DecideAs(h policy.Hypothesis) Decider {
	return func(ctx context.Context, group string, check *authv3.CheckRequest) (*authv3.CheckResponse, *policy.Decision, error) {
		return s.decide(ctx, check, inProcess(group), evaluation{presumed: true, by: func(e *policy.Engine, r *request.Request, _ time.Time, tokens policy.TokenJudge) *policy.Decision {
			return e.EvaluateAs(r, h, tokens)
		}})
	}
}

// Reach is what a hypothetical caller may do by one rule, whatever the path and method. Where it may do nothing for what it is,
// and not for want of a rule that lets it in, the decision says why; it is nil otherwise. There must have been an Apply.
func (s *Service) Reach(at request.Context, h policy.Hypothesis) ([]policy.Reach, *policy.Decision) {
	return s.view.Load().engine.Reach(at, h)
}
