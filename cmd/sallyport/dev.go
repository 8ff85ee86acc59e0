package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/dev"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/envoy/process"
)

func newDev(s streams) *cobra.Command {
	var once bool
	var state string
	cmd := directory(&cobra.Command{
		Use:   "dev DIR",
		Short: "Run a configuration on loopback, with real Envoys",
		Long: `Starts, on loopback only: a control plane, an authorization service, an Envoy for each group of proxies,
and sample APIs that answer with what reached them, for all upstreams. Every CA and certificate is a
development one, made on first use and kept in the state folder; those that the configuration refers
to are not read. A development issuer stands for every Provider, with three ready-made users to sign in
as; no other issuer is asked. Whoever reaches it can be any of them: it listens on loopback.

An Upstream with the label "serves: FOLDER" serves that folder beside the configuration in place of a
sample API, and /environment.json, which tells a single-page app where the issuer is and, by the label
"api: ORIGIN", the API.

It sends the configuration's Test cases through the Envoys, prints a row for each, and stays up:
edits take effect at once, and each decision is printed. Ctrl-C ends everything.

With --once it ends after the cases. Exit code: 0 if every case came out as expected, 1 if not,
2 for a mistake in the command line or the configuration, 130 if it was interrupted before.`,
		Example: `  sallyport dev examples/partner-certificates
  sallyport dev --once examples/partner-certificates`,
		RunE: func(cmd *cobra.Command, args []string) error {
			logger, err := newLogger(cmd, s)
			if err != nil {
				return err
			}
			if _, _, err := config.Files(args[0]); err != nil {
				return usageError{err}
			}
			envoy, err := process.Find(cmd.Context()) // its error may be an interruption; see interrupted
			if err != nil {
				return usageError{err}
			}
			if state != "" || !once {
				if state, err = dev.StateFolder(state, args[0]); err != nil {
					return usageError{err}
				}
			}
			err = dev.Run(cmd.Context(), dev.Config{
				Directory: args[0], StateDir: state, Envoy: envoy, Version: version, Logger: logger, Out: s.out, Once: once,
			})
			switch {
			case errors.Is(err, dev.ErrCases):
				return errReported
			case errors.Is(err, dev.ErrNoCases):
				return errNoTest(args[0])
			}
			return err
		},
	})
	// What goes on inside is of interest when something goes wrong; decisions and changes are printed in any case.
	cmd.Flags().String("log-level", "warn", "least severe message that is logged: trace, debug, info, warn or error")
	cmd.Flags().BoolVar(&once, "once", false, "end after the Test cases; the exit code says how they came out")
	cmd.Flags().StringVar(&state, "state", "", "folder for development authorities (default: below ~/.local/state/sallyport; with --once a temporary one)")
	return cmd
}
