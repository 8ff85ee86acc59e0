package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/question"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

func newCan(s streams) *cobra.Command {
	var q struct {
		questions
		method, host string
		asToken      presumedToken
	}
	cmd := &cobra.Command{
		Use:   "can [CONSUMER]",
		Short: "List what a consumer, or somebody with a token, may do",
		Long: `Lists what a consumer may do, or somebody with a bearer token (--as-token): gateway, hosts, methods and paths, the rule that takes such requests, its policy and
upstream, what lets the consumer in and where that is written. What depends on the path, the time or a field of
the certificate is listed with its condition. A more specific rule takes its requests from a line ("except");
where it lets the consumer in, it has a line of its own.

That the consumer's certificate is good is presumed, and so is a token, of which nothing is known but what is said. Exit code: 0 if the question was answered, also where the consumer may do
nothing; 1 if not; 2 for a mistake in the question or in the configuration.`,
		Example: `  sallyport can mapps
  sallyport can mapps --source config --method POST --host api.example.org
  sallyport can --as-token provider=corporate,role=vessel.read
  sallyport can mapps --output json | jq -r '.grants[].match.path'`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := q.moment()
			if err != nil {
				return err
			}
			asked := &adminv1.CanRequest{At: at, Method: q.method, Host: q.host}
			if asked.AsToken, err = q.asToken.token(); err != nil {
				return err
			}
			switch {
			case len(args) > 0:
				asked.Consumer = args[0]
			case asked.GetAsToken() == nil:
				return usageError{errors.New("who? Give CONSUMER, or --as-token; see `sallyport can --help`")}
			}
			return ask(cmd, &q.questions, false, s.out, question.WriteCan,
				func(ctx context.Context, by question.Answerer) (*adminv1.CanResponse, error) {
					return by.Can(ctx, asked)
				})
		},
	}
	cmd.Flags().StringVar(&q.method, "method", "", "only what this HTTP method may do")
	cmd.Flags().StringVar(&q.host, "host", "", "only for this host")
	q.asToken.flag(cmd, "what somebody with a good bearer token may do")
	q.flags(cmd)
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return q.completeConsumers(cmd, args, prefix)
	}
	return cmd
}
