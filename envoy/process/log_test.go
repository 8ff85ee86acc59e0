package process

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
)

func TestParseLine(t *testing.T) {
	for name, test := range map[string]struct {
		line string
		want entry
	}{
		"a warning":                      {"[warning][config] refused", entry{hclog.Warn, "config", "refused"}},
		"critical is an error":           {"[critical][main] no", entry{hclog.Error, "main", "no"}},
		"brackets in the text stay":      {"[info][main] a] [b", entry{hclog.Info, "main", "a] [b"}},
		"escaped line ends are restored": {`[error][main] a\nb \"c\" d\\n`, entry{hclog.Error, "main", "a\nb \"c\" d\\n"}},
		"an unknown level is a warning":  {"[loud][main] x", entry{hclog.Warn, "", "[loud][main] x"}},
		"no component":                   {"[info] x", entry{hclog.Warn, "", "[info] x"}},
		"not a log line":                 {"PARSE ERROR: argument", entry{hclog.Warn, "", "PARSE ERROR: argument"}},
		"an empty text":                  {"[info][main] ", entry{hclog.Info, "main", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := parseLine(test.line); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestLogWriterLogsWholeLinesHoweverTheyArrive(t *testing.T) {
	const text = "[info][main] one\n\n[warning][config] two\r\n[error][main] three"
	for size := 1; size <= len(text); size++ {
		var output bytes.Buffer
		writer := &logWriter{logger: hclog.New(&hclog.LoggerOptions{Output: &output, JSONFormat: true, Level: hclog.Trace})}
		for rest := text; rest != ""; {
			n := min(size, len(rest))
			if written, err := writer.Write([]byte(rest[:n])); written != n || err != nil {
				t.Fatalf("wrote %d, %v; want %d", written, err, n)
			}
			rest = rest[n:]
		}
		writer.flush()
		var got []string
		for line := range strings.Lines(output.String()) {
			var logged map[string]string
			if err := json.Unmarshal([]byte(line), &logged); err != nil {
				t.Fatal(err)
			}
			got = append(got, logged["@level"]+" "+logged["component"]+" "+logged["text"])
		}
		if diff := cmp.Diff([]string{"info main one", "warn config two", "error main three"}, got); diff != "" {
			t.Fatalf("in pieces of %d bytes (-want +got):\n%s", size, diff)
		}
	}
}

func TestLogWriterBoundsWhatItKeeps(t *testing.T) {
	writer := &logWriter{logger: hclog.NewNullLogger()}
	for range 3 * lastLines {
		if _, err := writer.Write([]byte("[info][main] early\n")); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		if _, err := writer.Write(bytes.Repeat([]byte("x"), longestLine/10)); err != nil {
			t.Fatal(err)
		}
	}
	writer.flush()
	last := writer.last()
	if len(last) != lastLines {
		t.Errorf("%d lines are remembered, want %d", len(last), lastLines)
	}
	if got := len(last[len(last)-1]); got != longestLine {
		t.Errorf("the last line has %d bytes, want %d", got, longestLine)
	}
}
