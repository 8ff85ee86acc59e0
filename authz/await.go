package authz

import (
	"context"
	"time"

	"github.com/sallyport-project/sallyport/authz/request"
	"github.com/sallyport-project/sallyport/config"
)

// maxWait is the longest wait, whatever time a call has: an asker sets its own deadline, and while nobody knows the gateway
// that it names, nobody can tell whether the gateway is its own.
const maxWait = 2 * time.Second

// replyMargin is what is left of a call's time for the answer to reach the proxy.
const replyMargin = 20 * time.Millisecond

// await returns the view in force, once it knows what the request refers to: a proxy may have its routes before we have
// the model that they were made from. It waits no longer than the call's deadline allows, or else the usual time of a
// check, never longer than maxWait, and not at all for a request that is refused anyway. It tells whether the request can be judged.
func (s *Service) await(ctx context.Context, r *request.Request, wait bool) (*view, bool) {
	now := s.view.Load()
	if !wait || s.knows(now, r) && now.leads(r) {
		return now, true
	}
	timer := time.NewTimer(patience(ctx))
	defer timer.Stop()
	for {
		select {
		case <-now.superseded:
		case <-timer.C:
			return now, s.knows(now, r)
		case <-ctx.Done():
			return now, s.knows(now, r)
		}
		now = s.view.Load()
		if s.knows(now, r) && now.leads(r) {
			return now, true
		}
	}
}

// patience is how long a call may wait.
func patience(ctx context.Context) time.Duration {
	limit := config.DefaultAuthorizationTimeout
	if deadline, ok := ctx.Deadline(); ok {
		limit = time.Until(deadline)
	}
	return min(limit-replyMargin, maxWait)
}

// knows tells whether the request can be judged by the view. A version of a policy that has outlived its grace is not
// known any more, although it may still be there.
func (s *Service) knows(v *view, r *request.Request) bool {
	if v.engine == nil || !v.engine.Knows(r.Context) {
		return false
	}
	since, superseded := v.engine.Superseded(r.Policy, r.PolicyVersion)
	return !superseded || s.keeps(r.Policy, r.PolicyVersion, since, s.settings.Clock())
}

// leads tells whether it is known what goes where the proxy's route leads. Where it does not become known, the request can be judged
// nevertheless, and gets no token.
func (v *view) leads(r *request.Request) bool { return v.tokens.Knows(r.Context) }
