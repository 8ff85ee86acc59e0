package policy

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/authz/request"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/checkcontext"
)

// evaluation is one request on its way through the ladder.
type evaluation struct {
	*Decision
	engine *Engine
	now    time.Time
	trust  *identity.Trust
	// verdict on the certificate, once somebody has asked for it.
	verdict *identity.Verdict
	// judgeBearer judges the request's token, and tokens is what came of that.
	judgeBearer TokenJudge
	tokens      []judged
	// hypothesis is what is presumed of the caller, or nil.
	hypothesis *Hypothesis
	// version that is being asked.
	version *version
	// admitted is the rule of it that let the caller in.
	admitted *rule
}

// Evaluate judges a request at a moment, and its token, if it has one, by the function given. It never returns nil.
//
// What counts is the policy that the Model gives the rule now. A request whose route was made with an earlier version of
// it, or with another policy, passes only if that version, and the present one of that other policy, let it as well. What
// the upstream is told is the business of the rule's own policy.
func (e *Engine) Evaluate(r *request.Request, now time.Time, tokens TokenJudge) *Decision {
	return e.evaluate(&evaluation{Decision: newDecision(r), engine: e, now: now, judgeBearer: tokens})
}

func (e *Engine) evaluate(ev *evaluation) *Decision {
	r := ev.Request
	ev.Time = ev.now
	if f, ended := ev.route(); ended {
		ev.conclude(f, "")
		return ev.Decision
	}
	current, asked := e.current[e.PolicyOf(r.Context)], e.version(r.Policy, r.PolicyVersion)
	switch {
	case asked == nil:
		ev.conclude(finding{step: StepPolicy, reason: reason.PolicyUnknown, detail: "this version of the policy is not known here"}, "")
	case current == nil: // and so has the rule, or the Model would not be valid
		ev.conclude(finding{step: StepPolicy, reason: reason.PolicyRemoved, detail: "the policy has been removed", origin: asked.origin}, asked.id)
	default:
		ev.judge(current)
		ev.judgeAlsoBy(asked)
		ev.judgeAlsoBy(e.current[r.Policy])
		ev.answer()
	}
	return ev.Decision
}

// route tells what the route alone decides.
func (ev *evaluation) route() (finding, bool) {
	r := ev.Request
	switch r.Outcome {
	case "":
	case checkcontext.OutcomeNoRoute:
		return finding{step: StepRoute, reason: reason.NoRoute, detail: "no rule takes this request"}, true
	default:
		return finding{step: StepRoute, reason: reason.Misdirected, detail: "the host belongs to another TLS entry than the connection"}, true
	}
	ev.trust = ev.engine.trust[entryKey{r.Gateway, r.Listener, r.Entry}]
	if ev.trust == nil {
		return finding{step: StepRoute, reason: reason.PolicyUnknown, detail: "the listener's TLS entry is not known here"}, true
	}
	assigned, found := ev.engine.rules[ruleOf(r.Context)]
	switch {
	case !found:
		return finding{step: StepRoute, reason: reason.PolicyUnknown, detail: "the rule is not known here"}, true
	case assigned.over(ev.now):
		return finding{step: StepRoute, reason: reason.RuleRemoved, detail: "the rule has been removed"}, true
	case r.Upstream != "" && !assigned.leadsTo(r.Upstream, ev.now):
		return finding{step: StepRoute, reason: reason.RuleRemoved, detail: "the rule does not lead to the upstream that the proxy's route names"}, true
	}
	ev.step(Step{Name: StepRoute, Outcome: Passed, Detail: r.Route + "/" + r.Rule})
	return finding{}, false
}

// AnswerMethods are the methods to which a rule answers that has no upstream, as the Allow header lists them: those of a token
// endpoint (RFC 6749, section 3.2), or of what is only read.
func AnswerMethods(answer string) string {
	if answer == checkcontext.AnswerToken {
		return http.MethodPost
	}
	return http.MethodGet + ", " + http.MethodHead
}

// answer refuses an admitted caller that asks a rule without an upstream for more than its answer.
func (ev *evaluation) answer() {
	if !ev.Allowed || ev.Request.Answer == "" {
		return
	}
	methods := AnswerMethods(ev.Request.Answer)
	if !slices.Contains(strings.Split(methods, ", "), ev.Request.Method) {
		ev.conclude(finding{step: StepRoute, reason: reason.MethodNotAllowed, detail: "the rule answers by itself, and only to " + methods}, "")
	}
}

// judge asks one version of the policy, and decides as it does.
func (ev *evaluation) judge(v *version) {
	ev.version, ev.by = v, v
	ev.Consumer, ev.Truststore, ev.Token, ev.kind, ev.reference = "", "", nil, CallerAnonymous, nil // each version finds out for itself
	ev.PolicyVersions = append(ev.PolicyVersions, v.id)
	caller, refused := ev.authenticate(v)
	if refused == nil {
		refused = ev.admit(&caller)
	}
	if refused != nil {
		ev.conclude(*refused, v.id)
		return
	}
	ev.kind = caller.kind()
	found := ev.authorize(v, caller)
	if len(ev.PolicyVersions) == 1 { // the rule's own policy, as it is now
		ev.askShadows(v, caller)
	}
	ev.conclude(found, v.id)
	if ev.Allowed && (v.forwardsFacts || ev.Request.Answer != "") && ev.admitted != nil {
		ev.Facts = ev.facts(caller)
		if v.forwardsPath { // where the captures cannot be told, the values that would be made of them are not there
			ev.Facts.Path, _ = ev.captures(ev.admitted, caller)
		}
	}
}

// judgeAlsoBy asks a further version of the policy that the proxy's route was made with, if there is one and it has not
// been asked. If it agrees, the decision stays as the first one has explained it.
func (ev *evaluation) judgeAlsoBy(v *version) {
	if !ev.Allowed || v == nil || slices.Contains(ev.PolicyVersions, v.id) {
		return
	}
	before := *ev.Decision
	ev.judge(v)
	if !ev.Allowed {
		if v.policy == ev.engine.PolicyOf(ev.Request.Context) {
			ev.Detail += " (by the earlier version of the policy that the proxy still runs)"
		} else {
			ev.Detail += " (by the policy " + quote(v.policy) + ", with which the proxy's route was made)"
		}
		ev.Steps[len(ev.Steps)-1].Detail = ev.Detail
		return
	}
	before.Steps, before.PolicyVersions = ev.Steps, ev.PolicyVersions
	*ev.Decision = before
}

// caller is who has been authenticated. The zero value is somebody of whom nothing is known.
type caller struct {
	// vouchers are the truststores that count and vouch for the certificate; empty where none was asked.
	vouchers []string
	// certified is set where the certificate identifies the caller, and not only goes with a token.
	certified bool
	token     *bearer.Token
	// bound are the truststores that vouch for the certificate to which the token is bound.
	bound []string
	// together is set where certificate and token must be one caller's.
	together bool
	consumer *config.Consumer
}

func (c caller) identified() bool { return c.certified || c.token != nil }

func (c caller) kind() CallerKind {
	switch {
	case c.token != nil:
		return CallerUser
	case c.certified:
		return CallerCertificate
	}
	return CallerAnonymous
}

// credential says by what the caller was identified, for people.
func (c caller) credential() string {
	if c.token != nil {
		return "token"
	}
	return "certificate"
}

// note appends a step of the version that is being asked.
func (ev *evaluation) note(name StepName, outcome Outcome, detail string, origin config.Origin) {
	ev.step(Step{Name: name, Outcome: outcome, Detail: detail, Origin: origin, PolicyVersion: ev.version.id})
}
