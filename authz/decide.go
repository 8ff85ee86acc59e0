package authz

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sallyport-project/sallyport/authz/asker"
	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/authz/limit"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/authz/reply"
	"github.com/sallyport-project/sallyport/authz/request"
)

// Decide is Check for an asker of the group given, in process: `sallyport test` and `explain` ask the code that enforces.
// The decision is never nil. The error is the gRPC error that a proxy of another group would get; the response is nil
// then.
func (s *Service) Decide(ctx context.Context, group string, check *authv3.CheckRequest) (*authv3.CheckResponse, *policy.Decision, error) {
	return s.decide(ctx, check, inProcess(group), asPresented)
}

// identify tells who asks.
type identify func(context.Context) (asker.Asker, error)

// inProcess is for an asker in this process.
func inProcess(group string) identify {
	return func(context.Context) (asker.Asker, error) { return asker.Asker{Group: group, Name: group}, nil }
}

// evaluation judges a request by an engine.
type evaluation struct {
	by func(*policy.Engine, *request.Request, time.Time, policy.TokenJudge) *policy.Decision
	// presumed is set for a caller that there is not: it gets no tokens.
	presumed bool
}

// asPresented is the evaluation of requests of proxies.
var asPresented = evaluation{by: (*policy.Engine).Evaluate}

var errNotYours = status.Error(codes.PermissionDenied, "only the proxies of the group that serves the gateway may ask")

// decide judges, answers and records. Whatever goes wrong in any of it is a denial: also a record that cannot be made.
func (s *Service) decide(ctx context.Context, check *authv3.CheckRequest, who identify, evaluate evaluation) (response *authv3.CheckResponse, decision *policy.Decision, err error) {
	r := new(request.Request)
	defer func() {
		if fault := recover(); fault != nil {
			s.report(r, fault)
			response, decision, err = reply.Unavailable(r.ID), internal(r), nil
		}
	}()
	started := s.settings.Clock()
	r, malformed := request.Parse(check)
	decision, from := s.judge(ctx, r, malformed, who, evaluate)
	response, seen, err := s.answer(decision, from)
	if err != nil {
		decision, from.replies = s.unanswerable(decision, err), nil
		response, seen, _ = s.answer(decision, from)
	}
	if !s.record(decision, from, started, seen) {
		decision = policy.Deny(r, policy.StepAudit, reason.AuditUnavailable, "the record of the decision cannot be kept")
		response, seen, _ = s.answer(decision, from)
		s.record(decision, from, started, seen)
	}
	if s.settings.Observer != nil {
		s.settings.Observer.Decided(decision, started)
	}
	if decision.Reason == reason.GatewayNotYours {
		return nil, decision, errNotYours
	}
	return response, decision, nil
}

// basis is what a decision was made by.
type basis struct {
	asker   asker.Asker
	replies *reply.Policy // of the policy that the rule has now; nil if there is none
	// with is what the caller has left, if it is limited, and what goes on or is answered, if it was let in. It may hold a token.
	with reply.With
	// onward is what goes on, as records call it, and onwardProvider who gave it.
	onward, onwardProvider string
	// revision of the configuration; empty if there is none.
	revision string
}

// record hands a decision to the sink, and tells whether it may stand.
func (s *Service) record(d *policy.Decision, by basis, started time.Time, seen int) bool {
	err := s.settings.Sink.Record(audit.NewRecord(d, audit.Circumstances{
		Time: started, Duration: s.settings.Clock().Sub(started), Status: seen, Asker: by.asker.Name, Revision: by.revision,
		Onward: by.onward, OnwardProvider: by.onwardProvider,
	}))
	return err == nil || !d.Allowed
}

// judge decides, and says by what.
func (s *Service) judge(ctx context.Context, r *request.Request, malformed error, who identify, evaluate evaluation) (decision *policy.Decision, by basis) {
	defer func() {
		if fault := recover(); fault != nil {
			s.report(r, fault)
			decision, by.replies = internal(r), nil
		}
	}()
	var err error
	if by.asker, err = who(ctx); err != nil {
		return policy.Deny(r, policy.StepAsker, reason.GatewayNotYours, "the asker cannot be identified: "+err.Error()), by
	}
	if d := s.view.Load().foreign(by.asker, r); d != nil {
		return d, by
	}
	now, known := s.await(ctx, r, malformed == nil)
	by.revision = now.revision
	if now.engine == nil {
		return policy.Deny(r, policy.StepPolicy, reason.PolicyUnknown, "there is no configuration yet"), by
	}
	by.replies = now.replies[now.engine.PolicyOf(r.Context)]
	if malformed != nil {
		return refuse(r, malformed), by
	}
	if d := now.foreign(by.asker, r); d != nil {
		return d, by
	}
	if !known {
		return policy.Deny(r, policy.StepPolicy, reason.PolicyUnknown, "what the route refers to did not become known in time"), by
	}
	moment := s.settings.Clock()
	decision = evaluate.by(now.engine, r, moment, s.judgeToken(ctx, now, r, moment))
	if ctx.Err() != nil {
		return policy.Deny(r, policy.StepRequest, reason.Deadline, "the time for the decision ran out"), by
	}
	by.with.Quota = s.count(now, decision)
	if evaluate.presumed || s.settings.Planned {
		now.plan(decision, &by)
	} else {
		now.forward(ctx, decision, &by)
	}
	return decision, by
}

// count counts an admitted request of a consumer that is limited, and refuses it if it is one too many.
func (s *Service) count(now *view, decision *policy.Decision) *limit.Quota {
	if !decision.Counts() || s.settings.Uncounted {
		return nil
	}
	quota := now.limits.Take(decision.Consumer, s.settings.Clock())
	if quota != nil && quota.Exceeded() {
		decision.Limit(fmt.Sprintf("the consumer %q may make %d requests in %s; the next one in %s",
			decision.Consumer, quota.Requests, quota.Window, quota.RetryAfter.Round(time.Millisecond)), quota.Origin)
	}
	return quota
}

// foreign refuses an asker whose group does not serve the gateway. A gateway that nobody knows is no one's, yet: a newer
// model may have it, and until then nothing is decided about it.
func (v *view) foreign(who asker.Asker, r *request.Request) *policy.Decision {
	if v.engine == nil || r.Gateway == "" {
		return nil
	}
	if group, found := v.engine.Group(r.Gateway); !found || group == who.Group {
		return nil
	}
	return policy.Deny(r, policy.StepAsker, reason.GatewayNotYours,
		fmt.Sprintf("the group %q asks about the gateway %q", who.Group, r.Gateway))
}

// refuse turns away a request that cannot be judged.
func refuse(r *request.Request, malformed error) *policy.Decision {
	var problem *request.Error
	if errors.As(malformed, &problem) {
		return policy.Deny(r, policy.StepRequest, problem.Reason, problem.Detail)
	}
	return policy.Deny(r, policy.StepRequest, reason.Internal, malformed.Error())
}

// answer renders a decision, and returns the status that the caller sees. A denial can always be rendered.
func (s *Service) answer(d *policy.Decision, by basis) (*authv3.CheckResponse, int, error) {
	response, err := reply.Render(by.replies, d, by.with)
	switch {
	case err != nil:
		return nil, 0, err
	case by.with.Answer != nil && (d.Allowed || d.Reason == reason.TokenRefused):
		return response, by.with.Answer.Status, nil
	}
	return response, reply.Status(by.replies, d), nil
}

// unanswerable is the decision where an admission cannot be answered as it is: what the upstream would have to be told is no
// value of a header. That is the caller's doing if it was made of what it sent, and a fault of ours otherwise.
func (s *Service) unanswerable(d *policy.Decision, err error) *policy.Decision {
	var value *reply.ValueError
	if errors.As(err, &value) && value.OfCaller {
		return policy.Deny(d.Request, policy.StepRequest, reason.RequestMalformed,
			"the header "+value.Header+" is made of the request or the certificate, and comes out as what no header can have")
	}
	s.settings.Logger.Error("a decision cannot be answered as it is", "request_id", d.Request.ID, "error", err)
	return internal(d.Request)
}

// internal is the decision where a fault of ours stands in the way of any other.
func internal(r *request.Request) *policy.Decision {
	return policy.Deny(r, policy.StepRequest, reason.Internal, "a fault in the authorization service")
}

func (s *Service) report(r *request.Request, fault any) {
	s.settings.Logger.Error("a request made the authorization service fail; it was denied",
		"request_id", r.ID, "fault", fmt.Sprint(fault), "stack", string(debug.Stack()))
}
