package document

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"
)

// FuzzDecode holds that no file makes the reader panic, that every problem has a place in the file, and that a line put in
// front of a whole file moves everything by one line and changes nothing else.
func FuzzDecode(f *testing.F) {
	paths, err := filepath.Glob("../../examples/*/*.yaml")
	if err != nil || len(paths) == 0 {
		f.Fatalf("there are no examples to begin with: %v", err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, text := range []string{
		role, "a: b: c", "a: *b", "--- |\n  ---\n---\n", "? [a]\n: {b: c}\n", "kind: Role\nkind: Role", "%YAML 1.1\n---\n{}\n",
		resource("Upstream", "{endpoints: {addresses: [a]}}"), resource("Policy", "{authenticate: {any_of: [{any_of: []}]}}"),
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		documents, complete, problems := Decode("a.yaml", data)
		lines := bytes.Count(data, []byte("\n")) + bytes.Count(data, []byte("\r")) + 2
		for _, p := range problems {
			if p.Origin.File != "a.yaml" || p.Origin.Line < 1 || p.Origin.Line > lines || p.Origin.Column < 1 || p.Message == "" {
				t.Errorf("a problem without a place: %+v", p)
			}
		}
		for _, d := range documents {
			if d.Broken() && len(problems) == 0 {
				t.Error("a document is broken and nobody is told why")
			}
		}
		if !complete || bytes.HasPrefix(data, []byte("\ufeff")) {
			return // a byte order mark stands first or nowhere
		}
		moved, movedComplete, movedProblems := Decode("a.yaml", append([]byte("#\n"), data...))
		if !movedComplete || len(moved) != len(documents) || len(movedProblems) != len(problems) {
			t.Fatalf("below a comment there are %d documents and %v, else %d and %v", len(moved), movedProblems, len(documents), problems)
		}
		for i, d := range documents {
			if moved[i].Origin.Line != d.Origin.Line+1 || !proto.Equal(moved[i].Message, d.Message) {
				t.Errorf("below a comment the document %s reads %v at %s, else %v", d.Origin, moved[i].Message, moved[i].Origin, d.Message)
			}
		}
	})
}
