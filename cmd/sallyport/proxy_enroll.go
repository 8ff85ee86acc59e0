package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/authority/holder"
	"github.com/sallyport-project/sallyport/envoy/bootstrap"
	"github.com/sallyport-project/sallyport/pki/enrolment"
	"github.com/sallyport-project/sallyport/pki/spiffe"
)

// maxTokenFile is the most that is read for a token, in bytes.
const maxTokenFile = 8 << 10

// enrolled is what `proxy enroll` prints.
type enrolled struct {
	Identity    string    `json:"identity"`
	Certificate string    `json:"certificate"`
	PrivateKey  string    `json:"private_key"`
	CA          string    `json:"ca"`
	NotAfter    time.Time `json:"not_after"`
	Bootstrap   string    `json:"bootstrap,omitempty"`
}

func (e enrolled) text(w io.Writer) error {
	fmt.Fprintf(w, "%s\n%s\n%s\n%s\nvalid until %s\n", e.Identity, e.Certificate, e.PrivateKey, e.CA, e.NotAfter.Format(time.RFC3339))
	if e.Bootstrap != "" {
		fmt.Fprintln(w, e.Bootstrap)
	}
	return nil
}

func newProxyEnroll(s streams) *cobra.Command {
	var c bootstrap.Config
	var tokenFile, out string
	cmd := &cobra.Command{
		Use:   "enroll",
		Short: "Get this machine's first certificate by a token",
		Long: `Makes a private key here, and gets the certificate of the token's identity for it from the server that the token names,
which must prove itself by the authority that the token pins. Writes identity.pem, identity-key.pem (mode 0600) and
ca.pem; nothing is overwritten.

For a proxy, with --xds, --authz and --admin-socket, also what an Envoy is started with, as ` + "`sallyport bootstrap`" + ` does.
` + "`sallyport proxy renew --daemon`" + ` keeps the certificate from running out.`,
		Example: `  sallyport proxy enroll --token-file edge-1.token --out /etc/envoy \
    --xds xds.internal:18000 --authz authz.internal:18001 --admin-socket /run/sallyport/edge-1.sock
  envoy -c /etc/envoy/bootstrap.json --use-dynamic-base-id`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if (c.XDSAddress != "" || c.AuthzAddress != "") && (c.XDSAddress == "" || c.AuthzAddress == "" || c.AdminSocket == "") {
				return usageError{errors.New("--xds, --authz, --admin-socket: a bootstrap needs all three")}
			}
			content, err := readInput(s, tokenFile, maxTokenFile)
			if err != nil {
				return usageError{fmt.Errorf("--token-file: %w", err)}
			}
			token, err := enrolment.ParseToken(string(content))
			if err != nil {
				return usageError{fmt.Errorf("--token-file: %w", err)}
			}
			if out, err = filepath.Abs(out); err != nil {
				return err
			}
			folder := holder.Folder{Dir: out}
			identity, err := folder.Enrol(cmd.Context(), token)
			if err != nil {
				return err
			}
			pair, err := folder.Load()
			if err != nil {
				return err
			}
			e := enrolled{
				Identity: identity.String(), Certificate: folder.Path(holder.CertificateFile), PrivateKey: folder.Path(holder.KeyFile),
				CA: folder.Path(holder.AuthorityFile), NotAfter: pair.Leaf.NotAfter.UTC(),
			}
			if c.XDSAddress != "" {
				if e.Bootstrap, err = writeBootstrap(c, e, identity, out); err != nil {
					return err
				}
			}
			return write(cmd, s.out, e, e.text)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&tokenFile, "token-file", "", "file with the token, - for standard input (required)")
	flags.StringVar(&out, "out", "", "folder to write to; made if it is not there (required)")
	flags.StringVar(&c.XDSAddress, "xds", "", "for the bootstrap: control plane, host:port")
	flags.StringVar(&c.AuthzAddress, "authz", "", "for the bootstrap: authorization service, host:port or unix:/path")
	flags.StringVar(&c.AdminSocket, "admin-socket", "", "for the bootstrap: where Envoy puts its admin interface, a Unix socket of mode 0600")
	flags.Uint32Var(&c.MaxConnections, "max-connections", bootstrap.DefaultMaxConnections, "for the bootstrap: most connections of callers at a time")
	_ = cmd.MarkFlagRequired("token-file") // the flags exist
	_ = cmd.MarkFlagRequired("out")
	_ = cmd.MarkFlagDirname("out")
	addOutput(cmd, "text", "json", "yaml")
	return cmd
}

// writeBootstrap writes what an Envoy with the certificate is started with.
func writeBootstrap(c bootstrap.Config, e enrolled, identity spiffe.Identity, out string) (string, error) {
	if identity.Kind != spiffe.Proxy {
		return "", usageError{fmt.Errorf("enrolled as %s, which is no proxy and has no bootstrap", identity)}
	}
	socket, err := filepath.Abs(c.AdminSocket)
	if err != nil {
		return "", err
	}
	c.Identity, c.Directory, c.AdminSocket = identity, out, socket
	c.CertificatePath, c.KeyPath, c.CAPath = e.Certificate, e.PrivateKey, e.CA
	files, err := bootstrap.New(c)
	if err != nil {
		return "", usageError{fmt.Errorf("enrolled; write the bootstrap with `sallyport bootstrap`: %w", err)}
	}
	return files.Write(out)
}

func newProxyRenew(s streams) *cobra.Command {
	var dir string
	var daemon, force bool
	cmd := &cobra.Command{
		Use:   "renew",
		Short: "Renew this machine's certificate",
		Long: `Gets the next certificate by the present one, with a new key, once two thirds of the present one's life are over. The files
are replaced by renaming: Envoy and ` + "`sallyport serve`" + ` take them up by themselves. With --daemon it stays, renews in time
and tries again what fails; it ends, with exit code 1, if the server refuses or the certificate has run out.

Exit code: 0, also where it is too early, which is said; 1 if there is no next certificate; 2 if the folder is not one.`,
		Example: `  sallyport proxy renew --dir /etc/envoy --daemon
  0 * * * * sallyport proxy renew --dir /etc/envoy`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			folder := holder.Folder{Dir: dir}
			pair, err := folder.Load()
			if err != nil {
				return usageError{fmt.Errorf("--dir: %w", err)}
			}
			if daemon {
				logger, err := newLogger(cmd, s)
				if err != nil {
					return err
				}
				return folder.Run(cmd.Context(), logger.Named("renewal"))
			}
			if due := holder.Due(pair.Leaf); !force && time.Now().Before(due) {
				_, err := fmt.Fprintf(s.out, "not due before %s\n", due.UTC().Format(time.RFC3339))
				return err
			}
			renewed, err := folder.Renew(cmd.Context())
			if errors.Is(err, holder.ErrNotDue) { // the present one is good
				_, err := fmt.Fprintln(s.out, err)
				return err
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(s.out, "valid until %s\n", renewed.NotAfter.UTC().Format(time.RFC3339))
			return err
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "folder that proxy enroll has written (required)")
	cmd.Flags().BoolVar(&daemon, "daemon", false, "stay, and renew in time until SIGTERM")
	cmd.Flags().BoolVar(&force, "force", false, "also before two thirds of its life are over; before one third the server gives none, unless its authority has changed")
	_ = cmd.MarkFlagRequired("dir") // the flag exists
	_ = cmd.MarkFlagDirname("dir")
	return cmd
}
