package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/pipeline"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/envoy/lint"
	"github.com/sallyport-project/sallyport/envoy/translate"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

func newTranslate(s streams) *cobra.Command {
	var group string
	cmd := directory(&cobra.Command{
		Use:   "translate DIR",
		Short: "Print the Envoy resources of a group of proxies",
		Long: `Translates a configuration as the control plane does, and prints the listeners, route configurations,
clusters, endpoints and secrets of one group. Private keys are printed as their SHA-256.

Material is read as ` + "`sallyport serve`" + ` reads it; development authorities are made in memory. What has to be
left out for want of material is said on standard error.`,
		Example: `  sallyport translate --group edge config/
  sallyport translate --group edge --output json config/ | jq '.routes[].name'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			model, err := loadModel(args[0])
			if err != nil {
				return err
			}
			groups := translate.Groups(model)
			if !slices.Contains(groups, group) {
				return usageError{fmt.Errorf("--group: expected one of %s, found %q", strings.Join(groups, ", "), group)}
			}
			resources, err := translated(cmd.Context(), model, args[0], group)
			if err != nil {
				return err
			}
			for _, problem := range resources.Problems {
				fmt.Fprintln(s.err, problem.Error())
			}
			if err := resources.Print(s.out, translate.Format(outputFormat(cmd))); err != nil {
				return err
			}
			if findings := lint.Check(resources); len(findings) > 0 {
				return fmt.Errorf("these resources would not be published, which is a mistake of this program: %v", findings)
			}
			return nil
		},
	})
	cmd.Flags().StringVar(&group, "group", "", "group of proxies (required)")
	_ = cmd.MarkFlagRequired("group") // the flag exists
	addOutput(cmd, "yaml", "json")
	return cmd
}

// translated is a group's resources with the material that the configuration refers to.
func translated(ctx context.Context, model *config.Model, directory, group string) (*translate.Resources, error) {
	keeper, err := inventory.New(inventory.Config{Base: directory, AllowDevelopment: true})
	if err != nil {
		return nil, err
	}
	return translate.Group(model, keeper.Apply(ctx, pipeline.SpecsOf(model)), group), nil
}
