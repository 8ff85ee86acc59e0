package dev

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/pipeline"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/scenario"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/envoy/translate"
	"github.com/sallyport-project/sallyport/pki/ca"
)

// printer writes what people read, one thing at a time.
type printer struct {
	mu  sync.Mutex
	out io.Writer
	// decisions are printed once the environment is up, and not while its cases run.
	decisions bool
}

func (p *printer) line(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, format+"\n", args...)
}

func (p *printer) table(results []scenario.Result) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return scenario.WriteTable(p.out, results)
}

// Record prints a decision; it is an audit.Sink.
func (p *printer) Record(record audit.Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.decisions {
		fmt.Fprintln(p.out, record.Line())
	}
}

// changed tells of a configuration that was read.
func (e *environment) changed(status pipeline.Status) {
	for _, moved := range e.addresses.takeMoved() {
		e.output.line("%s", moved)
	}
	if !e.isUp() { // errors then end the program, which tells of them
		for _, warning := range status.Problems.Warnings() {
			e.output.line("%s", warning.Error())
		}
		return
	}
	for _, problem := range status.Problems {
		e.output.line("%s", problem.Error())
	}
	if status.Refused() {
		e.output.line("configuration refused; %s stays in force", short(status.Revision))
		return
	}
	e.output.line("configuration %s is in force", short(status.Revision))
	lines, err := e.curlLines(status.Model)
	if err != nil {
		e.output.line("%v", err)
		return
	}
	for _, line := range lines {
		if !e.told(line) {
			e.output.line("\n%s", line)
		}
	}
	e.newGroups(status.Model)
}

// newGroups says what a running environment cannot follow.
func (e *environment) newGroups(model *config.Model) {
	for _, group := range translate.Groups(model) {
		if e.admins[group] == nil {
			e.output.line("the group %s is new: start `sallyport dev` again to have an Envoy for it", group)
		}
	}
}

// welcome says what is up, and how to call it.
func (e *environment) welcome(model *config.Model) error {
	lines, err := e.curlLines(model)
	if err != nil {
		return err
	}
	out := e.output
	out.line("\nUp. Edit %s and see it take effect; Ctrl-C ends everything.\n", e.config.Directory)
	for _, g := range model.Gateways() {
		for _, l := range g.Listeners {
			var hosts []string
			for _, entry := range l.Entries {
				hosts = append(hosts, entry.Hostnames...)
			}
			out.line("  gateway %-10s %s  (%s)", g.Name, l.HostPort(), strings.Join(hosts, ", "))
		}
	}
	for _, api := range e.addresses.describe() {
		out.line("  sample API %s", api)
	}
	for _, line := range lines {
		e.told(line)
		out.line("\n%s", line)
	}
	out.line("\nDecisions:")
	out.mu.Lock()
	out.decisions = true
	out.mu.Unlock()
	return nil
}

// isUp tells whether the environment has greeted.
func (e *environment) isUp() bool {
	e.output.mu.Lock()
	defer e.output.mu.Unlock()
	return e.output.decisions
}

// told notes a line, and tells whether it was printed before.
func (e *environment) told(line string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if slices.Contains(e.printed, line) {
		return true
	}
	e.printed = append(e.printed, line)
	return false
}

// curlLines are commands that call each gateway that a Test is about as each consumer that can.
func (e *environment) curlLines(model *config.Model) ([]string, error) {
	roots := filepath.Join(e.state.folder, "ca.pem")
	if err := e.writeRoots(model, roots); err != nil {
		return nil, err
	}
	callers, err := scenario.NewCallers(model, e.keeper, e.clock)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, consumer := range model.Consumers() {
		entry, path := whereCalled(model, consumer)
		if entry == nil {
			continue
		}
		files, err := e.clientFiles(callers, consumer)
		if err != nil {
			continue // recognised by fingerprints alone
		}
		host, port := entry.Name, strconv.Itoa(int(entry.Listener.Port))
		lines = append(lines, fmt.Sprintf("# as %s%s\ncurl --cacert %s \\\n  --cert %s --key %s \\\n  --resolve %s:%s:%s 'https://%s%s'",
			consumer.Name, suspended(consumer), roots, files.Certificate, files.PrivateKey,
			host, port, entry.Listener.Address, net.JoinHostPort(host, port), path))
	}
	return lines, nil
}

func suspended(c *config.Consumer) string {
	if c.Suspended {
		return " (suspended)"
	}
	return ""
}

// whereCalled finds an entry that asks for the consumer's certificates, and a path to call there: one of a Test's, or /.
func whereCalled(model *config.Model, consumer *config.Consumer) (*config.Entry, string) {
	for _, match := range consumer.Certificates {
		for _, g := range model.Gateways() {
			for _, l := range g.Listeners {
				for _, entry := range l.Entries {
					if match.Named() && entry.ClientAuth.Trusts(match.Truststore.Name) {
						return entry, testedPath(model, g, entry, consumer)
					}
				}
			}
		}
	}
	return nil, ""
}

func testedPath(model *config.Model, g *config.Gateway, entry *config.Entry, consumer *config.Consumer) string {
	for _, test := range model.Tests() {
		for _, c := range test.Cases {
			host, path, _ := config.SplitURL(c.Spec.GetRequest().GetUrl())
			if test.Gateway == g && host == entry.Name && c.Spec.GetCaller().GetConsumer() == consumer.Name && scenario.Method(c) == "GET" {
				return path
			}
		}
	}
	return "/"
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
	for _, a := range model.Authorities() {
		if authority, ok := e.keeper.Authority(a.Name); ok {
			content = append(content, authority.CertificatePEM()...)
		}
	}
	for _, t := range model.Truststores() {
		if authority, ok := e.keeper.TruststoreAuthority(t.Name); ok {
			content = append(content, authority.CertificatePEM()...)
		}
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return fmt.Errorf("write the authorities for callers: %w", err)
	}
	return nil
}

// short is the beginning of a revision, enough to tell it from others.
func short(revision string) string { return revision[:min(12, len(revision))] }
