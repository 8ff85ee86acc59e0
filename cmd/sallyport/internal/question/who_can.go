package question

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/estate"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/envoy/routing"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// WhoCan tells which callers may make a request. The moment counts for the validity of consumers; a condition that looks at
// the time is left open unless the moment was chosen. The error is a Mistake where the question is to blame.
func (a *Answers) WhoCan(ctx context.Context, q *adminv1.WhoCanRequest) (*adminv1.WhoCanResponse, error) {
	hop, err := a.hop(q.GetInquiry())
	if err != nil {
		return nil, err
	}
	at := a.moment(q.GetInquiry().GetAt())
	gateways, err := a.estates(ctx, at)
	if err != nil {
		return nil, err
	}
	w := &whoCan{answers: a, gateways: gateways, hop: hop, at: at, with: bearing{shown: showsToken(hop)}}
	if w.chosen, err = gateways.first.Choose(hop); err != nil {
		return nil, err
	}
	consumers := a.config.Model.Consumers()
	answer := &adminv1.WhoCanResponse{
		Revision: a.config.Model.Revision(), At: timestamppb.New(at.Time), Request: words(q.GetInquiry()),
		Considered: uint32(len(consumers)), //nolint:gosec // G115: there are not so many
		Notes:      a.materialNotes(hop.Listener.EntryFor(hop.Request.SNI)),
	}
	var passage estate.Passage
	if answer.Anonymous, passage, err = w.ask(ctx, hypothetical(nil, nil, at, !at.chosen)); err != nil {
		return nil, err
	}
	answer.Passage = a.way(passage)
	answer.Passage.Upstream = upstreamsOf(passage)
	if passage.Decision == nil {
		answer.Passage.Status = uint32(max(passage.Status, 0)) //nolint:gosec // G115: a status of HTTP
	}
	if answer.Stranger, err = w.stranger(ctx); err != nil {
		return nil, err
	}
	for _, c := range consumers {
		admission, err := w.consumer(ctx, c)
		if err != nil {
			return nil, err
		}
		if admission != nil && admission.GetVerdict() != Denied {
			answer.Consumers = append(answer.Consumers, admission)
		}
	}
	if answer.Tokens, err = w.tokens(ctx, answer.GetPassage()); err != nil {
		return nil, err
	}
	answer.Notes = append(answer.Notes, w.notes...)
	return answer, nil
}

// whoCan is one question on its way through the callers.
type whoCan struct {
	answers  *Answers
	gateways *estates
	hop      estate.Hop
	// chosen is the route, which is the same for all callers.
	chosen routing.Decision
	at     moment
	// with is what is known of the callers' tokens.
	with bearing
	// notes say what had to be left out.
	notes []string
}

// ask tells what comes of one caller, and what the first gateway makes of it.
func (w *whoCan) ask(ctx context.Context, as estate.Credentials) (*adminv1.Admission, estate.Passage, error) {
	hop := w.hop
	hop.Credentials = as
	found, err := w.gateways.followBy(ctx, hop, w.chosen)
	if err != nil {
		return nil, estate.Passage{}, err
	}
	first := found.first()
	admission := &adminv1.Admission{Verdict: Denied, Detail: first.Refused}
	if d := first.Decision; d != nil {
		admission.Verdict, admission.Conditions = verdictOf(d), conditionsOf(d)
		admission.Reason, admission.Detail, admission.Origin = string(d.Reason), d.Detail, d.Origin.String()
	}
	if len(found.passages) > 1 {
		admission.StoppedAt = stopped(found.last())
	}
	if why := found.undecided(); why != "" {
		admission.StoppedAt = found.last().Listener.Gateway.Name + ", perhaps: " + why
	}
	return admission, first, nil
}

// stopped says why a gateway turns a request away; empty if it does not.
func stopped(p estate.Passage) string {
	switch {
	case p.Refused != "":
		return p.Listener.Gateway.Name + ": " + p.Refused
	case p.Decision != nil && !p.Decision.Allowed:
		return p.Listener.Gateway.Name + ": " + p.Decision.Detail
	}
	return ""
}

// consumer tells what comes of a consumer in the guise that gets furthest; nil where there is none.
func (w *whoCan) consumer(ctx context.Context, c *config.Consumer) (*adminv1.Admission, error) {
	var best *adminv1.Admission
	all, notes := w.answers.guises(c, w.with, w.gateways, w.at, !w.at.chosen)
	w.notes = append(w.notes, notes...)
	for _, guise := range all {
		found, passage, err := w.ask(ctx, guise)
		if err == nil && found.GetReason() == string(reason.ConsumerNotYetValid) {
			found, passage, err = w.later(ctx, c, guise)
		}
		if err != nil {
			return nil, err
		}
		if found.Consumer = c.Name; passage.Decision != nil && passage.Decision.Consumer != "" && !c.ValidUntil.IsZero() {
			found.Bounds = []string{"until " + stamp(c.ValidUntil)}
		}
		if best == nil || surer(found, best) {
			best = found
		}
	}
	return best, nil
}

// later tells what comes of a consumer at the time from which it is admitted; it is let in on that condition at best.
func (w *whoCan) later(ctx context.Context, c *config.Consumer, as estate.Credentials) (*adminv1.Admission, estate.Passage, error) {
	then := *as.Hypothesis
	then.At = c.ValidFrom
	found, passage, err := w.ask(ctx, estate.Credentials{Hypothesis: &then})
	if err != nil || found.GetVerdict() == Denied {
		return found, passage, err
	}
	from := fmt.Sprintf("request.time >= timestamp(%q)", stamp(c.ValidFrom))
	for _, condition := range found.GetConditions() {
		condition.Text = "(" + condition.GetText() + ") && " + from
	}
	if found.GetVerdict() == Allowed {
		found.Verdict, found.Conditions = Conditional, []*adminv1.Condition{{Text: from, Origin: c.Origin.String()}}
	}
	return found, passage, nil
}

// surer tells whether one admission says more for its caller than another.
func surer(one, than *adminv1.Admission) bool {
	worth := map[string]int{Denied: 0, Conditional: 1, Allowed: 2}
	return worth[one.GetVerdict()] > worth[than.GetVerdict()]
}

// stranger tells what comes of a certificate that is nobody's, of the truststore that is best for it; nil where no certificate
// is asked for.
func (w *whoCan) stranger(ctx context.Context) (*adminv1.Admission, error) {
	entry := w.hop.Listener.EntryFor(w.hop.Request.SNI)
	if entry == nil {
		return nil, nil
	}
	var best *adminv1.Admission
	for _, t := range entry.ClientAuth.Truststores {
		found, _, err := w.ask(ctx, hypothetical(identity.PresumeStranger(t.Name, w.gateways.first.Material), nil, w.at, !w.at.chosen))
		if err != nil {
			return nil, err
		}
		if found.GetReason() == string(reason.ConsumerUnknown) {
			found.Detail = "no consumer has such a certificate"
		}
		if best == nil || surer(found, best) {
			best = found
		}
	}
	return best, nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
