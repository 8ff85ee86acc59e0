package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/pki/issuer"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// shownHome is what `ca show` prints of a home.
type shownHome struct {
	Name         string            `json:"name"`
	Generations  []shownGeneration `json:"generations"`
	Register     string            `json:"register"`
	Entries      uint64            `json:"entries"`
	Certificates map[string]int    `json:"certificates"`
	Published    []string          `json:"published"`
	ListNumber   uint64            `json:"list_number,omitempty"`
	NextUpdate   *time.Time        `json:"next_update,omitempty"`
	Due          time.Time         `json:"due"`
	DueReason    string            `json:"due_reason"`
}

type shownGeneration struct {
	Number      int              `json:"number"`
	Issues      bool             `json:"issues"`
	Authorities []shownAuthority `json:"authorities"`
}

type shownAuthority struct {
	Subject     string    `json:"subject"`
	SHA256      string    `json:"sha256"`
	NotAfter    time.Time `json:"not_after"`
	Key         string    `json:"key"`
	KeyPlace    string    `json:"key_place"`
	KeyHere     bool      `json:"key_here"`
	Constraints []string  `json:"constraints"`
}

func newCAShow(s streams) *cobra.Command {
	var f authorityFlags
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show an authority: its certificates, keys, register and list",
		Long: `Shows a home on this machine (--ca), or the authorities that a server holds. No key is read, and no passphrase asked
for.`,
		Example: `  sallyport ca show --ca pki/partners
  sallyport ca show --admin-socket /run/sallyport/admin.sock`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := authorityContext(cmd)
			defer cancel()
			if f.dir == "" || f.server != "" {
				return showServer(ctx, cmd, s, &f)
			}
			opened, err := f.home(cmd, s)
			if err != nil {
				return err
			}
			description, err := opened.Describe(ctx)
			if err != nil {
				return err
			}
			v := shownHomeOf(description)
			return write(cmd, s.out, v, v.text)
		},
	}
	f.flags(cmd)
	addOutput(cmd, "text", "json", "yaml")
	return cmd
}

func showServer(ctx context.Context, cmd *cobra.Command, s streams, f *authorityFlags) error {
	asked, done, err := f.open(cmd, s)
	if err != nil {
		return err
	}
	defer done()
	list, err := asked.ListAuthorities(ctx, &adminv1.ListAuthoritiesRequest{})
	if err != nil {
		return asUsage(err)
	}
	return writeMessage(cmd, s.out, list, func(w io.Writer, list *adminv1.ListAuthoritiesResponse) error {
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "AUTHORITY\tSUBJECT\tNOT AFTER\tENTRIES\tLIST\tVALID UNTIL")
		for _, a := range list.GetAuthorities() {
			fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\n", a.GetName(), a.GetSubject(), at(a.GetNotAfter()), a.GetRegisterEntries(), orDash(a.GetListNumber()), at(a.GetListNextUpdate()))
		}
		return table.Flush()
	})
}

func shownHomeOf(d issuer.Description) shownHome {
	v := shownHome{
		Name: d.Name, Register: d.RegisterPlace, Entries: d.Head.Count, Certificates: map[string]int{}, Published: []string{},
		Due: d.Due.At.UTC(), DueReason: d.Due.Reason, Generations: []shownGeneration{},
	}
	for state, count := range d.Certificates {
		v.Certificates[string(state)] = count
	}
	for _, place := range d.Publications {
		v.Published = append(v.Published, place.String())
	}
	if d.Last != nil {
		v.ListNumber, v.NextUpdate = d.Last.Number, &d.Last.NextUpdate
	}
	for _, g := range d.Generations {
		generation := shownGeneration{Number: g.Number, Issues: g.Active, Authorities: []shownAuthority{}}
		for _, a := range g.Authorities {
			generation.Authorities = append(generation.Authorities, shownAuthority{
				Subject: a.Subject, SHA256: a.SHA256, NotAfter: a.NotAfter.UTC(), Key: a.Key, KeyPlace: a.KeyPlace, KeyHere: a.KeyHere,
				Constraints: append([]string{}, a.Constraints...),
			})
		}
		v.Generations = append(v.Generations, generation)
	}
	return v
}

func (v shownHome) text(w io.Writer) error {
	fmt.Fprintf(w, "%s\n", v.Name)
	for _, g := range v.Generations {
		issues := ""
		if g.Issues {
			issues = ", issues"
		}
		fmt.Fprintf(w, "\ngeneration %d%s\n", g.Number, issues)
		for _, a := range g.Authorities {
			here := ""
			if !a.KeyHere {
				here = ", not here"
			}
			fmt.Fprintf(w, "  %s\n    valid until %s, SHA-256 %s\n    key: %s, %s%s\n", a.Subject, a.NotAfter.Format(time.RFC3339), a.SHA256, a.Key, orDash(a.KeyPlace), here)
			for _, constraint := range a.Constraints {
				fmt.Fprintf(w, "    %s\n", constraint)
			}
		}
	}
	fmt.Fprintf(w, "\nregister %s, %s:", v.Register, count(v.Entries, "entry"))
	for _, state := range []string{"active", "scheduled", "pending", "revoked", "expired"} {
		if count := v.Certificates[state]; count > 0 {
			fmt.Fprintf(w, " %d %s", count, state)
		}
	}
	fmt.Fprintf(w, "\n")
	if v.NextUpdate != nil {
		fmt.Fprintf(w, "list %d, valid until %s, the next is due at %s (%s)\n", v.ListNumber, v.NextUpdate.UTC().Format(time.RFC3339), v.Due.Format(time.RFC3339), v.DueReason)
	} else {
		fmt.Fprintf(w, "no list is published (%s)\n", v.DueReason)
	}
	for _, place := range v.Published {
		fmt.Fprintf(w, "  %s\n", place)
	}
	return nil
}
