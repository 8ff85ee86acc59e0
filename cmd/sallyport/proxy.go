package main

import (
	"time"

	"github.com/spf13/cobra"
)

func newProxy(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "proxy",
		Short: "Ask about proxies, and give them their certificates",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newProxyStatus(s), newProxyToken(s), newProxyEnroll(s), newProxyRenew(s), newProxyRevoke(s))
	return cmd
}

// adminTimeout bounds a question to a running server.
const adminTimeout = 10 * time.Second
