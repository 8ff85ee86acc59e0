package dev

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/estate"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/scenario"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/ca"
)

// target is what a command calls.
type target struct {
	entry      *config.Entry
	host, path string
	// form is posted, if there is one.
	form string
}

// curlLines are commands that call the gateways: one as each consumer that can, or without a certificate if there is none.
func (e *environment) curlLines(model *config.Model) ([]string, error) {
	roots := filepath.Join(e.state.folder, "ca.pem")
	if err := e.writeRoots(model, roots); err != nil {
		return nil, err
	}
	tokenLines, err := e.tokenLines(model, roots)
	if err != nil {
		return nil, err
	}
	if len(model.Consumers()) == 0 {
		return append(anonymousLines(model, e.addresses.configured, roots), tokenLines...), nil
	}
	callers, err := e.callers(model)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, consumer := range model.Consumers() {
		entry := whereCalled(model, consumer)
		if entry == nil {
			continue
		}
		files, err := e.clientFiles(callers, consumer)
		if err != nil {
			continue // recognised by fingerprints alone
		}
		certificate := fmt.Sprintf("--cert %s --key %s", quoted(files.Certificate), quoted(files.PrivateKey))
		lines = append(lines, "# as "+consumer.Name+suspended(consumer)+"\n"+targetOf(model, e.addresses.configured, entry, consumer).curl(roots, certificate))
	}
	return append(lines, tokenLines...), nil
}

// anonymousLines call each entry that does not require a certificate.
func anonymousLines(model *config.Model, ports estate.Ports, roots string) []string {
	var lines []string
	for _, g := range model.Gateways() {
		for _, l := range g.Listeners {
			for _, entry := range l.Entries {
				if entry.ClientAuth.Mode != config.ClientAuthRequired {
					lines = append(lines, "# without a certificate\n"+targetOf(model, ports, entry, nil).curl(roots, ""))
				}
			}
		}
	}
	return lines
}

// curl is the command, with the options for the caller's certificate or token.
func (t target) curl(roots, credentials string) string {
	l := t.entry.Listener
	port := strconv.Itoa(int(l.Port))
	words := []string{"curl"}
	scheme := "http"
	if t.entry.Certificate != nil {
		scheme = "https"
		words = append(words, "--cacert "+quoted(roots)+" \\\n ")
	}
	if credentials != "" {
		words = append(words, credentials+" \\\n ")
	}
	if t.form != "" {
		words = append(words, "--data "+quoted(t.form)+" \\\n ")
	}
	if strings.Contains(t.path, "/.") {
		words = append(words, "--path-as-is")
	}
	if strings.ContainsAny(t.path, "[]{}") {
		words = append(words, "--globoff")
	}
	if t.host != l.Address {
		words = append(words, "--resolve "+quoted(t.host+":"+port+":"+l.Address))
	}
	words = append(words, singleQuoted(scheme+"://"+net.JoinHostPort(t.host, port)+t.path))
	return strings.Join(words, " ")
}

// plain are the words that a shell takes as they are.
var plain = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// quoted is one word for a POSIX shell.
func quoted(word string) string {
	if plain.MatchString(word) {
		return word
	}
	return singleQuoted(word)
}

func singleQuoted(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

func suspended(c *config.Consumer) string {
	if c.Suspended {
		return " (suspended)"
	}
	return ""
}

// whereCalled finds an entry that asks for the consumer's certificates, or nil.
func whereCalled(model *config.Model, consumer *config.Consumer) *config.Entry {
	for _, match := range consumer.Certificates {
		for _, g := range model.Gateways() {
			for _, l := range g.Listeners {
				for _, entry := range l.Entries {
					if match.Named() && entry.ClientAuth.Trusts(match.Truststore.Name) {
						return entry
					}
				}
			}
		}
	}
	return nil
}

// targetOf is what to call at an entry, as a consumer or, if that is nil, as nobody: the host and path of a Test's case with this
// caller, or else those of a rule for the consumer, or else the entry's name and /.
func targetOf(model *config.Model, ports estate.Ports, entry *config.Entry, consumer *config.Consumer) target {
	name := ""
	if consumer != nil {
		name = consumer.Name
	}
	for _, c := range scenario.Cases(model) {
		request := c.Spec.GetRequest()
		host := scenario.Host(c)
		if scenario.Target(c, ports) != entry.Listener || scenario.Method(c) != "GET" || request.GetSni() != "" ||
			c.Spec.GetCaller().GetConsumer() != name || c.Spec.GetCaller().GetToken() != nil || name == "" && c.Spec.GetCaller() != nil {
			continue
		}
		if entry.Listener.EntryFor(host) == entry {
			_, path, _ := config.SplitURL(request.GetUrl())
			return target{entry: entry, host: host, path: path}
		}
	}
	if consumer != nil {
		if called := ruleForConsumer(entry, consumer); called != nil {
			return *called
		}
	}
	return target{entry: entry, host: callable(entry), path: "/"}
}

// callable is a host that the entry takes.
func callable(entry *config.Entry) string {
	name := entry.Name
	if entry.Certificate == nil {
		if len(entry.VirtualHosts) == 0 || entry.VirtualHosts[0].Hostname == "*" {
			return entry.Listener.Address
		}
		name = entry.VirtualHosts[0].Hostname
	}
	if suffix, wildcard := strings.CutPrefix(name, "*."); wildcard {
		return "any." + suffix
	}
	return name
}

// clientFiles writes a certificate for a consumer, unless there is one.
func (e *environment) clientFiles(callers *scenario.Callers, consumer *config.Consumer) (ca.Files, error) {
	folder := filepath.Join(e.state.folder, "clients")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return ca.Files{}, err
	}
	files := ca.FilesIn(folder, consumer.Name)
	if e.usable(files) {
		return files, nil
	}
	pair, err := callers.Consumer(consumer.Name)
	if err != nil {
		return ca.Files{}, err
	}
	for _, old := range []string{files.Certificate, files.PrivateKey} {
		if err := os.Remove(old); err != nil && !os.IsNotExist(err) {
			return ca.Files{}, err
		}
	}
	return ca.WriteKeyPair(folder, consumer.Name, pair)
}

// usable tells whether a client certificate that was written before is good for some hours yet.
func (e *environment) usable(files ca.Files) bool {
	content, err := os.ReadFile(files.Certificate)
	if err != nil {
		return false
	}
	certificates, err := ca.ParseCertificates(content)
	return err == nil && len(certificates) > 0 && certificates[0].NotAfter.Sub(e.clock()) > clientMargin
}

// writeRoots writes the authorities that issue the gateways' certificates.
func (e *environment) writeRoots(model *config.Model, path string) error {
	var content []byte
	for _, authority := range e.authorities(model) {
		content = append(content, authority.CertificatePEM()...)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return fmt.Errorf("write the authorities for callers: %w", err)
	}
	return nil
}
