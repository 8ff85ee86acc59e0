package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/admin"
	"github.com/sallyport-project/sallyport/internal/terminal"
	"github.com/sallyport-project/sallyport/pki/inventory"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// proxyStatus is what `proxy status` prints.
type proxyStatus struct {
	Revision string       `json:"revision"`
	Roles    []string     `json:"roles"`
	Errors   []string     `json:"configuration_errors"`
	Material []string     `json:"material_problems"`
	Proxies  []proxyState `json:"proxies"`
	// Truststores with their revocation lists, and material that is fetched from elsewhere.
	Truststores []truststoreState `json:"truststores"`
	Fetched     []fetchedState    `json:"fetched"`
	// Providers are issuers of tokens.
	Providers []providerState `json:"providers"`
}

type truststoreState struct {
	Name string `json:"name"`
	// ManifestGeneration is 0 where nobody signs the truststore.
	ManifestGeneration uint64      `json:"manifest_generation"`
	Lists              []listState `json:"lists"`
}

type listState struct {
	Issuer     string    `json:"issuer"`
	Number     string    `json:"number"`
	Entries    uint32    `json:"entries"`
	ThisUpdate time.Time `json:"this_update"`
	NextUpdate time.Time `json:"next_update"`
}

type fetchedState struct {
	Reference string     `json:"reference"`
	Version   string     `json:"version"`
	Checked   *time.Time `json:"checked"`
	// Error is what is wrong, since when; empty if nothing is.
	Error string     `json:"error"`
	Since *time.Time `json:"since"`
}

type proxyState struct {
	Identity  string           `json:"identity"`
	Group     string           `json:"group"`
	Connected bool             `json:"connected"`
	Since     time.Time        `json:"since"`
	UserAgent string           `json:"user_agent"`
	Types     []proxyTypeState `json:"types"`
}

type proxyTypeState struct {
	Type     string         `json:"type"`
	Accepted uint32         `json:"accepted"`
	Pending  uint32         `json:"pending"`
	Refused  []proxyRefused `json:"refused"`
}

type proxyRefused struct {
	Name    string    `json:"name"`
	Version string    `json:"version"`
	Message string    `json:"message"`
	Time    time.Time `json:"time"`
}

func newProxyStatus(s streams) *cobra.Command {
	var socket string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say what each proxy has, and what it refused",
		Long: `Lists the proxies of a running server: since when each is connected, how many resources it accepted, and
what it refused, in its own words. Also what is wrong with the configuration or its material, and with the issuers of
tokens (Providers): key sets that cannot be fetched, and tokens of our own that cannot be got.

Exit code: 0, also where something was refused; 1 if the server cannot be reached.`,
		Example: `  sallyport proxy status --admin-socket /run/sallyport/admin.sock
  sallyport proxy status --output json | jq '.proxies[].types[].refused[]'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), adminTimeout)
			defer cancel()
			client, closeClient, err := admin.Dial(socket)
			if err != nil {
				return err
			}
			defer closeClient()
			status, err := client.GetStatus(ctx, &adminv1.GetStatusRequest{})
			if err != nil {
				return admin.Explain(ctx, socket, err)
			}
			proxies, err := client.ListProxies(ctx, &adminv1.ListProxiesRequest{})
			if err != nil {
				return admin.Explain(ctx, socket, err)
			}
			p := statusOf(status, proxies)
			return write(cmd, s.out, p, p.table)
		},
	}
	cmd.Flags().StringVar(&socket, "admin-socket", admin.DefaultSocket, "the server's admin socket")
	addOutput(cmd, "text", "json", "yaml")
	return cmd
}

func statusOf(status *adminv1.GetStatusResponse, list *adminv1.ListProxiesResponse) proxyStatus {
	p := proxyStatus{
		Revision: status.GetRevision(), Roles: append([]string{}, status.GetRoles()...), Errors: append([]string{}, status.GetConfigurationErrors()...),
		Material: []string{}, Proxies: []proxyState{}, Truststores: truststoresOf(status), Fetched: fetchedOf(status),
		Providers: providersOf(status),
	}
	for _, m := range status.GetMaterialProblems() {
		problem := inventory.Problem{Kind: m.GetKind(), Name: m.GetName(), Err: errors.New(m.GetMessage()), InForce: m.GetInForce()}
		p.Material = append(p.Material, fmt.Sprintf("%s, since %s", problem.Error(), m.GetSince().AsTime().Format(time.RFC3339)))
	}
	for _, proxy := range list.GetProxies() {
		state := proxyState{
			Identity: proxy.GetIdentity(), Group: proxy.GetGroup(), Connected: proxy.GetConnected(),
			Since: proxy.GetSince().AsTime(), UserAgent: proxy.GetUserAgent(), Types: []proxyTypeState{},
		}
		for _, t := range proxy.GetTypes() {
			of := proxyTypeState{Type: t.GetType(), Accepted: t.GetAccepted(), Pending: t.GetPending(), Refused: []proxyRefused{}}
			for _, r := range t.GetRefused() {
				of.Refused = append(of.Refused, proxyRefused{Name: r.GetName(), Version: r.GetVersion(), Message: r.GetMessage(), Time: r.GetTime().AsTime()})
			}
			state.Types = append(state.Types, of)
		}
		p.Proxies = append(p.Proxies, state)
	}
	return p
}

func truststoresOf(status *adminv1.GetStatusResponse) []truststoreState {
	found := []truststoreState{}
	for _, t := range status.GetTruststores() {
		state := truststoreState{Name: t.GetName(), ManifestGeneration: t.GetManifestGeneration(), Lists: []listState{}}
		for _, list := range t.GetLists() {
			state.Lists = append(state.Lists, listState{
				Issuer: list.GetIssuer(), Number: list.GetNumber(), Entries: list.GetEntries(),
				ThisUpdate: list.GetThisUpdate().AsTime(), NextUpdate: list.GetNextUpdate().AsTime(),
			})
		}
		found = append(found, state)
	}
	return found
}

func fetchedOf(status *adminv1.GetStatusResponse) []fetchedState {
	found := []fetchedState{}
	for _, m := range status.GetMaterials() {
		found = append(found, fetchedState{
			Reference: m.GetReference(), Version: m.GetVersion(), Checked: timeOf(m.GetChecked()), Error: m.GetError(), Since: timeOf(m.GetSince()),
		})
	}
	return found
}

// timeOf is nil for a time that is not there.
func timeOf(t *timestamppb.Timestamp) *time.Time {
	if t == nil {
		return nil
	}
	known := t.AsTime()
	return &known
}

// table prints the status for people: a line for each proxy, and below what is wrong.
func (p proxyStatus) table(w io.Writer) error {
	if p.Revision != "" {
		fmt.Fprintf(w, "revision %s\n\n", p.Revision)
	}
	if slices.Contains(p.Roles, "xds") {
		if err := p.proxyTable(w); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(w, "(this server is no control plane and knows of no proxies; its role is %s)\n", strings.Join(p.Roles, ", "))
	}
	for _, proxy := range p.Proxies {
		for _, t := range proxy.Types {
			for _, r := range t.Refused {
				fmt.Fprintf(w, "\n%s refused the %s %s:\n  %s\n", proxy.Identity, t.Type, r.Name, terminal.Safe(r.Message))
			}
		}
	}
	if err := p.listTable(w); err != nil {
		return err
	}
	for _, m := range p.Fetched {
		if m.Error != "" {
			fmt.Fprintf(w, "\n%s is stale since %s: %s\n", terminal.Safe(m.Reference), orNever(m.Since), terminal.Safe(m.Error))
		}
	}
	if err := p.providerTable(w); err != nil {
		return err
	}
	for _, message := range append(append([]string{}, p.Errors...), p.Material...) {
		fmt.Fprintf(w, "\n%s\n", terminal.Safe(message))
	}
	return nil
}

func (p proxyStatus) proxyTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PROXY\tCONNECTED\tSINCE\tACCEPTED\tPENDING\tREFUSED\tENVOY")
	for _, proxy := range p.Proxies {
		var accepted, pending uint32
		refused := 0
		for _, t := range proxy.Types {
			accepted, pending, refused = accepted+t.Accepted, pending+t.Pending, refused+len(t.Refused)
		}
		connected := "no"
		if proxy.Connected {
			connected = "yes"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\t%d\t%s\n", proxy.Identity, connected, proxy.Since.UTC().Format(time.RFC3339), accepted, pending, refused, terminal.Safe(proxy.UserAgent))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(p.Proxies) == 0 {
		fmt.Fprintln(w, "(no proxy is connected)")
	}
	return nil
}

// listTable prints the revocation lists that are in force.
func (p proxyStatus) listTable(w io.Writer) error {
	if !slices.ContainsFunc(p.Truststores, func(t truststoreState) bool { return len(t.Lists) > 0 }) {
		return nil
	}
	fmt.Fprintln(w)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TRUSTSTORE\tREVOCATION LIST OF\tNUMBER\tREVOKED\tMADE\tRUNS OUT")
	for _, t := range p.Truststores {
		for _, list := range t.Lists {
			fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\n", terminal.Safe(t.Name), terminal.Safe(list.Issuer), list.Number, list.Entries,
				list.ThisUpdate.UTC().Format(time.RFC3339), list.NextUpdate.UTC().Format(time.RFC3339))
		}
	}
	return table.Flush()
}

func orNever(t *time.Time) string {
	if t == nil {
		return "the start"
	}
	return t.UTC().Format(time.RFC3339)
}
