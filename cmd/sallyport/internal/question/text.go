package question

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sallyport-project/sallyport/internal/terminal"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// WriteExplain prints an explanation for people; its last line is the verdict.
func WriteExplain(w io.Writer, answer *adminv1.ExplainResponse) error {
	fmt.Fprintf(w, "%s\nby %s, at %s\n", terminal.Safe(answer.GetRequest()), terminal.Safe(answer.GetCaller()), answer.GetAt().AsTime().Format(time.RFC3339))
	for _, p := range answer.GetPassages() {
		if err := writePassage(w, p); err != nil {
			return err
		}
	}
	fmt.Fprintln(w)
	writeNotes(w, answer.GetNotes())
	for _, c := range answer.GetConditions() {
		fmt.Fprintf(w, "if %s  (%s)\n", terminal.Safe(c.GetText()), c.GetOrigin())
	}
	_, err := fmt.Fprintf(w, "%s: %s\n", answer.GetVerdict(), terminal.Safe(answer.GetSummary()))
	return err
}

// writePassage prints what one gateway makes of a request.
func writePassage(w io.Writer, p *adminv1.Passage) error {
	fmt.Fprintf(w, "\n%s\n", arrival(p))
	writeWay(w, p)
	if p.GetRefused() != "" {
		fmt.Fprintf(w, "  refused   %s\n", terminal.Safe(p.GetRefused()))
		return nil
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range p.GetSteps() {
		fmt.Fprintf(table, "  %s\t%s\t%s\t%s\t%s\n", s.GetName(), s.GetOutcome(), terminal.Safe(because(s.GetReason(), s.GetDetail())), s.GetResource(), s.GetOrigin())
	}
	if err := table.Flush(); err != nil {
		return err
	}
	switch {
	case p.GetStatus() != 0:
		fmt.Fprintf(w, "  answers %d\n", p.GetStatus())
	case p.GetUpstream() != "":
		fmt.Fprintf(w, "  sends it to %s\n", p.GetUpstream())
	}
	return nil
}

// arrival is where a request arrives.
func arrival(p *adminv1.Passage) string {
	text := p.GetGateway() + "/" + p.GetListener()
	if p.GetEntry() != "" {
		text += ", entry " + p.GetEntry()
	}
	return text
}

// writeWay prints which rule takes a request.
func writeWay(w io.Writer, p *adminv1.Passage) {
	if p.GetPath() != "" {
		fmt.Fprintf(w, "  path      %s\n", terminal.Safe(p.GetPath()))
	}
	if p.GetRule() != "" {
		fmt.Fprintf(w, "  rule      %s/%s%s\n", p.GetRoute(), p.GetRule(), inBrackets(p.GetRuleAt()))
		fmt.Fprintf(w, "  policy    %s%s\n", p.GetPolicy(), inBrackets(p.GetPolicyAt()))
	}
}

func inBrackets(text string) string {
	if text == "" {
		return ""
	}
	return "  (" + text + ")"
}

// because is a reason with its particulars.
func because(reason, detail string) string {
	return strings.TrimPrefix(strings.TrimSuffix(reason+": "+detail, ": "), ": ")
}

func writeNotes(w io.Writer, notes []string) {
	for _, note := range notes {
		fmt.Fprintf(w, "note: %s\n", terminal.Safe(note))
	}
}

// WriteWhoCan prints who may make a request.
func WriteWhoCan(w io.Writer, answer *adminv1.WhoCanResponse) error {
	p := answer.GetPassage()
	fmt.Fprintf(w, "%s, at %s\n\n%s\n", terminal.Safe(answer.GetRequest()), answer.GetAt().AsTime().Format(time.RFC3339), arrival(p))
	writeWay(w, p)
	if p.GetStatus() != 0 {
		fmt.Fprintf(w, "  answers %d before anybody is asked\n", p.GetStatus())
	}
	if p.GetUpstream() != "" {
		fmt.Fprintf(w, "  upstream  %s\n", p.GetUpstream())
	}
	fmt.Fprintln(w)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "CALLER\tMAY\tWHY\tWHERE")
	row := func(caller string, a *adminv1.Admission) {
		if a == nil {
			return
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", caller, verb[a.GetVerdict()], terminal.Safe(why(a)), a.GetOrigin())
	}
	row("(no certificate)", answer.GetAnonymous())
	row("(any trusted certificate)", answer.GetStranger())
	for _, t := range answer.GetTokens() {
		row(tokenLabel(t), t.GetAdmission())
	}
	for _, a := range answer.GetConsumers() {
		row(a.GetConsumer(), a)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	writeNotes(w, answer.GetNotes())
	_, err := fmt.Fprintf(w, "%d of %s may\n", len(answer.GetConsumers()), count(answer.GetConsidered(), "consumer"))
	return err
}

// tokenLabel is who comes with such a token.
func tokenLabel(t *adminv1.TokenAdmission) string {
	switch {
	case t.GetRole() != "":
		return "(token of " + t.GetProvider() + " with the role " + t.GetRole() + ")"
	case t.GetScope() != "":
		return "(token of " + t.GetProvider() + " with the scope " + t.GetScope() + ")"
	}
	return "(token of " + t.GetProvider() + ")"
}

// verb is a verdict as an answer to `may?`.
var verb = map[string]string{Allowed: "yes", Conditional: "if", Denied: "no"}

// why is the reason of an admission, with all that bounds it.
func why(a *adminv1.Admission) string {
	text := because(a.GetReason(), a.GetDetail())
	for i, c := range a.GetConditions() {
		text += []string{"; if ", "; or if "}[min(i, 1)] + c.GetText()
	}
	if len(a.GetBounds()) > 0 {
		text += "; " + strings.Join(a.GetBounds(), " ")
	}
	if a.GetStoppedAt() != "" {
		text += "; but stopped at " + a.GetStoppedAt()
	}
	return text
}

// WriteCan prints what a caller may do.
func WriteCan(w io.Writer, answer *adminv1.CanResponse) error {
	fmt.Fprintf(w, "%s%s, at %s\n\n", terminal.Safe(answer.GetCaller()), inBrackets(answer.GetOrigin()), answer.GetAt().AsTime().Format(time.RFC3339))
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(answer.GetGrants()) > 0 {
		fmt.Fprintln(table, "GATEWAY\tHOSTS\tMETHODS\tPATHS\tRULE\tPOLICY\tUPSTREAM\tWHY\tWHERE")
	}
	for _, g := range answer.GetGrants() {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s/%s\t%s\t%s\t%s\t%s\n", g.GetGateway(), strings.Join(g.GetHosts(), " "),
			methodsText(g.GetMatch()), pathText(g.GetMatch()), g.GetRoute(), g.GetRule(), g.GetPolicy(), cmp.Or(strings.Join(g.GetUpstreams(), " "), "(itself)"),
			terminal.Safe(grantedBecause(g)), g.GetOrigin())
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(answer.GetGrants()) > 0 {
		fmt.Fprintln(w)
	}
	writeNotes(w, answer.GetNotes())
	if len(answer.GetGrants()) == 0 {
		_, err := fmt.Fprintln(w, "it may do nothing")
		return err
	}
	_, err := fmt.Fprintf(w, "%s of requests\n", count(len(answer.GetGrants()), "shape"))
	return err
}

// count is a number of something whose plural ends in s.
func count[N int | uint32](n N, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// grantedBecause is why a grant is one, with all that it depends on.
func grantedBecause(g *adminv1.Grant) string {
	text := because(g.GetReason(), g.GetDetail())
	for _, c := range g.GetConditions() {
		text += "; if " + c.GetText()
	}
	for _, header := range g.GetHeaders() {
		text += "; where " + header
	}
	for i, e := range g.GetExcept() {
		text += []string{"; except ", ", "}[min(i, 1)] + methodsText(e) + " " + pathText(e)
	}
	return text
}

// methodsText is those of a match, for people.
func methodsText(m *adminv1.PathMatch) string {
	if len(m.GetMethods()) == 0 {
		return "any"
	}
	return strings.Join(m.GetMethods(), ",")
}

// pathText is that of a match; what lies below a prefix is marked.
func pathText(m *adminv1.PathMatch) string {
	if m.GetKind() != kindPrefix {
		return m.GetPath()
	}
	return strings.TrimSuffix(m.GetPath(), "/") + "/**"
}
