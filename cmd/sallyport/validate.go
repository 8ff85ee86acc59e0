package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/document"
)

// report is what `validate` prints.
type report struct {
	Revision string          `json:"revision,omitempty"`
	Problems []reportProblem `json:"problems"`
}

type reportProblem struct {
	Severity string `json:"severity"`
	File     string `json:"file"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Field    string `json:"field,omitempty"`
	Message  string `json:"message"`
}

func newValidate(s streams) *cobra.Command {
	cmd := directory(&cobra.Command{
		Use:   "validate DIR",
		Short: "Say what is wrong with a configuration",
		Long: `Reads every .yaml and .yml file below a directory and reports all mistakes at once, each with file, line,
column, the field and what was expected; and warns of what can never take effect.

Material (certificates, keys) is not looked at: that a file is missing is a state of the running
system, which ` + "`sallyport serve`" + ` reports.

Exit code: 0 without mistakes, 2 with any.`,
		Example: `  sallyport validate config/
  sallyport validate --output json config/`,
		RunE: func(cmd *cobra.Command, args []string) error {
			model, problems, err := config.Load(args[0])
			if err != nil {
				return usageError{err}
			}
			r := report{Problems: []reportProblem{}}
			if model != nil {
				r.Revision = model.Revision()
			}
			for _, p := range problems {
				r.Problems = append(r.Problems, reportProblem{
					Severity: p.Severity.String(), File: p.Origin.File, Line: p.Origin.Line, Column: p.Origin.Column,
					Field: p.Field, Message: p.Message,
				})
			}
			if err := write(cmd, s.out, r, func(w io.Writer) error { return writeProblems(w, problems, model) }); err != nil {
				return err
			}
			if model == nil {
				return usageError{errReported}
			}
			return nil
		},
	})
	addOutput(cmd, "text", "json", "yaml")
	return cmd
}

func writeProblems(w io.Writer, problems document.Problems, model *config.Model) error {
	for _, p := range problems {
		if _, err := fmt.Fprintln(w, p.Error()); err != nil {
			return err
		}
	}
	mistakes, warnings := len(problems.Errors()), len(problems.Warnings())
	if model == nil {
		_, err := fmt.Fprintf(w, "%s, %s\n", count(mistakes, "mistake"), count(warnings, "warning"))
		return err
	}
	_, err := fmt.Fprintf(w, "valid: revision %s, %s\n", model.Revision(), count(warnings, "warning"))
	return err
}

// count writes a number of things.
func count[N int | uint64](n N, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if stem, ends := strings.CutSuffix(what, "y"); ends && what != "day" {
		return fmt.Sprintf("%d %sies", n, stem)
	}
	return fmt.Sprintf("%d %ss", n, what)
}
