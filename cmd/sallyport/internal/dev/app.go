package dev

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/devissuer"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/estate"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/sampleapi"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/scenario"
	"github.com/sallyport-project/sallyport/config"
)

// Labels of an Upstream for which a single-page app stands, and not a sample API.
const (
	// labelServes names a folder beside the configuration, whose files are served.
	labelServes = "serves"
	// labelAPI is the origin that the app calls, as the configuration has it, and labelIssuer the Provider at which people sign
	// in; the first by name, if there is none.
	labelAPI, labelIssuer = "api", "issuer"
)

// served is the folder that an upstream serves, below that of the configuration; empty for none.
func served(u *config.Upstream) string {
	if u == nil {
		return ""
	}
	return u.Labels[labelServes]
}

// app answers for an upstream that serves a folder; nil for any other. The folder is opened for each request, as the label may be
// edited, and no link in it leads out of it.
func (e *environment) app(upstream string) http.Handler {
	model := e.pipeline.Status().Model
	if model == nil || served(model.Upstream(upstream)) == "" {
		return nil
	}
	u := model.Upstream(upstream)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		folder := served(u)
		if !filepath.IsLocal(folder) {
			http.Error(w, fmt.Sprintf("the label %s names no folder beside the configuration: %q", labelServes, folder), http.StatusNotFound)
			return
		}
		root, err := os.OpenRoot(filepath.Join(e.config.Directory, folder))
		if err != nil {
			http.Error(w, fmt.Sprintf("the folder of the label %s cannot be opened: %v", labelServes, err), http.StatusNotFound)
			return
		}
		defer func() { _ = root.Close() }() // it was read
		app := sampleapi.App{Files: root.FS(), Environment: func() sampleapi.Environment { return e.environmentOf(model, u) }}
		app.ServeHTTP(w, r)
	})
}

// environmentOf is what an app is told of where it is.
func (e *environment) environmentOf(model *config.Model, u *config.Upstream) sampleapi.Environment {
	environment := sampleapi.Environment{ClientID: devissuer.AppClient, API: e.reachable(model, u.Labels[labelAPI])}
	for _, issuer := range scenario.Issuers(model) {
		if named := u.Labels[labelIssuer]; named == issuer.Name || named == "" && environment.Issuer == "" {
			environment.Issuer = issuer.URL
		}
	}
	return environment
}

// reachable is an origin with the port at which the listener really is that serves it; the origin itself where none does.
func (e *environment) reachable(model *config.Model, origin string) string {
	scheme, host, _ := strings.Cut(origin, "://")
	host, _, _ = strings.Cut(host, "/")
	name := config.HostName(host)
	for _, g := range model.Gateways() {
		if l := estate.ListenerFor(g, origin, name, e.addresses.configured); l != nil && l.Serves(name) {
			return scheme + "://" + net.JoinHostPort(name, strconv.Itoa(int(l.Port)))
		}
	}
	return strings.TrimSuffix(origin, "/")
}

// apps are the commands that open the apps in a browser, which takes the names of their gateways for loopback and the
// development certificates for good, and keeps nothing.
func (e *environment) apps(model *config.Model) []string {
	var lines []string
	for _, g := range model.Gateways() {
		for _, l := range g.Listeners {
			for _, entry := range l.Entries {
				if page := pageOf(entry); page != "" {
					lines = append(lines, "# the app in a browser\n"+e.browse(model, l, page))
				}
			}
		}
	}
	return lines
}

// pageOf is the hostname of an entry at which / leads to an app; empty for none.
func pageOf(entry *config.Entry) string {
	for _, host := range entry.VirtualHosts {
		for _, rule := range host.Rules {
			leads := slices.ContainsFunc(rule.Upstreams, func(u config.WeightedUpstream) bool { return served(u.Upstream) != "" })
			if leads && rule.Match.Path == "/" && !strings.HasPrefix(host.Hostname, "*") {
				return host.Hostname
			}
		}
	}
	return ""
}

func (e *environment) browse(model *config.Model, l *config.Listener, page string) string {
	var names, keys []string
	for _, g := range model.Gateways() {
		for _, other := range g.Listeners {
			for _, entry := range other.Entries {
				if entry.Certificate == nil {
					continue
				}
				names = append(names, entry.Hostnames...)
				if own := e.keeper.Current().Certificates[entry.Certificate.Name]; own != nil {
					sum := sha256.Sum256(own.Leaf.RawSubjectPublicKeyInfo)
					keys = append(keys, base64.StdEncoding.EncodeToString(sum[:]))
				}
			}
		}
	}
	var rules []string
	for _, name := range unique(names) {
		rules = append(rules, "MAP "+name+" "+loopback)
	}
	scheme := "https"
	if l.Plaintext() {
		scheme = "http"
	}
	words := []string{"chromium --user-data-dir=\"$(mktemp -d)\"", "--host-resolver-rules=" + singleQuoted(strings.Join(rules, ", "))}
	if len(keys) > 0 {
		words = append(words, "--ignore-certificate-errors-spki-list="+strings.Join(unique(keys), ","))
	}
	return strings.Join(append(words, scheme+"://"+net.JoinHostPort(page, strconv.Itoa(int(l.Port)))+"/"), " \\\n  ")
}

// unique are the texts in order, each once.
func unique(texts []string) []string {
	slices.Sort(texts)
	return slices.Compact(texts)
}
