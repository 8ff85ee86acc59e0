package process

import (
	"bytes"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"
)

// logFormat is the form in which Envoy is told to log: level, component, text. Time and thread are left out, since our
// own log has a time and nobody reads the thread. With --log-format-escaped a message is always one line.
const logFormat = "[%l][%n] %v"

const (
	// longestLine bounds what is kept of one line, in bytes: a refused resource is printed whole.
	longestLine = 16 << 10
	// lastLines is how many lines are remembered for the error of an exit that nobody asked for.
	lastLines = 12
)

// entry is one line of Envoy's log.
type entry struct {
	level     hclog.Level
	component string
	text      string
}

// levels maps Envoy's levels (spdlog's names, long and short) to ours.
var levels = map[string]hclog.Level{
	"trace": hclog.Trace, "debug": hclog.Debug, "info": hclog.Info,
	"warning": hclog.Warn, "warn": hclog.Warn,
	"error": hclog.Error, "critical": hclog.Error,
}

// levelNames maps our levels to the argument of --log-level.
var levelNames = map[hclog.Level]string{
	hclog.Trace: "trace", hclog.Debug: "debug", hclog.Info: "info",
	hclog.Warn: "warning", hclog.Error: "error", hclog.Off: "off",
}

// parseLine reads a line in logFormat. A line in any other form is not Envoy's logger speaking but a library, a refused
// argument or a crash, and is taken as a warning.
func parseLine(line string) entry {
	other := entry{level: hclog.Warn, text: line}
	rest, found := strings.CutPrefix(line, "[")
	if !found {
		return other
	}
	name, rest, found := strings.Cut(rest, "][")
	if !found {
		return other
	}
	level, known := levels[name]
	component, text, found := strings.Cut(rest, "] ")
	if !known || !found {
		return other
	}
	return entry{level: level, component: component, text: unescape(text)}
}

// unescape undoes what --log-format-escaped does to the characters that our own log shows well.
var unescape = strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\"`, `"`, `\'`, `'`, `\\`, `\`).Replace

// logWriter turns what Envoy writes to standard error into entries of our log, and remembers the last few. It is the
// Stderr of a command, which writes from one goroutine; last may be called from another.
type logWriter struct {
	logger  hclog.Logger
	partial []byte // what has come of the line that is not complete; at most longestLine bytes

	mu     sync.Mutex
	recent []entry
}

// Write never fails: a full log must not stop a proxy.
func (w *logWriter) Write(chunk []byte) (int, error) {
	written := len(chunk)
	for {
		line, rest, complete := bytes.Cut(chunk, []byte{'\n'})
		if room := longestLine - len(w.partial); len(line) > room {
			line = line[:room]
		}
		w.partial = append(w.partial, line...)
		if !complete {
			return written, nil
		}
		w.flush()
		chunk = rest
	}
}

// flush logs the line that is at hand, whether it is complete or not.
func (w *logWriter) flush() {
	line := strings.TrimRight(string(w.partial), "\r")
	w.partial = w.partial[:0]
	if strings.TrimSpace(line) == "" {
		return
	}
	parsed := parseLine(line)
	w.remember(parsed)
	// The text goes into a field: it may hold what a caller sent.
	w.logger.Log(parsed.level, "envoy log", "component", parsed.component, "text", parsed.text)
}

func (w *logWriter) remember(parsed entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.recent) == lastLines {
		w.recent = append(w.recent[:0], w.recent[1:]...)
	}
	w.recent = append(w.recent, parsed)
}

// last returns the text of the last few entries, oldest first.
func (w *logWriter) last() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	texts := make([]string, 0, len(w.recent))
	for _, parsed := range w.recent {
		texts = append(texts, parsed.text)
	}
	return texts
}
