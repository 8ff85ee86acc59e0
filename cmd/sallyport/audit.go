package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/admin"
	"github.com/sallyport-project/sallyport/internal/terminal"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

func newAudit(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Watch a running server decide, and sum up what it has decided",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newAuditTail(s), newAuditVerdicts(s))
	return cmd
}

func newAuditTail(s streams) *cobra.Command {
	var socket string
	request := &adminv1.TailAuditRequest{}
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Print audit records as they are made",
		Long: `Prints a line for each decision of a running server, each TLS handshake that a gateway refused, and each
request that a gateway turned away before it asked, until it is interrupted. With --output json each line is
the record as the audit log has it. A reader that is too slow misses records, and is told how many.

Exit code: 0 when it is interrupted; 1 if the server cannot be reached, or has ended.`,
		Example: `  sallyport audit tail --denied --consumer mapps
  sallyport audit tail --kind handshake
  sallyport audit tail --output json | jq 'select(.reason == "permission_missing")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return tail(cmd.Context(), socket, request, s, outputFormat(cmd) == "json")
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&socket, "admin-socket", admin.DefaultSocket, "the server's admin socket")
	flags.BoolVar(&request.Denied, "denied", false, "only what was turned away, refused handshakes included")
	flags.StringVar(&request.Consumer, "consumer", "", "only this consumer's requests; a refused handshake is nobody's")
	flags.StringVar(&request.Gateway, "gateway", "", "only this gateway's")
	flags.StringVar(&request.Reason, "reason", "", "only those with this reason")
	flags.StringVar(&request.Kind, "kind", "", "only this kind: decision, handshake or answer")
	flags.Uint32Var(&request.Last, "last", 0, "so many of the last records first, as far as the server remembers them")
	addOutput(cmd, "text", "json")
	return cmd
}

// tail prints records until the context ends.
func tail(ctx context.Context, socket string, request *adminv1.TailAuditRequest, s streams, asJSON bool) error {
	client, closeClient, err := admin.DialAudit(socket)
	if err != nil {
		return err
	}
	defer closeClient()
	stream, err := client.TailAudit(ctx, request)
	if err != nil {
		return admin.Explain(ctx, socket, err)
	}
	var missed uint64
	for {
		record, err := stream.Recv()
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return nil // that is how it ends
		case errors.Is(err, io.EOF):
			return errors.New("the server has ended")
		case status.Code(err) == codes.InvalidArgument:
			return usageError{errors.New(status.Convert(err).Message())}
		default:
			return admin.Explain(ctx, socket, err)
		}
		line := terminal.Safe(record.GetLine())
		if asJSON {
			line = record.GetJson()
		}
		if _, err := fmt.Fprintln(s.out, line); err != nil {
			return err // nobody reads any more
		}
		if record.GetMissed() > missed {
			fmt.Fprintf(s.err, "sallyport: missed %s: this reader is too slow\n", count(record.GetMissed()-missed, "record"))
			missed = record.GetMissed()
		}
	}
}
