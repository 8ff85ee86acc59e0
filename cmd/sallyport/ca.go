package main

import (
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/spiffe"
)

func newCA(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ca",
		Short: "Found certificate authorities and issue certificates",
		Long: `Two authorities are needed, and must not be the same: one for partners' certificates, and one for
our own processes (proxies, control plane, authorization service).`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCAInit(s), newCAIssue(s))
	return cmd
}

// written is what the `ca` verbs print.
type written struct {
	Certificate string    `json:"certificate"`
	PrivateKey  string    `json:"private_key"`
	Subject     string    `json:"subject"`
	Serial      string    `json:"serial"`
	NotAfter    time.Time `json:"not_after"`
}

func newCAInit(s streams) *cobra.Command {
	var out, name, commonName, organization string
	var lifetime time.Duration
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Found a root authority",
		Long: `Makes a self-signed root with an ECDSA P-256 key and writes NAME.pem and NAME-key.pem (mode 0600).
Nothing is ever overwritten.`,
		Example: `  sallyport ca init --out pki --name partners --common-name "Example partners"
  sallyport ca init --out pki --name proxies  --common-name "Example proxies"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if commonName == "" {
				commonName = name
			}
			if lifetime <= 0 {
				return usageError{fmt.Errorf("--lifetime: expected a positive duration, found %s", lifetime)}
			}
			authority, err := ca.Create(ca.Options{CommonName: commonName, Organization: organization, Lifetime: lifetime})
			if err != nil {
				return usageError{err}
			}
			return writePair(cmd, s, out, name, authority.KeyPair())
		},
	}
	cmd.Flags().StringVar(&out, "out", ".", "folder to write to; made if it is not there")
	cmd.Flags().StringVar(&name, "name", "ca", "name of the files")
	cmd.Flags().StringVar(&commonName, "common-name", "", "the subject's common name (default: --name)")
	cmd.Flags().StringVar(&organization, "organization", "", "the subject's organization")
	cmd.Flags().DurationVar(&lifetime, "lifetime", ca.DefaultAuthorityLifetime, "how long the root is valid")
	addOutput(cmd, "text", "json", "yaml")
	return cmd
}

// issueFlags are what a certificate is asked for with.
type issueFlags struct {
	authority, profile, out, name, commonName string
	trustDomain, group, process               string
	dnsNames, addresses, uris                 []string
	lifetime                                  time.Duration
}

func newCAIssue(s streams) *cobra.Command {
	var f issueFlags
	cmd := &cobra.Command{
		Use:   "issue",
		Short: "Issue a certificate",
		Long: `Makes a key and a certificate for it, and writes NAME.pem and NAME-key.pem (mode 0600). Nothing is ever
overwritten.

Profiles:
  server         a listener's certificate (needs --dns or --ip)
  client         a caller's certificate (needs --common-name, --uri or --dns)
  proxy          one of our Envoys (needs --trust-domain, --group and --process)
  control-plane  what ` + "`serve --roles xds`" + ` presents to proxies (needs --trust-domain)
  authz          what ` + "`serve --roles authz`" + ` presents to proxies (needs --trust-domain)`,
		Example: `  sallyport ca issue --ca pki/partners --profile client --common-name mapps --out partners --name mapps
  sallyport ca issue --ca pki/proxies --profile proxy --trust-domain example.org --group edge --process edge-1 --out pki --name edge-1
  sallyport ca issue --ca pki/proxies --profile control-plane --trust-domain example.org --dns xds.internal --out pki --name xds`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request, err := f.request()
			if err != nil {
				return usageError{err}
			}
			authority, err := loadAuthority(f.authority)
			if err != nil {
				return usageError{err}
			}
			pair, err := authority.Issue(request)
			if err != nil {
				return usageError{err}
			}
			return writePair(cmd, s, f.out, f.name, pair)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.authority, "ca", "ca", "the authority: path of its files without .pem and -key.pem")
	flags.StringVar(&f.profile, "profile", "client", "server, client, proxy, control-plane or authz")
	flags.StringVar(&f.out, "out", ".", "folder to write to; made if it is not there")
	flags.StringVar(&f.name, "name", "", "name of the files (required)")
	flags.StringVar(&f.commonName, "common-name", "", "the subject's common name")
	flags.StringSliceVar(&f.dnsNames, "dns", nil, "DNS name; may be repeated")
	flags.StringSliceVar(&f.addresses, "ip", nil, "IP address; may be repeated")
	flags.StringSliceVar(&f.uris, "uri", nil, "URI; may be repeated")
	flags.DurationVar(&f.lifetime, "lifetime", ca.DefaultLifetime, "how long the certificate is valid")
	flags.StringVar(&f.trustDomain, "trust-domain", "", "trust domain of our own processes, such as example.org")
	flags.StringVar(&f.group, "group", "", "group of a proxy")
	flags.StringVar(&f.process, "process", "", "name of the process within its kind (default: --name)")
	_ = cmd.MarkFlagRequired("name") // the flag exists
	_ = cmd.RegisterFlagCompletionFunc("profile", cobra.FixedCompletions([]string{"server", "client", "proxy", "control-plane", "authz"}, cobra.ShellCompDirectiveNoFileComp))
	addOutput(cmd, "text", "json", "yaml")
	return cmd
}

// request turns the flags into what the authority is asked for.
func (f issueFlags) request() (ca.Request, error) {
	request := ca.Request{
		Subject: pkix.Name{CommonName: f.commonName}, DNSNames: f.dnsNames, URIs: f.uris, Lifetime: f.lifetime,
	}
	if f.lifetime <= 0 {
		return request, fmt.Errorf("--lifetime: expected a positive duration, found %s", f.lifetime)
	}
	for _, text := range f.addresses {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return request, fmt.Errorf("--ip: %w", err)
		}
		request.IPAddresses = append(request.IPAddresses, address)
	}
	if err := f.checkURIs(); err != nil {
		return request, err
	}
	process := f.process
	if process == "" {
		process = f.name
	}
	own := spiffe.Identity{TrustDomain: f.trustDomain, Name: process}
	switch f.profile {
	case "server":
		request.Profile = ca.Server
		return request, nil
	case "client":
		request.Profile = ca.Client
		return request, nil
	case "proxy":
		request.Profile, own.Kind, own.Group = ca.Proxy, spiffe.Proxy, f.group
	case "control-plane":
		request.Profile, own.Kind = ca.Service, spiffe.ControlPlane
	case "authz":
		request.Profile, own.Kind = ca.Service, spiffe.Authz
	default:
		return request, fmt.Errorf("--profile: expected server, client, proxy, control-plane or authz, found %q", f.profile)
	}
	if err := own.Validate(); err != nil {
		return request, fmt.Errorf("--trust-domain, --group, --process: %w", err)
	}
	if len(f.uris) > 0 {
		return request, fmt.Errorf("--uri: the profile %s has exactly one, %s", f.profile, own)
	}
	request.URIs = []string{own.String()}
	return request, nil
}

// checkURIs keeps the profiles for others from making an identity of one of our own processes, however it is spelled.
func (f issueFlags) checkURIs() error {
	for _, text := range f.uris {
		uri, err := url.Parse(text)
		if err != nil {
			return fmt.Errorf("--uri: %w", err)
		}
		kind, _, _ := strings.Cut(strings.TrimLeft(uri.Path, "/"), "/")
		switch spiffe.Kind(strings.ToLower(kind)) {
		case spiffe.Proxy, spiffe.ControlPlane, spiffe.Authz:
			if strings.EqualFold(uri.Scheme, spiffe.Scheme) {
				return fmt.Errorf("--uri: %s is an identity of our own processes; the profiles proxy, control-plane and authz make those", text)
			}
		}
	}
	return nil
}

// checkName wants the name of a file in --out.
func checkName(name string) error {
	if name == "" || name != filepath.Base(name) || name == "." || name == ".." {
		return fmt.Errorf("--name: expected the name of a file in --out, found %q", name)
	}
	return nil
}

// loadAuthority reads the two files of an authority.
func loadAuthority(path string) (*ca.Authority, error) {
	path = strings.TrimSuffix(path, ".pem")
	files := ca.FilesIn(filepath.Dir(path), filepath.Base(path))
	certificate, err := os.ReadFile(files.Certificate)
	if err != nil {
		return nil, fmt.Errorf("--ca: %w; `sallyport ca init` makes an authority", err)
	}
	key, err := os.ReadFile(files.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("--ca: %w", err)
	}
	if certificates, err := ca.ParseCertificates(certificate); err == nil && len(certificates) == 1 {
		if err := ca.CheckAuthority(certificates[0]); err != nil { // it may have no subject to be named by
			return nil, fmt.Errorf("--ca: %s: %w", files.Certificate, err)
		}
	}
	authority, err := ca.Load(certificate, key, nil)
	if err != nil {
		return nil, fmt.Errorf("--ca: %s: %w", files.Certificate, err)
	}
	return authority, nil
}

// writePair writes a key pair and says where.
func writePair(cmd *cobra.Command, s streams, out, name string, pair ca.KeyPair) error {
	if err := checkName(name); err != nil {
		return usageError{err}
	}
	if err := os.MkdirAll(out, 0o700); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	files, err := ca.WriteKeyPair(out, name, pair)
	if errors.Is(err, os.ErrExist) {
		return usageError{err}
	}
	if err != nil {
		return err
	}
	w := written{
		Certificate: files.Certificate, PrivateKey: files.PrivateKey, Subject: pair.Certificate.Subject.String(),
		Serial: fmt.Sprintf("%x", pair.Certificate.SerialNumber), NotAfter: pair.Certificate.NotAfter.UTC(),
	}
	return write(cmd, s.out, w, func(out io.Writer) error {
		_, err := fmt.Fprintf(out, "%s\n%s\nvalid until %s\n", w.Certificate, w.PrivateKey, w.NotAfter.Format(time.RFC3339))
		return err
	})
}
