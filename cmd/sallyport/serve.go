package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/admin"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/server"
	"github.com/sallyport-project/sallyport/config"
)

func newServe(s streams) *cobra.Command {
	var c server.Config
	var roles []string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the control plane, the authorization service, or both",
		Long: `Runs the parts that --roles names:

  xds    the control plane: pushes the configuration to proxies, delta ADS over mutual TLS
  authz  the authorization service: decides each request that proxies ask about

The configuration is a directory, which is watched; an edit takes effect within a second, and one
with mistakes changes nothing. Proxies are known by certificates of --proxy-ca, which issues nobody
else's. /healthz and /readyz answer on --health-listen. SIGTERM drains and ends.

Development authorities (` + "`development: {}`" + `, and what they issued) are refused.`,
		Example: `  sallyport serve --source config --trust-domain example.org --proxy-ca pki/proxies.pem \
    --certificate pki/xds.pem --private-key pki/xds-key.pem \
    --authz-certificate pki/authz.pem --authz-private-key pki/authz-key.pem \
    --state /var/lib/sallyport
  sallyport serve --roles authz --authz-socket-dir /run/sallyport/authz --source config \
    --trust-domain example.org --proxy-ca pki/proxies.pem --allow-material file:/etc/sallyport/pki`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			logger, err := newLogger(cmd, s)
			if err != nil {
				return err
			}
			if err := checkRoles(roles); err != nil {
				return usageError{err}
			}
			c.XDS, c.Authz = slices.Contains(roles, "xds"), slices.Contains(roles, "authz")
			c.Logger, c.Version, c.Roles = logger, version, roles
			if err := c.Check(); err != nil {
				return usageError{err}
			}
			if _, _, err := config.Files(c.Source); err != nil {
				return usageError{err}
			}
			err = server.Run(cmd.Context(), c)
			if wrong := (*server.FlagError)(nil); errors.As(err, &wrong) {
				return usageError{err}
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&roles, "roles", []string{"xds", "authz"}, "parts to play: xds, authz")
	flags.StringVar(&c.Source, "source", "", "directory of the configuration (required)")
	flags.StringSliceVar(&c.AllowMaterial, "allow-material", nil, "prefixes of references that the configuration may use, such as file:/etc/pki or env:SALLYPORT_MATERIAL_; relative paths are resolved against --source; default: any")
	flags.StringVar(&c.StateDir, "state", "", "folder for issued certificates, so that a restart issues none anew with new keys; default: memory")
	flags.StringVar(&c.TrustDomain, "trust-domain", "", "trust domain of proxies and servers, such as example.org (required)")
	flags.StringVar(&c.ProxyCA, "proxy-ca", "", "CA of our own processes in PEM (required)")
	flags.StringVar(&c.XDSListen, "xds-listen", "0.0.0.0:18000", "address of the control plane")
	flags.StringVar(&c.XDSCertificate, "certificate", "", "the control plane's certificate in PEM; watched")
	flags.StringVar(&c.XDSKey, "private-key", "", "the control plane's private key in PEM; watched")
	flags.StringVar(&c.AuthzListen, "authz-listen", "0.0.0.0:18001", "address of the authorization service; empty for none")
	flags.StringVar(&c.AuthzCertificate, "authz-certificate", "", "the authorization service's certificate in PEM; watched")
	flags.StringVar(&c.AuthzKey, "authz-private-key", "", "the authorization service's private key in PEM; watched")
	flags.StringVar(&c.AuthzSocketDir, "authz-socket-dir", "", "folder for Unix sockets of the authorization service, GROUP.sock for each group")
	flags.DurationVar(&c.PolicyGrace, "policy-grace", time.Hour, "how long an earlier version of a policy is remembered for proxies that still run it")
	flags.StringVar(&c.AdminSocket, "admin-socket", admin.DefaultSocket, "Unix socket that sallyport proxy status asks")
	flags.StringVar(&c.HealthListen, "health-listen", "127.0.0.1:18002", "address of /healthz and /readyz; empty for none")
	flags.DurationVar(&c.DrainTimeout, "drain-timeout", 5*time.Second, "how long requests and streams may take to end")
	_ = cmd.MarkFlagDirname("source") // the flag exists
	return cmd
}

func checkRoles(roles []string) error {
	if len(roles) == 0 {
		return errors.New("--roles: expected xds, authz or both")
	}
	for _, role := range roles {
		if role != "xds" && role != "authz" {
			return fmt.Errorf("--roles: expected xds, authz or both, found %q", strings.Join(roles, ","))
		}
	}
	return nil
}
