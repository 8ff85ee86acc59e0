package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/sallyport-project/sallyport/config/document"
)

// addOutput adds --output with the formats that a verb has, the first being the default.
func addOutput(cmd *cobra.Command, formats ...string) {
	cmd.Flags().StringP("output", "o", formats[0], "format of the output: "+strings.Join(formats, ", "))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp)) // the flag exists
	inner := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if format := outputFormat(cmd); !slices.Contains(formats, format) {
			return usageError{fmt.Errorf("--output: expected one of %s, found %q", strings.Join(formats, ", "), format)}
		}
		if inner != nil {
			return inner(cmd, args)
		}
		return nil
	}
}

func outputFormat(cmd *cobra.Command) string { return cmd.Flag("output").Value.String() }

// mostNames is how many names a person is told where none is near to what was asked for.
const mostNames = 8

// suggest names what a person may have meant: the nearest name, or all if they are few.
func suggest(name string, names []string) string {
	switch nearest := document.DidYouMean(name, names); {
	case nearest != "":
		return nearest
	case len(names) == 0:
		return ", and no other"
	case len(names) > mostNames:
		return ""
	}
	return "; there are: " + strings.Join(names, ", ")
}

// write prints a value in the format of --output; text is used for `text`.
func write(cmd *cobra.Command, w io.Writer, value any, text func(io.Writer) error) error {
	switch outputFormat(cmd) {
	case "json":
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(value)
	case "yaml":
		return writeYAML(w, value)
	}
	return text(w)
}

// writeYAML prints what JSON would hold, with its names, as YAML.
func writeYAML(w io.Writer, value any) error {
	content, err := json.Marshal(value)
	if err != nil {
		return err
	}
	var plain any
	if err := yaml.Unmarshal(content, &plain); err != nil { // JSON is YAML
		return err
	}
	encoder := yaml.NewEncoder(w)
	encoder.SetIndent(2)
	if err := encoder.Encode(plain); err != nil {
		return err
	}
	return encoder.Close()
}
