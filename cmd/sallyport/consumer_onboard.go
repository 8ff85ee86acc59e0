package main

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/admin"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/authority"
	"github.com/sallyport-project/sallyport/config/edit"
	"github.com/sallyport-project/sallyport/internal/terminal"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/register"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// onboard is one certificate on its way to a partner.
type onboard struct {
	consumer string
	key      requestedKey
	// plan is the edit as far as it is known before the certificate is; nil if there is none. Replan is the edit once the
	// certificate is known, by its SHA-256 and serial number.
	plan   *edit.Plan
	replan func(sha256, serial string) (*edit.Plan, error)
	// truststores are those one of which must vouch for the certificate.
	truststores []string
	// suspended is what servers must say of the consumer.
	suspended bool
	// registered says that gateways accept no certificate that is not in a published index.
	registered bool
	// replaces is the serial number of the certificate that is renewed, and overlap for how long both are valid.
	replaces string
	overlap  time.Duration
	// warnings are what somebody should look after.
	warnings []string

	authority authority.Authority
	issued    *adminv1.IssuedCertificate
	chain     []*x509.Certificate
	ignored   []string
	// found says that the register had the certificate already.
	found     bool
	published *adminv1.PublishListResponse
}

// onboarded is what `consumer create` and `consumer renew` print.
type onboarded struct {
	Consumer string `json:"consumer"`
	// DryRun says that nothing of it was done.
	DryRun bool `json:"dry_run,omitempty"`
	// Certificate is missing in a dry run.
	Certificate *certificateOf `json:"certificate,omitempty"`
	// Found says that an earlier run had it issued.
	Found bool `json:"found,omitempty"`
	// Replaces is the certificate that goes, and ReplacedUntil when.
	Replaces      string     `json:"replaces,omitempty"`
	ReplacedUntil *time.Time `json:"replaced_until,omitempty"`
	// Ignored is what the request asked for and did not get.
	Ignored       []string `json:"ignored,omitempty"`
	Configuration editOf   `json:"configuration,omitzero"`
	// Kit are the files for the partner.
	Kit []string `json:"kit,omitempty"`
	// Password opens the kit's PKCS#12 file. It is told here and nowhere else.
	Password string `json:"password,omitempty"`
	// Warnings are what somebody should look after.
	Warnings []string `json:"warnings,omitempty"`
}

func publishRequest(name string) *adminv1.PublishListRequest {
	return &adminv1.PublishListRequest{Authority: name}
}

func subjectOf(commonName string) pkix.Name { return pkix.Name{CommonName: commonName} }

// carryOut issues, publishes, edits, and writes the kit, in this order; then it prints what was done, and waits. Where a
// step fails, the error says what was done before.
func (f *onboarding) carryOut(cmd *cobra.Command, s streams, o onboard) error {
	kit, err := f.prepare(o.consumer, &f.keyFlags, o.key)
	if err != nil {
		return usageError{err}
	}
	ctx, cancel := authorityContext(cmd)
	defer cancel()
	from, closeAuthority, err := f.open(cmd, s)
	if err != nil {
		return err
	}
	defer closeAuthority()
	o.authority = from
	if err := f.look(ctx, &o); err != nil {
		return err
	}
	told := onboarded{
		Consumer: o.consumer, DryRun: f.dryRun, Found: o.found, Configuration: describeEdit(o.plan), Replaces: o.replaces, Ignored: o.ignored, Warnings: o.warnings,
	}
	if f.dryRun {
		return write(cmd, s.out, told, told.text)
	}
	if err := f.issue(ctx, &o); err != nil {
		return err
	}
	described := describeCertificate(o.issued)
	told.Certificate, told.Ignored = &described, o.ignored
	if o.replaces != "" && !o.found {
		until := time.Now().UTC().Add(o.overlap).Truncate(time.Second)
		told.ReplacedUntil = &until
	}
	var unpublished error
	if err := f.publish(ctx, &o); err != nil {
		if o.registered {
			unpublished = err
		} else {
			told.Warnings = append(told.Warnings, err.Error())
		}
	}
	if told.Configuration, err = o.edit(); err != nil {
		return o.halfway("the configuration was not edited", err)
	}
	if told.Kit, told.Password, err = kit.write(o.chain, o.key); err != nil {
		return o.halfway("the partner kit was not written", err)
	}
	if err := write(cmd, s.out, told, told.text); err != nil {
		return err
	}
	if unpublished != nil {
		return unpublished
	}
	return f.until(cmd.Context(), "everything was done here", o.confirmed()...)
}

// ignoredOf is what the request asks for beyond its key.
func (o *onboard) ignoredOf() []string {
	csr, err := ca.ParseCertificateRequest(o.key.request)
	if err != nil { // it was parsed before
		return nil
	}
	return ca.Ignored(csr)
}

// look finds the certificate in the register, or makes sure that the one that is to be issued will be accepted.
func (f *onboarding) look(ctx context.Context, o *onboard) error {
	o.ignored = o.ignoredOf()
	known, err := issuedTo(ctx, o.authority, &f.authorityFlags, o.consumer, false)
	if err != nil {
		return err
	}
	for _, c := range known {
		if c.GetSpkiSha256() == o.key.spkiSHA256 && c.GetSerial() != o.replaces && c.GetStatus() == string(register.Active) {
			o.issued, o.found = c, true
			return o.parseChain(c.GetChainPem())
		}
	}
	warning, err := f.checkTrust(ctx, o)
	if warning != "" {
		o.warnings = append(o.warnings, warning)
	}
	return err
}

// issue has the certificate issued, unless it was found in the register.
func (f *onboarding) issue(ctx context.Context, o *onboard) error {
	if o.found {
		return nil
	}
	request := &adminv1.IssueCertificateRequest{
		Authority: f.name, Consumer: o.consumer, CertificateRequest: string(o.key.request), Profile: string(ca.Partner), Replaces: o.replaces,
	}
	if o.replaces != "" {
		request.Overlap = durationpb.New(o.overlap)
	}
	if f.lifetime > 0 {
		request.Lifetime = durationpb.New(f.lifetime)
	}
	response, err := o.authority.IssueCertificate(ctx, request)
	if err != nil {
		return asUsage(err)
	}
	o.issued, o.ignored = response.GetCertificate(), response.GetIgnored()
	if err := o.parseChain(response.GetChainPem()); err != nil {
		return o.halfway("nothing else was done", err)
	}
	return nil
}

func (o *onboard) parseChain(text string) error {
	chain, err := ca.ParseCertificates([]byte(text))
	if err != nil {
		return fmt.Errorf("the authority's answer holds no certificate: %w", err)
	}
	o.chain = chain
	return nil
}

// edit makes the edit, now that the certificate is known.
func (o *onboard) edit() (editOf, error) {
	plan, err := o.replan(o.issued.GetCertificateSha256(), o.issued.GetSerial())
	if err != nil || plan == nil {
		return editOf{}, err
	}
	return describeEdit(plan), plan.Apply()
}

// halfway is the error of a step after the certificate was issued.
func (o *onboard) halfway(undone string, err error) error {
	next := "run the same command again: it goes on from here"
	if o.key.private != nil {
		next = fmt.Sprintf("its private key was not kept, so have it revoked with `sallyport consumer revoke %s --serial %s --reason superseded`, and begin anew", o.consumer, o.issued.GetSerial())
	}
	return fmt.Errorf("the certificate %s was issued and stands in the register, but %s: %w; %s", o.issued.GetSerial(), undone, err, next)
}

// confirmed is what servers must confirm.
func (o *onboard) confirmed() []admin.Condition {
	conditions := []admin.Condition{admin.ConsumerIs(o.consumer, true, o.suspended)}
	if o.registered && o.published != nil {
		conditions = append(conditions, admin.ListIs(o.published.GetAuthorities(), o.published.GetNumber()))
	}
	return conditions
}

// text prints for people.
func (o onboarded) text(w io.Writer) error {
	switch {
	case o.DryRun && o.Found:
		fmt.Fprintf(w, "%s: the register has the certificate of this key already; nothing was done\n", o.Consumer)
	case o.DryRun:
		fmt.Fprintf(w, "%s: a certificate would be issued; nothing was done\n", o.Consumer)
	case o.Found:
		fmt.Fprintf(w, "%s: the register has the certificate of this key already\n", o.Consumer)
	default:
		fmt.Fprintf(w, "%s: certificate issued\n", o.Consumer)
	}
	if o.Certificate != nil {
		fmt.Fprintf(w, "  serial      %s\n  subject     %s\n  valid until %s\n", o.Certificate.Serial, terminal.Safe(o.Certificate.Subject), o.Certificate.NotAfter.Format(time.RFC3339))
	}
	if o.Replaces != "" {
		fmt.Fprintf(w, "  replaces    %s", o.Replaces)
		if o.ReplacedUntil != nil {
			fmt.Fprintf(w, ", which is revoked at %s", o.ReplacedUntil.Format(time.RFC3339))
		}
		fmt.Fprintln(w)
	}
	if len(o.Ignored) > 0 {
		fmt.Fprintf(w, "  the request asked for more, which was ignored: %s\n", strings.Join(o.Ignored, "; "))
	}
	o.Configuration.text(w)
	if len(o.Kit) > 0 {
		fmt.Fprintf(w, "\nfor the partner:\n  %s\n", strings.Join(o.Kit, "\n  "))
	}
	if o.Password != "" {
		fmt.Fprintf(w, "\npassword of the PKCS#12 file, shown this once; send it by another way than the kit:\n  %s\n", o.Password)
	}
	for _, warning := range o.Warnings {
		fmt.Fprintf(w, "\nwarning: %s\n", terminal.Safe(warning))
	}
	return nil
}
