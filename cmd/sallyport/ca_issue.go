package main

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/authority"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/spiffe"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// written is what `ca issue` prints.
type written struct {
	Certificate string    `json:"certificate"`
	PrivateKey  string    `json:"private_key,omitempty"`
	Subject     string    `json:"subject"`
	Serial      string    `json:"serial"`
	NotAfter    time.Time `json:"not_after"`
	// Ignored is what the certificate request asked for and did not get.
	Ignored []string `json:"ignored,omitempty"`
}

// issueProfiles are what `ca issue` can make, in the order in which people are told of them.
var issueProfiles = []string{"server", "client", "partner", "proxy", "control-plane", "authz", "operator"}

// issueFlags are what a certificate is asked for with.
type issueFlags struct {
	authorityFlags
	profile, out, file, commonName, consumer, csr string
	trustDomain, group, process                   string
	dnsNames, addresses, uris                     []string
	lifetime                                      time.Duration
}

func newCAIssue(s streams) *cobra.Command {
	var f issueFlags
	cmd := &cobra.Command{
		Use:   "issue",
		Short: "Issue a certificate",
		Long: `Makes a key and a certificate for it, enters it into the authority's register, and writes NAME.pem, with the
intermediates, and NAME-key.pem (mode 0600). Nothing is ever overwritten. The key is made here and sent to nobody. With
--csr the key is somebody else's, and of the request its public key alone is used.

Profiles:
  server         a listener's certificate (needs --dns or --ip)
  client         a caller's certificate (needs --common-name, --uri or --dns)
  partner        a consumer's certificate (needs --consumer)
  proxy          one of our Envoys (needs --trust-domain, --group and --process)
  control-plane  what ` + "`serve --roles xds`" + ` presents to proxies (needs --trust-domain)
  authz          what ` + "`serve --roles authz`" + ` presents to proxies (needs --trust-domain)
  operator       who signs and revokes from afar, with --server (needs --trust-domain)`,
		Example: `  sallyport ca issue --ca pki/partners --profile partner --consumer mapps --csr mapps.csr --out partners --name mapps
  sallyport ca issue --ca pki/proxies --profile proxy --trust-domain example.org --group edge --process edge-1 --out pki --name edge-1
  sallyport ca issue --ca pki/proxies --profile control-plane --trust-domain example.org --dns xds.internal --out pki --name xds`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.issue(cmd, s) },
	}
	f.flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.profile, "profile", "client", "what the certificate is for")
	flags.StringVar(&f.out, "out", ".", "folder to write to; made if it is not there")
	flags.StringVar(&f.file, "name", "", "name of the files (required)")
	flags.StringVar(&f.csr, "csr", "", "certificate request (PKCS#10) in PEM, - for standard input; default: a key is made")
	flags.StringVar(&f.consumer, "consumer", "", "whose certificate it is, for the register (default: --common-name)")
	flags.StringVar(&f.commonName, "common-name", "", "the subject's common name (default: --consumer, or --process)")
	flags.StringSliceVar(&f.dnsNames, "dns", nil, "DNS name; may be repeated")
	flags.StringSliceVar(&f.addresses, "ip", nil, "IP address; may be repeated")
	flags.StringSliceVar(&f.uris, "uri", nil, "URI; may be repeated")
	daysVar(flags, &f.lifetime, "lifetime", 0, "how long the certificate is valid, such as 90d (default: what the authority has for the profile)")
	flags.StringVar(&f.trustDomain, "trust-domain", "", "trust domain of our own processes, such as example.org")
	flags.StringVar(&f.group, "group", "", "group of a proxy")
	flags.StringVar(&f.process, "process", "", "name of the process, or operator, within its kind (default: --name)")
	_ = cmd.MarkFlagRequired("name") // the flag exists
	_ = cmd.RegisterFlagCompletionFunc("profile", cobra.FixedCompletions(issueProfiles, cobra.ShellCompDirectiveNoFileComp))
	addOutput(cmd, "text", "json", "yaml")
	return cmd
}

func (f *issueFlags) issue(cmd *cobra.Command, s streams) error {
	request, err := f.request()
	if err != nil {
		return usageError{err}
	}
	if err := checkFree(f.out, f.file); err != nil {
		return usageError{err}
	}
	key, err := f.key(s, request)
	if err != nil {
		return usageError{err}
	}
	asked, done, err := f.open(cmd, s)
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := authorityContext(cmd)
	defer cancel()
	response, err := asked.IssueCertificate(ctx, request)
	if err != nil {
		return asUsage(err)
	}
	return f.write(cmd, s, response, key)
}

// request turns the flags into what the authority is asked for, but for the certificate request.
func (f *issueFlags) request() (*adminv1.IssueCertificateRequest, error) {
	request := &adminv1.IssueCertificateRequest{
		Authority: f.name, Profile: f.profile, Consumer: cmp.Or(f.consumer, f.commonName), CommonName: cmp.Or(f.commonName, f.consumer),
		DnsNames: f.dnsNames, IpAddresses: f.addresses, Uris: f.uris, Lifetime: durationpb.New(f.lifetime),
	}
	own := spiffe.Identity{TrustDomain: f.trustDomain, Name: cmp.Or(f.process, f.file)}
	switch f.profile {
	case "server", "client", "partner":
		return request, check(request, f.lifetime)
	case "proxy":
		own.Kind, own.Group = spiffe.Proxy, f.group
	case "control-plane", "authz":
		request.Profile, own.Kind = string(ca.Service), spiffe.Kind(f.profile)
	case "operator":
		own.Kind = spiffe.Operator
	default:
		return nil, fmt.Errorf("--profile: expected server, client, partner, proxy, control-plane, authz or operator, found %q", f.profile)
	}
	if err := own.Validate(); err != nil {
		return nil, fmt.Errorf("--trust-domain, --group, --process: %w", err)
	}
	if len(f.uris) > 0 || f.consumer != "" {
		return nil, fmt.Errorf("--uri, --consumer: the profile %s has exactly one, %s", f.profile, own)
	}
	request.Consumer, request.Uris = own.String(), []string{own.String()}
	request.CommonName = cmp.Or(f.commonName, own.Name)
	return request, check(request, f.lifetime)
}

// check finds what no authority would issue before one is asked.
func check(request *adminv1.IssueCertificateRequest, lifetime time.Duration) error {
	wanted := ca.Request{
		Profile: ca.Profile(request.GetProfile()), Subject: pkix.Name{CommonName: request.GetCommonName()},
		DNSNames: request.GetDnsNames(), URIs: request.GetUris(), Lifetime: lifetime,
	}
	for _, text := range request.GetIpAddresses() {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return fmt.Errorf("--ip: %w", err)
		}
		wanted.IPAddresses = append(wanted.IPAddresses, address)
	}
	return wanted.Check()
}

// key fills in the certificate request: the one in --csr, or one for a key that is made. It is nil with --csr.
func (f *issueFlags) key(s streams, request *adminv1.IssueCertificateRequest) (*ecdsa.PrivateKey, error) {
	if f.csr != "" {
		content, err := readInput(s, f.csr, ca.MaxCertificateRequest)
		if err != nil {
			return nil, fmt.Errorf("--csr: %w", err)
		}
		if _, err := ca.ParseCertificateRequest(content); err != nil {
			return nil, fmt.Errorf("--csr: %w", err)
		}
		request.CertificateRequest = string(content)
		return nil, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	csr, err := authority.CertificateRequest(key)
	request.CertificateRequest = string(csr)
	return key, err
}

// write writes the certificate, and the key that was made for it, and says where.
func (f *issueFlags) write(cmd *cobra.Command, s streams, response *adminv1.IssueCertificateResponse, key *ecdsa.PrivateKey) error {
	pair := ca.KeyPair{CertificatePEM: []byte(response.GetChainPem())}
	if key != nil {
		encoded, err := ca.EncodePrivateKey(key)
		if err != nil {
			return err
		}
		pair.PrivateKeyPEM = encoded
	}
	issued := response.GetCertificate()
	if err := os.MkdirAll(f.out, 0o700); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	files, err := ca.WriteKeyPair(f.out, f.file, pair)
	if err != nil {
		return fmt.Errorf("%w; the certificate %s was issued: revoke it with `sallyport ca revoke --serial %s`", err, issued.GetSerial(), issued.GetSerial())
	}
	w := written{
		Certificate: files.Certificate, PrivateKey: files.PrivateKey, Subject: issued.GetSubject(), Serial: issued.GetSerial(),
		NotAfter: issued.GetNotAfter().AsTime(), Ignored: response.GetIgnored(),
	}
	return write(cmd, s.out, w, w.text)
}

func (w written) text(out io.Writer) error {
	fmt.Fprintln(out, w.Certificate)
	if w.PrivateKey != "" {
		fmt.Fprintln(out, w.PrivateKey)
	}
	fmt.Fprintf(out, "valid until %s\n", w.NotAfter.Format(time.RFC3339))
	for _, ignored := range w.Ignored {
		fmt.Fprintf(out, "ignored of the request: %s\n", ignored)
	}
	return nil
}

// checkFree wants the name of a file in --out, and that its files are not there: a certificate that cannot be written must
// not be issued.
func checkFree(out, name string) error {
	if name == "" || name != filepath.Base(name) || name == "." || name == ".." {
		return fmt.Errorf("--name: expected the name of a file in --out, found %q", name)
	}
	files := ca.FilesIn(out, name)
	for _, path := range []string{files.Certificate, files.PrivateKey} {
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%s exists and is never overwritten: move it away, or choose another name or folder", path)
		} else if !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("--out: %w", err)
		}
	}
	return nil
}

// readInput reads a file, or standard input for -, of at most so many bytes.
func readInput(s streams, path string, limit int64) ([]byte, error) {
	in := s.in
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }() // it was only read
		in = file
	}
	content, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	return content, err
}
