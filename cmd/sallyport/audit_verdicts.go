package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/admin"
	"github.com/sallyport-project/sallyport/internal/terminal"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

func newAuditVerdicts(s streams) *cobra.Command {
	var socket string
	var since time.Duration
	cmd := &cobra.Command{
		Use:   "verdicts [FILE...]",
		Short: "Sum up what rules would have done that are only tried out",
		Long: `Sums up the verdicts of rules with ` + "`shadow: true`" + `, which let nobody in, beside what was decided of the same requests:

  KEPT    let in now, and by the rule as well
  LOST    let in now, and not by the rule: turned away if it stood alone
  GAINED  turned away now, and let in by the rule: let in if it counted
  NEITHER turned away now, and not let in by the rule

with the id of a request of the most telling kind (for ` + "`explain --request-id`" + `), and the callers who would notice, the most frequent first.
Requests whose caller could not be authenticated are not asked about.

Without files, a running server tells what it remembers: its last decisions. With files, these are audit logs (` + "`serve --audit`" + `), one
JSON record on a line; - is standard input.

Exit code: 0, also where nothing is to be summed up; 1 if a file or the server cannot be read.`,
		Example: `  sallyport audit verdicts
  sallyport audit verdicts --since 7d /var/log/sallyport/audit.jsonl
  zcat audit.jsonl.*.gz | sallyport audit verdicts - --output json | jq '.rules[] | select(.lost > 0)'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			tally := newVerdictTally(since, time.Now())
			if err := tally.read(cmd.Context(), s, socket, args); err != nil {
				return err
			}
			if tally.unreadable > 0 {
				fmt.Fprintf(s.err, "sallyport: left out %s that cannot be read as audit records\n", count(tally.unreadable, "line"))
			}
			summary := tally.summary()
			return write(cmd, s.out, summary, summary.text)
		},
	}
	cmd.Flags().StringVar(&socket, "admin-socket", admin.DefaultSocket, "the server's admin socket, where no file is given")
	daysVar(cmd.Flags(), &since, "since", 0, "only records of this time before now, such as 7d or 12h (default: all)")
	addOutput(cmd, "text", "json", "yaml")
	return cmd
}

// verdictTally counts verdicts.
type verdictTally struct {
	after      time.Time
	rules      map[[2]string]*ruleVerdicts // by policy and rule
	callers    map[*ruleVerdicts]map[callerVerdict]int
	requests   int
	unreadable int
}

// callerVerdict is a caller who would notice the rule, and how.
type callerVerdict struct {
	name   string
	gained bool
}

// newVerdictTally counts what is not older than the time given; everything for zero.
func newVerdictTally(since time.Duration, now time.Time) *verdictTally {
	t := &verdictTally{rules: map[[2]string]*ruleVerdicts{}, callers: map[*ruleVerdicts]map[callerVerdict]int{}}
	if since > 0 {
		t.after = now.Add(-since)
	}
	return t
}

// read takes in what the arguments name.
func (t *verdictTally) read(ctx context.Context, s streams, socket string, files []string) error {
	if len(files) == 0 {
		return t.readServer(ctx, socket)
	}
	for _, path := range files {
		if path == "-" {
			if err := t.readLines(s.in); err != nil {
				return fmt.Errorf("read standard input: %w", err)
			}
			continue
		}
		if err := t.readFile(path); err != nil {
			return err
		}
	}
	return nil
}

func (t *verdictTally) readFile(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read
	if err := t.readLines(file); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// maxRecord is the longest line that is read, in bytes; records are a hundred times shorter.
const maxRecord = 1 << 20

func (t *verdictTally) readLines(from io.Reader) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, maxRecord)
	for lines.Scan() {
		if line := lines.Bytes(); len(line) > 0 {
			t.line(line)
		}
	}
	return lines.Err()
}

// rememberedRecords is more than a server remembers.
const rememberedRecords = 1 << 20

// readServer takes in what a running server remembers.
func (t *verdictTally) readServer(ctx context.Context, socket string) error {
	client, closeClient, err := admin.DialAudit(socket)
	if err != nil {
		return err
	}
	defer closeClient()
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	stream, err := client.TailAudit(ctx, &adminv1.TailAuditRequest{Last: rememberedRecords, Shadow: true, RememberedOnly: true})
	if err != nil {
		return admin.Explain(ctx, socket, err)
	}
	for {
		record, err := stream.Recv()
		switch {
		case err == nil:
			t.line([]byte(record.GetJson()))
		case errors.Is(err, io.EOF):
			return nil
		default:
			return admin.Explain(ctx, socket, err)
		}
	}
}

// verdictRecord is what is read of an audit record.
type verdictRecord struct {
	Time               time.Time `json:"time"`
	RequestID          string    `json:"request_id"`
	Allowed            bool      `json:"allowed"`
	Consumer           string    `json:"consumer"`
	TokenProvider      string    `json:"token_provider"`
	TokenSubject       string    `json:"token_subject"`
	CertificateSubject string    `json:"certificate_subject"`
	Shadow             []struct {
		Policy     string `json:"policy"`
		Rule       string `json:"rule"`
		WouldAllow bool   `json:"would_allow"`
		Reason     string `json:"reason"`
		Origin     string `json:"origin"`
	} `json:"shadow"`
}

// caller is who made the request, for people.
func (r verdictRecord) caller() string {
	switch {
	case r.Consumer != "":
		return r.Consumer
	case r.TokenSubject != "":
		return r.TokenProvider + ":" + r.TokenSubject
	case r.CertificateSubject != "":
		return r.CertificateSubject
	}
	return "(nobody in particular)"
}

// line counts one record.
func (t *verdictTally) line(line []byte) {
	var r verdictRecord
	if json.Unmarshal(line, &r) != nil {
		t.unreadable++
		return
	}
	if len(r.Shadow) == 0 || r.Time.Before(t.after) {
		return
	}
	t.requests++
	for _, verdict := range r.Shadow {
		key := [2]string{verdict.Policy, verdict.Rule}
		of := t.rules[key]
		if of == nil {
			of = &ruleVerdicts{Policy: verdict.Policy, Rule: verdict.Rule}
			t.rules[key], t.callers[of] = of, map[callerVerdict]int{}
		}
		of.Origin = cmp.Or(verdict.Origin, of.Origin) // the last place that is known
		of.Asked++
		switch {
		case r.Allowed && verdict.WouldAllow:
			of.Kept++
		case r.Allowed:
			of.Lost++
			of.LostExample = exampleVerdict{r.RequestID, verdict.Reason}
			t.callers[of][callerVerdict{r.caller(), false}]++
		case verdict.WouldAllow:
			of.Gained++
			of.GainedExample = exampleVerdict{r.RequestID, verdict.Reason}
			t.callers[of][callerVerdict{r.caller(), true}]++
		default:
			of.Neither++
		}
	}
}

// verdictSummary is what `audit verdicts` prints.
type verdictSummary struct {
	// Requests for which some rule was asked that is only tried out.
	Requests int             `json:"requests"`
	Rules    []*ruleVerdicts `json:"rules"`
}

// ruleVerdicts are those of one rule.
type ruleVerdicts struct {
	Policy string `json:"policy"`
	Rule   string `json:"rule"`
	// Origin is where the rule was written, when it was asked last.
	Origin string `json:"origin"`
	Asked  int    `json:"asked"`
	// Kept and Lost were let in, and Gained and Neither were not; the rule would have let in Kept and Gained.
	Kept    int `json:"kept"`
	Lost    int `json:"lost"`
	Gained  int `json:"gained"`
	Neither int `json:"neither"`
	// The examples are the last ones.
	LostExample   exampleVerdict `json:"lost_example,omitzero"`
	GainedExample exampleVerdict `json:"gained_example,omitzero"`
	// LostCallers and GainedCallers are the most frequent ones.
	LostCallers   []callerCount `json:"lost_callers"`
	GainedCallers []callerCount `json:"gained_callers"`
}

type exampleVerdict struct {
	RequestID string `json:"request_id"`
	// Reason is the rule's.
	Reason string `json:"reason"`
}

type callerCount struct {
	Caller   string `json:"caller"`
	Requests int    `json:"requests"`
}

// mostCallers is how many callers are named for a rule.
const mostCallers = 5

// summary orders what was counted: the rules by name, the callers by how often they came.
func (t *verdictTally) summary() *verdictSummary {
	s := &verdictSummary{Requests: t.requests, Rules: []*ruleVerdicts{}}
	for _, of := range t.rules {
		of.LostCallers, of.GainedCallers = t.frequent(of, false), t.frequent(of, true)
		s.Rules = append(s.Rules, of)
	}
	slices.SortFunc(s.Rules, func(a, b *ruleVerdicts) int {
		return cmp.Or(strings.Compare(a.Policy, b.Policy), strings.Compare(a.Rule, b.Rule))
	})
	return s
}

func (t *verdictTally) frequent(of *ruleVerdicts, gained bool) []callerCount {
	all := []callerCount{}
	for caller, requests := range t.callers[of] {
		if caller.gained == gained {
			all = append(all, callerCount{caller.name, requests})
		}
	}
	slices.SortFunc(all, func(a, b callerCount) int {
		return cmp.Or(cmp.Compare(b.Requests, a.Requests), strings.Compare(a.Caller, b.Caller))
	})
	return all[:min(len(all), mostCallers)]
}

// text prints the summary for people: a line for each rule, and below who would notice it.
func (s *verdictSummary) text(w io.Writer) error {
	if len(s.Rules) == 0 {
		_, err := fmt.Fprintln(w, "no rule was asked that is only tried out (shadow: true)")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "POLICY\tRULE\tASKED\tKEPT\tLOST\tGAINED\tNEITHER\tWHERE")
	for _, r := range s.Rules {
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s\n", terminal.Safe(r.Policy), terminal.Safe(r.Rule), r.Asked, r.Kept, r.Lost, r.Gained, r.Neither, terminal.Safe(r.Origin))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, r := range s.Rules {
		r.noticed(w, "would turn away", r.LostExample, r.LostCallers)
		r.noticed(w, "would let in", r.GainedExample, r.GainedCallers)
	}
	_, err := fmt.Fprintf(w, "\n%s\n", count(s.Requests, "request"))
	return err
}

// noticed prints who would notice the rule, and how.
func (r *ruleVerdicts) noticed(w io.Writer, would string, example exampleVerdict, callers []callerCount) {
	if len(callers) == 0 {
		return
	}
	var names []string
	for _, c := range callers {
		names = append(names, fmt.Sprintf("%s (%d)", c.Caller, c.Requests))
	}
	fmt.Fprintf(w, "\n%s/%s %s: %s\n  such as the request %s: %s\n", terminal.Safe(r.Policy), terminal.Safe(r.Rule), would,
		terminal.Safe(strings.Join(names, ", ")), terminal.Safe(example.RequestID), terminal.Safe(example.Reason))
}
