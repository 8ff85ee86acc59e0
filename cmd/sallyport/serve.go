package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/admin"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/server"
	"github.com/sallyport-project/sallyport/config"
)

func newServe(s streams) *cobra.Command {
	var c server.Config
	var roles []string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the control plane, the authorization service, certificate authorities",
		Long: `Runs the parts that --roles names:

  xds    the control plane: pushes the configuration to proxies, delta ADS over mutual TLS
  authz  the authorization service: decides each request that proxies ask about
  ca     certificate authorities: signs and revokes for operators, publishes revocation lists in
         time, and gives our own processes their certificates

The configuration is a directory, which is watched; an edit takes effect within a second, and one
with mistakes changes nothing. Proxies are known by certificates of --proxy-ca, which issues nobody
else's. /healthz and /readyz answer on --health-listen. SIGTERM drains and ends.

With the role ca alone no configuration is needed. Homes are made by ` + "`sallyport ca init`" + `; operators
ask by --admin-socket, or with certificates of their own at --ca-listen. Machines get their first
certificate at --enrol-listen by a token (` + "`sallyport proxy token`" + `), and the next ones by the last.

Development authorities (` + "`development: {}`" + `, and what they issued) are refused.`,
		Example: `  sallyport serve --source config --trust-domain example.org --proxy-ca pki/proxies.pem \
    --certificate pki/xds.pem --private-key pki/xds-key.pem \
    --authz-certificate pki/authz.pem --authz-private-key pki/authz-key.pem \
    --state /var/lib/sallyport
  sallyport serve --roles authz --authz-socket-dir /run/sallyport/authz --source config \
    --trust-domain example.org --proxy-ca pki/proxies.pem --allow-material file:/etc/sallyport/pki
  sallyport serve --roles ca --ca-dir pki/partners --ca-dir pki/proxies --ca-passphrase file:/run/secrets/pki \
    --enrol-ca proxies --enrol-listen 0.0.0.0:18003 --enrol-address ca.internal:18003 \
    --trust-domain example.org --state /var/lib/sallyport`,
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
			c.CA = slices.Contains(roles, "ca")
			c.Logger, c.Version, c.Roles = logger, version, roles
			if err := c.Check(); err != nil {
				return usageError{err}
			}
			if c.XDS || c.Authz {
				if _, _, err := config.Files(c.Source); err != nil {
					return usageError{err}
				}
			}
			err = server.Run(cmd.Context(), c)
			if wrong := (*server.FlagError)(nil); errors.As(err, &wrong) {
				return usageError{err}
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&roles, "roles", []string{"xds", "authz"}, "parts to play: xds, authz, ca")
	flags.StringVar(&c.Source, "source", "", "directory of the configuration (required with xds, authz)")
	flags.StringSliceVar(&c.AllowMaterial, "allow-material", nil, "prefixes of references that the configuration may use, such as file:/etc/pki or env:SALLYPORT_MATERIAL_; relative paths are resolved against --source; default: any")
	flags.StringVar(&c.StateDir, "state", "", "folder for what must outlast a restart: issued certificates and their keys, the highest numbers of revocation lists and generations of manifests, below which nothing is taken, the last good material from elsewhere, the certificates that were met, enrolment tokens; default: memory")
	flags.StringVar(&c.TrustDomain, "trust-domain", "", "trust domain of proxies and servers, such as example.org (required with xds, authz and --enrol-ca)")
	flags.StringVar(&c.ProxyCA, "proxy-ca", "", "CA of our own processes in PEM (required with xds, authz)")
	flags.StringSliceVar(&c.ProxyCRL, "proxy-crl", nil, "references to the revocation lists of --proxy-ca, such as s3://bucket/proxies.crl or file:proxies.crl; without a current one nobody is let in; default: what --enrol-ca publishes, else nobody is revoked")
	flags.StringVar(&c.XDSListen, "xds-listen", "0.0.0.0:18000", "address of the control plane")
	flags.StringVar(&c.XDSCertificate, "certificate", "", "the control plane's certificate in PEM; watched")
	flags.StringVar(&c.XDSKey, "private-key", "", "the control plane's private key in PEM; watched")
	flags.StringVar(&c.AuthzListen, "authz-listen", "0.0.0.0:18001", "address of the authorization service; empty for none")
	flags.StringVar(&c.AuthzCertificate, "authz-certificate", "", "the authorization service's certificate in PEM; watched")
	flags.StringVar(&c.AuthzKey, "authz-private-key", "", "the authorization service's private key in PEM; watched")
	flags.DurationVar(&c.AuthzConnectionAge, "authz-connection-age", 5*time.Minute, "how long proxies keep a connection to the authorization service before they make another, with the certificate that they have then; shorter than a third of those certificates' life")
	flags.StringVar(&c.AuthzSocketDir, "authz-socket-dir", "", "folder for Unix sockets of the authorization service, GROUP.sock for each group")
	flags.DurationVar(&c.PolicyGrace, "policy-grace", time.Hour, "how long an earlier version of a policy is remembered for proxies that still run it")
	flags.StringVar(&c.AdminSocket, "admin-socket", admin.DefaultSocket, "Unix socket, mode 0600, at which this server answers operators: proxy status, certificates, audit tail, explain, who-can, can; with the role ca also ca, consumer and proxy token")
	flags.StringVar(&c.HealthListen, "health-listen", "127.0.0.1:18002", "address of /healthz and /readyz; empty for none")
	flags.StringVar(&c.Audit, "audit", "", "file that audit records are appended to as JSON lines, or - for standard output; default: the log")
	flags.StringVar(&c.AuditWhenFull, "audit-when-full", "drop", "what becomes of a request whose record cannot be taken, since --audit is too slow: drop the record, or deny the request")
	flags.StringVar(&c.ExpiryWebhook, "expiry-webhook", "", "reference to an address that is told of what expires, 60, 30, 14, 7 and 1 days ahead: file:PATH or env:NAME")
	flags.StringVar(&c.ExpiryWebhookSecret, "expiry-webhook-secret", "", "reference to the secret that calls of --expiry-webhook are signed with (HMAC-SHA256)")
	flags.DurationVar(&c.DrainTimeout, "drain-timeout", 5*time.Second, "how long requests and streams may take to end")
	authorityServerFlags(flags, &c)
	_ = cmd.MarkFlagDirname("source") // the flags exist
	_ = cmd.MarkFlagDirname("ca-dir")
	_ = cmd.RegisterFlagCompletionFunc("roles", cobra.FixedCompletions(serverRoles, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// authorityServerFlags adds the flags of the role ca.
func authorityServerFlags(flags *pflag.FlagSet, c *server.Config) {
	flags.StringSliceVar(&c.CADirs, "ca-dir", nil, "role ca: home of an authority; may be repeated")
	flags.StringVar(&c.CAPassphrase, "ca-passphrase", "", "role ca: where the passphrase of the authorities' keys is, such as file:PATH, env:NAME or secretsmanager:NAME")
	flags.StringVar(&c.CAListen, "ca-listen", "", "role ca: address for operators, who prove themselves by certificates; needs --enrol-ca, which issues the server's own")
	flags.StringVar(&c.OperatorCA, "operator-ca", "", "role ca: CA of operators' certificates in PEM, which must have issued them itself (default: that of --enrol-ca)")
	flags.StringSliceVar(&c.OperatorCRL, "operator-crl", nil, "role ca: references to the revocation lists of --operator-ca, such as s3://bucket/operators.crl; without a current one no operator is let in; default: nobody with a certificate of --operator-ca is revoked")
	flags.StringVar(&c.EnrolCA, "enrol-ca", "", "role ca: name, among --ca-dir, of the home of our own processes' authority")
	flags.StringVar(&c.EnrolListen, "enrol-listen", "", "role ca: address at which our own processes get their certificates")
	flags.StringVar(&c.EnrolAddress, "enrol-address", "", "role ca: where machines reach --enrol-listen, host:port (default: --enrol-listen)")
}

// serverRoles are the parts that a server can play.
var serverRoles = []string{"xds", "authz", "ca"}

func checkRoles(roles []string) error {
	if len(roles) == 0 {
		return errors.New("--roles: expected one or more of xds, authz and ca")
	}
	for _, role := range roles {
		if !slices.Contains(serverRoles, role) {
			return fmt.Errorf("--roles: expected one or more of xds, authz and ca, found %q", strings.Join(roles, ","))
		}
	}
	return nil
}
