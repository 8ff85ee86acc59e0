package main

import (
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/envoy/process"
)

func newVersion(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version, and which Envoy would be used",
		Example: "  sallyport version --output json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := struct {
				Version string `json:"version"`
				Go      string `json:"go"`
				Envoy   string `json:"envoy"`
			}{version, runtime.Version(), "none found"}
			if path, err := process.Find(cmd.Context()); err == nil {
				v.Envoy = path
			}
			return write(cmd, s.out, v, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "sallyport %s (%s)\nenvoy: %s\n", v.Version, v.Go, v.Envoy)
				return err
			})
		},
	}
	addOutput(cmd, "text", "json", "yaml")
	return cmd
}
