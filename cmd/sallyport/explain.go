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
	asToken                          presumedToken
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

A caller may also come with a bearer token, beside a certificate or without one. --token - reads it from standard input; a running
server judges it as that of a request, and neither logs nor keeps it. With --source it is judged by the key sets that the
configuration has as material, or by the one in --keys; where there is none, the answer says that its signature was not verified.
--as-token presumes a good one. What a gateway sends on in the place of a token is presumed as well.

Exit code: 0 if the question was answered, whatever the answer; 1 if not, or if the verdict is unknown; 2 for a
mistake in the question or in the configuration.`,
		Example: `  sallyport explain --consumer mapps GET https://api.example.org/v1/persons/1/alerts
  sallyport explain --source config --certificate partner.pem --at 2026-12-24T00:00:00Z GET https://api.example.org/v1/status
  sallyport explain --anonymous --via edge --header x-version=2 POST https://api.example.org/v1/visits
  sallyport explain --token - POST https://api.example.org/companies/7/vessels <token.txt
  sallyport explain --source config --as-token provider=corporate,role=vessel.write POST https://api.example.org/companies/7/vessels
  sallyport explain --request-id 6d8f5e0c-2b1f-4d39-9a52-7c1f0c0e1f5b`,
		Args: cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			asked, err := q.asked(args, s)
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
	cmd.Flags().StringVar(&q.token, "token", "", "the caller's bearer token: - for standard input, and nothing else, since others could read an argument")
	cmd.Flags().StringVar(&q.keys, "keys", "", "with --token and --source: file with the key set (JSON, RFC 7517) of the token's Provider")
	q.asToken.flag(cmd, "presume a good bearer token")
	cmd.MarkFlagsMutuallyExclusive("consumer", "certificate", "anonymous", "request-id")
	cmd.MarkFlagsMutuallyExclusive("token", "as-token", "request-id")
	cmd.Flags().StringVar(&q.state, "state", "", "with --certificate and --source: state folder of the server, where development authorities are kept")
	q.questions.flags(cmd)
	q.inquiry.flags(cmd)
	// The flags exist.
	_ = cmd.MarkFlagDirname("state")
	_ = cmd.MarkFlagFilename("certificate", "pem", "crt", "cer")
	_ = cmd.MarkFlagFilename("keys", "json")
	_ = cmd.RegisterFlagCompletionFunc("token", cobra.FixedCompletions([]string{"-"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("consumer", q.completeConsumers)
	_ = cmd.RegisterFlagCompletionFunc("via", q.completeGateways)
	return cmd
}

// unknown says what to do where the material at hand does not answer the question.
func (q *explainQuestion) unknown() error {
	switch {
	case len(q.asToken.parts) > 0:
		return errors.New("it depends on what else the token says; give a token itself, with --token -")
	case q.token != "" && q.source != "" && q.certificate == "":
		return errors.New("what the token is worth is known to a running server: ask one, without --source")
	case q.source == "" && q.at != "":
		return errors.New("the server does not know what will be in force at that moment; ask without --at what it makes of the request now")
	case q.certificate != "" && q.source != "":
		return fmt.Errorf("not all that %s refers to could be read here: ask a running server, without --source, or name with --state the folder in which it keeps its development authorities", q.source)
	}
	return errors.New("it depends on a token that a gateway gets from a Provider, and of which not all is known here")
}

// asked is the question of the command line.
func (q *explainQuestion) asked(args []string, s streams) (*adminv1.ExplainRequest, error) {
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
	if q.keys != "" && (q.token == "" || q.source == "") {
		return nil, usageError{errors.New("--keys is for --token with --source; a running server has the keys of its Providers")}
	}
	asked := new(adminv1.ExplainRequest)
	if asked.AsToken, err = q.asToken.token(); err != nil {
		return nil, err
	}
	if asked.Inquiry, err = q.of(args[0], args[1], at); err != nil {
		return nil, err
	}
	if asked.Token, err = q.shownToken(s); err != nil {
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
	case asked.GetAsToken() != nil, len(asked.GetToken()) > 0:
	default:
		return nil, usageError{errors.New("who calls? Give --consumer NAME, --certificate FILE or --anonymous, or a token by --token - or --as-token")}
	}
	return asked, nil
}

// shownToken reads the token of --token; nil where there is none.
func (q *explainQuestion) shownToken(s streams) ([]byte, error) {
	switch q.token {
	case "":
		return nil, nil
	case "-":
	default:
		return nil, usageError{errors.New("--token: expected -, for standard input; as an argument everybody could read the token")}
	}
	var err error
	q.token, err = readToken(s)
	return []byte(q.token), err
}
