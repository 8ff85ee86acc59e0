package dev

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/devissuer"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/estate"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/scenario"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/internal/atomicfile"
)

// handedOut is how long a token is good that is written for a person to call with: a working day.
const handedOut = 8 * time.Hour

// welcomeUsers says where people sign in, and as whom.
func (e *environment) welcomeUsers(model *config.Model) {
	issuers := scenario.Issuers(model)
	for _, issuer := range issuers {
		e.output.line("  issuer %-10s %s", issuer.Name, issuer.URL)
	}
	if len(issuers) == 0 {
		return
	}
	for _, user := range devissuer.Users() {
		e.output.line("    sign in as %-8s who %s", user[0], user[1])
	}
}

// tokenLines are commands that call with a token of each Provider's that some rule takes, and those that open an app.
func (e *environment) tokenLines(model *config.Model, roots string) ([]string, error) {
	var lines []string
	for _, issuer := range scenario.Issuers(model) {
		called := calledWithToken(model, e.addresses.configured, issuer.Name)
		if called == nil {
			continue
		}
		line, err := e.tokenLine(issuer, called, roots)
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	return append(lines, e.apps(model)...), nil
}

// tokenLine writes a token for each user, and is the command that calls as the first of them, who has everything.
func (e *environment) tokenLine(issuer devissuer.Issuer, called *target, roots string) (string, error) {
	var names, files []string
	for _, user := range devissuer.Users() {
		path, err := e.tokenFile(issuer, user[0])
		if err != nil {
			return "", err
		}
		names, files = append(names, user[0]), append(files, path)
	}
	line := fmt.Sprintf("# as %s, with a token of %s that is good for %d hours", names[0], issuer.Name, handedOut/time.Hour)
	if others := files[1:]; len(others) > 0 {
		for i, path := range others {
			others[i] = filepath.Base(path)
		}
		line += fmt.Sprintf("; in %s as well: %s", filepath.Dir(files[0]), strings.Join(others, ", "))
	}
	return line + "\n" + called.curl(roots, "--header "+quoted("@"+files[0])), nil
}

// tokenFile writes a user's token as the header that curl sends. It is for its owner alone.
func (e *environment) tokenFile(issuer devissuer.Issuer, user string) (string, error) {
	folder := filepath.Join(e.state.folder, "clients")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", err
	}
	spec := issuer.SpecOf(user)
	spec.Lifetime = handedOut
	token, err := e.issuer.server.Token(issuer.Name, spec)
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, user+"-"+issuer.Name+".header")
	if err := atomicfile.Replace(path, []byte("Authorization: Bearer "+token+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("write a token for %s: %w", user, err)
	}
	return path, nil
}

// calledWithToken is what to call with a token of a Provider: what a Test's case calls with a good one, or else the first rule
// that takes one. It is nil for none.
func calledWithToken(model *config.Model, ports estate.Ports, provider string) *target {
	for _, c := range scenario.Cases(model) {
		caller, host := c.Spec.GetCaller(), scenario.Host(c)
		l := scenario.Target(c, ports)
		if caller.GetToken().GetProvider() != provider || caller.GetForm() != nil || c.Spec.GetExpect().GetStatus() != http.StatusOK ||
			scenario.Method(c) != http.MethodGet || c.Spec.GetRequest().GetSni() != "" || l == nil || l.EntryFor(host) == nil {
			continue
		}
		_, path, _ := config.SplitURL(c.Spec.GetRequest().GetUrl())
		return &target{entry: l.EntryFor(host), host: host, path: path}
	}
	return ruleForToken(model, provider)
}

// ruleForToken is the first rule with a plain path that takes the Provider's tokens from callers without a certificate.
func ruleForToken(model *config.Model, provider string) *target {
	for _, g := range model.Gateways() {
		for _, l := range g.Listeners {
			for _, entry := range l.Entries {
				for _, host := range entry.VirtualHosts {
					i := slices.IndexFunc(host.Rules, func(r *config.Rule) bool { return takes(r, provider) })
					if i >= 0 && !strings.HasPrefix(host.Hostname, "*") && entry.ClientAuth.Mode != config.ClientAuthRequired {
						return &target{entry: entry, host: host.Hostname, path: host.Rules[i].Match.Path}
					}
				}
			}
		}
	}
	return nil
}

func takes(r *config.Rule, provider string) bool {
	get := len(r.Match.Methods) == 0 || slices.Contains(r.Match.Methods, http.MethodGet)
	if !get || r.Match.Kind == config.MatchTemplate || r.Policy.Authenticate.DemandsCertificate() {
		return false
	}
	return slices.ContainsFunc(slices.Collect(r.Policy.Authenticate.Providers), func(p *config.Provider) bool { return p.Name == provider })
}
