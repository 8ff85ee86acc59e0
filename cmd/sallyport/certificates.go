package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/admin"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/expiry"
	"github.com/sallyport-project/sallyport/internal/terminal"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

func newCertificates(s streams) *cobra.Command {
	var socket string
	var expiring duration
	request := &adminv1.ListCertificatesRequest{}
	cmd := &cobra.Command{
		Use:   "certificates",
		Short: "Say which certificates end soon",
		Long: `Lists, the most urgent first, the certificates that a running server's gateways have met, those that the
gateways and the server present, the authorities that vouch for them, revocation lists and manifests: whose
each is, when it ends, and when a request came with it last. Below stand the TLS handshakes that the gateways
refused, with their reasons.

Exit code: 0, also where something has ended; 1 if the server cannot be reached.`,
		Example: `  sallyport certificates --expiring 60d
  sallyport certificates --consumer mapps
  sallyport certificates --output json | jq '.certificates[] | select(.urgency == "ended")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("expiring") {
				request.Expiring = durationpb.New(time.Duration(expiring))
			}
			return listCertificates(cmd, s.out, socket, request)
		},
	}
	cmd.Flags().StringVar(&socket, "admin-socket", admin.DefaultSocket, "the server's admin socket")
	cmd.Flags().Var(&expiring, "expiring", "only what ends within this time, such as 60d or 36h, or has ended")
	cmd.Flags().StringVar(&request.Consumer, "consumer", "", "only this consumer's")
	cmd.Flags().BoolVar(&request.Superseded, "superseded", false, "also certificates from which the consumer has moved on to a later one")
	addOutput(cmd, "text", "json", "yaml")
	return cmd
}

func listCertificates(cmd *cobra.Command, w io.Writer, socket string, request *adminv1.ListCertificatesRequest) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), adminTimeout)
	defer cancel()
	client, closeClient, err := admin.DialCertificates(socket)
	if err != nil {
		return err
	}
	defer closeClient()
	response, err := client.ListCertificates(ctx, request)
	if err != nil {
		return admin.Explain(ctx, socket, err)
	}
	if outputFormat(cmd) == "text" {
		return certificateTables(w, response)
	}
	content, err := protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: true}.Marshal(response)
	if err != nil {
		return err
	}
	return write(cmd, w, json.RawMessage(content), nil)
}

// certificateTables prints the lists for people.
func certificateTables(w io.Writer, response *adminv1.ListCertificatesResponse) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ENDS\tIN\tKIND\tNAME\tGATEWAY\tSUBJECT\tSERIAL\tLAST SEEN\tLAST DECISION")
	now := time.Now()
	for _, c := range response.GetCertificates() {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			momentOf(c.GetNotAfter()), left(c.GetNotAfter(), now), c.GetKind(), shown(c.GetName()), shown(c.GetGateway()),
			shown(subjectShown(c)), shown(c.GetSerial()), momentOf(c.GetLastSeen()), shown(c.GetLastDecision()))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(response.GetCertificates()) == 0 {
		fmt.Fprintln(w, "(nothing)")
	}
	if len(response.GetRefusedHandshakes()) == 0 {
		return nil
	}
	fmt.Fprintln(w, "\nRefused handshakes since the start. What the caller presented is not proven to be its own.")
	fmt.Fprintln(table, "COUNT\tGATEWAY\tLISTENER\tREASON\tLAST\tPRESENTED\tSERIAL")
	for _, f := range response.GetRefusedHandshakes() {
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n",
			f.GetCount(), shown(f.GetGateway()), shown(f.GetListener()), f.GetReason(), momentOf(f.GetLast()), shown(f.GetSubject()), shown(f.GetSerial()))
	}
	return table.Flush()
}

// shown is a text fit for a cell of a table.
func shown(text string) string { return cmp.Or(terminal.Safe(text), "-") }

// subjectShown is what a row is about: of a revocation list, whose it is; of a certificate without a subject, the name that
// the row has.
func subjectShown(c *adminv1.KnownCertificate) string {
	if c.GetKind() == string(expiry.List) {
		return c.GetIssuer()
	}
	return cmp.Or(c.GetSubject(), c.GetName())
}

func momentOf(t *timestamppb.Timestamp) string {
	if t == nil {
		return "-"
	}
	return t.AsTime().UTC().Format(time.RFC3339)
}

// left is how much time is left, in the largest unit that says something.
func left(end *timestamppb.Timestamp, now time.Time) string {
	d := end.AsTime().Sub(now)
	const day = 24 * time.Hour
	switch {
	case d <= 0:
		return "ended"
	case d >= 2*day:
		return fmt.Sprintf("%dd", d/day)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dm", d/time.Minute)
}
