package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/sallyport-project/sallyport/internal/terminal"
)

// consumerShow is the verb `consumer show`.
type consumerShow struct {
	consumerSource
	authorityFlags
}

// shownConsumer is what it prints.
type shownConsumer struct {
	Consumer string `json:"consumer"`
	// At is where it stands in the configuration.
	At        string `json:"at,omitempty"`
	Suspended bool   `json:"suspended"`
	// ValidFrom and ValidUntil bound its validity, whatever its certificates say.
	ValidFrom  *time.Time `json:"valid_from,omitempty"`
	ValidUntil *time.Time `json:"valid_until,omitempty"`
	Roles      []string   `json:"roles,omitempty"`
	Contact    string     `json:"contact,omitempty"`
	// Matches and Attributes are as the configuration has them.
	Matches      []json.RawMessage   `json:"matches,omitempty"`
	Attributes   map[string][]string `json:"attributes,omitempty"`
	Certificates []certificateOf     `json:"certificates"`
}

func newConsumerShow(s streams) *cobra.Command {
	var f consumerShow
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "Tell what is known of a consumer",
		Long: `Tells what the configuration says of a consumer, and which certificates the authority's register knows as its
own, those that have ended or been revoked included.`,
		Example: `  sallyport consumer show mapps --source config --ca pki/partners`,
		Args:    exactly("the name of the Consumer"),
		RunE:    func(cmd *cobra.Command, args []string) error { return f.run(cmd, s, args[0]) },
	}
	f.consumerSource.flags(cmd, "directory of the configuration (required)")
	_ = cmd.MarkFlagRequired("source") // the flag exists
	f.authorityFlags.flags(cmd)
	addOutput(cmd, "text", "json", "yaml")
	return cmd
}

func (f *consumerShow) run(cmd *cobra.Command, s streams, name string) error {
	shown, err := f.configured(name)
	if err != nil {
		return err
	}
	ctx, cancel := authorityContext(cmd)
	defer cancel()
	from, closeAuthority, err := f.open(cmd, s)
	if err != nil {
		return err
	}
	defer closeAuthority()
	known, err := issuedTo(ctx, from, &f.authorityFlags, name, true)
	if err != nil {
		return err
	}
	for _, c := range known {
		shown.Certificates = append(shown.Certificates, describeCertificate(c))
	}
	slices.SortStableFunc(shown.Certificates, func(a, b certificateOf) int { return b.NotBefore.Compare(a.NotBefore) })
	return write(cmd, s.out, shown, shown.text)
}

// configured is what the configuration says.
func (f *consumerShow) configured(name string) (*shownConsumer, error) {
	consumer, message, err := f.find(name)
	if err != nil {
		return nil, err
	}
	shown := &shownConsumer{
		Consumer: name, At: consumer.Origin.String(), Suspended: consumer.Suspended, Contact: consumer.Contact, Certificates: []certificateOf{},
		ValidFrom: momentOrNil(consumer.ValidFrom), ValidUntil: momentOrNil(consumer.ValidUntil), Roles: message.GetSpec().GetRoles(),
	}
	for _, match := range message.GetSpec().GetCertificates() {
		content, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(match)
		if err != nil {
			return nil, err
		}
		shown.Matches = append(shown.Matches, content)
	}
	for key, values := range message.GetSpec().GetAttributes() {
		if shown.Attributes == nil {
			shown.Attributes = make(map[string][]string)
		}
		shown.Attributes[key] = values.GetValues()
	}
	return shown, nil
}

func momentOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (c *shownConsumer) text(w io.Writer) error {
	state := "in force"
	if c.Suspended {
		state = "suspended"
	}
	fmt.Fprintf(w, "%s  (%s)\n  state       %s\n", c.Consumer, c.At, state)
	if c.ValidFrom != nil {
		fmt.Fprintf(w, "  valid from  %s\n", c.ValidFrom.Format(time.RFC3339))
	}
	if c.ValidUntil != nil {
		fmt.Fprintf(w, "  valid until %s\n", c.ValidUntil.Format(time.RFC3339))
	}
	fmt.Fprintf(w, "  roles       %s\n", strings.Join(c.Roles, ", "))
	if c.Contact != "" {
		fmt.Fprintf(w, "  contact     %s\n", terminal.Safe(c.Contact))
	}
	for _, match := range c.Matches {
		fmt.Fprintf(w, "  recognised  %s\n", terminal.Safe(string(match)))
	}
	fmt.Fprintln(w, "certificates")
	for _, certificate := range c.Certificates {
		fmt.Fprintf(w, "  %s\n", certificate.line())
	}
	if len(c.Certificates) == 0 {
		fmt.Fprintln(w, "  the register of this authority knows none")
	}
	return nil
}
