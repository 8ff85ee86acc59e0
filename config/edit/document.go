package edit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/document"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// AddConsumer plans to add a Consumer whose name is not taken. It is written like the last Consumer that is there, at the
// end of a file: the named one, a path below the directory, which may exist; or else a new file of its own in the folder
// consumers, if there is one; or else the file where most Consumers stand; or else consumers.yaml.
//
// api_version and kind are filled in. The configuration must be valid, with the Consumer as without it.
func AddConsumer(directory string, consumer *sallyportv1.Consumer, file string) (*Plan, error) {
	files, err := config.ReadFiles(directory)
	if err != nil {
		return nil, err
	}
	r := read(files)
	if err := r.valid(); err != nil {
		return nil, err
	}
	wanted := proto.CloneOf(consumer)
	wanted.ApiVersion, wanted.Kind = "sallyport/v1", "Consumer"
	if wanted.Spec == nil {
		wanted.Spec = &sallyportv1.ConsumerSpec{}
	}
	if err := check(wanted); err != nil {
		return nil, err
	}
	name := wanted.GetMetadata().GetName()
	if found := r.consumers(name); len(found) > 0 {
		return nil, fmt.Errorf("the Consumer %q stands at %s already: choose another name", name, found[0].Origin)
	}
	path, err := r.fileFor(directory, name, file)
	if err != nil {
		return nil, err
	}
	rendered, err := styleOf(r.sample(path)).document(wanted)
	if err != nil {
		return nil, err
	}
	existing, exists := r.file(path)
	if !exists {
		return r.plan(directory, name, &change{path: path, new: []byte(rendered), created: true}, wanted)
	}
	return r.plan(directory, name, &change{path: path, old: existing.Data, new: appended(existing.Data, rendered)}, wanted)
}

// check holds a resource by itself against the schema, before its name becomes that of a file.
func check(message proto.Message) error {
	rendered, err := style{indent: defaultIndent}.document(message)
	if err != nil {
		return err
	}
	if _, _, problems := document.Decode("the new Consumer", []byte(rendered)); len(problems) > 0 {
		return problems
	}
	return nil
}

// appended is a file with a document added at its end.
func appended(data []byte, rendered string) []byte {
	t := newText(data)
	var between string
	if len(data) > 0 && t.lines[len(t.lines)-1] != len(data) {
		between = t.newline
	}
	if len(t.roots) > 0 {
		between += "---" + t.newline
	}
	return t.splicedWith(splice{len(data), len(data), between + strings.ReplaceAll(rendered, "\n", t.newline)})
}

// fileFor chooses where a new Consumer is written.
func (r *reading) fileFor(directory, name, file string) (string, error) {
	if file != "" {
		return r.named(directory, file)
	}
	folder := filepath.Join(directory, "consumers")
	if info, err := os.Stat(folder); err == nil && info.IsDir() {
		path := filepath.Join(folder, name+".yaml")
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("%s exists and is never overwritten: name another file", path)
		}
		return path, nil
	}
	count := map[string]int{}
	best := filepath.Join(directory, "consumers.yaml")
	for _, d := range r.documents {
		if d.Kind == "Consumer" {
			count[d.Origin.File]++
		}
	}
	for _, f := range r.files { // the first of several
		if count[f.Path] > count[best] {
			best = f.Path
		}
	}
	return best, nil
}

// named is a file that was named, which must be one that is read.
func (r *reading) named(directory, file string) (string, error) {
	if !filepath.IsLocal(file) {
		return "", fmt.Errorf("%s does not lie in the configuration: name a file below %s, without that folder in front", file, directory)
	}
	path := filepath.Join(directory, file)
	if _, exists := r.file(path); exists {
		return path, nil
	}
	if extension := filepath.Ext(file); extension != ".yaml" && extension != ".yml" {
		return "", fmt.Errorf("%s would not be read as configuration: name a .yaml file", file)
	}
	for part := range strings.SplitSeq(filepath.ToSlash(file), "/") {
		if strings.HasPrefix(part, ".") {
			return "", fmt.Errorf("%s would not be read as configuration: names that begin with a dot are passed over", file)
		}
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s exists, is no configuration and is never overwritten: name another file", path)
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return "", fmt.Errorf("there is no folder %s: make it first, or name another file", filepath.Dir(path))
	}
	return path, nil
}

// sample is the last Consumer of a file, or else of the directory; nil where there is none.
func (r *reading) sample(path string) *yaml.Node {
	var last *document.Document
	for _, d := range r.documents {
		if d.Kind == "Consumer" && (last == nil || d.Origin.File == path || last.Origin.File != path) {
			last = d
		}
	}
	if last == nil {
		return nil
	}
	file, _ := r.file(last.Origin.File)
	return newText(file.Data).root(last.Origin.Line, last.Origin.Column)
}

// RemoveConsumer plans to remove a Consumer with its comments, and its file, if nothing else is in it. It is refused while
// other resources name the Consumer. The configuration must be valid.
func RemoveConsumer(directory, name string) (*Plan, error) {
	c, err := findValid(directory, name)
	if err != nil {
		return nil, err
	}
	if len(c.text.roots) == 1 {
		if isLink(c.file.Path) {
			return nil, fmt.Errorf("%s: the Consumer %q is alone in a file that is a symbolic link: remove the link by hand", c.origin, name)
		}
		return c.reading.plan(directory, name, &change{path: c.file.Path, old: c.file.Data, removed: true}, nil)
	}
	removed, err := c.text.removeDocument(c.root)
	if err != nil {
		return nil, c.at("the document", c.root, err)
	}
	return c.plan([]splice{removed}, nil)
}

// removeDocument removes one of several documents, with the marker in front of it. Comments at the beginning of the file that
// an empty line parts from the document stay.
func (t *text) removeDocument(root *yaml.Node) (splice, error) {
	at := t.offset(root)
	from, to := -1, len(t.data)
	for _, line := range t.lines {
		switch {
		case t.has(line, "%"):
			return splice{}, errUnreadable // a directive belongs to one document
		case !t.marker(line):
		case line <= at:
			from = line
		case to == len(t.data):
			to = line
		}
	}
	if from >= 0 {
		return splice{from: from, to: to}, nil
	}
	from = t.headerEnd(at)
	if after := to + len("---"); from == t.lines[0] && to < len(t.data) && t.blank(after, t.lineEnd(after)) {
		to = t.nextLine(to) // the next document is the first one now
	}
	return splice{from: from, to: to}, nil
}

// marker tells whether a line begins a document. Three hyphens at the beginning of a line can stand in no scalar (YAML 1.2,
// 9.1.2), so this is no guess.
func (t *text) marker(line int) bool {
	after := line + len("---")
	return t.has(line, "---") && (after == len(t.data) || t.data[after] == ' ' || t.data[after] == '\t' || breakAt(t.data, after) > 0)
}

// headerEnd is where the text ends that speaks of the whole file: the last empty line before its first document.
func (t *text) headerEnd(first int) int {
	end := t.lines[0]
	for _, line := range t.lines {
		if line < first && t.blank(line, t.lineEnd(line)) {
			end = t.nextLine(line)
		}
	}
	return end
}
