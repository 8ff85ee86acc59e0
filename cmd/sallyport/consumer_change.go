package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/admin"
	"github.com/sallyport-project/sallyport/config/edit"
)

// consumerChange is the verbs `consumer suspend` and `consumer resume`.
type consumerChange struct {
	consumerSource
	waitFlags
	suspend, dryRun bool
}

// changedConsumer is what they print.
type changedConsumer struct {
	Consumer  string `json:"consumer"`
	Suspended bool   `json:"suspended"`
	// Changed is not set where it was so before.
	Changed       bool   `json:"changed"`
	DryRun        bool   `json:"dry_run,omitempty"`
	Configuration editOf `json:"configuration,omitzero"`
}

func newConsumerSuspend(s streams) *cobra.Command {
	return newConsumerChange(s, &consumerChange{suspend: true}, &cobra.Command{
		Use:   "suspend NAME",
		Short: "Refuse a consumer everything, until it is resumed",
		Long: `Writes ` + "`suspended: true`" + ` into the Consumer. It takes effect on the next request, on connections that are open
too, and even while another file of the configuration has a mistake. Certificates stay valid: a key that is in
the wrong hands must be revoked.`,
		Example: `  sallyport consumer suspend mapps --source config --wait`,
	})
}

func newConsumerResume(s streams) *cobra.Command {
	return newConsumerChange(s, &consumerChange{}, &cobra.Command{
		Use:     "resume NAME",
		Short:   "Let a suspended consumer in again",
		Long:    `Takes ` + "`suspended: true`" + ` out of the Consumer.`,
		Example: `  sallyport consumer resume mapps --source config --wait`,
	})
}

func newConsumerChange(s streams, f *consumerChange, cmd *cobra.Command) *cobra.Command {
	cmd.Long += `

Exit code: 0; 1 if --wait was not confirmed in time; 2 if the Consumer cannot be edited.`
	cmd.Args = exactly("the name of the Consumer")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return f.run(cmd, s, args[0]) }
	f.consumerSource.flags(cmd, "directory of the configuration in which the Consumer stands (required)")
	_ = cmd.MarkFlagRequired("source") // the flag exists
	f.waitFlags.flags(cmd)
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "print the edit, and do nothing")
	addOutput(cmd, "text", "json", "yaml")
	return cmd
}

func (f *consumerChange) run(cmd *cobra.Command, s streams, name string) error {
	plan, err := planned(edit.SetSuspended(f.source, name, f.suspend))
	if err != nil {
		return err
	}
	told := changedConsumer{Consumer: name, Suspended: f.suspend, Changed: !plan.Empty(), DryRun: f.dryRun, Configuration: describeEdit(plan)}
	if !f.dryRun && !plan.Empty() {
		if err := plan.Apply(); err != nil {
			return err
		}
	}
	if err := write(cmd, s.out, told, told.text); err != nil || f.dryRun {
		return err
	}
	return f.until(cmd.Context(), "the configuration was edited", admin.ConsumerIs(name, true, f.suspend))
}

func (c changedConsumer) text(w io.Writer) error {
	state := "resumed"
	if c.Suspended {
		state = "suspended"
	}
	switch {
	case !c.Changed:
		fmt.Fprintf(w, "%s: nothing to do: it is %s already\n", c.Consumer, state)
	case c.DryRun:
		fmt.Fprintf(w, "%s would be %s; nothing was done\n", c.Consumer, state)
	default:
		fmt.Fprintf(w, "%s: %s\n", c.Consumer, state)
	}
	c.Configuration.text(w)
	return nil
}
