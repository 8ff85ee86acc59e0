package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sallyport-project/sallyport/authz/reason"
)

// newReference writes the pages of docs/reference that come from the program itself.
func newReference(streams) *cobra.Command {
	return &cobra.Command{
		Use:    "reference DIR",
		Short:  "Write the reference of the command line and of the reasons",
		Hidden: true,
		Args:   exactly("the directory to write to"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var commands bytes.Buffer
			commands.WriteString("# The command line\n\n<!-- Made from the program by `make generate`. -->\n\n" +
				"Exit codes: 0 done; 1 not as expected, or failed; 2 a mistake in the command line or the configuration; 3 nothing wrong was found, and a signature not verified.\n")
			describe(&commands, cmd.Root())
			for name, content := range map[string][]byte{"cli.md": commands.Bytes(), "reasons.md": reasons()} {
				if err := os.WriteFile(filepath.Join(args[0], name), content, 0o644); err != nil { //nolint:gosec // a page to be read
					return err
				}
			}
			return nil
		},
	}
}

// describe writes a command and those below it.
func describe(b *bytes.Buffer, cmd *cobra.Command) {
	if cmd.Hidden || cmd.Name() == "help" || cmd.Name() == "completion" && cmd.HasParent() && !cmd.HasSubCommands() {
		return
	}
	fmt.Fprintf(b, "\n## %s\n\n", cmd.CommandPath())
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	fmt.Fprintf(b, "%s\n\n```\n%s\n```\n", text, cmd.UseLine())
	if cmd.Example != "" {
		fmt.Fprintf(b, "\nExamples:\n\n```sh\n%s\n```\n", strings.ReplaceAll(strings.TrimPrefix(cmd.Example, "  "), "\n  ", "\n"))
	}
	flags(b, cmd)
	for _, below := range cmd.Commands() {
		describe(b, below)
	}
}

// flags writes a table of a command's own flags.
func flags(b *bytes.Buffer, cmd *cobra.Command) {
	var rows []string
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		value := f.DefValue
		if value == "" || value == "[]" {
			value = " "
		} else {
			value = "`" + value + "`"
		}
		rows = append(rows, fmt.Sprintf("| `--%s` | %s | %s |", f.Name, value, strings.ReplaceAll(f.Usage, "|", "\\|")))
	})
	if len(rows) > 0 {
		fmt.Fprintf(b, "\n| flag | default | meaning |\n| --- | --- | --- |\n%s\n", strings.Join(rows, "\n"))
	}
}

// reasons is what a decision can say, each under a heading of its own: problem types lead there.
func reasons() []byte {
	var b bytes.Buffer
	b.WriteString("# Reasons of decisions\n\n<!-- Made from authz/reason by `make generate`. -->\n\n" +
		"Each decision has one reason. Its name is stable: alerts and clients may rely on it. A denial's problem type leads here.\n")
	for _, r := range reason.All() {
		status := ""
		if r.Status != 0 {
			status = fmt.Sprintf("%d ", r.Status)
		}
		fmt.Fprintf(&b, "\n### %s\n\n%s%s. %s\n", r.Reason, status, r.Title, r.Meaning)
	}
	return b.Bytes()
}
