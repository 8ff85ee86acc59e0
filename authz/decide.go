package authz

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sallyport-project/sallyport/authz/asker"
	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/authz/reply"
	"github.com/sallyport-project/sallyport/authz/request"
)

// Decide is Check for an asker of the group given, in process: `sallyport test` and `explain` ask the code that enforces.
// The decision is never nil. The error is the gRPC error that a proxy of another group would get; the response is nil
// then.
func (s *Service) Decide(ctx context.Context, group string, check *authv3.CheckRequest) (*authv3.CheckResponse, *policy.Decision, error) {
	return s.decide(ctx, check, func(context.Context) (asker.Asker, error) {
		return asker.Asker{Group: group, Name: group}, nil
	})
}

// identify tells who asks.
type identify func(context.Context) (asker.Asker, error)

var errNotYours = status.Error(codes.PermissionDenied, "only the proxies of the group that serves the gateway may ask")

// decide judges, answers and records. Whatever goes wrong in any of it is a denial: also a record that cannot be made.
func (s *Service) decide(ctx context.Context, check *authv3.CheckRequest, who identify) (response *authv3.CheckResponse, decision *policy.Decision, err error) {
	r := new(request.Request)
	defer func() {
		if fault := recover(); fault != nil {
			s.report(r, fault)
			response, decision, err = reply.Unavailable(r.ID), internal(r), nil
		}
	}()
	started := s.settings.Clock()
	r, malformed := request.Parse(check)
	decision, from := s.judge(ctx, r, malformed, who)
	response, seen := s.answer(decision, from.replies)
	if response == nil {
		decision = internal(r)
		response, seen = s.answer(decision, nil)
	}
	s.settings.Sink.Record(audit.NewRecord(decision, audit.Circumstances{
		Time: started, Duration: s.settings.Clock().Sub(started), Status: seen, Asker: from.asker.Name,
	}))
	if decision.Reason == reason.GatewayNotYours {
		return nil, decision, errNotYours
	}
	return response, decision, nil
}

// basis is what a decision was made by.
type basis struct {
	asker   asker.Asker
	replies *reply.Policy // of the policy that the rule has now; nil if there is none
}

// judge decides, and says by what.
func (s *Service) judge(ctx context.Context, r *request.Request, malformed error, who identify) (decision *policy.Decision, by basis) {
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
	decision = now.engine.Evaluate(r, s.settings.Clock())
	if ctx.Err() != nil {
		return policy.Deny(r, policy.StepRequest, reason.Deadline, "the time for the decision ran out"), by
	}
	return decision, by
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

// answer renders a decision, and returns the status that the caller sees; nil if it cannot be rendered.
func (s *Service) answer(d *policy.Decision, by *reply.Policy) (*authv3.CheckResponse, int) {
	response, err := reply.Render(by, d)
	if err != nil {
		s.settings.Logger.Error("a decision cannot be answered as it is", "request_id", d.Request.ID, "error", err)
		return nil, 0
	}
	return response, reply.Status(by, d)
}

// internal is the decision where a fault of ours stands in the way of any other.
func internal(r *request.Request) *policy.Decision {
	return policy.Deny(r, policy.StepRequest, reason.Internal, "a fault in the authorization service")
}

func (s *Service) report(r *request.Request, fault any) {
	s.settings.Logger.Error("a request made the authorization service fail; it was denied",
		"request_id", r.ID, "fault", fmt.Sprint(fault), "stack", string(debug.Stack()))
}
