package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/authority"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/issuer"
	"github.com/sallyport-project/sallyport/pki/material"
)

// adoptFlags say where the authority is that is adopted.
type adoptFlags struct {
	settingsFlags
	certificate, chain, key, passphrase string
	unencrypted                         bool
}

func newCAAdopt(s streams) *cobra.Command {
	var f adoptFlags
	cmd := home(&cobra.Command{
		Use:   "adopt DIR",
		Short: "Make a home for a certificate authority that exists",
		Long: `Makes a home for an authority that was made elsewhere: its certificate, its private key and an empty register. A key that
is encrypted stays so; another is encrypted by a passphrase that you choose. One in AWS KMS stays there.

Nothing is published yet. First import what the authority has issued (` + "`ca log import`" + `) and revoke what it had revoked:
the list that ` + "`ca crl`" + ` publishes holds what stands in the register, and no more.`,
		Example: `  sallyport ca adopt pki/partners --certificate old/ca.pem --private-key file:old/ca-key.pem
  sallyport ca adopt pki/partners --certificate old/issuing.pem --chain old/root.pem --private-key awskms:alias/partners`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkEmpty(args[0]); err != nil {
				return usageError{err}
			}
			adoption, passphrase, err := f.adoption(cmd.Context(), s, args[0])
			defer func() { clear(adoption.PrivateKey); clear(adoption.Passphrase) }()
			if err != nil {
				return usageError{err}
			}
			logger, err := newLogger(cmd, s)
			if err != nil {
				return err
			}
			place := authority.Home{Dir: args[0], Logger: quiet(logger), Passphrase: passphrase}
			opened, err := issuer.Adopt(cmd.Context(), place.Config(), adoption)
			if err != nil {
				return usageError{err}
			}
			return writeFounded(cmd, s, args[0], opened, issuer.Published{})
		},
	})
	f.flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.certificate, "certificate", "", "the authority's certificate in PEM (required)")
	flags.StringVar(&f.chain, "chain", "", "the certificates above it in PEM, up to the root, as far as there are any")
	flags.StringVar(&f.key, "private-key", "", "where its private key is: file:PATH, env:NAME, secretsmanager:NAME or awskms:KEY (required)")
	flags.StringVar(&f.passphrase, "ca-passphrase", "", "where the key's passphrase is, such as file:PATH or env:NAME; default: you are asked")
	flags.BoolVar(&f.unencrypted, "unencrypted", false, "write a key that has no passphrase as it is")
	flags.Lookup("name").Usage = "what the authority is called (default: the common name of its certificate)"
	_ = cmd.MarkFlagRequired("certificate") // the flags exist
	_ = cmd.MarkFlagRequired("private-key")
	addOutput(cmd, "text", "json", "yaml")
	return cmd
}

// adoption reads what is adopted, and says how its key is opened.
func (f *adoptFlags) adoption(ctx context.Context, s streams, dir string) (issuer.Adoption, func(context.Context, string) ([]byte, error), error) {
	adoption := issuer.Adoption{RequestedBy: authority.User()}
	settings, err := f.settings(dir)
	if err != nil {
		return adoption, nil, err
	}
	settings.Name = f.name // else the certificate's
	adoption.Settings = settings
	if adoption.Certificates, err = os.ReadFile(f.certificate); err != nil {
		return adoption, nil, fmt.Errorf("--certificate: %w", err)
	}
	if f.chain != "" {
		chain, err := os.ReadFile(f.chain)
		if err != nil {
			return adoption, nil, fmt.Errorf("--chain: %w", err)
		}
		adoption.Certificates = append(append(adoption.Certificates, '\n'), chain...)
	}
	reference, err := material.Parse(f.key)
	if err != nil {
		return adoption, nil, fmt.Errorf("--private-key: %w", err)
	}
	ask := passphrases(s, "--ca-passphrase", f.passphrase)
	if reference.Scheme == material.KMS {
		adoption.Key = f.key
		return adoption, ask.Ask, nil
	}
	data, err := authority.ReadReference(ctx, f.key)
	if err != nil {
		return adoption, nil, fmt.Errorf("--private-key: %w", err)
	}
	adoption.PrivateKey = append([]byte(nil), data...)
	if _, err := ca.ParsePrivateKey(adoption.PrivateKey); errors.Is(err, ca.ErrEncrypted) || f.unencrypted {
		return adoption, ask.Ask, nil
	} else if err != nil {
		return adoption, nil, fmt.Errorf("--private-key: %w", err)
	}
	if adoption.Passphrase, err = ask.Choose(ctx, "Passphrase for the authority's private key"); err != nil {
		return adoption, nil, orUnencrypted(err)
	}
	return adoption, remembered(adoption.Passphrase), nil
}
