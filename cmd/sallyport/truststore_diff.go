package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/authority"
	"github.com/sallyport-project/sallyport/pki/material"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// truststoreDiff is the verb `truststore diff`.
type truststoreDiff struct {
	trialFlags
	against string
}

func newTruststoreDiff(s streams) *cobra.Command {
	var f truststoreDiff
	cmd := &cobra.Command{
		Use:   "diff FILE",
		Short: "Say what a new bundle would change, and whom it would lock out",
		Long: `Compares the bundle in FILE with the one that a Truststore has now, or with the one at --against, judges it as
` + "`sallyport truststore push`" + ` does, and has the certificates that gateways met lately (--admin-socket) judged by
both, with the Truststore's revocation lists and by the code that judges each request.

Exit code: 0 if nobody would be locked out; 1 if somebody would be, or if that cannot be told, as when an
authority goes and neither --admin-socket nor --certificate says who came lately; 2 for a wrong command line, or
a bundle that holds no authority at all.`,
		Example: `  sallyport truststore diff new.pem --source config --truststore partners --admin-socket /run/sallyport/admin.sock
  sallyport truststore diff new.pem --against s3://truststores/prod/truststore.pem --certificate partners.pem`,
		Args: exactly("the file with the new bundle"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, s, args[0]) },
	}
	f.flags(cmd)
	cmd.Flags().StringVar(&f.against, "against", "", "reference to the bundle to compare with, in place of the Truststore's: file:PATH or s3://BUCKET/KEY")
	addOutput(cmd, "text", "json", "yaml")
	return cmd
}

func (f *truststoreDiff) run(cmd *cobra.Command, s streams, file string) error {
	changed, err := os.ReadFile(file)
	if err != nil {
		return usageError{err}
	}
	spec, err := f.spec()
	if err != nil {
		return err
	}
	ctx, cancel := authorityContext(cmd)
	defer cancel()
	old, err := f.present(ctx, spec)
	if err != nil {
		return err
	}
	told, err := f.try(ctx, spec, old, changed)
	if err != nil {
		return err
	}
	if err := write(cmd, s.out, told, func(w io.Writer) error { told.text(w); return nil }); err != nil {
		return err
	}
	switch {
	case told.locksOut():
		return errReported
	case told.untold():
		return errNobodyAsked
	}
	return nil
}

// errNobodyAsked is for a change of which nobody knows whom it would lock out.
var errNobodyAsked = errors.New("whom it would lock out cannot be told, because nobody was asked who came lately: name servers with --admin-socket, or files with callers' certificates with --certificate")

// present is the bundle to compare with; empty where there is none.
func (f *truststoreDiff) present(ctx context.Context, spec *sallyportv1.TruststoreSpec) ([]byte, error) {
	var reference material.Reference
	var err error
	switch {
	case f.against != "":
		reference, err = placeOf(f.against)
	case spec.GetBundle() == "":
		return nil, usageError{errors.New("compare with what? Give --source and --truststore, or --against")}
	default:
		reference, err = bundleOf(f.source, spec)
	}
	if err != nil {
		return nil, err
	}
	var data []byte
	switch reference.Scheme {
	case material.File, material.S3:
		var content material.Content
		content, err = objectsOf(f.ownerOf(spec)).Get(ctx, reference)
		data = content.Data
	case material.Authority:
		return nil, usageError{fmt.Errorf("%s is an Authority of the configuration, and not a bundle that is published: give --against", reference)}
	default:
		data, err = authority.ReadReference(ctx, reference.String())
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// bundleOf is where a Truststore's bundle is.
func bundleOf(source string, spec *sallyportv1.TruststoreSpec) (material.Reference, error) {
	reference, err := material.Parse(spec.GetBundle())
	if err != nil {
		return material.Reference{}, err
	}
	base, err := filepath.Abs(source)
	if err != nil {
		return material.Reference{}, err
	}
	return reference.In(base), nil
}
