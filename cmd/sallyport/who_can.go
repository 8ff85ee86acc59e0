package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/question"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

func newWhoCan(s streams) *cobra.Command {
	var q struct {
		questions
		inquiry
	}
	cmd := &cobra.Command{
		Use:   "who-can METHOD URL",
		Short: "List who may make a request",
		Long: `Lists the consumers who may make a request, each with the role or rule that lets it in and the place where that
is written, and says whether one needs a certificate at all. Where the policy takes tokens, it also lists, for each Provider, whether
a good token is enough, or which role or scope it needs. "if" marks those for whom it depends on something
that the request and the configuration alone do not tell, such as the time or a field of the certificate:
what is left of the condition stands beside it.

That the consumers' certificates and tokens are good is presumed. Exit code: 0 if the question was answered; 1 if not; 2 for a
mistake in the question or in the configuration.`,
		Example: `  sallyport who-can GET https://api.example.org/v1/persons/1/alerts
  sallyport who-can --source config --at 2026-12-24T00:00:00Z POST https://api.example.org/v1/visits
  sallyport who-can GET https://api.example.org/v1/status --output json | jq -r '.consumers[].consumer'`,
		Args: exactly("METHOD", "URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := q.moment()
			if err != nil {
				return err
			}
			request, err := q.of(args[0], args[1], at)
			if err != nil {
				return err
			}
			return ask(cmd, &q.questions, false, s.out, question.WriteWhoCan,
				func(ctx context.Context, by question.Answerer) (*adminv1.WhoCanResponse, error) {
					return by.WhoCan(ctx, &adminv1.WhoCanRequest{Inquiry: request})
				})
		},
	}
	q.questions.flags(cmd)
	q.inquiry.flags(cmd)
	_ = cmd.RegisterFlagCompletionFunc("via", q.completeGateways) // the flag exists
	return cmd
}
