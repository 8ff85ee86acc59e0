package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/edit"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// consumerCreate is the verb `consumer create`.
type consumerCreate struct {
	onboarding
	file, truststore, contact, match string
	roles, attributes                []string
}

func newConsumerCreate(s streams) *cobra.Command {
	var f consumerCreate
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Bring in a partner: certificate, Consumer and partner kit",
		Long: `Brings in a partner in this order: the edit of the configuration is planned and proven; the certificate is
issued, which enters it into the register, and the register's index is published; the Consumer is written
below --source, ready for review; the partner kit is written to --out.

What the partner's request asks for beyond its public key is ignored, and reported. Where a step fails, what
was done stays, and the same command goes on from there: a request whose certificate the register knows gets
that one again.

Exit code: 0; 1 if a step failed, or --wait was not confirmed in time; 2 for a wrong command line or
configuration, before anything was done.`,
		Example: `  sallyport consumer create mapps --csr mapps.csr --source config --truststore partners --role person-reader \
      --ca pki/partners --url https://api.example.org/v1/status --gateway-ca gateway-ca.pem --out kits/mapps
  sallyport consumer create nsp --generate --age age1… --source config --truststore partners --out kits/nsp \
      --url https://api.example.org/v1/status --wait`,
		Args: exactly("the name of the Consumer"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, s, args[0]) },
	}
	f.flags(cmd, "directory of the configuration to which the Consumer is added (required)")
	_ = cmd.MarkFlagRequired("source") // the flags exist
	flags := cmd.Flags()
	flags.StringVar(&f.file, "file", "", "file below --source to write the Consumer to; default: where the others stand")
	flags.StringVar(&f.truststore, "truststore", "", "Truststore that vouches for the certificate (required)")
	flags.StringVar(&f.match, "match", "name", "by what its certificates are recognised: name (renewals need no edit), key or certificate")
	flags.StringSliceVar(&f.roles, "role", nil, "Role that it holds; may be repeated")
	flags.StringVar(&f.contact, "contact", "", "whom to ask about it")
	flags.StringArrayVar(&f.attributes, "attribute", nil, "NAME=VALUE,… for conditions; may be repeated")
	_ = cmd.MarkFlagRequired("truststore")
	_ = cmd.RegisterFlagCompletionFunc("match", cobra.FixedCompletions([]string{"name", "key", "certificate"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("truststore", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return completions(&questions{source: f.source}, (*config.Model).Truststores, func(t *config.Truststore) string { return t.Name })
	})
	_ = cmd.RegisterFlagCompletionFunc("role", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return completions(&questions{source: f.source}, (*config.Model).Roles, func(r *config.Role) string { return r.Name })
	})
	return cmd
}

func (f *consumerCreate) run(cmd *cobra.Command, s streams, name string) error {
	requested, err := f.begin()
	if err != nil {
		return err
	}
	wanted, err := f.consumer(name, requested)
	if err != nil {
		return usageError{err}
	}
	plan, err := f.plan(wanted)
	if err != nil {
		return err
	}
	registered, err := f.demandsRegister(f.truststore)
	if err != nil {
		return err
	}
	return f.carryOut(cmd, s, onboard{
		consumer: name, key: requested, plan: plan, registered: registered, truststores: []string{f.truststore},
		replan: func(sha256 string, _ string) (*edit.Plan, error) {
			if f.match != "certificate" {
				return plan, nil
			}
			wanted.Spec.Certificates[0].CertificateSha256 = sha256
			return f.plan(wanted)
		},
	})
}

// consumer is the resource that is asked for. A fingerprint that is not known yet is made up.
func (f *consumerCreate) consumer(name string, requested requestedKey) (*sallyportv1.Consumer, error) {
	match := &sallyportv1.CertificateMatch{Truststore: f.truststore}
	switch f.match {
	case "name":
		match.SubjectCommonName = name
	case "key":
		match.SpkiSha256 = requested.spkiSHA256
	case "certificate":
		match.CertificateSha256 = strings.Repeat("0", 64)
	default:
		return nil, fmt.Errorf("--match: expected name, key or certificate, found %q", f.match)
	}
	spec := &sallyportv1.ConsumerSpec{Certificates: []*sallyportv1.CertificateMatch{match}, Roles: f.roles, Contact: f.contact}
	for _, text := range f.attributes {
		key, values, found := strings.Cut(text, "=")
		if !found || key == "" || values == "" {
			return nil, fmt.Errorf("--attribute: expected NAME=VALUE,… , found %q", text)
		}
		if spec.Attributes == nil {
			spec.Attributes = make(map[string]*sallyportv1.AttributeValues)
		}
		if spec.Attributes[key] == nil {
			spec.Attributes[key] = &sallyportv1.AttributeValues{}
		}
		spec.Attributes[key].Values = append(spec.Attributes[key].Values, strings.Split(values, ",")...)
	}
	return &sallyportv1.Consumer{
		ApiVersion: "sallyport/v1", Kind: "Consumer", Metadata: &sallyportv1.Metadata{Name: name}, Spec: spec,
	}, nil
}

// plan is the edit that adds the Consumer; nil where it stands already as it is wanted, because an earlier run came that far.
func (f *consumerCreate) plan(wanted *sallyportv1.Consumer) (*edit.Plan, error) {
	name := wanted.GetMetadata().GetName()
	model, err := loadModel(f.source)
	if err != nil {
		return nil, err
	}
	if known := model.Consumer(name); known != nil {
		_, message, err := f.find(name)
		if err != nil {
			return nil, err
		}
		if proto.Equal(message, wanted) {
			return nil, nil
		}
		return nil, usageError{fmt.Errorf("the Consumer %q stands at %s already, and is not what was asked for: choose another name, or have its certificate renewed with `sallyport consumer renew`", name, known.Origin)}
	}
	return planned(edit.AddConsumer(f.source, wanted, f.file))
}

// demandsRegister tells whether the truststore accepts no certificate that no register knows.
func (c *consumerSource) demandsRegister(truststore string) (bool, error) {
	model, err := loadModel(c.source)
	if err != nil {
		return false, err
	}
	found := model.Truststore(truststore)
	if found == nil {
		return false, nil // the edit has said so
	}
	return found.Spec.GetIssuance().GetMode() == sallyportv1.IssuanceMode_ISSUANCE_MODE_REGISTERED, nil
}

// onboarding is what `consumer create` and `consumer renew` have in common.
type onboarding struct {
	consumerSource
	keyFlags
	kitFlags
	authorityFlags
	waitFlags
	lifetime time.Duration
	dryRun   bool
}

func (f *onboarding) flags(cmd *cobra.Command, source string) {
	f.consumerSource.flags(cmd, source)
	f.keyFlags.flags(cmd)
	f.kitFlags.flags(cmd)
	f.authorityFlags.flags(cmd)
	f.waitFlags.flags(cmd)
	daysVar(cmd.Flags(), &f.lifetime, "lifetime", 0, "how long the certificate is valid, such as 365d; default: the authority's own")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "say what would be done, and do nothing")
	addOutput(cmd, "text", "json", "yaml")
}

// begin checks the flags and gets the key.
func (f *onboarding) begin() (requestedKey, error) {
	if err := f.check(); err != nil {
		return requestedKey{}, usageError{err}
	}
	requested, err := f.get()
	if err != nil {
		return requestedKey{}, usageError{err}
	}
	return requested, nil
}

// errNotPublished says that a certificate is not in the published index yet.
var errNotPublished = errors.New("the register's index could not be published, so gateways that demand registered certificates refuse this one: publish with `sallyport ca crl`")

// publish makes the register's index known, with a new list. It returns the list's number and authorities.
func (f *onboarding) publish(ctx context.Context, o *onboard) error {
	if o.found && !o.registered {
		return nil
	}
	published, err := o.authority.PublishList(ctx, publishRequest(f.name))
	if err != nil {
		return fmt.Errorf("%w: %w", errNotPublished, err)
	}
	o.published = published
	return nil
}
