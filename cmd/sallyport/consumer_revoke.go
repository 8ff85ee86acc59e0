package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/admin"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/authority"
	"github.com/sallyport-project/sallyport/config/document"
	"github.com/sallyport-project/sallyport/internal/terminal"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// consumerRevoke is the verb `consumer revoke`.
type consumerRevoke struct {
	consumerSource
	authorityFlags
	waitFlags
	serial, reason string
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
	addReason(cmd, &f.reason)
	addOutput(cmd, "text", "json", "yaml")
	return cmd
}

func (f *consumerRevoke) run(cmd *cobra.Command, s streams, name string) error {
	if err := checkReason(f.reason); err != nil {
		return err
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
		request.Choice = &adminv1.RevokeCertificatesRequest_Serial{Serial: serialNumber(f.serial)}
	}
	response, err := from.RevokeCertificates(ctx, request)
	if err != nil {
		return asUsage(err)
	}
	result := describeRevoked(response)
	if err := write(cmd, s.out, result, result.text); err != nil {
		return err
	}
	published := response.GetPublished()
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
		if (f.serial == "" || c.GetSerial() == serialNumber(f.serial)) && !slices.Contains(authorities, c.GetAuthority()) {
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
