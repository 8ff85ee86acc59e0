package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/authority"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/internal/terminal"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/material"
	"github.com/sallyport-project/sallyport/pki/register"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

func newCertificate(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "certificate",
		Short: "Tell others what they need to accept a certificate of ours",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCertificateExport(s))
	return cmd
}

// certificateExport is the verb `certificate export`.
type certificateExport struct {
	source, state string
}

// exported is what it prints: what must be trusted, in PEM.
type exported struct {
	Certificate string `json:"certificate"`
	Subject     string `json:"subject"`
	SHA256      string `json:"sha256"`
	PEM         string `json:"pem"`
	// Warning is what whoever is to trust it should know.
	Warning string `json:"warning,omitempty"`
}

func newCertificateExport(s streams) *cobra.Command {
	var f certificateExport
	cmd := &cobra.Command{
		Use:   "export NAME",
		Short: "Print what an upstream must trust to accept a Certificate",
		Long: `Prints in PEM the authority at the top of a Certificate's chain: what a server behind us must trust to accept it
as a client's, or a caller to accept it as a server's. It stays the same when the certificate is renewed. No
private key is read.`,
		Example: `  sallyport certificate export edge-client --source config > trust-edge.pem
  sallyport certificate export edge-client --source config --state /var/lib/sallyport   # of a development authority`,
		Args: exactly("the name of the Certificate"),
		RunE: func(cmd *cobra.Command, args []string) error {
			told, err := f.export(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if told.Warning != "" && outputFormat(cmd) == "text" {
				fmt.Fprintf(s.err, "warning: %s\n", terminal.Safe(told.Warning))
			}
			return write(cmd, s.out, told, func(w io.Writer) error {
				_, err := io.WriteString(w, told.PEM)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&f.source, "source", ".", "directory of the configuration")
	cmd.Flags().StringVar(&f.state, "state", "", "state folder of the server, where a development authority is kept")
	_ = cmd.MarkFlagDirname("source") // the flags exist
	_ = cmd.MarkFlagDirname("state")
	cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return completions(&questions{source: f.source}, (*config.Model).Certificates, func(c *config.Certificate) string { return c.Name })
	}
	addOutput(cmd, "text", "json", "yaml")
	return cmd
}

func (f certificateExport) export(ctx context.Context, name string) (exported, error) {
	model, err := loadModel(f.source)
	if err != nil {
		return exported{}, err
	}
	found := model.Certificate(name)
	if found == nil {
		var names []string
		for _, c := range model.Certificates() {
			names = append(names, c.Name)
		}
		return exported{}, usageError{fmt.Errorf("%s: there is no Certificate %q%s", f.source, name, suggest(name, names))}
	}
	var content []byte
	if issued := found.Spec.GetIssued(); issued != nil {
		content, err = f.authority(ctx, model, issued.GetAuthority())
	} else {
		content, err = f.read(ctx, found.Spec.GetMaterial().GetCertificate())
	}
	if err != nil {
		return exported{}, fmt.Errorf("%s: %w", found.Origin, err)
	}
	chain, err := ca.ParseCertificates(content)
	if err != nil {
		return exported{}, fmt.Errorf("%s: %w", found.Origin, err)
	}
	return anchorOf(name, chain)
}

// authority reads the certificates of an Authority.
func (f certificateExport) authority(ctx context.Context, model *config.Model, name string) ([]byte, error) {
	for _, a := range model.Authorities() {
		if a.Name == name {
			return f.authorityBySpec(ctx, name, a.Spec)
		}
	}
	return nil, fmt.Errorf("there is no Authority %q", name) // which Build refuses
}

func (f certificateExport) authorityBySpec(ctx context.Context, name string, spec *sallyportv1.AuthoritySpec) ([]byte, error) {
	if spec.GetMaterial() != nil {
		return f.read(ctx, spec.GetMaterial().GetCertificate())
	}
	if f.state == "" {
		return nil, usageError{fmt.Errorf("the Authority %q is made for development, and kept by the server that uses it: name its state folder with --state", name)}
	}
	path := keptAuthority(f.state, name)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no server has made the Authority %q yet: there is no %s", name, path)
	}
	return content, err
}

// read reads a reference of the configuration.
func (f certificateExport) read(ctx context.Context, text string) ([]byte, error) {
	reference, err := material.Parse(text)
	if err != nil {
		return nil, err
	}
	base, err := filepath.Abs(f.source)
	if err != nil {
		return nil, err
	}
	return authority.ReadReference(ctx, reference.In(base).String())
}

// anchorOf is the top of a chain, as far as it is known.
func anchorOf(name string, chain []*x509.Certificate) (exported, error) {
	top := chain[len(chain)-1]
	told := exported{Certificate: name, Subject: top.Subject.String(), SHA256: register.Digest(top.Raw), PEM: string(ca.EncodeCertificate(top))}
	switch {
	case ca.IsSelfSigned(top):
	case top.IsCA:
		told.Warning = fmt.Sprintf("this is an intermediate: the chain ends below its root, %q, which some programs want to trust in its place", top.Issuer)
	default:
		return exported{}, fmt.Errorf("the chain of the Certificate %q ends with itself: the certificate of its authority, %q, is not known here; put it behind the certificate, or ask who issued it", name, top.Issuer)
	}
	return told, nil
}
