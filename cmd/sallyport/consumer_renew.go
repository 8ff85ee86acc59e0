package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/edit"
	"github.com/sallyport-project/sallyport/pki/register"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// defaultOverlap is for how long the old certificate stays valid beside the new one: two weeks.
const defaultOverlap = 14 * 24 * time.Hour

// consumerRenew is the verb `consumer renew`.
type consumerRenew struct {
	onboarding
	serial  string
	overlap time.Duration
}

func newConsumerRenew(s streams) *cobra.Command {
	var f consumerRenew
	cmd := &cobra.Command{
		Use:   "renew NAME",
		Short: "Give a partner its next certificate, with an overlap in which both are valid",
		Long: `Issues a certificate with the names of the one in force, and schedules the revocation of that one for the end
of the overlap; whoever republishes the list (serve --roles ca, or sallyport ca crl) then revokes it.

Where the Consumer recognises its certificate by a fingerprint or a serial number, the new one is added beside
it in the configuration. Where it does so by name, nothing needs to be edited.

Exit code: as with ` + "`sallyport consumer create`" + `, and the same command goes on where a step failed.`,
		Example: `  sallyport consumer renew mapps --csr mapps-2027.csr --source config --ca pki/partners \
      --url https://api.example.org/v1/status --out kits/mapps-2027
  sallyport consumer renew nsp --generate --pkcs12 --overlap 336h --source config --ca pki/partners \
      --url https://api.example.org/v1/status --out kits/nsp-2027 --wait`,
		Args: exactly("the name of the Consumer"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, s, args[0]) },
	}
	f.flags(cmd, "directory of the configuration in which the Consumer stands (required)")
	_ = cmd.MarkFlagRequired("source") // the flag exists
	cmd.Flags().StringVar(&f.serial, "serial", "", "serial number of the certificate that is renewed; may be left out where one is in force")
	daysVar(cmd.Flags(), &f.overlap, "overlap", defaultOverlap, "for how long both certificates are valid")
	return cmd
}

func (f *consumerRenew) run(cmd *cobra.Command, s streams, name string) error {
	requested, err := f.begin()
	if err != nil {
		return err
	}
	consumer, message, err := f.find(name)
	if err != nil {
		return err
	}
	old, err := f.old(cmd, s, name, requested)
	if err != nil {
		return err
	}
	matches := fingerprints(message, old)
	plan, err := f.replan(name, matches, requested, strings.Repeat("0", 64), "1")
	if err != nil {
		return err
	}
	registered := false
	var truststores []string
	for _, match := range consumer.Certificates {
		demanded, err := f.demandsRegister(match.Truststore.Name)
		if err != nil {
			return err
		}
		registered, truststores = registered || demanded, append(truststores, match.Truststore.Name)
	}
	if len(matches) > 0 {
		truststores = []string{matches[0].GetTruststore()}
	}
	var warnings []string
	if old.GetSpkiSha256() == requested.spkiSHA256 {
		warnings = append(warnings, fmt.Sprintf("the request holds the key of the certificate %s that is replaced: whoever got hold of that key has the next certificate's too; have the partner make a new key", old.GetSerial()))
	}
	return f.carryOut(cmd, s, onboard{
		consumer: name, key: requested, plan: plan, registered: registered, suspended: consumer.Suspended,
		truststores: truststores, warnings: warnings,
		replaces: old.GetSerial(), overlap: f.overlap,
		replan: func(sha256, serial string) (*edit.Plan, error) {
			return f.replan(name, matches, requested, sha256, serial)
		},
	})
}

// old finds the certificate that is renewed. Where an earlier run has renewed it with this key, it is the one that was
// scheduled to go.
func (f *consumerRenew) old(cmd *cobra.Command, s streams, name string, requested requestedKey) (*adminv1.IssuedCertificate, error) {
	ctx, cancel := authorityContext(cmd)
	defer cancel()
	from, closeAuthority, err := f.open(cmd, s)
	if err != nil {
		return nil, err
	}
	defer closeAuthority()
	known, err := issuedTo(ctx, from, &f.authorityFlags, name, false)
	if err != nil {
		return nil, err
	}
	renewed := renewedBefore(known, requested)
	var candidates []*adminv1.IssuedCertificate
	var serials []string
	for _, c := range known {
		switch {
		case f.serial != "" && c.GetSerial() == serialNumber(f.serial):
			return c, nil
		case renewed && c.GetStatus() == string(register.Scheduled):
			return c, nil
		case c.GetStatus() == string(register.Active):
			candidates, serials = append(candidates, c), append(serials, c.GetSerial())
		}
	}
	switch {
	case f.serial != "":
		return nil, usageError{fmt.Errorf("--serial: the register knows no certificate %s of %q in force, only %q", f.serial, name, serials)}
	case len(candidates) == 0:
		return nil, fmt.Errorf("the register knows no certificate of %q in force: enter those that were issued before with `sallyport ca log import`, or have one issued with `sallyport ca issue --profile partner`", name)
	case len(candidates) > 1:
		return nil, usageError{fmt.Errorf("%q has %d certificates in force: say which one is renewed with --serial: %s", name, len(candidates), strings.Join(serials, ", "))}
	}
	return candidates[0], nil
}

// renewedBefore tells whether this key has a certificate in force while another is scheduled to go.
func renewedBefore(known []*adminv1.IssuedCertificate, requested requestedKey) bool {
	var active, scheduled bool
	for _, c := range known {
		active = active || c.GetStatus() == string(register.Active) && c.GetSpkiSha256() == requested.spkiSHA256
		scheduled = scheduled || c.GetStatus() == string(register.Scheduled)
	}
	return active && scheduled
}

// fingerprints are the matches by which a Consumer recognises that one certificate and no other of the same names.
func fingerprints(consumer *sallyportv1.Consumer, old *adminv1.IssuedCertificate) []*sallyportv1.CertificateMatch {
	var matches []*sallyportv1.CertificateMatch
	for _, match := range consumer.GetSpec().GetCertificates() {
		if match.GetCertificateSha256() != "" && match.GetCertificateSha256() == old.GetCertificateSha256() ||
			match.GetSpkiSha256() != "" && match.GetSpkiSha256() == old.GetSpkiSha256() ||
			match.GetSerial() != "" && match.GetSerial() == old.GetSerial() {
			matches = append(matches, match)
		}
	}
	return matches
}

// errSeveralMatches is for a Consumer whose edit would be two.
var errSeveralMatches = errors.New("several certificate matches recognise this one certificate by a fingerprint; leave one of them")

// replan is the edit that adds a match for the new certificate; nil where it is recognised by name.
func (f *consumerRenew) replan(name string, matches []*sallyportv1.CertificateMatch, requested requestedKey, sha256, serial string) (*edit.Plan, error) {
	switch {
	case len(matches) == 0:
		return nil, nil //nolint:nilnil // there is nothing to edit
	case len(matches) > 1:
		return nil, usageError{fmt.Errorf("the Consumer %q: %w", name, errSeveralMatches)}
	}
	next := proto.CloneOf(matches[0])
	if next.GetCertificateSha256() != "" {
		next.CertificateSha256 = sha256
	}
	if next.GetSpkiSha256() != "" {
		next.SpkiSha256 = requested.spkiSHA256
	}
	if next.GetSerial() != "" {
		next.Serial = serial
	}
	return planned(edit.AddCertificateMatch(f.source, name, next))
}

// consumersOf are the names of a model's Consumers.
func consumersOf(model *config.Model) []string {
	var names []string
	for _, c := range model.Consumers() {
		names = append(names, c.Name)
	}
	return names
}
