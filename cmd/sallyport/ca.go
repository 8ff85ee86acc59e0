package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sallyport-project/sallyport/internal/terminal"
	"github.com/sallyport-project/sallyport/pki/issuer"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

func newCA(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ca",
		Short: "Found certificate authorities, issue and revoke certificates",
		Long: `An authority has a home, a folder that ` + "`ca init`" + ` makes: its certificates and keys, the register of everything that it
has issued, and the settings by which its revocation list is published (ca.yaml). Whoever holds no key of it asks a
server that does (` + "`serve --roles ca`" + `), with the same verbs.

Two authorities are needed, and must not be the same: one for partners' certificates, and one for our own processes
(proxies, control plane, authorization service).`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newCAInit(s), newCAAdopt(s), newCAIssue(s), newCAShow(s), newCALog(s), newCARevoke(s), newCACRL(s),
		newCARotate(s), newCAActivate(s), newCARetire(s),
	)
	return cmd
}

// home completes and demands one folder.
func home(cmd *cobra.Command) *cobra.Command {
	cmd.Args = exactly("the folder of the authority's home")
	cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
	return cmd
}

// bundleFile is where a home keeps what others must trust.
func bundleFile(dir string) string { return filepath.Join(dir, "bundle.pem") }

// writeMessage prints an answer of the API: as JSON with its names, or as text.
func writeMessage[A proto.Message](cmd *cobra.Command, w io.Writer, answer A, text func(io.Writer, A) error) error {
	if outputFormat(cmd) == "text" {
		return text(w, answer)
	}
	content, err := protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: true}.Marshal(answer)
	if err != nil {
		return err
	}
	return write(cmd, w, json.RawMessage(content), nil)
}

// writeIssued prints certificates of a register for people.
func writeIssued(w io.Writer, certificates []*adminv1.IssuedCertificate) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SERIAL\tCONSUMER\tSTATUS\tNOT AFTER\tPROFILE\tSUBJECT")
	for _, c := range certificates {
		state := c.GetStatus()
		if c.GetReason() != "" {
			state += " (" + c.GetReason() + ", " + at(c.GetRevoked()) + ")"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", c.GetSerial(), terminal.Safe(orDash(c.GetConsumer())), state, at(c.GetNotAfter()),
			orDash(c.GetProfile()), terminal.Safe(c.GetSubject()))
	}
	return table.Flush()
}

// writePublished tells people of a publication.
func writePublished(w io.Writer, p *adminv1.PublishListResponse) error {
	fmt.Fprintf(w, "revocation list %s published, valid until %s\n", p.GetNumber(), at(p.GetNextUpdate()))
	for _, place := range p.GetPlaces() {
		fmt.Fprintf(w, "  %s\n", place)
	}
	for _, warning := range p.GetWarnings() {
		fmt.Fprintf(w, "warning: %s\n", warning)
	}
	return nil
}

// publishFrom publishes the list of a home; a failure says how to go on.
func publishFrom(ctx context.Context, opened *issuer.Issuer, dir string) (issuer.Published, error) {
	made, err := opened.Publish(ctx)
	if err != nil {
		return issuer.Published{}, fmt.Errorf("%w; all else is done: `sallyport ca crl --ca %s` tries to publish again", err, dir)
	}
	return made, nil
}

func at(t *timestamppb.Timestamp) string {
	if t == nil {
		return "-"
	}
	return t.AsTime().UTC().Format(time.RFC3339)
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
