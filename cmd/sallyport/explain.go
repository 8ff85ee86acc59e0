package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/question"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// explainQuestion is what `explain` is asked.
type explainQuestion struct {
	questions
	inquiry
	consumer, certificate, requestID string
	anonymous                        bool
}

func newExplain(s streams) *cobra.Command {
	var q explainQuestion
	cmd := &cobra.Command{
		Use:   "explain METHOD URL",
		Short: "Say what would come of a request, step by step, and why",
		Long: `Says what each gateway that a request passes would make of it: which rule takes it, each step of the decision
with its reason, the resource, and the place where that is written. The last line is the verdict. The
authorization service decides as it would in earnest; nothing is enforced, recorded or counted.

With --consumer, that the consumer's certificate is good is presumed. With --certificate it is judged: by the
truststores of the running server, or by those that --source refers to and that can be read from here.
Where those cannot be read, the verdict is "unknown"; --state names the state folder of a server that keeps
development authorities. With --request-id, a running server tells what came of a request that it decided not
long ago.

Exit code: 0 if the question was answered, whatever the answer; 1 if not, or if the verdict is unknown; 2 for a
mistake in the question or in the configuration.`,
		Example: `  sallyport explain --consumer mapps GET https://api.example.org/v1/persons/1/alerts
  sallyport explain --source config --certificate partner.pem --at 2026-12-24T00:00:00Z GET https://api.example.org/v1/status
  sallyport explain --anonymous --via edge --header x-version=2 POST https://api.example.org/v1/visits
  sallyport explain --request-id 6d8f5e0c-2b1f-4d39-9a52-7c1f0c0e1f5b`,
		Args: cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			asked, err := q.asked(args)
			if err != nil {
				return err
			}
			var answer *adminv1.ExplainResponse
			err = ask(cmd, &q.questions, q.certificate != "", s.out, question.WriteExplain,
				func(ctx context.Context, by question.Answerer) (*adminv1.ExplainResponse, error) {
					var err error
					answer, err = by.Explain(ctx, asked)
					return answer, err
				})
			if err == nil && answer.GetVerdict() == question.Unknown {
				return q.unknown()
			}
			return err
		},
	}
	cmd.Flags().StringVar(&q.consumer, "consumer", "", "the Consumer who calls")
	cmd.Flags().StringVar(&q.certificate, "certificate", "", "file with the caller's certificate in PEM, and the intermediates it sends")
	cmd.Flags().BoolVar(&q.anonymous, "anonymous", false, "the caller has no certificate")
	cmd.Flags().StringVar(&q.requestID, "request-id", "", "id of a request (x-request-id) that the running server has decided")
	cmd.MarkFlagsMutuallyExclusive("consumer", "certificate", "anonymous", "request-id")
	cmd.Flags().StringVar(&q.state, "state", "", "with --certificate and --source: state folder of the server, where development authorities are kept")
	q.questions.flags(cmd)
	q.inquiry.flags(cmd)
	// The flags exist.
	_ = cmd.MarkFlagDirname("state")
	_ = cmd.MarkFlagFilename("certificate", "pem", "crt", "cer")
	_ = cmd.RegisterFlagCompletionFunc("consumer", q.completeConsumers)
	_ = cmd.RegisterFlagCompletionFunc("via", q.completeGateways)
	return cmd
}

// unknown says what to do where the material at hand does not answer the question.
func (q *explainQuestion) unknown() error {
	if q.source == "" {
		return errors.New("the server does not know what will be in force at that moment; ask without --at what it makes of the request now")
	}
	return fmt.Errorf("not all that %s refers to could be read here: ask a running server, without --source, or name with --state the folder in which it keeps its development authorities", q.source)
}

// asked is the question of the command line.
func (q *explainQuestion) asked(args []string) (*adminv1.ExplainRequest, error) {
	if q.requestID != "" {
		if len(args) > 0 || q.at != "" || q.via != "" || len(q.headers) > 0 {
			return nil, usageError{errors.New("--request-id stands for a whole request; give no method, URL or other flag beside it")}
		}
		return &adminv1.ExplainRequest{RequestId: q.requestID}, nil
	}
	if len(args) != 2 {
		return nil, usageError{fmt.Errorf("expected METHOD and URL, found %s; see `sallyport explain --help`", count(len(args), "argument"))}
	}
	at, err := q.moment()
	if err != nil {
		return nil, err
	}
	asked := new(adminv1.ExplainRequest)
	if asked.Inquiry, err = q.of(args[0], args[1], at); err != nil {
		return nil, err
	}
	switch {
	case q.consumer != "":
		asked.Caller = &adminv1.ExplainRequest_Consumer{Consumer: q.consumer}
	case q.certificate != "":
		content, err := os.ReadFile(q.certificate)
		if err != nil {
			return nil, usageError{fmt.Errorf("--certificate: %w", err)}
		}
		asked.Caller = &adminv1.ExplainRequest_CertificatePem{CertificatePem: string(content)}
	case q.anonymous:
		asked.Caller = &adminv1.ExplainRequest_Anonymous{Anonymous: true}
	default:
		return nil, usageError{errors.New("who calls? Give --consumer NAME, --certificate FILE or --anonymous")}
	}
	return asked, nil
}
