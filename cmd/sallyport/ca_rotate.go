package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/internal/terminal"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/issuer"
	"github.com/sallyport-project/sallyport/pki/register"
)

// rotated is what `ca rotate`, `activate` and `retire` print.
type rotated struct {
	Generation int `json:"generation"`
	// Bundle is what must be trusted now.
	Bundle string `json:"bundle"`
	// Holders have certificates in force of a generation that does not issue, or not for long.
	Holders []string `json:"holders"`
	// Seen came lately with such a certificate, as the servers at --admin-socket know.
	Seen []string `json:"seen"`
	Next string   `json:"next"`
}

func (r rotated) text(w io.Writer) error {
	fmt.Fprintf(w, "generation %d\n%s\n", r.Generation, r.Bundle)
	if len(r.Holders) > 0 {
		fmt.Fprintf(w, "these have certificates of the other generation in force:\n")
	}
	for _, holder := range r.Holders {
		fmt.Fprintf(w, "  %s\n", terminal.Safe(cmp.Or(holder, "(nobody whose name is known)")))
	}
	if len(r.Seen) > 0 {
		fmt.Fprintf(w, "these came lately with one:\n")
	}
	for _, holder := range r.Seen {
		fmt.Fprintf(w, "  %s\n", terminal.Safe(holder))
	}
	fmt.Fprintln(w, r.Next)
	return nil
}

func newCARotate(s streams) *cobra.Command {
	var f authorityFlags
	var generation generationFlags
	var seen seenFlags
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Bring a new certificate of the authority in beside the present one",
		Long: `Replacing an authority's own certificate and key takes three steps, and nobody is refused meanwhile:

  ca rotate     makes a new generation; bundle.pem holds both, and the present one still issues
  ca activate   makes the new one issue, once the new bundle is wherever certificates are verified
  ca retire     takes the old one out, once nobody has a certificate of it any more`,
		Example: `  sallyport ca rotate --ca pki/partners
  sallyport ca activate 2 --ca pki/partners
  sallyport ca retire 1 --ca pki/partners`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			generation.passphrase = f.passphrase
			opened, err := f.home(cmd, s)
			if err != nil {
				return err
			}
			old, err := opened.Active()
			if err != nil {
				return err
			}
			if !cmd.Flags().Changed("root-only") {
				generation.rootOnly = ca.IsSelfSigned(old)
			}
			options, err := generation.options(cmd.Context(), s)
			defer func() { clear(options.RootPassphrase); clear(options.IssuingPassphrase) }()
			if err != nil {
				return usageError{err}
			}
			number, err := opened.Rotate(cmd.Context(), options)
			if err != nil {
				return err
			}
			if _, err := publishFrom(cmd.Context(), opened, f.dir); err != nil {
				return err
			}
			holders, err := holdersOf(cmd.Context(), opened, register.Digest(old.Raw))
			if err != nil {
				return err
			}
			used, err := seen.seen(cmd.Context(), old)
			if err != nil {
				return err
			}
			r := rotated{number, bundleFile(f.dir), holders, used,
				fmt.Sprintf("next: have the new bundle trusted, then `sallyport ca activate %d --ca %s`", number, f.dir)}
			return write(cmd, s.out, r, r.text)
		},
	}
	f.homeFlags(cmd)
	seen.flags(cmd)
	generation.flagsBeside(cmd)
	addOutput(cmd, "text", "json", "yaml")
	return cmd
}

// generationArgument reads the number of a generation.
func generationArgument(args []string) (int, error) {
	number, err := strconv.Atoi(args[0])
	if err != nil || number < 1 {
		return 0, usageError{fmt.Errorf("expected the number of a generation, found %q; `sallyport ca show` lists them", args[0])}
	}
	return number, nil
}

func newCAActivate(s streams) *cobra.Command {
	var f authorityFlags
	cmd := &cobra.Command{
		Use:     "activate GENERATION",
		Short:   "Make a generation the one that issues",
		Long:    `Makes a generation of the authority issue from now on. Certificates of the others stay in force.`,
		Example: `  sallyport ca activate 2 --ca pki/partners`,
		Args:    exactly("the number of a generation"),
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := generationArgument(args)
			if err != nil {
				return err
			}
			opened, err := f.home(cmd, s)
			if err != nil {
				return err
			}
			old, err := opened.Active()
			if err != nil {
				return err
			}
			if err := opened.Activate(number); err != nil {
				return usageError{err}
			}
			if _, err := publishFrom(cmd.Context(), opened, f.dir); err != nil {
				return err
			}
			r := rotated{Generation: number, Bundle: bundleFile(f.dir), Holders: []string{}, Seen: []string{}, Next: "it issued already"}
			present, err := opened.Active()
			if err != nil {
				return err
			}
			if !old.Equal(present) {
				if r.Holders, err = holdersOf(cmd.Context(), opened, register.Digest(old.Raw)); err != nil {
					return err
				}
				r.Next = "next: renew these, then `sallyport ca retire` the other generation"
			}
			return write(cmd, s.out, r, r.text)
		},
	}
	f.homeFlags(cmd)
	addOutput(cmd, "text", "json", "yaml")
	return cmd
}

func newCARetire(s streams) *cobra.Command {
	var f authorityFlags
	var seen seenFlags
	var force bool
	cmd := &cobra.Command{
		Use:   "retire GENERATION",
		Short: "Take a generation out of force",
		Long: `Takes a generation out of the bundle; no more lists of it are published. It is refused, with exit code 1, while
certificates of it are in force, or somebody came with one lately as --admin-socket knows, unless --force is given: their
holders are then shut out. Its folder is kept.`,
		Example: `  sallyport ca retire 1 --ca pki/partners`,
		Args:    exactly("the number of a generation"),
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := generationArgument(args)
			if err != nil {
				return err
			}
			opened, err := f.home(cmd, s)
			if err != nil {
				return err
			}
			if !force {
				if err := seen.refuseSeen(cmd.Context(), opened, number); err != nil {
					return err
				}
			}
			if err := opened.Retire(cmd.Context(), number, force); err != nil {
				if errors.Is(err, issuer.ErrInUse) {
					return fmt.Errorf("%w (`sallyport ca log --ca %s` lists them), or retire it nevertheless with --force", err, f.dir)
				}
				return err
			}
			if _, err := publishFrom(cmd.Context(), opened, f.dir); err != nil {
				return err
			}
			r := rotated{number, bundleFile(f.dir), []string{}, []string{}, "retired; next: have the new bundle trusted"}
			return write(cmd, s.out, r, r.text)
		},
	}
	f.homeFlags(cmd)
	seen.flags(cmd)
	cmd.Flags().BoolVar(&force, "force", false, "also while certificates of it are in force")
	addOutput(cmd, "text", "json", "yaml")
	return cmd
}

// holdersOf names who has certificates in force of an authority, by the register.
func holdersOf(ctx context.Context, opened *issuer.Issuer, authority string) ([]string, error) {
	current, err := opened.Register(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	holders := []string{}
	for _, c := range current.Certificates(func(c *register.Certificate) bool {
		state := c.StatusAt(now)
		return c.IssuerSHA256 == authority && state != register.Expired && state != register.RevokedNow
	}) {
		holder := c.Consumer
		if holder == "" {
			holder = c.Subject
		}
		holders = append(holders, holder)
	}
	slices.Sort(holders)
	return slices.Compact(holders), nil
}
