package scenario

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteTable prints one row for each result, and says below what was otherwise than expected.
func WriteTable(w io.Writer, results []Result) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\tCALLER\tREQUEST\tEXPECTED\tGOT\tWHY")
	for _, r := range results {
		mark := "ok"
		if !r.Passed() {
			mark = "FAIL"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", mark, Caller(r.Case), Request(r.Case), Expected(r.Case), r.Outcome.Got(), why(r.Outcome))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	failed := 0
	for _, r := range results {
		if r.Passed() {
			continue
		}
		failed++
		fmt.Fprintf(w, "\n%s: %q\n", r.Case.Origin, r.Case.Spec.GetName())
		for _, mismatch := range r.Mismatches {
			fmt.Fprintf(w, "  %s\n", mismatch)
		}
	}
	_, err := fmt.Fprintf(w, "\n%d passed, %d failed\n", len(results)-failed, failed)
	return err
}

// why is the reason and its particulars, short enough for a table.
func why(o Outcome) string {
	text := o.Reason
	if o.Why != "" {
		text = strings.TrimPrefix(text+": "+o.Why, ": ")
	}
	const most = 90
	if len(text) > most {
		text = text[:most-1] + "…"
	}
	return text
}

// Failed counts the results that did not come out as expected.
func Failed(results []Result) int {
	failed := 0
	for _, r := range results {
		if !r.Passed() {
			failed++
		}
	}
	return failed
}
