package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/envoy/bootstrap"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/spiffe"
)

func newBootstrap(s streams) *cobra.Command {
	var c bootstrap.Config
	var trustDomain, group, name, out string
	cmd := &cobra.Command{
		Use:   "bootstrap",
		Short: "Write what an Envoy is started with",
		Long: `Writes bootstrap.json and the two files that it refers to. An Envoy that is started with them gets all
else from the control plane, over mutual TLS, and asks the authorization service about each request.

The certificate, key and CA are read by Envoy itself and rotate when they are replaced (moved into
place, not written over). Where the certificate can be read here, it must be the proxy's.`,
		Example: `  sallyport bootstrap --trust-domain example.org --group edge --name edge-1 \
    --xds xds.internal:18000 --authz authz.internal:18001 \
    --certificate pki/edge-1.pem --private-key pki/edge-1-key.pem --ca pki/proxies.pem \
    --admin-socket /run/sallyport/edge-1.sock --out /etc/envoy
  envoy -c /etc/envoy/bootstrap.json --use-dynamic-base-id`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c.Identity = spiffe.Identity{TrustDomain: trustDomain, Kind: spiffe.Proxy, Group: group, Name: name}
			for _, path := range []*string{&c.CertificatePath, &c.KeyPath, &c.CAPath, &c.AdminSocket, &out} {
				if *path == "" {
					continue // reported below, by its name
				}
				absolute, err := filepath.Abs(*path)
				if err != nil {
					return err
				}
				*path = absolute
			}
			c.Directory = out
			files, err := bootstrap.New(c)
			if err != nil {
				return usageError{err}
			}
			if err := checkProxyCertificate(c); err != nil {
				return usageError{err}
			}
			path, err := files.Write(out)
			if err != nil {
				return err
			}
			for _, file := range []string{c.CertificatePath, c.KeyPath, c.CAPath} {
				if _, err := os.Stat(file); err != nil {
					fmt.Fprintf(s.err, "warning: the Envoy will need a file that is not here: %v\n", err)
				}
			}
			_, err = fmt.Fprintln(s.out, path)
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&trustDomain, "trust-domain", "", "trust domain of our own processes, such as example.org (required)")
	flags.StringVar(&group, "group", "", "the proxy's group (required)")
	flags.StringVar(&name, "name", "", "the proxy's name (required)")
	flags.StringVar(&c.XDSAddress, "xds", "", "control plane, host:port (required)")
	flags.StringVar(&c.AuthzAddress, "authz", "", "authorization service, host:port or unix:/path (required)")
	flags.StringVar(&c.CertificatePath, "certificate", "", "the proxy's certificate in PEM (required)")
	flags.StringVar(&c.KeyPath, "private-key", "", "the proxy's private key in PEM, in the folder of its certificate (required)")
	flags.StringVar(&c.CAPath, "ca", "", "the proxies' CA in PEM (required)")
	flags.StringVar(&c.AdminSocket, "admin-socket", "", "where Envoy puts its admin interface, a Unix socket of mode 0600 (required)")
	flags.Uint32Var(&c.MaxConnections, "max-connections", bootstrap.DefaultMaxConnections, "most connections of callers at a time")
	flags.StringVar(&out, "out", "", "folder to write to (required)")
	for _, required := range []string{"trust-domain", "group", "name", "xds", "authz", "certificate", "private-key", "ca", "admin-socket", "out"} {
		_ = cmd.MarkFlagRequired(required) // the flag exists
	}
	return cmd
}

// checkProxyCertificate reports a certificate that is another's than the proxy's: the control plane goes by the certificate
// alone. One that cannot be read here is let be, because the files may be made for another machine.
func checkProxyCertificate(c bootstrap.Config) error {
	content, err := os.ReadFile(c.CertificatePath)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("--certificate: %w", err)
	}
	chain, err := ca.ParseCertificates(content)
	if err != nil {
		return fmt.Errorf("--certificate: %s: %w", c.CertificatePath, err)
	}
	if len(chain) == 0 {
		return fmt.Errorf("--certificate: %s holds no certificate", c.CertificatePath)
	}
	identity, err := spiffe.FromCertificate(chain[0])
	if err != nil {
		return fmt.Errorf("--certificate: %s: %w; `sallyport ca issue --profile proxy` makes a proxy's", c.CertificatePath, err)
	}
	if identity != c.Identity {
		return fmt.Errorf("--certificate: %s is %s, and --trust-domain, --group and --name say %s", c.CertificatePath, identity, c.Identity)
	}
	return nil
}
