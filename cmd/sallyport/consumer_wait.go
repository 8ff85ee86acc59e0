package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/admin"
)

// waitFlags are for verbs that can wait until running servers confirm a change.
type waitFlags struct {
	wait    bool
	timeout time.Duration
	sockets []string
}

func (f *waitFlags) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.wait, "wait", false, "end when every server confirms that the change is in force")
	daysVar(cmd.Flags(), &f.timeout, "wait-timeout", time.Minute, "with --wait: how long to wait; then the exit code is 1")
	cmd.Flags().StringSliceVar(&f.sockets, "wait-socket", []string{admin.DefaultSocket}, "with --wait: admin socket of a server; may be repeated")
}

// until waits for the conditions at every server. Done says what the verb has done already, for the error.
func (f *waitFlags) until(ctx context.Context, done string, conditions ...admin.Condition) error {
	if !f.wait {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	for _, condition := range conditions {
		if err := admin.Await(ctx, f.sockets, condition); err != nil {
			return fmt.Errorf("%s, but not every server has confirmed it within %s:\n%w", done, f.timeout, err)
		}
	}
	return nil
}
