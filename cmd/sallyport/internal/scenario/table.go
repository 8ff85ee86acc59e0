package scenario

import (
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"text/tabwriter"
)

// mostWhy is how many characters of the last column a terminal gets.
const mostWhy = 90

// WriteTable prints one row for each result, and says below what was otherwise than expected. Nothing is cut off unless w is
// a terminal.
func WriteTable(w io.Writer, results []Result) error {
	width := math.MaxInt
	if isTerminal(w) {
		width = mostWhy
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\tCALLER\tREQUEST\tEXPECTED\tGOT\tWHY")
	for _, r := range results {
		mark := "ok"
		if !r.Passed() {
			mark = "FAIL"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", mark, Caller(r.Case), Request(r.Case), Expected(r.Case), r.Outcome.Got(), why(r.Outcome, width))
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

// isTerminal tells whether somebody reads along.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	status, err := file.Stat()
	return err == nil && status.Mode()&os.ModeCharDevice != 0
}

// why is the reason and its particulars, in so many characters at most.
func why(o Outcome, most int) string {
	text := o.Reason
	if o.Beyond {
		text = "" // the first gateway's reason is to let it through
	}
	if o.Why != "" {
		text = strings.TrimPrefix(text+": "+o.Why, ": ")
	}
	if letters := []rune(text); len(letters) > most {
		text = string(letters[:most-1]) + "…"
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
