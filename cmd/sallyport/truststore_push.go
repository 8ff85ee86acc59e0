package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/authority"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/manifest"
	"github.com/sallyport-project/sallyport/pki/material"
	"github.com/sallyport-project/sallyport/pki/material/aws"
	"github.com/sallyport-project/sallyport/pki/signed"
	"github.com/sallyport-project/sallyport/pki/truststore"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// publishFlags are what `truststore push` and `truststore rollback` have in common.
type publishFlags struct {
	trialFlags
	manifest, signingKey, passphrase string
	signers                          []string
	lifetime                         time.Duration
	generation                       uint64
	force, dryRun                    bool
}

func (f *publishFlags) flags(cmd *cobra.Command) {
	f.trialFlags.flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.signingKey, "signing-key", "", "private key that signs the manifest: file:PATH, secretsmanager:NAME or awskms:KEY; sallyport truststore keygen makes one")
	flags.StringVar(&f.passphrase, "signing-key-passphrase", "", "where its passphrase is, such as file:PATH or secretsmanager:NAME; default: you are asked")
	flags.StringVar(&f.manifest, "manifest", "", "reference to the manifest; default: what the Truststore says, or beside the bundle with "+manifest.Suffix)
	flags.StringArrayVar(&f.signers, "signer", nil, "public key or certificate in PEM that signed the last manifest, if that was another; may be repeated")
	daysVar(flags, &f.lifetime, "manifest-lifetime", truststore.DefaultManifestLifetime, "how long the manifest is accepted; before it ends, push again")
	flags.Uint64Var(&f.generation, "generation", 0, "least generation of the manifest, where the published one does not tell")
	flags.BoolVar(&f.force, "force", false, "publish although somebody would be locked out, or nobody was asked")
	flags.BoolVar(&f.dryRun, "dry-run", false, "say what would be done, and do nothing")
	addOutput(cmd, "text", "json", "yaml")
}

// pushed is what they print.
type pushed struct {
	Reference string  `json:"reference"`
	DryRun    bool    `json:"dry_run,omitempty"`
	Change    trialOf `json:"change"`
	// Changed is not set where the same bundle was published before.
	Changed bool   `json:"changed"`
	Version string `json:"version,omitempty"`
	ETag    string `json:"etag,omitempty"`
	// Replaced is the version before, to roll back to.
	Replaced string `json:"replaced,omitempty"`
	// Manifest is missing where none is signed.
	Manifest *manifest.Manifest `json:"manifest,omitempty"`
}

func newTruststorePush(s streams) *cobra.Command {
	var f publishFlags
	cmd := &cobra.Command{
		Use:   "push FILE REF",
		Short: "Judge a bundle, and publish it with its signed manifest",
		Long: `Publishes the bundle in FILE at REF, file:PATH or s3://BUCKET/KEY.

First every certificate is judged: whether it is an authority's and may sign, its dates, key and signature,
duplicates, leaves that have strayed in. What is wrong keeps the bundle from being published. Then the
certificates that gateways met lately are judged by the old bundle and the new one: where somebody would be
locked out, or authorities go and nobody was asked, --force must say that this is meant.

It is written on the condition that what it was compared with is still there. The manifest is signed before
anything is written, and follows at once; its generation is one more than the last. A gateway that looks in
between keeps what it has. Push the same bundle again to renew its manifest.

Exit code: 0; 1 if somebody would be locked out, somebody else has published meanwhile, or it could not be
written; 2 for a wrong command line or bundle. Nothing is published then.`,
		Example: `  sallyport truststore push truststore.pem s3://truststores/prod/truststore.pem --admin-socket /run/sallyport/admin.sock
  sallyport truststore push truststore.pem s3://truststores/prod/truststore.pem --source config --truststore partners \
      --signing-key awskms:alias/truststore-signer --admin-socket /run/sallyport/admin.sock`,
		Args: exactly("the file with the bundle", "the reference to publish it at"),
		RunE: func(cmd *cobra.Command, args []string) error {
			bundle, err := os.ReadFile(args[0])
			if err != nil {
				return usageError{err}
			}
			if err := truststore.Refused(truststore.Lint(bundle, time.Now())); err != nil {
				return usageError{fmt.Errorf("%s: %w", args[0], err)}
			}
			return f.publish(cmd, s, args[1], func(context.Context, truststore.Publisher) ([]byte, error) { return bundle, nil })
		},
	}
	f.flags(cmd)
	return cmd
}

// publish compares, tries and publishes the bundle that get returns.
func (f *publishFlags) publish(cmd *cobra.Command, s streams, where string, get func(context.Context, truststore.Publisher) ([]byte, error)) error {
	ctx, cancel := authorityContext(cmd)
	defer cancel()
	publisher, spec, err := f.publisher(ctx, s, where)
	if err != nil {
		return err
	}
	bundle, err := get(ctx, publisher)
	if err != nil {
		return err
	}
	current, err := publisher.Look(ctx)
	if err != nil {
		return err
	}
	change, err := f.try(ctx, spec, current.Bundle.Data, bundle)
	if err != nil {
		return err
	}
	told := pushed{Reference: publisher.Bundle.String(), DryRun: f.dryRun, Change: change, Replaced: current.Bundle.ID}
	if refusal := f.refusal(change); refusal != nil {
		if f.dryRun {
			return errors.Join(write(cmd, s.out, told, told.text), refusal)
		}
		change.text(s.err)
		return refusal
	}
	if !f.dryRun {
		published, err := publisher.Push(ctx, bundle, current)
		if err != nil {
			return err
		}
		told.Changed, told.Version, told.ETag, told.Manifest = published.BundleWritten, published.Bundle.ID, published.Bundle.ETag, published.Manifest
	}
	return write(cmd, s.out, told, told.text)
}

// refusal is why a change is not published without --force.
func (f *publishFlags) refusal(change trialOf) error {
	switch {
	case f.force:
		return nil
	case change.locksOut():
		return errors.New("nothing was published, because of whom it would lock out: have them renew first, or say with --force that it is meant")
	case len(change.Removed) > 0 && !f.asked():
		return fmt.Errorf("nothing was published: %s, and nobody was asked who still uses what goes: name servers with --admin-socket, or say with --force that it is meant", goes(len(change.Removed)))
	}
	return nil
}

// goes says how many authorities do.
func goes(n int) string {
	if n == 1 {
		return "1 authority goes"
	}
	return count(n, "authority") + " go"
}

// publisher is made of the flags and of what the Truststore says.
func (f *publishFlags) publisher(ctx context.Context, s streams, where string) (truststore.Publisher, *sallyportv1.TruststoreSpec, error) {
	p := truststore.Publisher{Truststore: f.truststore, ManifestLifetime: f.lifetime, Generation: f.generation}
	spec, err := f.spec()
	if err != nil {
		return p, nil, err
	}
	if p.Bundle, err = placeOf(where); err != nil {
		return p, nil, err
	}
	if err := checkPlace(f.source, spec, p.Bundle); err != nil {
		return p, nil, err
	}
	if text := f.manifest; text != "" {
		if p.Manifest, err = placeOf(text); err != nil {
			return p, nil, err
		}
	} else if text := spec.GetManifest(); text != "" {
		if p.Manifest, err = bundleOf(f.source, &sallyportv1.TruststoreSpec{Bundle: text}); err != nil {
			return p, nil, err
		}
	}
	p.Objects = objectsOf(f.ownerOf(spec))
	if p.Signer, err = f.signer(ctx, s); err != nil {
		return p, nil, err
	}
	if p.Believed, err = f.believed(ctx, spec, p.Signer); err != nil {
		return p, nil, usageError{err}
	}
	return p, spec, nil
}

// believed are the keys whose manifests count: those of --signer, and the Truststore's own, to which the signing key must
// belong, because gateways would refuse what another has signed.
func (f *publishFlags) believed(ctx context.Context, spec *sallyportv1.TruststoreSpec, signer crypto.Signer) ([]crypto.PublicKey, error) {
	var keys []crypto.PublicKey
	for _, text := range spec.GetSigners() {
		if signer == nil {
			return nil, fmt.Errorf("the Truststore %q takes a bundle only with a signed manifest: give --signing-key", f.truststore)
		}
		reference, err := bundleOf(f.source, &sallyportv1.TruststoreSpec{Bundle: text})
		if err != nil {
			return nil, err
		}
		content, err := authority.ReadReference(ctx, reference.String())
		if err != nil {
			return nil, fmt.Errorf("a signer of the Truststore %q: %w", f.truststore, err)
		}
		found, err := manifest.ParseSigners(content)
		if err != nil {
			return nil, fmt.Errorf("a signer of the Truststore %q, %s: %w", f.truststore, text, err)
		}
		keys = append(keys, found...)
	}
	if len(keys) > 0 && !slices.ContainsFunc(keys, func(key crypto.PublicKey) bool { return signed.KeyID(key) == signed.KeyID(signer.Public()) }) {
		return nil, fmt.Errorf("--signing-key: the Truststore %q does not name its public key under signers, so gateways would refuse the bundle", f.truststore)
	}
	for _, path := range f.signers {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("--signer: %w", err)
		}
		found, err := manifest.ParseSigners(content)
		if err != nil {
			return nil, fmt.Errorf("--signer: %s: %w", path, err)
		}
		keys = append(keys, found...)
	}
	return keys, nil
}

// checkPlace makes sure that what is published is what the Truststore reads.
func checkPlace(source string, spec *sallyportv1.TruststoreSpec, place material.Reference) error {
	if spec.GetBundle() == "" {
		return nil
	}
	reads, err := bundleOf(source, spec)
	if err != nil {
		return err
	}
	switch {
	case reads.AtVersion("") != reads:
		return usageError{fmt.Errorf("the Truststore reads one version, %s: what is published would not be seen until the configuration names another", reads)}
	case reads != place:
		return usageError{fmt.Errorf("the Truststore reads %s, and not %s: give its reference, or leave out --source", reads, place)}
	}
	return nil
}

// signer is the key of --signing-key; nil if there is none.
func (f *publishFlags) signer(ctx context.Context, s streams) (crypto.Signer, error) {
	if f.signingKey == "" {
		return nil, nil //nolint:nilnil // no manifest is wanted
	}
	if id, isKMS := strings.CutPrefix(f.signingKey, string(material.KMS)+":"); isKMS {
		return aws.New().NewSigner(ctx, id)
	}
	content, err := authority.ReadReference(ctx, f.signingKey)
	if err != nil {
		return nil, usageError{fmt.Errorf("--signing-key: %w", err)}
	}
	key, err := ca.ParsePrivateKey(content)
	if errors.Is(err, ca.ErrEncrypted) {
		passphrase, err := passphrases(s, "--signing-key-passphrase", f.passphrase).Ask(ctx, "Passphrase of the signing key")
		if err != nil {
			return nil, err
		}
		defer clear(passphrase)
		key, err = ca.DecryptPrivateKey(content, passphrase)
		if err != nil {
			return nil, usageError{fmt.Errorf("--signing-key: %w", err)}
		}
		return key, nil
	}
	if err != nil {
		return nil, usageError{fmt.Errorf("--signing-key: %w", err)}
	}
	return key, nil
}

// text prints for people.
func (p pushed) text(w io.Writer) error {
	p.Change.text(w)
	switch {
	case p.DryRun:
		fmt.Fprintf(w, "%s: nothing was published\n", p.Reference)
		return nil
	case p.Changed:
		fmt.Fprintf(w, "%s: published", p.Reference)
	default:
		fmt.Fprintf(w, "%s: the bundle is published already", p.Reference)
	}
	if p.Version != "" {
		fmt.Fprintf(w, ", version %s", p.Version)
	}
	fmt.Fprintln(w)
	if p.Manifest != nil {
		fmt.Fprintf(w, "manifest: generation %d, accepted until %s\n", p.Manifest.Generation, p.Manifest.Expires.Format(time.RFC3339))
	}
	if p.Changed && p.Replaced != "" {
		fmt.Fprintf(w, "to take it back: sallyport truststore rollback %s %s\n", p.Replaced, p.Reference)
	}
	return nil
}
