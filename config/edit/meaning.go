package edit

import (
	"errors"
	"fmt"
	"regexp"

	"google.golang.org/protobuf/proto"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/document"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// reading is a directory and what it means.
type reading struct {
	files     []config.File
	documents []*document.Document
	problems  document.Problems
}

func read(files []config.File) *reading {
	documents, complete, problems := config.Decode(files)
	_, found := config.Build(documents, complete)
	problems = append(problems, found...)
	problems.Sort()
	return &reading{files: files, documents: documents, problems: problems}
}

// consumers are the documents of a Consumer; more than one is a mistake in the configuration.
func (r *reading) consumers(name string) []*document.Document {
	var found []*document.Document
	for _, d := range r.documents {
		if isConsumer(d, name) {
			found = append(found, d)
		}
	}
	return found
}

func isConsumer(d *document.Document, name string) bool {
	return d.Kind == "Consumer" && d.Name == name
}

// file returns the file at a path.
func (r *reading) file(path string) (config.File, bool) {
	for _, file := range r.files {
		if file.Path == path {
			return file, true
		}
	}
	return config.File{}, false
}

// errNotProven is an edit that does something else than what was asked for. It is a mistake of this package, or a layout
// that it does not know.
var errNotProven = errors.New("the edit would have changed something else as well, so nothing was done: change the file by hand")

// prove holds a directory after an edit against what it was before: the Consumer is as wanted (gone, if that is nil), every
// other resource is what it was, and no error is new.
func prove(before, after *reading, name string, wanted *sallyportv1.Consumer) error {
	if fresh := newProblems(before.problems.Errors(), after.problems.Errors()); len(fresh) > 0 {
		return fmt.Errorf("the configuration would no longer be valid, so nothing was done:\n%w", fresh)
	}
	found := after.consumers(name)
	switch {
	case wanted == nil && len(found) > 0,
		wanted != nil && (len(found) != 1 || !proto.Equal(found[0].Message, wanted)):
		return errNotProven
	}
	unchanged, others := without(before.documents, name), without(after.documents, name)
	if len(unchanged) != len(others) {
		return errNotProven
	}
	for i, d := range unchanged {
		other := others[i]
		if d.Kind != other.Kind || d.Name != other.Name || d.Origin.File != other.Origin.File ||
			d.Broken() != other.Broken() || !d.Broken() && !proto.Equal(d.Message, other.Message) {
			return errNotProven
		}
	}
	return nil
}

// without are the documents other than those of a Consumer.
func without(documents []*document.Document, name string) []*document.Document {
	var others []*document.Document
	for _, d := range documents {
		if !isConsumer(d, name) {
			others = append(others, d)
		}
	}
	return others
}

// newProblems are those that were not there before, wherever they stand in their file now.
func newProblems(before, after document.Problems) document.Problems {
	known := map[string]int{}
	for _, p := range before {
		known[withoutPlace(p)]++
	}
	var fresh document.Problems
	for _, p := range after {
		if key := withoutPlace(p); known[key] > 0 {
			known[key]--
		} else {
			fresh = append(fresh, p)
		}
	}
	return fresh
}

// lineAndColumn is how a message names a place in a file.
var lineAndColumn = regexp.MustCompile(`:[0-9]+:[0-9]+|line [0-9]+`)

// withoutPlace is a problem without the lines that an edit above it moves.
func withoutPlace(p document.Problem) string {
	return p.Origin.File + "\x00" + p.Field + "\x00" + lineAndColumn.ReplaceAllString(p.Message, "")
}
