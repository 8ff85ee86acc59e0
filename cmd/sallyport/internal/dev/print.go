package dev

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/pipeline"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/scenario"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/envoy/translate"
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

// Record prints a decision; it is an audit.Sink whose loss is tolerated.
func (p *printer) Record(record audit.Record) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.decisions {
		fmt.Fprintln(p.out, record.Line())
	}
	return nil
}

// changed tells of a configuration that was read.
func (e *environment) changed(status pipeline.Status) {
	for _, moved := range e.addresses.takeMoved() {
		e.output.line("%s", moved)
	}
	if e.isUp() {
		if err := e.takeFailures(); err != nil {
			e.output.line("%v", err)
		}
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
	for _, one := range e.addresses.describe() {
		if folder := served(model.Upstream(one[0])); folder != "" {
			out.line("  app %s on %s serves %s", one[0], one[1], filepath.Join(e.config.Directory, folder))
			continue
		}
		out.line("  sample API %s on %s", one[0], one[1])
	}
	e.welcomeUsers(model)
	out.line("  answers questions: sallyport audit verdicts --admin-socket %s", quoted(e.adminSocket))
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

// short is the beginning of a revision, enough to tell it from others.
func short(revision string) string { return revision[:min(12, len(revision))] }
