package edit

import (
	"fmt"
	"maps"
	"os"
	"slices"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/document"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// consumer is one in a directory, and how it is written.
type consumer struct {
	directory  string
	reading    *reading
	file       config.File
	origin     document.Origin
	message    *sallyportv1.Consumer
	text       *text
	root, spec *yaml.Node
}

// find reads a directory and finds a Consumer in it, which must be whole.
func find(directory, name string) (*consumer, error) {
	files, err := config.ReadFiles(directory)
	if err != nil {
		return nil, err
	}
	r := read(files)
	found := r.consumers(name)
	switch {
	case len(found) == 0:
		return nil, r.noConsumer(directory, name)
	case len(found) > 1:
		return nil, fmt.Errorf("the Consumer %q stands at %s and at %s: remove one of them first", name, found[0].Origin, found[1].Origin)
	}
	d := found[0]
	message, whole := d.Message.(*sallyportv1.Consumer)
	if !whole {
		return nil, fmt.Errorf("the Consumer %q cannot be read; mend it first:\n%w", name, problemsOf(r, d))
	}
	file, _ := r.file(d.Origin.File)
	c := &consumer{directory: directory, reading: r, file: file, origin: d.Origin, message: message, text: newText(file.Data)}
	c.root = c.text.root(d.Origin.Line, d.Origin.Column)
	_, c.spec, _ = valueOf(c.root, "spec")
	if c.spec == nil || c.spec.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s: the Consumer %q %w", d.Origin, name, errUnreadable)
	}
	return c, nil
}

// findValid is find in a configuration that has no error.
func findValid(directory, name string) (*consumer, error) {
	c, err := find(directory, name)
	if err != nil {
		return nil, err
	}
	return c, c.reading.valid()
}

// valid returns the errors of a configuration that has any.
func (r *reading) valid() error {
	if wrong := r.problems.Errors(); len(wrong) > 0 {
		return fmt.Errorf("the configuration is not valid; mend it first:\n%w", wrong)
	}
	return nil
}

// problemsOf are the errors in the file of a document.
func problemsOf(r *reading, d *document.Document) document.Problems {
	return slices.DeleteFunc(r.problems.Errors(), func(p document.Problem) bool { return p.Origin.File != d.Origin.File })
}

func (r *reading) noConsumer(directory, name string) error {
	names := map[string]bool{}
	for _, d := range r.documents {
		if d.Kind == "Consumer" && d.Name != "" {
			names[d.Name] = true
		}
	}
	hint := document.DidYouMean(name, slices.Sorted(maps.Keys(names)))
	if wrong := r.problems.Errors(); len(wrong) > 0 {
		return fmt.Errorf("there is no Consumer %q to be found in %s%s; what cannot be read may hold it:\n%w", name, directory, hint, wrong)
	}
	return fmt.Errorf("there is no Consumer %q in %s%s", name, directory, hint)
}

// plan makes a Plan of pieces of the Consumer's file.
func (c *consumer) plan(splices []splice, wanted *sallyportv1.Consumer) (*Plan, error) {
	name := c.message.GetMetadata().GetName()
	if splices == nil {
		return c.reading.plan(c.directory, name, nil, wanted)
	}
	changed := &change{path: c.file.Path, old: c.file.Data, new: c.text.splicedWith(splices...)}
	plan, err := c.reading.plan(c.directory, name, changed, wanted)
	if err != nil {
		return nil, fmt.Errorf("%s: the Consumer %q: %w", c.origin, name, err)
	}
	return plan, nil
}

// matchIndex is the place of a match among the Consumer's, or -1.
func (c *consumer) matchIndex(match *sallyportv1.CertificateMatch) int {
	return slices.IndexFunc(c.message.GetSpec().GetCertificates(), func(m *sallyportv1.CertificateMatch) bool { return proto.Equal(m, match) })
}

// place is where a node of the Consumer stands.
func (c *consumer) place(node *yaml.Node) document.Origin {
	return document.Origin{File: c.origin.File, Line: node.Line, Column: node.Column}
}

// at says of an error which field it concerns, and where that is; nil for nil.
func (c *consumer) at(field string, node *yaml.Node, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %s of the Consumer %q: %w", c.place(node), field, c.message.GetMetadata().GetName(), err)
}

// isLink tells whether a path is a symbolic link.
func isLink(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&os.ModeSymlink != 0
}
