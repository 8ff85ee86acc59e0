package policy

import (
	"time"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/mint"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/authz/request"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/expression"
)

// Decision is what came of a request, and why: the reply, the audit record and `explain` are views of it. The zero
// Decision denies.
type Decision struct {
	// Request that was judged; never nil in a Decision that this package made.
	Request *request.Request
	// Allowed is set if the request may pass.
	Allowed bool
	// Reason decided it.
	Reason reason.Reason
	// Detail is the reason in a sentence, with the particulars. It may be shown to the caller where the policy says so.
	Detail string
	// Origin is where in the configuration it was decided; zero where nothing there did.
	Origin config.Origin
	// Steps are everything that was looked at, in order; the last one decided.
	Steps []Step

	// PolicyVersions are the versions of policies that judged it: the current one of the rule's policy, and then the one that
	// the proxy's route was made with and the current one of that policy, as far as they are others.
	PolicyVersions []string
	// Role that lets the caller in; empty if it is turned away, or let in by something else.
	Role string
	// Conditions are what it depends on where a hypothetical caller is let in, of whom not everything is known: one of them must
	// hold. A request of a proxy has none.
	Conditions []string
	// Facts are what the header values of the rule's policy are made of; nil where none of them needs any, or the request is
	// turned away.
	Facts *expression.Facts
	// Time is the moment for which it was judged; zero if nobody was asked.
	Time time.Time
	// Consumer is the caller's name; empty if it is none of our Consumers, or nobody asked.
	Consumer string
	// Certificate of the caller; nil if there is none, or it cannot be parsed, or nobody asked. Believe it only where
	// Truststore is set.
	Certificate *identity.Certificate
	// Truststore that vouches for the certificate: the first of the TLS entry's; empty if none does, or nobody asked.
	Truststore string
	// Token of the caller, which was accepted; nil if there is none, or nobody asked. It is also there where the request is turned
	// away for another reason.
	Token *bearer.Token
	// Shadow is what the rules that are only tried out would have done.
	Shadow []ShadowVerdict
	// Challenge is what a 401 or 403 tells its caller of how to get in; nil for any other answer.
	Challenge *Challenge

	kind CallerKind
	// reference is to the certificate that an accepted token of our own names, or nil.
	reference *identity.Reference
	// by is the version of a policy that was asked last; nil if none was.
	by *version
}

// CallerKind is what somebody authenticated by. The upstream says for each what it gets in the Authorization header.
type CallerKind int

// The kinds.
const (
	// CallerAnonymous has shown nothing, or nothing that counts.
	CallerAnonymous CallerKind = iota
	// CallerCertificate has a certificate, and no token.
	CallerCertificate
	// CallerUser has a token that was verified, with a certificate or without.
	CallerUser
)

// Bearer is what the caller authenticated by. It is CallerAnonymous where nobody asked.
func (d *Decision) Bearer() CallerKind { return d.kind }

// Counts tells whether the request counts against the rate limit of its Consumer: it is let in, and no proxy of ours has counted it
// already, which has passed it on with a token for this hop.
func (d *Decision) Counts() bool {
	return d.Allowed && d.Consumer != "" && !mintedForHop(d.Token)
}

// Reference names the caller's certificate, for a token that tells the next hop of it: the one that it presented, or, where a proxy
// of ours passed the request on, the one that the caller presented there. It is nil where none is known.
func (d *Decision) Reference() *identity.Reference {
	switch {
	case mintedForHop(d.Token):
		return d.reference
	case d.Certificate != nil && d.Truststore != "":
		return &identity.Reference{Truststore: d.Truststore, SHA256: d.Certificate.SHA256, Issuer: d.Certificate.Issuer, Serial: d.Certificate.Serial}
	}
	return nil
}

// Subject names the caller across all namespaces: `consumer:<name>` for a Consumer, or else `token:<provider>:<subject>` or
// `certificate:<truststore>:<subject>`, because the same subject under another authority is somebody else. A token of our own
// has such a name for its subject, which stays as it is. It is empty for an anonymous caller.
func (d *Decision) Subject() string {
	switch {
	case d.Consumer != "":
		return mint.SubjectConsumer + d.Consumer
	case d.Token != nil && d.Token.Provider.Mint == nil:
		return "token:" + d.Token.Provider.Name + ":" + d.Token.Subject
	case d.Token != nil && d.Token.Subject == mint.SubjectAnonymous:
		return ""
	case d.Token != nil:
		return d.Token.Subject
	case d.Certificate != nil && d.Truststore != "":
		return "certificate:" + d.Truststore + ":" + d.Certificate.Subject
	}
	return ""
}

// Status is the HTTP status that belongs to the reason. What the caller sees may be a 404 in its place.
func (d *Decision) Status() int { return d.Reason.Status() }

// Step is one thing that was looked at on the way to a decision.
type Step struct {
	Name    StepName
	Outcome Outcome
	// Reason is set where the step decided.
	Reason reason.Reason
	Detail string
	Origin config.Origin
	// PolicyVersion is the version of the policy that the step belongs to; empty for those that belong to none.
	PolicyVersion string
}

// StepName says what a step looks at.
type StepName string

// The steps, in the order in which they are taken.
const (
	StepRequest     StepName = "request"
	StepAsker       StepName = "asker"
	StepRoute       StepName = "route"
	StepPolicy      StepName = "policy"
	StepCredentials StepName = "credentials"
	StepCertificate StepName = "certificate"
	StepToken       StepName = "token"
	StepConsumer    StepName = "consumer"
	StepAuthorize   StepName = "authorize"
	// StepDefault is the end of the ladder: no rule let the caller in.
	StepDefault StepName = "default"
	// StepShadow asks a rule that is only tried out.
	StepShadow StepName = "shadow"
	// StepLimit comes where the caller is let in, and has asked too often.
	StepLimit StepName = "limit"
	// StepForward says what the upstream gets in the Authorization header, or why it cannot be had.
	StepForward StepName = "forward"
	// StepAudit comes where the record of an admission cannot be kept.
	StepAudit StepName = "audit"
)

// Outcome is what came of a step.
type Outcome string

// The outcomes.
const (
	// Passed lets the next step follow.
	Passed Outcome = "passed"
	// Absent says that what the step looks at is not there, and that this alone is no reason to refuse.
	Absent Outcome = "absent"
	// NotThis says that a rule does not let the caller in; another may.
	NotThis Outcome = "not_this"
	// Depends says that a rule lets a hypothetical caller in if something holds that is not known.
	Depends Outcome = "depends"
	// WouldAllow says that a rule which is only tried out would let the request in.
	WouldAllow Outcome = "would_allow"
	// Allows lets the request in.
	Allows Outcome = "allows"
	// Denies turns it away.
	Denies Outcome = "denies"
)

// finding is what a ladder ends with.
type finding struct {
	step   StepName
	reason reason.Reason
	detail string
	origin config.Origin
}

// Deny makes the decision for a request that is turned away before any policy is asked.
func Deny(r *request.Request, step StepName, why reason.Reason, detail string) *Decision {
	d := newDecision(r)
	d.conclude(finding{step: step, reason: why, detail: detail}, "")
	return d
}

// Limit turns an admission into a refusal, because the caller has asked too often. The limit stands at the origin.
func (d *Decision) Limit(detail string, origin config.Origin) {
	d.conclude(finding{StepLimit, reason.RateLimited, detail, origin}, "")
}

func newDecision(r *request.Request) *Decision {
	const usual = 6 // steps of a request that passes
	return &Decision{Request: r, Steps: make([]Step, 0, usual)}
}

func (d *Decision) step(s Step) { d.Steps = append(d.Steps, s) }

// conclude notes the finding as the last step, so far, and as the decision.
func (d *Decision) conclude(f finding, version string) {
	outcome := Denies
	if f.reason.Allows() {
		outcome = Allows
	}
	d.step(Step{Name: f.step, Outcome: outcome, Reason: f.reason, Detail: f.detail, Origin: f.origin, PolicyVersion: version})
	d.Allowed, d.Reason, d.Detail, d.Origin = outcome == Allows, f.reason, f.detail, f.origin
	if d.Challenge = nil; !d.Allowed {
		d.Role, d.Conditions, d.Facts = "", nil, nil
		d.Challenge = challenge(f.reason, d.by)
	}
}
