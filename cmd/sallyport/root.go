package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/document"
)

// Exit codes of every verb.
const (
	exitDone = iota
	// exitFailed: what was asked for did not come out as expected, or could not be done.
	exitFailed
	// exitUsage: the command line or the configuration is wrong.
	exitUsage
	// exitUnverified: nothing that was looked at is wrong, and what it hangs on was not looked at.
	exitUnverified
	// exitInterrupted: a signal ended it before it was done, as a shell counts SIGINT (128 + 2). A verb that runs until it is
	// ended is done then.
	exitInterrupted = 130
)

// streams are the program's standard streams.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// usageError is a mistake in the command line or the configuration.
type usageError struct{ error }

// Unwrap returns the mistake.
func (e usageError) Unwrap() error { return e.error }

// errReported ends a verb that has told the person everything already.
var errReported = errors.New("reported")

// errUnverified ends a verb that has told the person everything already, but for what nobody has verified.
var errUnverified = errors.New("unverified")

// run runs the program and returns its exit code.
func run(ctx context.Context, args []string, s streams) int {
	root := newRoot(s) //nolint:contextcheck // each command gets the context when it runs
	root.SetArgs(args)
	begun := false
	noteBegin(root, &begun)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	if interrupted(ctx, err) {
		fmt.Fprintln(s.err, "sallyport: interrupted")
		return exitInterrupted
	}
	if !begun { // an unknown command, a missing flag
		err = usageError{err}
	}
	var usage usageError
	var problems document.Problems
	switch {
	case errors.As(err, &problems):
		fmt.Fprintln(s.err, problems.Error())
		return exitUsage
	case errors.As(err, &usage):
		if !errors.Is(err, errReported) {
			fmt.Fprintf(s.err, "sallyport: %v\n", err)
		}
		return exitUsage
	case errors.Is(err, errReported):
		return exitFailed
	case errors.Is(err, errUnverified):
		return exitUnverified
	}
	fmt.Fprintf(s.err, "sallyport: %v\n", err)
	return exitFailed
}

// interrupted tells whether a verb failed because a signal ended it, and not for a reason of its own. A terminal sends SIGINT
// to the programs that it runs as well, and one of them may end before the context does.
func interrupted(ctx context.Context, err error) bool {
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		if status, ok := ended.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGINT {
			return true
		}
	}
	return ctx.Err() != nil && (errors.Is(err, context.Canceled) || ended != nil)
}

// noteBegin has every command note that its command line was accepted and its work has begun.
func noteBegin(cmd *cobra.Command, begun *bool) {
	if work := cmd.RunE; work != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			*begun = true
			return work(cmd, args)
		}
	}
	for _, below := range cmd.Commands() {
		noteBegin(below, begun)
	}
}

// newRoot makes the command tree.
func newRoot(s streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "sallyport",
		Short: "Authorization service and control plane for Envoy",
		Long: `Sallyport is an Envoy external authorization service and an xDS control plane.

It reads a configuration (YAML), pushes listeners, routes, clusters and secrets to Envoys, and
decides each of their requests: by client certificates, consumers, roles and policies.

Every flag can be given by an environment variable: --log-level by SALLYPORT_LOG_LEVEL.`,
		Example: `  sallyport dev examples/partner-certificates   # everything on loopback, with real Envoys
  sallyport validate config/                    # what is wrong with a configuration?
  sallyport test config/                        # do its Test cases come out as expected?`,
		SilenceUsage: true, SilenceErrors: true,
		Args: cobra.NoArgs,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return fromEnvironment(cmd.Flags())
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see `%s --help`", err, cmd.CommandPath())}
	})
	root.PersistentFlags().String("log-level", "info", "least severe message that is logged: trace, debug, info, warn or error")
	root.PersistentFlags().String("log-format", "text", "text or json")
	root.AddCommand(
		newDev(s), newServe(s), newValidate(s), newTest(s), newRoute(s), newTranslate(s),
		newExplain(s), newWhoCan(s), newCan(s), newCertificates(s), newAudit(s), newToken(s),
		newBootstrap(s), newCA(s), newProxy(s), newConsumer(s), newTruststore(s), newCertificate(s), newVersion(s), newReference(s),
	)
	return root
}

// exactly demands a number of arguments, named in the message.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return usageError{fmt.Errorf("expected %s, found %s; see `%s --help`", strings.Join(names, " and "), count(len(args), "argument"), cmd.CommandPath())}
		}
		return nil
	}
}

// directory completes and demands one directory.
func directory(cmd *cobra.Command) *cobra.Command {
	cmd.Args = exactly("the directory of the configuration")
	cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
	return cmd
}

// loadModel reads a configuration for a verb that needs one without mistakes.
func loadModel(directory string) (*config.Model, error) {
	model, problems, err := config.Load(directory)
	if err != nil {
		return nil, usageError{err}
	}
	if model == nil {
		return nil, problems.Errors()
	}
	return model, nil
}

// fromEnvironment fills flags that were not given from variables of their names.
func fromEnvironment(flags *pflag.FlagSet) error {
	var wrong error
	flags.VisitAll(func(flag *pflag.Flag) {
		name := "SALLYPORT_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
		value, ok := os.LookupEnv(name)
		if !ok || flag.Changed || flag.Name == "help" {
			return
		}
		if err := flags.Set(flag.Name, value); err != nil {
			wrong = errors.Join(wrong, usageError{fmt.Errorf("$%s: %w", name, err)})
		}
	})
	return wrong
}

// newLogger makes the logger that the flags ask for; it writes to standard error.
func newLogger(cmd *cobra.Command, s streams) (hclog.Logger, error) {
	name, err := cmd.Flags().GetString("log-level")
	if err != nil {
		return nil, err
	}
	level := hclog.LevelFromString(name)
	if level == hclog.NoLevel || level == hclog.Off {
		return nil, usageError{fmt.Errorf("--log-level: expected trace, debug, info, warn or error, found %q", name)}
	}
	format, err := cmd.Flags().GetString("log-format")
	if err != nil {
		return nil, err
	}
	if format != "text" && format != "json" {
		return nil, usageError{fmt.Errorf("--log-format: expected text or json, found %q", format)}
	}
	logger := hclog.New(&hclog.LoggerOptions{Name: "sallyport", Level: level, JSONFormat: format == "json", Output: s.err})
	routeGRPCLog(logger)
	return logger, nil
}
