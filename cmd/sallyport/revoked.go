package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/config/document"
	"github.com/sallyport-project/sallyport/pki/ca"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// revocationResult is what verbs print that revoke certificates.
type revocationResult struct {
	Certificates []revokedCertificate `json:"certificates"`
	// Number of the published list, until when it is good, and where it is.
	Number     string    `json:"list_number"`
	NextUpdate time.Time `json:"list_next_update"`
	Places     []string  `json:"places"`
	Warnings   []string  `json:"warnings,omitempty"`

	response *adminv1.RevokeCertificatesResponse
}

// revokedCertificate is one of them, and whose it was.
type revokedCertificate struct {
	Consumer string `json:"consumer,omitempty"`
	certificateOf
}

func describeRevoked(response *adminv1.RevokeCertificatesResponse) revocationResult {
	published := response.GetPublished()
	result := revocationResult{
		Certificates: []revokedCertificate{}, Number: published.GetNumber(), NextUpdate: published.GetNextUpdate().AsTime(),
		Places: append([]string{}, published.GetPlaces()...), Warnings: published.GetWarnings(), response: response,
	}
	for _, c := range response.GetCertificates() {
		result.Certificates = append(result.Certificates, revokedCertificate{c.GetConsumer(), describeCertificate(c)})
	}
	return result
}

func (r revocationResult) text(w io.Writer) error {
	if len(r.Certificates) == 0 {
		fmt.Fprintln(w, "nothing to revoke: no certificate is in force")
	} else if err := writeIssued(w, r.response.GetCertificates()); err != nil {
		return err
	}
	return writePublished(w, r.response.GetPublished())
}

// addReason adds --reason.
func addReason(cmd *cobra.Command, reason *string) {
	cmd.Flags().StringVar(reason, "reason", ca.Unspecified.String(), "why: "+strings.Join(reasonNames(), ", "))
	_ = cmd.RegisterFlagCompletionFunc("reason", cobra.FixedCompletions(reasonNames(), cobra.ShellCompDirectiveNoFileComp)) // the flag exists
}

// reasonNames are the reasons that can be given. A hold is none: it can be taken back, and a revocation of ours cannot.
func reasonNames() []string {
	var names []string
	for _, reason := range ca.Reasons() {
		if reason != ca.CertificateHold {
			names = append(names, reason.String())
		}
	}
	return names
}

// checkReason refuses what is no reason.
func checkReason(reason string) error {
	switch {
	case slices.Contains(reasonNames(), reason):
		return nil
	case reason == ca.CertificateHold.String():
		return usageError{errors.New("--reason: a revocation is for good, and nothing is put on hold: to shut a consumer out for a while, suspend it with `sallyport consumer suspend`")}
	}
	return usageError{fmt.Errorf("--reason: unknown reason %q: it is one of %s%s", reason, strings.Join(reasonNames(), ", "), document.DidYouMean(reason, reasonNames()))}
}
