package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/admin"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/authority"
	"github.com/sallyport-project/sallyport/config/document"
	"github.com/sallyport-project/sallyport/internal/terminal"
	"github.com/sallyport-project/sallyport/pki/ca"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// consumerRevoke is the verb `consumer revoke`.
type consumerRevoke struct {
	consumerSource
	authorityFlags
	waitFlags
	serial, reason string
}

// revokedCertificates is what it prints.
type revokedCertificates struct {
	Consumer     string          `json:"consumer"`
	Certificates []certificateOf `json:"certificates"`
	// Number of the published list, until when it is good, and where it is.
	Number     string    `json:"list_number"`
	NextUpdate time.Time `json:"list_next_update"`
	Places     []string  `json:"places"`
	Warnings   []string  `json:"warnings,omitempty"`
}

func newConsumerRevoke(s streams) *cobra.Command {
	var f consumerRevoke
	cmd := &cobra.Command{
		Use:   "revoke NAME",
		Short: "Revoke a consumer's certificates, and publish the list",
		Long: `Revokes the certificate with the serial number that is given, or all of the consumer's that have not expired,
and publishes a new revocation list. With --wait it ends once every server has the list, and every proxy what
came of it: from then on the certificates are refused on new connections and on those that are open.

A Consumer in the configuration stays as it is; ` + "`sallyport consumer suspend`" + ` refuses it whatever it presents.

Exit code: 0; 1 if the list was not published, or --wait was not confirmed in time.`,
		Example: `  sallyport consumer revoke mapps --reason key_compromise --ca pki/partners --wait
  sallyport consumer revoke mapps --serial 3f9a… --reason superseded --admin-socket /run/sallyport/admin.sock`,
		Args: exactly("the name of the Consumer"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, s, args[0]) },
	}
	f.consumerSource.flags(cmd, "directory of the configuration, to complete names from")
	f.authorityFlags.flags(cmd)
	f.waitFlags.flags(cmd)
	cmd.Flags().StringVar(&f.serial, "serial", "", "serial number of the one certificate that is revoked; default: all of the consumer's")
	cmd.Flags().StringVar(&f.reason, "reason", "", "why: "+strings.Join(reasonNames(), ", ")+" (required)")
	_ = cmd.MarkFlagRequired("reason") // the flag exists
	_ = cmd.RegisterFlagCompletionFunc("reason", cobra.FixedCompletions(reasonNames(), cobra.ShellCompDirectiveNoFileComp))
	addOutput(cmd, "text", "json", "yaml")
	return cmd
}

func reasonNames() []string {
	var names []string
	for _, reason := range ca.Reasons() {
		names = append(names, reason.String())
	}
	return names
}

func (f *consumerRevoke) run(cmd *cobra.Command, s streams, name string) error {
	if _, err := ca.ParseReason(f.reason); err != nil {
		return usageError{fmt.Errorf("--reason: %w%s", err, document.DidYouMean(f.reason, reasonNames()))}
	}
	ctx, cancel := authorityContext(cmd)
	defer cancel()
	from, closeAuthority, err := f.open(cmd, s)
	if err != nil {
		return err
	}
	defer closeAuthority()
	request := &adminv1.RevokeCertificatesRequest{Authority: f.name, Reason: f.reason}
	if request.Authority, err = f.choose(ctx, from, name); err != nil {
		return err
	}
	if f.serial == "" {
		request.Choice = &adminv1.RevokeCertificatesRequest_Consumer{Consumer: name}
	} else {
		request.Choice = &adminv1.RevokeCertificatesRequest_Serial{Serial: strings.ToLower(f.serial)}
	}
	response, err := from.RevokeCertificates(ctx, request)
	if err != nil {
		return asUsage(err)
	}
	published := response.GetPublished()
	told := revokedCertificates{
		Consumer: name, Number: published.GetNumber(), NextUpdate: published.GetNextUpdate().AsTime(),
		Places: published.GetPlaces(), Warnings: published.GetWarnings(),
	}
	for _, c := range response.GetCertificates() {
		told.Certificates = append(told.Certificates, describeCertificate(c))
	}
	if err := write(cmd, s.out, told, told.text); err != nil {
		return err
	}
	return f.until(cmd.Context(), "the list was published", admin.ListIs(published.GetAuthorities(), published.GetNumber()))
}

// choose makes sure that what is revoked is the consumer's, and returns the authority that issued it.
func (f *consumerRevoke) choose(ctx context.Context, from authority.Authority, name string) (string, error) {
	known, err := issuedTo(ctx, from, &f.authorityFlags, name, true)
	if err != nil {
		return "", err
	}
	if len(known) == 0 {
		return "", f.unknown(ctx, from, name)
	}
	var authorities, serials []string
	for _, c := range known {
		serials = append(serials, c.GetSerial())
		if (f.serial == "" || c.GetSerial() == strings.ToLower(f.serial)) && !slices.Contains(authorities, c.GetAuthority()) {
			authorities = append(authorities, c.GetAuthority())
		}
	}
	switch {
	case len(authorities) == 0:
		return "", usageError{fmt.Errorf("--serial: %q has no certificate %s, only %s", name, terminal.Safe(f.serial), strings.Join(serials, ", "))}
	case len(authorities) > 1:
		return "", usageError{fmt.Errorf("several authorities have issued certificates to %q: name one with --authority: %s", name, strings.Join(authorities, ", "))}
	}
	return authorities[0], nil
}

// unknown says whom the register knows.
func (f *consumerRevoke) unknown(ctx context.Context, from authority.Authority, name string) error {
	all, err := from.ListIssued(ctx, &adminv1.ListIssuedRequest{Authority: f.name, All: true})
	if err != nil {
		return asUsage(err)
	}
	var names []string
	for _, c := range all.GetCertificates() {
		names = append(names, c.GetConsumer())
	}
	return usageError{errors.New("the register knows no certificate of " + terminal.Safe(fmt.Sprintf("%q", name)) + document.DidYouMean(name, names))}
}

func (r revokedCertificates) text(w io.Writer) error {
	for _, c := range r.Certificates {
		fmt.Fprintf(w, "%s\n", c.line())
	}
	if len(r.Certificates) == 0 {
		fmt.Fprintln(w, "nothing to revoke: no certificate is in force")
	}
	fmt.Fprintf(w, "list %s is published, good until %s:\n  %s\n", r.Number, r.NextUpdate.Format(time.RFC3339), strings.Join(r.Places, "\n  "))
	for _, warning := range r.Warnings {
		fmt.Fprintf(w, "warning: %s\n", terminal.Safe(warning))
	}
	return nil
}
