package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/question"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

func newCan(s streams) *cobra.Command {
	var q struct {
		questions
		method, host string
	}
	cmd := &cobra.Command{
		Use:   "can CONSUMER",
		Short: "List what a consumer may do",
		Long: `Lists what a consumer may do: gateway, hosts, methods and paths, the rule that takes such requests, its policy and
upstream, what lets the consumer in and where that is written. What depends on the path, the time or a field of
the certificate is listed with its condition. A more specific rule takes its requests from a line ("except");
where it lets the consumer in, it has a line of its own.

That the consumer's certificate is good is presumed. Exit code: 0 if the question was answered, also where the consumer may do
nothing; 1 if not; 2 for a mistake in the question or in the configuration.`,
		Example: `  sallyport can mapps
  sallyport can mapps --source config --method POST --host api.example.org
  sallyport can mapps --output json | jq -r '.grants[].match.path'`,
		Args: exactly("CONSUMER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := q.moment()
			if err != nil {
				return err
			}
			return ask(cmd, &q.questions, false, s.out, question.WriteCan,
				func(ctx context.Context, by question.Answerer) (*adminv1.CanResponse, error) {
					return by.Can(ctx, &adminv1.CanRequest{Consumer: args[0], At: at, Method: q.method, Host: q.host})
				})
		},
	}
	cmd.Flags().StringVar(&q.method, "method", "", "only what this HTTP method may do")
	cmd.Flags().StringVar(&q.host, "host", "", "only for this host")
	q.flags(cmd)
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return q.completeConsumers(cmd, args, prefix)
	}
	return cmd
}
