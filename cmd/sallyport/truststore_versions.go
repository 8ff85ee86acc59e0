package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/pki/inventory"
	"github.com/sallyport-project/sallyport/pki/material"
	"github.com/sallyport-project/sallyport/pki/truststore"
)

// versionOf is a version of a published bundle.
type versionOf struct {
	ID       string    `json:"id"`
	Modified time.Time `json:"modified"`
	Size     int64     `json:"size"`
	Latest   bool      `json:"latest"`
}

func newTruststoreVersions(s streams) *cobra.Command {
	var owner string
	cmd := &cobra.Command{
		Use:     "versions REF",
		Short:   "List the versions of a published bundle",
		Long:    `Lists the versions of a bundle in a bucket that keeps them, the latest first. Files have none.`,
		Example: `  sallyport truststore versions s3://truststores/prod/truststore.pem`,
		Args:    exactly("the reference of the bundle"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := authorityContext(cmd)
			defer cancel()
			reference, err := placeOf(args[0])
			if err != nil {
				return err
			}
			versions, err := objectsOf(owner).Versions(ctx, reference)
			switch {
			case errors.Is(err, material.ErrNoVersions):
				return usageError{err}
			case err != nil:
				return err
			}
			listed := []versionOf{}
			for _, v := range versions {
				listed = append(listed, versionOf{ID: v.ID, Modified: v.Modified.UTC(), Size: v.Size, Latest: v.Latest})
			}
			return write(cmd, s.out, listed, func(w io.Writer) error { return versionTable(w, listed) })
		},
	}
	cmd.Flags().StringVar(&owner, "expected-bucket-owner", "", "AWS account that must own the bucket, 12 digits")
	addOutput(cmd, "text", "json", "yaml")
	return cmd
}

func versionTable(w io.Writer, listed []versionOf) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "VERSION\tWRITTEN\tBYTES\t")
	for _, v := range listed {
		latest := ""
		if v.Latest {
			latest = "in force"
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\n", v.ID, v.Modified.Format(time.RFC3339), v.Size, latest)
	}
	return table.Flush()
}

func newTruststoreRollback(s streams) *cobra.Command {
	var f publishFlags
	cmd := &cobra.Command{
		Use:   "rollback VERSION REF",
		Short: "Publish an earlier version of a bundle again",
		Long: `Writes the content of an earlier version as a new one, with a manifest of the next generation: gateways take
it as they take any push, and the history keeps what was there meanwhile. Revocation lists are not part of a
bundle and stay as they are: what was revoked stays revoked.

An authority of that version that has expired since is left out by gateways, and told here.

Exit code: as with ` + "`sallyport truststore push`.",
		Example: `  sallyport truststore versions s3://truststores/prod/truststore.pem
  sallyport truststore rollback 01JD3Q… s3://truststores/prod/truststore.pem --admin-socket /run/sallyport/admin.sock`,
		Args: exactly("the version", "the reference of the bundle"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.publish(cmd, s, args[1], func(ctx context.Context, p truststore.Publisher) ([]byte, error) {
				return earlier(ctx, p, args[0])
			})
		},
	}
	f.flags(cmd)
	return cmd
}

// earlier gets a version of a bundle that gateways would still accept.
func earlier(ctx context.Context, p truststore.Publisher, version string) ([]byte, error) {
	if p.Bundle.Scheme != material.S3 {
		return nil, usageError{fmt.Errorf("%s: %w: push the file that you want back", p.Bundle, material.ErrNoVersions)}
	}
	if version == "" {
		return nil, usageError{errors.New("which version? `sallyport truststore versions` lists them")}
	}
	content, err := p.Objects.Get(ctx, p.Bundle.AtVersion(version))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, usageError{fmt.Errorf("%s has no version %q; `sallyport truststore versions` lists them", p.Bundle, version)}
	case err != nil:
		return nil, err
	}
	if _, err := inventory.ParseBundle(content.Data, time.Now()); err != nil {
		return nil, usageError{fmt.Errorf("the version %s of %s will not do: %w", version, p.Bundle, err)}
	}
	return content.Data, nil
}
