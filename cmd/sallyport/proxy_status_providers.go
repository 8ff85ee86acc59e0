package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sallyport-project/sallyport/internal/terminal"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// providerState is how it stands with an issuer of tokens.
type providerState struct {
	Name   string `json:"name"`
	Issuer string `json:"issuer"`
	// Static is set where the key set is not fetched.
	Static bool     `json:"static"`
	KeyIDs []string `json:"key_ids"`
	// Fetched, Next and Until are of the key set: when it was fetched last, will be again, and stops counting.
	Fetched *time.Time `json:"fetched"`
	Next    *time.Time `json:"next"`
	Until   *time.Time `json:"until"`
	// Problem is what is wrong, since when; empty if nothing is.
	Problem  string     `json:"problem"`
	Since    *time.Time `json:"since"`
	FromDisk bool       `json:"from_disk"`
	LeftOut  []string   `json:"left_out"`
	// Acquired are the tokens that we get as a client.
	Acquired []acquiredState `json:"acquired"`
}

type acquiredState struct {
	Origin  string     `json:"origin"`
	Expires *time.Time `json:"expires"`
	Refresh *time.Time `json:"refresh"`
	Problem string     `json:"problem"`
	Since   *time.Time `json:"since"`
}

func providersOf(status *adminv1.GetStatusResponse) []providerState {
	found := []providerState{}
	for _, p := range status.GetProviders() {
		state := providerState{
			Name: p.GetName(), Issuer: p.GetIssuer(), Static: p.GetStatic(), KeyIDs: append([]string{}, p.GetKeyIds()...),
			Fetched: timeOf(p.GetFetched()), Next: timeOf(p.GetNext()), Until: timeOf(p.GetUntil()), Problem: p.GetProblem(),
			Since: timeOf(p.GetSince()), FromDisk: p.GetFromDisk(), LeftOut: append([]string{}, p.GetLeftOut()...), Acquired: []acquiredState{},
		}
		for _, held := range p.GetAcquired() {
			state.Acquired = append(state.Acquired, acquiredState{
				Origin: held.GetOrigin(), Expires: timeOf(held.GetExpires()), Refresh: timeOf(held.GetRefresh()),
				Problem: held.GetProblem(), Since: timeOf(held.GetSince()),
			})
		}
		found = append(found, state)
	}
	return found
}

// wrong tells whether people should look at it.
func (p providerState) wrong() bool {
	return p.Problem != "" || slices.ContainsFunc(p.Acquired, func(held acquiredState) bool { return held.Problem != "" })
}

// providerTable prints the Providers of which something is wrong.
func (p proxyStatus) providerTable(w io.Writer) error {
	wrong := slices.DeleteFunc(slices.Clone(p.Providers), func(one providerState) bool { return !one.wrong() })
	if len(wrong) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PROVIDER\tKEYS\tFETCHED\tCOUNTS UNTIL\tSINCE\tPROBLEM")
	for _, one := range wrong {
		if one.Problem != "" {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", terminal.Safe(one.Name), terminal.Safe(keyNames(one.KeyIDs)), moment(one.Fetched),
				moment(one.Until), moment(one.Since), terminal.Safe(one.Problem))
		}
		for _, held := range one.Acquired {
			if held.Problem != "" {
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", terminal.Safe(one.Name), "(our token: "+terminal.Safe(held.Origin)+")", "-",
					moment(held.Expires), moment(held.Since), terminal.Safe(held.Problem))
			}
		}
	}
	return table.Flush()
}

// keyNames are the ids of keys on one line.
func keyNames(ids []string) string {
	if len(ids) == 0 {
		return "none"
	}
	return strings.Join(ids, " ")
}

// moment is a time in a table, or a dash.
func moment(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}
