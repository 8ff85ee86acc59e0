package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/authority"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/document"
	"github.com/sallyport-project/sallyport/config/edit"
	"github.com/sallyport-project/sallyport/internal/terminal"
	"github.com/sallyport-project/sallyport/pki/ca"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

func newConsumer(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "consumer",
		Short: "Bring in partners, renew and revoke their certificates, suspend and resume them",
		Long: `A consumer has two sides: certificates, which an authority issues and revokes and whose register knows them,
and a Consumer in the configuration, which says what it may do. These verbs keep the two together. The
configuration is edited in place, with its comments and order kept, ready for review.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newConsumerCreate(s), newConsumerRenew(s), newConsumerSuspend(s), newConsumerResume(s),
		newConsumerRevoke(s), newConsumerList(s), newConsumerShow(s),
	)
	return cmd
}

// consumerSource is the configuration in which a verb finds consumers.
type consumerSource struct{ source string }

func (c *consumerSource) flags(cmd *cobra.Command, usage string) {
	cmd.Flags().StringVar(&c.source, "source", "", usage)
	_ = cmd.MarkFlagDirname("source") // the flag exists
	cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return completions(&questions{source: c.source}, (*config.Model).Consumers, func(c *config.Consumer) string { return c.Name })
	}
}

// find returns the Consumer as the configuration has it, and its message.
func (c *consumerSource) find(name string) (*config.Consumer, *sallyportv1.Consumer, error) {
	model, err := loadModel(c.source)
	if err != nil {
		return nil, nil, err
	}
	found := model.Consumer(name)
	if found == nil {
		return nil, nil, usageError{fmt.Errorf("%s: there is no Consumer %q%s", c.source, name, suggest(name, consumersOf(model)))}
	}
	files, err := config.ReadFiles(c.source)
	if err != nil {
		return nil, nil, usageError{err}
	}
	documents, _, _ := config.Decode(files) // which loadModel has found to be valid
	for _, d := range documents {
		if message, ok := d.Message.(*sallyportv1.Consumer); ok && d.Name == name {
			return found, message, nil
		}
	}
	return nil, nil, fmt.Errorf("%s: the Consumer %q went away meanwhile: try again", c.source, name)
}

// certificateOf is what verbs print of a certificate.
type certificateOf struct {
	Serial    string    `json:"serial"`
	SHA256    string    `json:"sha256"`
	Subject   string    `json:"subject"`
	Names     []string  `json:"names,omitempty"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	Status    string    `json:"status"`
	// Revoked is when it is or will be revoked.
	Revoked     *time.Time `json:"revoked,omitempty"`
	Reason      string     `json:"reason,omitempty"`
	RequestedBy string     `json:"requested_by,omitempty"`
	Authority   string     `json:"authority,omitempty"`
}

func describeCertificate(c *adminv1.IssuedCertificate) certificateOf {
	described := certificateOf{
		Serial: c.GetSerial(), SHA256: c.GetCertificateSha256(), Subject: c.GetSubject(), Names: c.GetNames(),
		NotBefore: c.GetNotBefore().AsTime(), NotAfter: c.GetNotAfter().AsTime(), Status: c.GetStatus(), Reason: c.GetReason(),
		RequestedBy: c.GetRequestedBy(), Authority: c.GetAuthority(),
	}
	if c.GetRevoked() != nil {
		at := c.GetRevoked().AsTime()
		described.Revoked = &at
	}
	return described
}

// line tells of a certificate in a few words.
func (c certificateOf) line() string {
	text := fmt.Sprintf("%s  %s  valid until %s", c.Serial, c.Status, c.NotAfter.Format(time.RFC3339))
	if c.Revoked != nil {
		verb := "revoked"
		if c.Revoked.After(time.Now()) {
			verb = "will be revoked"
		}
		text += fmt.Sprintf(", %s at %s (%s)", verb, c.Revoked.Format(time.RFC3339), c.Reason)
	}
	return terminal.Safe(text)
}

// editOf is what verbs print of an edit of the configuration.
type editOf struct {
	File     string   `json:"file,omitempty"`
	Diff     string   `json:"diff,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

func describeEdit(plan *edit.Plan) editOf {
	described := editOf{}
	if plan == nil {
		return described
	}
	described.File, described.Diff = plan.File(), plan.Diff()
	for _, warning := range plan.Warnings() {
		described.Warnings = append(described.Warnings, warning.Error())
	}
	return described
}

func (e editOf) text(w io.Writer) {
	if e.Diff != "" {
		fmt.Fprintf(w, "\n%s", e.Diff)
	}
	for _, warning := range e.Warnings {
		fmt.Fprintf(w, "%s\n", terminal.Safe(warning))
	}
}

// planned puts an error of an edit into the form that the program tells it in: what cannot be edited is the command line's or
// the configuration's fault.
func planned(plan *edit.Plan, err error) (*edit.Plan, error) {
	var problems document.Problems
	if err != nil && !errors.As(err, &problems) {
		return nil, usageError{err}
	}
	return plan, err
}

// issuedTo lists what an authority has issued to a consumer.
func issuedTo(ctx context.Context, from authority.Authority, f *authorityFlags, consumer string, all bool) ([]*adminv1.IssuedCertificate, error) {
	list, err := from.ListIssued(ctx, &adminv1.ListIssuedRequest{Authority: f.name, Consumer: consumer, All: all})
	if err != nil {
		return nil, asUsage(err)
	}
	var partners []*adminv1.IssuedCertificate
	for _, c := range list.GetCertificates() {
		if c.GetProfile() == "" || c.GetProfile() == string(ca.Partner) || c.GetProfile() == string(ca.Client) { // imported ones have none
			partners = append(partners, c)
		}
	}
	return partners, nil
}
