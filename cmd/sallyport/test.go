package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/scenario"
)

// caseReport is what `test` prints of a case as JSON or YAML.
type caseReport struct {
	Test       string   `json:"test"`
	Case       string   `json:"case"`
	File       string   `json:"file"`
	Line       int      `json:"line"`
	Caller     string   `json:"caller"`
	Request    string   `json:"request"`
	Expected   string   `json:"expected"`
	Got        string   `json:"got"`
	Reason     string   `json:"reason"`
	Detail     string   `json:"detail"`
	Upstream   string   `json:"upstream"`
	Passed     bool     `json:"passed"`
	Mismatches []string `json:"mismatches,omitempty"`
}

func newTest(s streams) *cobra.Command {
	cmd := directory(&cobra.Command{
		Use:   "test DIR",
		Short: "Judge the Test cases of a configuration, without an Envoy",
		Long: `Judges every Test case: the authorization service decides as it would in earnest, and the choice of routes is
simulated over the generated Envoy configuration. Each Truststore is replaced by an ephemeral one of the
same name, so that every caller can be made; tokens are made by a development issuer that stands for every
Provider, and nobody is asked over a network.

Exit code: 0 if every case came out as expected, 1 if not, 2 for a mistake in the configuration.`,
		Example: `  sallyport test config/
  sallyport test --output json config/ | jq '.[] | select(.passed | not)'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			model, err := loadModel(args[0])
			if err != nil {
				return err
			}
			if unserved := scenario.Unserved(model); len(unserved) > 0 {
				return unserved
			}
			simulator, err := scenario.NewSimulator(cmd.Context(), model, time.Now)
			if err != nil {
				return err
			}
			var results []scenario.Result
			for _, c := range scenario.Cases(model) {
				result, err := simulator.Run(cmd.Context(), c)
				if err != nil {
					return err
				}
				results = append(results, result)
			}
			if len(results) == 0 {
				return errNoTest(args[0])
			}
			if err := write(cmd, s.out, reportCases(results), func(w io.Writer) error { return scenario.WriteTable(w, results) }); err != nil {
				return err
			}
			if scenario.Failed(results) > 0 {
				return errReported
			}
			return nil
		},
	})
	addOutput(cmd, "text", "json", "yaml")
	return cmd
}

// errNoTest says that there is nothing to judge.
func errNoTest(directory string) error { return usageError{fmt.Errorf("%s has no Test", directory)} }

func reportCases(results []scenario.Result) []caseReport {
	reports := make([]caseReport, len(results))
	for i, r := range results {
		reports[i] = caseReport{
			Test: r.Case.Test.Name, Case: r.Case.Spec.GetName(), File: r.Case.Origin.File, Line: r.Case.Origin.Line,
			Caller: scenario.Caller(r.Case), Request: scenario.Request(r.Case), Expected: scenario.Expected(r.Case),
			Got: r.Outcome.Got(), Reason: r.Outcome.Reason, Detail: r.Outcome.Why, Upstream: r.Outcome.Upstream,
			Passed: r.Passed(), Mismatches: r.Mismatches,
		}
	}
	return reports
}
