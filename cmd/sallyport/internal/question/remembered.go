package question

import (
	"fmt"
	"net/http"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sallyport-project/sallyport/authz/audit"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// recall tells what came of a request that was made.
func (a *Answers) recall(q *adminv1.ExplainRequest) (*adminv1.ExplainResponse, error) {
	if a.config.Remembered == nil {
		return nil, mistake("recent requests are remembered by a running server that answers checks; ask that one")
	}
	if q.GetInquiry() != nil || q.GetCaller() != nil || q.GetAsToken() != nil || len(q.GetToken()) > 0 {
		return nil, mistake("a request id stands for a request and its caller; give nothing else")
	}
	records := a.config.Remembered.Find(q.GetRequestId())
	if len(records) == 0 {
		return nil, mistake("no decision on the request %q is remembered: only the most recent are, and each server knows its own", q.GetRequestId())
	}
	first := records[0]
	answer := &adminv1.ExplainResponse{
		Revision: a.config.Model.Revision(), At: timestamppb.New(first.Time),
		Request: fmt.Sprintf("%s https://%s%s", first.Method, first.Host, first.Path), Caller: callerOf(first),
		Notes: []string{"this is what was decided then; places in files are those of that time"},
	}
	for _, r := range records {
		answer.Passages = append(answer.Passages, a.recalled(r))
	}
	conclude(answer)
	return answer, nil
}

// callerOf is the caller of a record, in words.
func callerOf(r audit.Record) string {
	switch {
	case r.Consumer != "":
		return "the Consumer " + r.Consumer
	case r.TokenSubject != "":
		return "a token of the Provider " + r.TokenProvider + " about " + r.TokenSubject
	case r.CertificateSubject != "":
		return "a certificate of " + r.CertificateSubject
	case r.CertificateSHA256 != "":
		return "the certificate " + short(r.CertificateSHA256)
	}
	return "somebody without a certificate"
}

// recalled is a record in the form of the API.
func (a *Answers) recalled(r audit.Record) *adminv1.Passage {
	told := &adminv1.Passage{
		Gateway: r.Gateway, Listener: r.Listener, Entry: r.Entry, Host: r.Host, Path: r.Path,
		Route: r.Route, Rule: r.Rule, Policy: r.Policy, Upstream: r.Upstream,
		Verdict: Denied, Reason: string(r.Reason), Detail: r.Detail, Time: timestamppb.New(r.Time),
		Status: uint32(max(r.Status, 0)), //nolint:gosec // G115: a status of HTTP
	}
	if r.Allowed {
		told.Verdict = Allowed
		if told.Status == http.StatusOK {
			told.Status = 0 // it went on
		}
	} else {
		told.Upstream = ""
	}
	for _, s := range r.Steps {
		told.Steps = append(told.Steps, a.step(told, s))
	}
	return told
}
