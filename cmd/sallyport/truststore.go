package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/admin"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/lockout"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/internal/terminal"
	"github.com/sallyport-project/sallyport/pki/material"
	"github.com/sallyport-project/sallyport/pki/material/aws"
	"github.com/sallyport-project/sallyport/pki/register"
	"github.com/sallyport-project/sallyport/pki/truststore"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

func newTruststore(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "truststore",
		Short: "Compare, publish and roll back the bundles of authorities that gateways trust",
		Long: `A truststore's bundle is the certificates of authorities, in PEM, in a file or an object of S3. These verbs say
what a change of it would do before it is made, whom it would lock out included, and publish it so that
gateways see the old bundle or the new one and nothing in between. Revocation lists are never touched.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTruststoreDiff(s), newTruststorePush(s), newTruststoreVersions(s), newTruststoreRollback(s), newTruststoreKeygen(s))
	return cmd
}

// trialFlags say which truststore a bundle is tried in, and on whose certificates.
type trialFlags struct {
	source, truststore    string
	sockets, certificates []string
	owner                 string
}

func (f *trialFlags) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.source, "source", "", "directory of the configuration in which the Truststore stands: its lists and rules then count")
	flags.StringVar(&f.truststore, "truststore", "", "name of the Truststore; its manifests then name it, and only certificates that it vouched for are tried")
	flags.StringSliceVar(&f.sockets, "admin-socket", nil, "admin socket of a server, which is asked for the certificates that its gateways met; may be repeated")
	flags.StringSliceVar(&f.certificates, "certificate", nil, "file with certificates of callers in PEM, each with its intermediates behind it, that are tried as well; may be repeated")
	flags.StringVar(&f.owner, "expected-bucket-owner", "", "AWS account that must own the bucket, 12 digits; default: what the Truststore says")
	_ = cmd.MarkFlagDirname("source") // the flags exist
	_ = cmd.RegisterFlagCompletionFunc("truststore", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return completions(&questions{source: f.source}, (*config.Model).Truststores, func(t *config.Truststore) string { return t.Name })
	})
}

// spec is the Truststore's, or an empty one where none is named.
func (f *trialFlags) spec() (*sallyportv1.TruststoreSpec, error) {
	if f.source == "" {
		return &sallyportv1.TruststoreSpec{ExpectedBucketOwner: f.owner}, nil
	}
	if f.truststore == "" {
		return nil, usageError{errors.New("--source needs --truststore: which Truststore of it?")}
	}
	model, err := loadModel(f.source)
	if err != nil {
		return nil, err
	}
	found := model.Truststore(f.truststore)
	if found == nil {
		var names []string
		for _, t := range model.Truststores() {
			names = append(names, t.Name)
		}
		return nil, usageError{fmt.Errorf("--truststore: %s has no Truststore %q%s", f.source, f.truststore, suggest(f.truststore, names))}
	}
	return found.Spec, nil
}

// ownerOf is the AWS account that must own the bucket.
func (f *trialFlags) ownerOf(spec *sallyportv1.TruststoreSpec) string {
	if f.owner != "" {
		return f.owner
	}
	return spec.GetExpectedBucketOwner()
}

// objectsOf publishes to files and S3.
func objectsOf(owner string) material.Objects {
	return material.ByScheme{material.File: material.Files{}, material.S3: aws.New().Objects(owner)}
}

// placeOf reads a reference of the command line, where a relative path starts from the working folder.
func placeOf(text string) (material.Reference, error) {
	reference, err := material.ParsePlace(text)
	if err != nil {
		return material.Reference{}, usageError{err}
	}
	here, err := filepath.Abs(".")
	if err != nil {
		return material.Reference{}, err
	}
	return reference.In(here), nil
}

// seen are the certificates on which a bundle is tried.
func (f *trialFlags) seen(ctx context.Context) ([]lockout.Seen, error) {
	var all []lockout.Seen
	for _, path := range f.certificates {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, usageError{fmt.Errorf("--certificate: %w", err)}
		}
		found, err := lockout.ReadCertificates(content)
		if err != nil {
			return nil, usageError{fmt.Errorf("--certificate: %s: %w", path, err)}
		}
		all = append(all, found...)
	}
	for _, socket := range f.sockets {
		met, err := admin.Sightings(ctx, socket, f.truststore)
		if err != nil {
			return nil, err
		}
		for _, one := range met {
			all = append(all, lockout.Seen{
				Certificate: one.GetCertificate(), Consumer: one.GetConsumer(), Gateway: one.GetGateway(),
				LastSeen: one.GetLastSeen().AsTime(), Allowed: one.GetAllowed(), Intermediates: one.GetIntermediates(),
			})
		}
	}
	return all, nil
}

// asked tells whether anybody was asked who came lately.
func (f *trialFlags) asked() bool { return len(f.sockets)+len(f.certificates) > 0 }

// authorityOf is what verbs print of an authority in a bundle.
type authorityOf struct {
	Subject  string    `json:"subject"`
	SHA256   string    `json:"sha256"`
	Key      string    `json:"spki_sha256"`
	NotAfter time.Time `json:"not_after"`
}

// trialOf is what a change of a bundle would do.
type trialOf struct {
	Added   []authorityOf `json:"added"`
	Removed []authorityOf `json:"removed"`
	Kept    []authorityOf `json:"kept"`
	// Findings are what the new bundle itself is to blame for, Problems what gateways would say of it.
	Findings []truststore.Finding `json:"findings,omitempty"`
	Problems []string             `json:"problems,omitempty"`
	// Tried is how many certificates were tried; Callers is missing where nobody was asked for any.
	Tried   int             `json:"tried"`
	Callers *lockout.Result `json:"callers,omitempty"`

	// accepted says that gateways would take the new bundle.
	accepted bool
}

// try says what would come of a bundle in the place of another, which is empty where there is none.
func (f *trialFlags) try(ctx context.Context, spec *sallyportv1.TruststoreSpec, old, changed []byte) (trialOf, error) {
	now := time.Now()
	told := trialOf{Findings: truststore.Lint(changed, now)}
	if err := truststore.Refused(told.Findings); err != nil && len(truststore.Anchors(changed)) == 0 {
		return told, usageError{err}
	}
	change := truststore.Diff(truststore.Anchors(old), truststore.Anchors(changed))
	told.Added, told.Removed, told.Kept = describeAuthorities(change.Added), describeAuthorities(change.Removed), describeAuthorities(change.Kept)
	trial, err := lockout.Try(ctx, spec, f.source, old, changed, now)
	if err != nil {
		return told, err
	}
	told.Problems, told.accepted = trial.Problems, trial.New != nil
	if !f.asked() {
		return told, nil
	}
	seen, err := f.seen(ctx)
	if err != nil {
		return told, err
	}
	result, err := lockout.Of(seen, cmp.Or(f.truststore, "bundle"), trial.Old, trial.New, now)
	if err != nil {
		return told, err
	}
	told.Callers, told.Tried = &result, result.Certificates()
	return told, nil
}

// locksOut tells whether somebody would be locked out, or might be.
func (t trialOf) locksOut() bool {
	return t.Callers != nil && len(t.Callers.LockedOut)+len(t.Callers.Unknown) > 0
}

// untold tells whether nobody knows whom it would lock out. Where no authority goes, nobody is.
func (t trialOf) untold() bool { return t.Callers == nil && (len(t.Removed) > 0 || !t.accepted) }

func describeAuthorities(certificates []*x509.Certificate) []authorityOf {
	described := []authorityOf{}
	for _, c := range certificates {
		described = append(described, authorityOf{
			Subject: c.Subject.String(), SHA256: register.Digest(c.Raw), Key: register.Digest(c.RawSubjectPublicKeyInfo), NotAfter: c.NotAfter.UTC(),
		})
	}
	slices.SortFunc(described, func(a, b authorityOf) int { return strings.Compare(a.Subject+a.SHA256, b.Subject+b.SHA256) })
	return described
}

// text prints for people.
func (t trialOf) text(w io.Writer) {
	for _, group := range []struct {
		mark        string
		authorities []authorityOf
	}{{"+", t.Added}, {"-", t.Removed}, {" ", t.Kept}} {
		for _, a := range group.authorities {
			fmt.Fprintf(w, "%s %s  until %s  %s\n", group.mark, terminal.Safe(a.Subject), a.NotAfter.Format(time.DateOnly), a.SHA256[:min(16, len(a.SHA256))])
		}
	}
	for _, finding := range t.Findings {
		fmt.Fprintln(w, finding)
	}
	for _, problem := range t.Problems {
		fmt.Fprintf(w, "gateways would say: %s\n", terminal.Safe(problem))
	}
	switch {
	case t.untold():
		return // what follows from that, the verb says
	case t.Callers == nil:
		fmt.Fprintln(w, "no authority goes, so nobody would be locked out")
		return
	}
	fmt.Fprintf(w, "tried on %s: %d would be locked out, %d let in\n", count(t.Tried, "certificate"), len(t.Callers.LockedOut), t.Callers.LetIn)
	writeCallers(w, "locked out", t.Callers.LockedOut)
	writeCallers(w, "cannot be told", t.Callers.Unknown)
}

func writeCallers(w io.Writer, what string, callers []lockout.Judged) {
	for _, c := range callers {
		name := c.Consumer
		if name == "" {
			name = c.Subject
		}
		last := "never seen"
		if !c.LastSeen.IsZero() {
			last = "last seen " + c.LastSeen.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(w, "  %s: %s, certificate %s, %s: %s\n", what, terminal.Safe(name), c.Serial, last, terminal.Safe(c.Why))
	}
}
