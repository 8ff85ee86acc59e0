package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/authority"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/issuer"
	"github.com/sallyport-project/sallyport/pki/material"
)

// settingsFlags become the settings of a new home.
type settingsFlags struct {
	name, register, owner       string
	crl, addresses              []string
	listLifetime, republishLead time.Duration
}

func (f *settingsFlags) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.name, "name", "", "what the authority is called, in its certificates too (default: the folder's name)")
	flags.StringSliceVar(&f.crl, "crl", nil, "where its revocation list is published, file:PATH or s3://BUCKET/KEY; may be repeated; default: crl.pem in the home")
	flags.StringSliceVar(&f.addresses, "crl-address", nil, "URL where others find the list, written into certificates; may be repeated")
	flags.StringVar(&f.register, "register", "", "where the register is kept, file:PATH, or s3://BUCKET/PREFIX for operators who share no disk; default: register.jsonl in the home")
	flags.StringVar(&f.owner, "expected-bucket-owner", "", "AWS account that must own the buckets, 12 digits")
	daysVar(flags, &f.listLifetime, "list-lifetime", issuer.DefaultListLifetime, "how long a list is valid, such as 7d or 12h")
	daysVar(flags, &f.republishLead, "republish-ahead", 0, "how long before its end the next one is made (default: six sevenths of --list-lifetime)")
}

// settings are those of a home in a folder. Relative paths start from the working folder, as everywhere on the command line;
// they are kept relative to the home where they lie within it, so that it can be moved.
func (f *settingsFlags) settings(dir string) (issuer.Settings, error) {
	settings := issuer.Settings{
		Name: f.name, ExpectedBucketOwner: f.owner, CRLAddresses: f.addresses,
		ListLifetime: issuer.Duration(f.listLifetime), RepublishAhead: issuer.Duration(f.republishLead),
	}
	if settings.Name == "" {
		settings.Name = authority.Home{Dir: dir}.Name()
	}
	for _, text := range f.crl {
		place, err := placeIn(dir, text)
		if err != nil {
			return settings, fmt.Errorf("--crl: %w", err)
		}
		settings.Publish = append(settings.Publish, place)
	}
	if f.register != "" {
		place, err := placeIn(dir, f.register)
		if err != nil {
			return settings, fmt.Errorf("--register: %w", err)
		}
		settings.Register = place
	}
	return settings, nil
}

// placeIn writes a reference of the command line as a home's settings have it.
func placeIn(dir, text string) (string, error) {
	reference, err := material.ParsePlace(text)
	if err != nil || reference.Scheme != material.File {
		return text, err
	}
	here, err := filepath.Abs(".")
	if err != nil {
		return "", err
	}
	reference = reference.In(here)
	within, err := filepath.Rel(filepath.Join(here, dir), reference.Value)
	if filepath.IsAbs(dir) {
		within, err = filepath.Rel(dir, reference.Value)
	}
	if err == nil && within != ".." && !strings.HasPrefix(within, ".."+string(filepath.Separator)) {
		reference.Value = within
	}
	return reference.String(), nil
}

// generationFlags describe the certificates and keys of a new authority.
type generationFlags struct {
	organization                        string
	rootOnly, unencrypted               bool
	key, rootKey                        string
	passphrase, rootPassphrase          string
	lifetime, issuingLifetime           time.Duration
	permitDNS, permitURIs, permitRanges []string
}

// flags adds the flags.
func (f *generationFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.passphrase, "ca-passphrase", "", "where the passphrase of the key that issues is, such as file:PATH, env:NAME or secretsmanager:NAME; default: you are asked")
	f.flagsBeside(cmd)
}

// flagsBeside adds those that do not stand beside --ca already.
func (f *generationFlags) flagsBeside(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.organization, "organization", "", "organization in the authorities' subjects")
	flags.BoolVar(&f.rootOnly, "root-only", false, "let the root issue by itself, as for our own processes; otherwise an intermediate issues, and the root's key can be taken elsewhere")
	flags.StringVar(&f.key, "key", "", "private key that issues, if it is not to be made here: awskms:KEY")
	flags.StringVar(&f.rootKey, "root-key", "", "private key of the root, if it is not to be made here: awskms:KEY")
	flags.StringVar(&f.rootPassphrase, "root-passphrase", "", "where the passphrase of the root's key is; default: you are asked")
	flags.BoolVar(&f.unencrypted, "unencrypted", false, "write private keys without a passphrase")
	daysVar(flags, &f.lifetime, "lifetime", ca.DefaultAuthorityLifetime, "how long the root is valid")
	daysVar(flags, &f.issuingLifetime, "issuing-lifetime", ca.DefaultIssuingLifetime, "how long the intermediate that issues is valid")
	flags.StringSliceVar(&f.permitDNS, "permit-dns", nil, "name constraint: DNS name that may be issued, and all below it; may be repeated")
	flags.StringSliceVar(&f.permitURIs, "permit-uri-host", nil, "name constraint: host of URIs that may be issued, such as a trust domain; may be repeated")
	flags.StringSliceVar(&f.permitRanges, "permit-ip", nil, "name constraint: range of IP addresses that may be issued; may be repeated")
}

// options are those of issuer.Init and Rotate, with passphrases where keys are to be encrypted. The caller clears these.
func (f *generationFlags) options(ctx context.Context, s streams) (issuer.Options, error) {
	options := issuer.Options{
		Organization: f.organization, RootOnly: f.rootOnly, RootLifetime: f.lifetime, RequestedBy: authority.User(),
		RootKey: f.rootKey, IssuingKey: f.key,
		NameConstraints: ca.NameConstraints{PermittedDNS: f.permitDNS, PermittedURIDomains: f.permitURIs},
	}
	if f.rootOnly {
		if f.rootKey != "" || f.rootPassphrase != "" {
			return options, errors.New("--root-only: there is one key, which --key and --ca-passphrase are about")
		}
		options.RootKey, options.IssuingKey = f.key, ""
	} else {
		options.IssuingLifetime = f.issuingLifetime
	}
	for _, text := range f.permitRanges {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return options, fmt.Errorf("--permit-ip: %w", err)
		}
		options.NameConstraints.PermittedIPs = append(options.NameConstraints.PermittedIPs, prefix)
	}
	err := f.choose(ctx, s, &options)
	return options, err
}

// choose has the passphrases chosen of the keys that are made.
func (f *generationFlags) choose(ctx context.Context, s streams, options *issuer.Options) (err error) {
	if f.unencrypted {
		if f.passphrase != "" || f.rootPassphrase != "" {
			return errors.New("--unencrypted and a passphrase contradict each other: give one")
		}
		return nil
	}
	if err := f.checkReferences(); err != nil {
		return err
	}
	issuing, root := passphrases(s, "--ca-passphrase", f.passphrase), passphrases(s, "--root-passphrase", f.rootPassphrase)
	if f.rootOnly {
		root = issuing
	}
	if options.RootKey == "" {
		if options.RootPassphrase, err = root.Choose(ctx, "Passphrase for the root's private key"); err != nil {
			return orUnencrypted(err)
		}
	}
	if !f.rootOnly && options.IssuingKey == "" {
		if options.IssuingPassphrase, err = issuing.Choose(ctx, "Passphrase for the private key that issues"); err != nil {
			return orUnencrypted(err)
		}
	}
	return nil
}

// checkReferences blames the flag whose value cannot be read, before anybody is asked for the other's passphrase.
func (f *generationFlags) checkReferences() error {
	for _, given := range []struct{ flag, text string }{{"--ca-passphrase", f.passphrase}, {"--root-passphrase", f.rootPassphrase}} {
		if _, err := material.Parse(given.text); given.text != "" && err != nil {
			return fmt.Errorf("%s: expected where the passphrase is, and not the passphrase: file:PATH, env:NAME or secretsmanager:NAME", given.flag)
		}
	}
	return nil
}

func orUnencrypted(err error) error {
	return fmt.Errorf("%w; without one, private keys are written with --unencrypted alone", err)
}

// founded is what `ca init` and `ca adopt` print.
type founded struct {
	Home      string    `json:"home"`
	Name      string    `json:"name"`
	Subject   string    `json:"subject"`
	NotAfter  time.Time `json:"not_after"`
	Bundle    string    `json:"bundle"`
	Published []string  `json:"published"`
}

func (f founded) text(w io.Writer) error {
	fmt.Fprintf(w, "%s\n%s\nvalid until %s\n", f.Home, f.Bundle, f.NotAfter.Format(time.RFC3339))
	for _, place := range f.Published {
		fmt.Fprintf(w, "list published: %s\n", place)
	}
	return nil
}

func newCAInit(s streams) *cobra.Command {
	var settings settingsFlags
	var generation generationFlags
	cmd := home(&cobra.Command{
		Use:   "init DIR",
		Short: "Found a certificate authority",
		Long: `Makes the home of a new authority: a root, an intermediate that issues, their ECDSA P-256 keys (mode 0600, encrypted by
passphrases), the register, and ca.yaml; and publishes the first revocation list. The folder must not exist, or be empty.

Issuing needs the intermediate's key alone. Take the root's, 1/root-key.pem, to a safe place: it is needed to renew the
root's own list (` + "`ca crl --root`" + `), once a year. With --root-only the root issues by itself; the authority of our own
processes is made so.

What others must trust is in bundle.pem of the home.`,
		Example: `  sallyport ca init pki/partners --name "Example partners" --crl s3://example-pki/partners.crl
  sallyport ca init pki/proxies --root-only --ca-passphrase file:/run/secrets/proxies
  sallyport ca init pki/lab --unencrypted --permit-dns lab.example.org`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkEmpty(args[0]); err != nil {
				return usageError{err}
			}
			if generation.lifetime <= 0 || generation.issuingLifetime <= 0 || settings.listLifetime <= 0 {
				return usageError{errors.New("--lifetime, --issuing-lifetime, --list-lifetime: expected a positive duration")}
			}
			made, err := settings.settings(args[0])
			if err != nil {
				return usageError{err}
			}
			options, err := generation.options(cmd.Context(), s)
			defer func() { clear(options.RootPassphrase); clear(options.IssuingPassphrase) }()
			if err != nil {
				return usageError{err}
			}
			options.Settings = made
			return initialise(cmd, s, args[0], options)
		},
	})
	settings.flags(cmd)
	generation.flags(cmd)
	addOutput(cmd, "text", "json", "yaml")
	return cmd
}

// initialise makes the home and publishes its first list.
func initialise(cmd *cobra.Command, s streams, dir string, options issuer.Options) error {
	logger, err := newLogger(cmd, s)
	if err != nil {
		return err
	}
	passphrase := options.IssuingPassphrase
	if options.RootOnly {
		passphrase = options.RootPassphrase
	}
	place := authority.Home{Dir: dir, Logger: quiet(logger), Passphrase: remembered(passphrase)}
	opened, err := issuer.Init(cmd.Context(), place.Config(), options)
	if err != nil {
		return usageError{err}
	}
	published, err := publishFrom(cmd.Context(), opened, dir)
	if err != nil {
		return err
	}
	return writeFounded(cmd, s, dir, opened, published)
}

// remembered answers with a passphrase that was chosen a moment ago.
func remembered(passphrase []byte) func(context.Context, string) ([]byte, error) {
	return func(context.Context, string) ([]byte, error) { return append([]byte(nil), passphrase...), nil }
}

func writeFounded(cmd *cobra.Command, s streams, dir string, opened *issuer.Issuer, published issuer.Published) error {
	signer, err := opened.Active()
	if err != nil {
		return err
	}
	made := founded{
		Home: dir, Name: opened.Settings().Name, Subject: signer.Subject.String(), NotAfter: signer.NotAfter.UTC(), Bundle: bundleFile(dir), Published: []string{},
	}
	for _, object := range published.Objects {
		made.Published = append(made.Published, object.Reference.String())
	}
	return write(cmd, s.out, made, made.text)
}

// checkEmpty wants a folder that is not there, or empty.
func checkEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("%s exists and is never overwritten: choose another folder, or move it away", dir)
}
