package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sallyport-project/sallyport/pki/enrolment"
	"github.com/sallyport-project/sallyport/pki/spiffe"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

func newProxyToken(s streams) *cobra.Command {
	var f authorityFlags
	var own spiffe.Identity
	var profile string
	var lifetime time.Duration
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make a token by which a machine gets its first certificate",
		Long: `Makes a one-time token and prints it. The machine that is given it (` + "`sallyport proxy enroll`" + `) gets the certificate of
this identity, once, within the token's life. It is a secret: hand it over as one.`,
		Example: `  sallyport proxy token --trust-domain example.org --group edge --name edge-1 > edge-1.token
  sallyport proxy token --trust-domain example.org --profile authz --name authz-1 --lifetime 15m`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			own.Kind = spiffe.Kind(profile)
			if own.Kind == spiffe.Operator {
				return usageError{errors.New("--profile: operators do not enrol: `sallyport ca issue --profile operator` makes their certificates")}
			}
			if err := own.Validate(); err != nil {
				return usageError{fmt.Errorf("--trust-domain, --profile, --group, --name: %w", err)}
			}
			if f.dir != "" {
				return usageError{errors.New("--ca: tokens are kept by the server at which machines enrol: --admin-socket or --server")}
			}
			asked, done, err := f.open(cmd, s)
			if err != nil {
				return err
			}
			defer done()
			ctx, cancel := context.WithTimeout(cmd.Context(), adminTimeout)
			defer cancel()
			made, err := asked.CreateEnrolmentToken(ctx, &adminv1.CreateEnrolmentTokenRequest{Identity: own.String(), Lifetime: durationpb.New(lifetime)})
			if err != nil {
				return asUsage(err)
			}
			return writeMessage(cmd, s.out, made, func(w io.Writer, made *adminv1.CreateEnrolmentTokenResponse) error {
				fmt.Fprintf(s.err, "for %s, once, until %s\n", own, at(made.GetExpires()))
				_, err := fmt.Fprintln(w, made.GetToken())
				return err
			})
		},
	}
	f.flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&own.TrustDomain, "trust-domain", "", "trust domain of our own processes, such as example.org (required)")
	flags.StringVar(&own.Group, "group", "", "group of a proxy")
	flags.StringVar(&own.Name, "name", "", "name of the process within its kind (required)")
	flags.StringVar(&profile, "profile", string(spiffe.Proxy), "what it is: proxy, control-plane or authz")
	daysVar(flags, &lifetime, "lifetime", enrolment.DefaultLifetime, "how long the token is good for; 7d at most")
	_ = cmd.MarkFlagRequired("trust-domain") // the flags exist
	_ = cmd.MarkFlagRequired("name")
	_ = cmd.RegisterFlagCompletionFunc("profile", cobra.FixedCompletions([]string{"proxy", "control-plane", "authz"}, cobra.ShellCompDirectiveNoFileComp))
	addOutput(cmd, "text", "json", "yaml")
	return cmd
}

func newProxyRevoke(s streams) *cobra.Command {
	var f authorityFlags
	var trustDomain, reason string
	cmd := &cobra.Command{
		Use:   "revoke IDENTITY",
		Short: "Revoke the certificates of one of our processes",
		Long: `Revokes all certificates of a process, makes its open enrolment tokens good for nothing, and publishes the list. Servers
that follow it (` + "`serve --proxy-crl`" + `) end its connections and let it in no more.

The identity is a SPIFFE ID; a proxy's can be given as GROUP/NAME with --trust-domain. Tokens are kept by the server at which
machines enrol: where that cannot be asked, ` + "`sallyport ca revoke --ca DIR --identity`" + ` revokes, and open tokens stay good.`,
		Example: `  sallyport proxy revoke edge/edge-1 --trust-domain example.org --reason key_compromise
  sallyport proxy revoke spiffe://example.org/authz/authz-1`,
		Args: exactly("an identity, or GROUP/NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			identity, err := identityOf(args[0], trustDomain)
			if err != nil {
				return usageError{err}
			}
			if f.dir != "" {
				return usageError{errors.New("--ca: open enrolment tokens are kept by the server at which machines enrol: --admin-socket or --server; `sallyport ca revoke --ca DIR --identity` revokes without it, and open tokens stay good")}
			}
			return revoke(cmd, s, &f, &adminv1.RevokeCertificatesRequest{
				Authority: f.name, Reason: reason, Choice: &adminv1.RevokeCertificatesRequest_Consumer{Consumer: identity.String()},
			})
		},
	}
	f.flags(cmd)
	cmd.Flags().StringVar(&trustDomain, "trust-domain", "", "trust domain of a proxy that is given as GROUP/NAME")
	addReason(cmd, &reason)
	addOutput(cmd, "text", "json", "yaml")
	return cmd
}

// identityOf reads a SPIFFE ID, or the group and name of a proxy.
func identityOf(text, trustDomain string) (spiffe.Identity, error) {
	group, name, short := strings.Cut(text, "/")
	if strings.Contains(text, "://") || !short {
		return spiffe.Parse(text)
	}
	if trustDomain == "" {
		return spiffe.Identity{}, errors.New("--trust-domain is missing: it goes with GROUP/NAME")
	}
	identity := spiffe.Identity{TrustDomain: trustDomain, Kind: spiffe.Proxy, Group: group, Name: name}
	return identity, identity.Validate()
}
