package question

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/estate"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/inventory"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// The verdicts of answers.
const (
	Allowed     = "allowed"
	Conditional = "conditional"
	Denied      = "denied"
	// Unknown is the verdict where it depends on material that is not at hand.
	Unknown = "unknown"
)

// Explain tells what would come of a request, or what came of one that is remembered. The error is a Mistake where the
// question is to blame.
func (a *Answers) Explain(ctx context.Context, q *adminv1.ExplainRequest) (*adminv1.ExplainResponse, error) {
	if q.GetRequestId() != "" {
		return a.recall(q)
	}
	hop, err := a.hop(q.GetInquiry())
	if err != nil {
		return nil, err
	}
	at := a.moment(q.GetInquiry().GetAt())
	answer := &adminv1.ExplainResponse{
		Revision: a.config.Model.Revision(), At: timestamppb.New(at.Time), Request: words(q.GetInquiry()),
	}
	gateways, err := a.estates(ctx, at)
	if err != nil {
		return nil, err
	}
	with, err := a.bearing(q, hop)
	if err != nil {
		return nil, err
	}
	guises, err := a.introduce(answer, q, with, gateways, at)
	if err != nil {
		return nil, err
	}
	if len(q.GetToken()) > 0 {
		if err := a.show(answer, q, &hop); err != nil {
			return nil, err
		}
	}
	var best *journey
	for _, guise := range guises {
		hop.Credentials = guise
		found, err := gateways.follow(ctx, hop)
		if err != nil {
			return nil, err
		}
		if best == nil || rank(found.passages) > rank(best.passages) {
			best = found
		}
	}
	for _, p := range best.passages {
		answer.Passages = append(answer.Passages, a.passage(p))
	}
	a.withholdDoubtful(answer, q.GetToken(), best, gateways)
	conclude(answer)
	if a.unsigned(q.GetToken()) && (answer.GetVerdict() == Allowed || answer.GetVerdict() == Conditional) {
		answer.Summary += "; the token's signature was not verified here"
	}
	answer.Notes = append(answer.Notes, a.notes(best.passages, gateways)...)
	answer.Notes = append(answer.Notes, best.notes()...)
	return answer, nil
}

// withholdDoubtful takes back what cannot be told.
func (a *Answers) withholdDoubtful(answer *adminv1.ExplainResponse, token []byte, j *journey, by *estates) {
	if why := j.undecided(); why != "" {
		withhold(answer, len(j.passages)-1, why)
	}
	why := a.doubt(j.first(), by)
	if d := j.first().Decision; why == "" && d != nil {
		why = a.undecided(token, d.Reason)
	}
	if why != "" {
		withhold(answer, 0, why)
	}
}

// show has the request come with a token that somebody shows.
func (a *Answers) show(answer *adminv1.ExplainResponse, q *adminv1.ExplainRequest, hop *estate.Hop) error {
	header, caller, err := a.presented(q.GetToken())
	if err != nil {
		return err
	}
	hop.Request.Headers[authorization] = []string{header}
	answer.Caller += ", with " + caller
	answer.Notes = append(answer.Notes, a.tokenNotes(q.GetToken())...)
	return nil
}

// authorization is the header with a caller's token. The headers of requests to gateways have names in lower case.
const authorization = "authorization"

// showsToken tells whether a request has an Authorization header.
func showsToken(h estate.Hop) bool {
	lowerCase := map[string][]string(h.Request.Headers)
	return len(lowerCase[authorization]) > 0
}

// bearing is what is known of the caller's token.
func (a *Answers) bearing(q *adminv1.ExplainRequest, hop estate.Hop) (bearing, error) {
	given := 0
	for _, is := range []bool{len(q.GetToken()) > 0, q.GetAsToken() != nil, showsToken(hop)} {
		if is {
			given++
		}
	}
	if given > 1 {
		return bearing{}, mistake("a caller comes with one token: give it, or presume one, or write an Authorization header")
	}
	presumed, err := a.presumed(q.GetAsToken())
	return bearing{presumed: presumed, shown: given > 0 && presumed == nil}, err
}

// introduce describes the caller, and returns the credentials that it may come with.
func (a *Answers) introduce(answer *adminv1.ExplainResponse, q *adminv1.ExplainRequest, with bearing, by *estates, at moment) (all []estate.Credentials, err error) {
	token := with.presumed
	switch caller := q.GetCaller().(type) {
	case *adminv1.ExplainRequest_Consumer:
		all, err = a.introduceConsumer(answer, caller.Consumer, with, by, at)
	case *adminv1.ExplainRequest_CertificatePem:
		if token != nil {
			return nil, mistake("with a certificate that is judged, no token can be presumed: give the token itself, or a consumer")
		}
		all, err = a.introduceCertificate(answer, caller.CertificatePem)
	case nil:
		if token == nil && len(q.GetToken()) == 0 {
			return nil, mistake("who calls? Name a consumer, give a certificate or a token, or ask for an anonymous caller")
		}
		all = a.introduceNobody(answer, token, at)
	default:
		all = a.introduceNobody(answer, token, at)
	}
	if token != nil {
		answer.Caller += ", with " + tokenWords(token)
		answer.Notes = append(answer.Notes, presumedToken(token))
	}
	return all, err
}

// presumedToken is the note about a token that is presumed.
func presumedToken(t *bearer.Token) string {
	return "presumed: " + tokenWords(t) + ", and nothing else"
}

// introduceNobody is somebody without a certificate.
func (a *Answers) introduceNobody(answer *adminv1.ExplainResponse, token *bearer.Token, at moment) []estate.Credentials {
	answer.Caller = "somebody without a certificate"
	if token == nil {
		return []estate.Credentials{{}}
	}
	return []estate.Credentials{hypothetical(nil, token, at, false)}
}

func (a *Answers) introduceConsumer(answer *adminv1.ExplainResponse, name string, with bearing, by *estates, at moment) ([]estate.Credentials, error) {
	c, err := a.consumer(name)
	if err != nil {
		return nil, err
	}
	answer.Caller = "the Consumer " + c.Name
	all, notes := a.guises(c, with, by, at, false)
	if len(all) == 0 {
		return nil, mistake("the Consumer %q can be asked about by a certificate alone: %s", c.Name, strings.Join(notes, "; "))
	}
	answer.Notes = append(answer.Notes, slices.Concat(a.presumptions(c, with), notes)...)
	if limit := c.RateLimit; limit != nil {
		answer.Notes = append(answer.Notes, fmt.Sprintf("left out of account: it may make %s in %s (%s)", count(limit.Requests, "request"), limit.Per, limit.Origin))
	}
	return all, nil
}

func (a *Answers) introduceCertificate(answer *adminv1.ExplainResponse, text string) ([]estate.Credentials, error) {
	certificate, leaf, err := certificateOf(text)
	if err != nil {
		return nil, err
	}
	if a.config.Material == nil {
		return nil, mistake("there are no truststores here to judge a certificate by")
	}
	answer.Caller = fmt.Sprintf("a certificate of %s, valid from %s until %s", leaf.Subject,
		leaf.NotBefore.UTC().Format(time.RFC3339), leaf.NotAfter.UTC().Format(time.RFC3339))
	return []estate.Credentials{{Certificate: certificate}}, nil
}

// presumptions are what is taken for granted of a consumer, who may come with a token that is presumed.
func (a *Answers) presumptions(c *config.Consumer, with bearing) []string {
	var ways []string
	for _, match := range c.Certificates {
		ways = append(ways, "a good certificate with "+recognised(match))
	}
	if with.presumed == nil {
		for _, token := range with.tokensOf(a, c) {
			ways = append(ways, tokenWords(token))
		}
	}
	if len(ways) == 0 {
		return []string{fmt.Sprintf("the Consumer %s (%s) has no certificates by which it could be recognised: it comes as anybody", c.Name, c.Origin)}
	}
	return []string{"presumed: " + strings.Join(ways, ", or ")}
}

// rank orders what came of a request: how far it got, and how surely.
func rank(passages []estate.Passage) int {
	last := passages[len(passages)-1]
	of := len(passages) * 4
	switch {
	case last.Refused != "":
		return of
	case last.Decision == nil || !last.Decision.Allowed:
		return of + 1
	case slices.ContainsFunc(passages, func(p estate.Passage) bool { return len(p.Decision.Conditions) > 0 }):
		return of + 2
	}
	return of + 3
}

// conclude draws the verdict from the passages.
func conclude(answer *adminv1.ExplainResponse) {
	last := answer.Passages[len(answer.Passages)-1]
	answer.Verdict, answer.Status = last.GetVerdict(), last.GetStatus()
	switch {
	case answer.GetVerdict() == Unknown:
		answer.Summary = fmt.Sprintf("it cannot be told what %s would answer: %s", last.GetGateway(), last.GetDetail())
		return
	case last.GetRefused() != "":
		answer.Summary = fmt.Sprintf("%s refuses the connection: %s", last.GetGateway(), last.GetRefused())
		if len(answer.Passages) > 1 {
			answer.Status = http.StatusServiceUnavailable // Envoy's answer to a failed upstream connection
		}
		return
	case answer.GetVerdict() == Denied && last.GetReason() == "":
		answer.Summary = fmt.Sprintf("%s answers %d before anybody is asked", last.GetGateway(), last.GetStatus())
		return
	case answer.GetVerdict() == Denied:
		answer.Summary = fmt.Sprintf("%s answers %d, %s: %s", last.GetGateway(), last.GetStatus(), last.GetReason(), last.GetDetail())
		return
	}
	answer.Status = http.StatusOK
	answer.Verdict, answer.Summary = Allowed, "the request is answered by "+last.GetGateway()
	if last.GetUpstream() != "" {
		answer.Summary = "the request reaches " + last.GetUpstream()
	}
	for _, p := range answer.Passages {
		if p.GetVerdict() == Conditional {
			answer.Verdict, answer.Conditions = Conditional, p.GetConditions()
			answer.Summary += ", if a condition holds that cannot be told here"
			break
		}
	}
}

// passage puts what one gateway makes of a request into the form of the API.
func (a *Answers) passage(p estate.Passage) *adminv1.Passage {
	told := a.way(p)
	told.Refused, told.Verdict = p.Refused, Denied
	told.Status = uint32(max(p.Status, 0)) //nolint:gosec // G115: a status of HTTP
	d := p.Decision
	if d == nil {
		return told
	}
	told.Reason, told.Detail = string(d.Reason), d.Detail
	for _, s := range d.Steps {
		told.Steps = append(told.Steps, a.step(told, audit.Step{
			Name: s.Name, Outcome: s.Outcome, Reason: s.Reason, Detail: s.Detail, Origin: audit.Place(s.Origin),
		}))
	}
	if d.Allowed {
		told.Verdict, told.Conditions = verdictOf(d), conditionsOf(d)
	}
	return told
}

// step is one step of a passage; that of the route is where its rule is written.
func (a *Answers) step(of *adminv1.Passage, s audit.Step) *adminv1.Step {
	place := config.Origin(s.Origin)
	if rule := a.rule(of.GetRoute(), of.GetRule()); s.Name == policy.StepRoute && place.IsZero() && rule != nil {
		place = rule.Origin
	}
	return &adminv1.Step{
		Name: string(s.Name), Outcome: string(s.Outcome), Reason: string(s.Reason), Detail: s.Detail,
		Resource: a.resources.of(place), Origin: place.String(),
	}
}

// notes are what the answer depends on, besides.
func (a *Answers) notes(passages []estate.Passage, by *estates) []string {
	var notes []string
	if len(passages) > 1 && by.presumed {
		notes = append(notes, "presumed: the certificates that the gateways present to each other are good")
	}
	return append(notes, a.materialNotes(passages[0].Listener.EntryFor(passages[0].Request.SNI))...)
}

// materialNotes are the problems of the truststores and the certificate of a TLS entry, which may be nil.
func (a *Answers) materialNotes(e *config.Entry) []string {
	if a.config.Material == nil || e == nil {
		return nil
	}
	var notes []string
	for _, problem := range a.config.Material.Problems {
		concerned := problem.Kind == inventory.KindTruststore && e.ClientAuth.Trusts(problem.Name) ||
			problem.Kind == inventory.KindCertificate && e.Certificate != nil && e.Certificate.Name == problem.Name
		switch {
		case concerned && a.config.Apart: // what is in force is not known
			notes = append(notes, fmt.Sprintf("%s %s, as it was read here: %v", problem.Kind, problem.Name, problem.Err))
		case concerned:
			notes = append(notes, problem.Error())
		}
	}
	return notes
}
