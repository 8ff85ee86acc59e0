package question_test

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/estate"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/question"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/checkcontext"
	"github.com/sallyport-project/sallyport/config/expression"
	"github.com/sallyport-project/sallyport/config/template"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

func (t *trial) explain(by question.Answerer, seen map[string]int) {
	t.t.Helper()
	asked := &adminv1.ExplainRequest{Inquiry: t.inquiry}
	name := t.one(consumers)
	switch {
	case t.chance(15):
		name = "" // nobody in particular
		asked.Caller = &adminv1.ExplainRequest_Anonymous{Anonymous: true}
	case !t.token && t.chance(60):
		name = "a token"
		asked.AsToken = t.presumedToken()
		t.shown[name] = []shown{t.sign(asked.GetAsToken())}
	default:
		asked.Caller = &adminv1.ExplainRequest_Consumer{Consumer: name}
	}
	answer, err := by.Explain(t.t.Context(), asked)
	if err != nil {
		t.t.Fatal(err)
	}
	seen["explain "+answer.GetVerdict()]++
	if asked.GetAsToken() != nil {
		seen["explain a token "+answer.GetVerdict()]++
	}
	truths := t.truthsOf(name)
	want := slices.ContainsFunc(truths, arrived)
	got := t.holds(answer.GetVerdict(), answer.GetPassages()[0].GetReason(), answer.GetConditions(), name, truths, arrived)
	if got != want {
		t.t.Errorf("explain says of %q: %s (%s), but Check: %t", name, answer.GetVerdict(), answer.GetSummary(), want)
	}
	first := answer.GetPassages()[0]
	if len(truths) == 1 && first.GetVerdict() == question.Denied {
		truth := truths[0][0]
		if truth.Decision != nil && (first.GetReason() != string(truth.Decision.Reason) || int(first.GetStatus()) != truth.Status) ||
			(truth.Refused != "") != (first.GetRefused() != "") {
			t.t.Errorf("explain says of %q: %s, %d %s; but Check: %+v, refused %q", name, first.GetReason(), first.GetStatus(), first.GetRefused(), truth.Decision, truth.Refused)
		}
	}
}

// holds tells whether an answer says yes, given what it leaves open and the real certificates tell.
func (t *trial) holds(verdict, why string, of []*adminv1.Condition, consumer string, truths [][]estate.Passage, yes func([]estate.Passage) bool) bool {
	t.t.Helper()
	switch verdict {
	case question.Allowed:
		return true
	case question.Denied:
		return false
	}
	for i := range truths {
		for _, condition := range of {
			if t.fulfilled(condition, why, consumer, t.of(consumer)[i], truths[i][0]) {
				return true
			}
		}
	}
	// The conditions are those of one guise; of another one, no more can be said than that it is not surely let in.
	return len(truths) > 1 && slices.ContainsFunc(truths, yes)
}

// fulfilled evaluates what is left of a condition with everything that is known of the real request.
func (t *trial) fulfilled(condition *adminv1.Condition, why, consumer string, with shown, passage estate.Passage) bool {
	t.t.Helper()
	permission := why == string(reason.PermissionGranted)
	d := passage.Decision
	if d == nil || permission && d.Consumer == "" {
		return false
	}
	if !slices.ContainsFunc(d.Steps, func(s policy.Step) bool { return s.Name == policy.StepAuthorize || s.Name == policy.StepDefault }) {
		return false // no rule was asked
	}
	compiled := t.compiled[condition.GetText()]
	if compiled == nil {
		var err error
		if compiled, err = expression.CompileCondition(condition.GetText()); err != nil {
			t.t.Fatalf("the condition %q cannot be compiled: %v", condition.GetText(), err)
		}
		t.compiled[condition.GetText()] = compiled
	}
	context := passage.Chosen.Context
	facts := &expression.Facts{Request: expression.Request{
		Method: t.inquiry.GetMethod(), Host: passage.Chosen.Host, Path: passage.Chosen.Path,
		Gateway: context[checkcontext.Gateway], Route: context[checkcontext.Route], Time: d.Time,
	}}
	var roles []*config.Role
	if c := t.model.Consumer(consumer); c != nil && d.Consumer != "" {
		facts.Consumer, facts.Subject = c.Facts, "consumer:"+c.Name
		if permission {
			roles = c.Roles
		}
	}
	if facts.Path = t.captures(roles, passage); facts.Path == nil && compiled.ReadsPath() {
		return false
	}
	if d.Truststore != "" && with.Certificate != nil {
		facts.Certificate = factsOf(with.Certificate.Leaf)
	}
	if d.Token != nil {
		facts.Token = with.facts
		if facts.Subject == "" {
			facts.Subject = d.Subject()
		}
	}
	held, err := compiled.Holds(facts)
	return held && err == nil
}

// captures are the variables of the path, by the rule's template and by all permissions of roles that apply; nil where they
// disagree.
func (t *trial) captures(roles []*config.Role, passage estate.Passage) map[string]string {
	found := map[string]string{}
	agree := true
	take := func(of *template.Template) {
		of.Capture(passage.Chosen.Path, func(name, value string) {
			if known, taken := found[name]; taken && known != value {
				agree = false
			}
			found[name] = value
		})
	}
	context := passage.Chosen.Context
	rule := t.model.Route(context[checkcontext.Route]).Rules[slices.IndexFunc(t.model.Route(context[checkcontext.Route]).Rules, func(r *config.Rule) bool { return r.Name == context[checkcontext.Rule] })]
	if rule.Match.Kind == config.MatchTemplate {
		take(rule.Match.Template)
	}
	for _, role := range roles {
		for _, permission := range role.Permissions {
			if !slices.ContainsFunc(permission.Routes, func(r *config.Route) bool { return r.Name == context[checkcontext.Route] }) || len(permission.Methods) > 0 && !slices.Contains(permission.Methods, t.inquiry.GetMethod()) {
				continue
			}
			for _, path := range permission.Paths {
				take(path)
			}
		}
	}
	if !agree {
		return nil
	}
	return found
}

func factsOf(c *x509.Certificate) *expression.Certificate {
	facts := &expression.Certificate{
		SubjectDN: c.Subject.String(), IssuerDN: c.Issuer.String(), CommonName: c.Subject.CommonName, Serial: c.SerialNumber.Text(16),
		SHA256: sha256Of(c.Raw), SPKISHA256: sha256Of(c.RawSubjectPublicKeyInfo), NotBefore: c.NotBefore, NotAfter: c.NotAfter, DNSNames: c.DNSNames,
	}
	for _, uri := range c.URIs {
		facts.URIs = append(facts.URIs, uri.String())
	}
	return facts
}

func sha256Of(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

func (t *trial) whoCan(by question.Answerer, seen map[string]int) {
	t.t.Helper()
	answer, err := by.WhoCan(t.t.Context(), &adminv1.WhoCanRequest{Inquiry: t.inquiry})
	if err != nil {
		t.t.Fatal(err)
	}
	said := map[string]*adminv1.Admission{}
	for _, admission := range answer.GetConsumers() {
		said[admission.GetConsumer()] = admission
	}
	for _, c := range t.model.Consumers() {
		admission := said[c.Name]
		if admission == nil {
			admission = &adminv1.Admission{Verdict: question.Denied}
		}
		if c.Name == "edge-proxy" {
			continue // whose certificate the keeper has
		}
		t.admission(c, admission, seen)
	}
	if got, want := answer.GetAnonymous().GetVerdict(), admitted(t.truthsOf("")[0]); got != question.Conditional && (got == question.Allowed) != want {
		t.t.Errorf("who-can says of anybody: %s, but Check: %t", got, want)
	}
	t.holders(answer, seen)
	var strangers []shown
	for _, store := range truststores {
		strangers = append(strangers, shown{Credentials: estate.Credentials{Certificate: t.strangers[store]}})
	}
	entry := t.hop.Listener.EntryFor(t.hop.Request.SNI)
	if answer.GetStranger() == nil || entry == nil {
		return
	}
	strangers = slices.DeleteFunc(strangers, func(c shown) bool {
		return !slices.ContainsFunc(entry.ClientAuth.Truststores, func(s *config.Truststore) bool { return t.strangers[s.Name] == c.Certificate })
	})
	want := slices.ContainsFunc(t.truth(noon, strangers...), admitted)
	if got := answer.GetStranger().GetVerdict(); got != question.Conditional && (got == question.Allowed) != want {
		t.t.Errorf("who-can says of a stranger: %s, but Check: %t", got, want)
	}
}

// holders compares what who-can says of those who come with a token.
func (t *trial) holders(answer *adminv1.WhoCanResponse, seen map[string]int) {
	t.t.Helper()
	if t.token {
		return
	}
	for i, of := range answer.GetTokens() {
		wanted := &adminv1.PresumedToken{Provider: of.GetProvider()}
		if of.GetRole() != "" {
			wanted.Roles = []string{of.GetRole()}
		}
		if of.GetScope() != "" {
			wanted.Scopes = []string{of.GetScope()}
		}
		name := fmt.Sprintf("holder %d", i)
		t.shown[name] = []shown{t.sign(wanted)}
		said, truths := of.GetAdmission(), t.truthsOf(name)
		seen["who-can with a token "+said.GetVerdict()]++
		if got, want := t.holds(said.GetVerdict(), said.GetReason(), said.GetConditions(), name, truths, admitted), admitted(truths[0]); got != want {
			t.t.Errorf("who-can says of %v: %s %v, but Check: %t (%+v)", wanted, said.GetVerdict(), said.GetConditions(), want, truths[0][0].Decision)
		}
	}
}

// admission compares what who-can says of a consumer.
func (t *trial) admission(c *config.Consumer, said *adminv1.Admission, seen map[string]int) {
	t.t.Helper()
	seen["who-can "+said.GetVerdict()]++
	truths := t.truthsOf(c.Name)
	want := slices.ContainsFunc(truths, admitted)
	if got := t.holds(said.GetVerdict(), said.GetReason(), said.GetConditions(), c.Name, truths, admitted); got != want {
		t.t.Errorf("who-can says of %s: %s %v, but Check: %t", c.Name, said.GetVerdict(), said.GetConditions(), want)
	}
	if c.ValidFrom.After(noon) && len(truths) == 1 {
		later := t.truth(c.ValidFrom, t.of(c.Name)...)
		if got, want := t.holds(said.GetVerdict(), said.GetReason(), said.GetConditions(), c.Name, later, admitted), admitted(later[0]); got != want {
			t.t.Errorf("who-can says of %s at %s: %s %v, but Check: %t", c.Name, c.ValidFrom, said.GetVerdict(), said.GetConditions(), want)
		}
	}
	if stops := said.GetStoppedAt() != ""; want && len(truths) == 1 && stops == arrived(truths[0]) {
		t.t.Errorf("who-can says that %s is stopped at %q, but the request arrives: %t", c.Name, said.GetStoppedAt(), arrived(truths[0]))
	}
}

// can compares what can says of a caller, who is a Consumer or has been shown by name.
func (t *trial) can(caller string, said *adminv1.CanResponse, seen map[string]int) {
	t.t.Helper()
	if caller == "edge-proxy" {
		return
	}
	truths := t.truthsOf(caller)
	want := slices.ContainsFunc(truths, admitted)
	passage := truths[slices.IndexFunc(truths, func(p []estate.Passage) bool { return !want || admitted(p) })][0]
	if passage.Chosen.Route == nil || t.token {
		return // nothing that a consumer could do is in question
	}
	verdict := question.Denied
	for _, grant := range said.GetGrants() {
		if !t.covers(grant, passage) {
			continue
		}
		fulfilled := !slices.ContainsFunc(grant.GetConditions(), func(condition *adminv1.Condition) bool {
			return !slices.ContainsFunc(slices.Collect(indices(truths)), func(i int) bool {
				return t.fulfilled(condition, grant.GetReason(), caller, t.of(caller)[i], truths[i][0])
			})
		})
		if fulfilled && (verdict == question.Denied || len(grant.GetConditions()) == 0) {
			verdict = question.Allowed
			if len(grant.GetConditions()) > 0 {
				verdict = question.Conditional
			}
		}
	}
	seen["can "+verdict]++
	if (verdict != question.Denied) != want {
		t.t.Errorf("can says of %s: %s, but Check: %t (%+v)", caller, verdict, want, passage.Decision)
	}
}

func indices[T any](of []T) func(func(int) bool) {
	return func(yield func(int) bool) {
		for i := range of {
			if !yield(i) {
				return
			}
		}
	}
}

// covers tells whether a request that a rule has taken is among those of a grant.
func (t *trial) covers(grant *adminv1.Grant, p estate.Passage) bool {
	context := p.Chosen.Context
	if grant.GetGateway() != context[checkcontext.Gateway] || !slices.Contains(grant.GetListeners(), context[checkcontext.Listener]) ||
		grant.GetRoute() != context[checkcontext.Route] || grant.GetRule() != context[checkcontext.Rule] ||
		!slices.ContainsFunc(p.Chosen.VirtualHost.GetDomains(), func(domain string) bool { return slices.Contains(grant.GetHosts(), domain) }) {
		return false
	}
	if slices.ContainsFunc(grant.GetExcept(), func(m *adminv1.PathMatch) bool { return t.takes(m, p) }) {
		t.t.Errorf("%v is said to be taken by another rule", grant)
	}
	return t.takes(grant.GetMatch(), p)
}

func (t *trial) takes(m *adminv1.PathMatch, p estate.Passage) bool {
	if len(m.GetMethods()) > 0 && !slices.Contains(m.GetMethods(), t.inquiry.GetMethod()) {
		return false
	}
	path := p.Chosen.Path
	if m.GetKind() == "prefix" {
		return m.GetPath() == "/" || path == m.GetPath() || strings.HasPrefix(path, m.GetPath()+"/")
	}
	parsed, err := template.Parse(m.GetPath())
	if err != nil {
		t.t.Fatal(fmt.Errorf("%s: %w", m.GetPath(), err))
	}
	return parsed.Match(path)
}
