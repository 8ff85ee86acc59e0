// Package document reads YAML documents into messages of the configuration language.
//
// It owns everything that can be said of one document by itself: syntax, duplicate keys, unknown and unsupported fields,
// types, and the rules that stand in the schema (protovalidate). Each problem has a place, and all are reported at once.
// It never looks at another document: references are package config's.
package document

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"buf.build/go/protovalidate"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"

	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// MaxSize bounds one file, in bytes.
const MaxSize = 4 << 20

// Document is one resource as it was written.
type Document struct {
	// Kind and Name are empty where they cannot be told; a Kind is one of the language.
	Kind, Name string
	Origin     Origin
	// Message is the resource, such as *sallyportv1.Gateway; nil where the document is broken.
	Message proto.Message

	places map[string]place
}

// place is where a field is written, and its path as it reads in YAML.
type place struct {
	origin Origin
	path   string
}

// kinds are the resources that a document may hold.
var kinds = map[string]func() proto.Message{
	"Authority":   func() proto.Message { return new(sallyportv1.Authority) },
	"Truststore":  func() proto.Message { return new(sallyportv1.Truststore) },
	"Certificate": func() proto.Message { return new(sallyportv1.Certificate) },
	"Gateway":     func() proto.Message { return new(sallyportv1.Gateway) },
	"Role":        func() proto.Message { return new(sallyportv1.Role) },
	"Consumer":    func() proto.Message { return new(sallyportv1.Consumer) },
	"Policy":      func() proto.Message { return new(sallyportv1.Policy) },
	"Provider":    func() proto.Message { return new(sallyportv1.Provider) },
	"Upstream":    func() proto.Message { return new(sallyportv1.Upstream) },
	"Route":       func() proto.Message { return new(sallyportv1.Route) },
	"Test":        func() proto.Message { return new(sallyportv1.Test) },
}

// Broken tells whether the document could not be read; its Kind and Name may still be known.
func (d *Document) Broken() bool { return d.Message == nil }

// WithMessage returns the document with another message, and the places of the first.
func (d *Document) WithMessage(message proto.Message) *Document {
	changed := *d
	changed.Message = message
	return &changed
}

// At returns where a field is written, given its path in the schema (`spec.rules[0].match`), and the path as it reads in
// YAML. A field that is not written is placed at the nearest one around it that is.
func (d *Document) At(path string) (Origin, string) {
	for at := path; at != ""; at = parent(at) {
		if p, ok := d.places[at]; ok {
			return p.origin, p.path + strings.TrimPrefix(path, at)
		}
	}
	return d.Origin, path
}

// Problem is an error at a field of the document.
func (d *Document) Problem(path, format string, args ...any) Problem {
	origin, field := d.At(path)
	return Problem{Origin: origin, Field: field, Message: fmt.Sprintf(format, args...)}
}

// parent cuts the last step off a path of fields, indices and map keys.
func parent(path string) string {
	if strings.HasSuffix(path, "]") {
		return path[:strings.LastIndexByte(path, '[')]
	}
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		return path[:i]
	}
	return ""
}

// Decode reads all documents of a file. Documents with an error are returned as broken. The second result tells whether
// the file could be read to its end: where it could not, it may hold documents of which nothing is known.
func Decode(file string, data []byte) (documents []*Document, complete bool, problems Problems) {
	if len(data) > MaxSize {
		return nil, false, Problems{{Origin: Origin{File: file}, Message: fmt.Sprintf("the file is too large: at most %d bytes are read", MaxSize)}}
	}
	if at := notText(data); at >= 0 {
		return nil, false, Problems{{Origin: originOf(file, data, at), Message: fmt.Sprintf("this is not text in UTF-8: found the byte %#x", data[at])}}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var node yaml.Node
		err := decoder.Decode(&node)
		if errors.Is(err, io.EOF) {
			return documents, true, problems
		}
		if err != nil {
			return documents, false, append(problems, syntaxProblem(file, data, err))
		}
		root := &node
		if node.Kind == yaml.DocumentNode {
			root = node.Content[0]
		}
		if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
			continue // nothing between two separators
		}
		document, found := decodeDocument(file, root)
		documents = append(documents, document)
		problems = append(problems, found...)
	}
}

// notText returns where the first character stands that cannot be in a YAML file, or -1. The YAML library knows no line of
// it, and may stop before it.
func notText(data []byte) int {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		byteOrderMark := r == '\ufeff' && i == 0
		if !printable(r) && !byteOrderMark || r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

// printable tells whether a character may stand in a YAML file (c-printable of YAML 1.2, section 5.1, without the byte
// order mark, which may only stand first).
func printable(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r == 0x85 || r >= 0x20 && r <= 0x7e ||
		r >= 0xa0 && r <= 0xd7ff || r >= 0xe000 && r <= 0xfffd && r != 0xfeff || r >= 0x10000
}

// originOf is the place of a byte.
func originOf(file string, data []byte, offset int) Origin {
	before := data[:offset]
	line := before[bytes.LastIndexByte(before, '\n')+1:]
	return Origin{File: file, Line: bytes.Count(before, []byte("\n")) + 1, Column: utf8.RuneCount(line) + 1}
}

var (
	yamlErrorLine   = regexp.MustCompile(`^(?:yaml: )?line (\d+): (.*)$`)
	yamlErrorAnchor = regexp.MustCompile(`^(?:yaml: )?unknown anchor '(.*)' referenced$`)
)

// syntaxProblem places a syntax error of the YAML library, which knows no column, at the first character of its line.
func syntaxProblem(file string, data []byte, err error) Problem {
	if anchor := yamlErrorAnchor.FindStringSubmatch(err.Error()); anchor != nil {
		return Problem{
			Origin:  originOf(file, data, max(0, bytes.Index(data, []byte("*"+anchor[1])))),
			Message: "expected a value, found an alias; anchors and aliases are not accepted",
		}
	}
	problem := Problem{Origin: Origin{File: file, Line: 1, Column: 1}, Message: strings.TrimPrefix(err.Error(), "yaml: ")}
	if m := yamlErrorLine.FindStringSubmatch(err.Error()); m != nil {
		problem.Origin.Line, _ = strconv.Atoi(m[1])
		problem.Message = m[2]
	}
	if lines := bytes.Split(data, []byte("\n")); problem.Origin.Line <= len(lines) {
		text := lines[problem.Origin.Line-1]
		indent := text[:len(text)-len(bytes.TrimLeft(text, " \t"))]
		problem.Origin.Column = len(indent) + 1
		if bytes.ContainsRune(indent, '\t') {
			problem.Message += "; lines are indented with spaces, not with tabs"
		}
	}
	problem.Message = "this is not YAML: " + problem.Message
	return problem
}

// decodeDocument reads one document, whose root node is given.
func decodeDocument(file string, root *yaml.Node) (*Document, Problems) {
	d := &decoder{document: &Document{
		Origin: Origin{File: file, Line: root.Line, Column: root.Column},
		places: map[string]place{},
	}, failed: map[string]bool{}}
	if root.Kind != yaml.MappingNode {
		d.fail("", root, "expected a mapping with api_version, kind, metadata and spec")
		return d.document, d.problems
	}
	d.document.Name = scalar(field(field(root, "metadata"), "name"))
	create := d.kind(root)
	if create == nil {
		return d.document, d.problems
	}
	message := create()
	d.message(message.ProtoReflect(), root, "", "")
	d.validate(message)
	if d.problems == nil {
		d.document.Message = message
	}
	return d.document, d.problems
}

// kind finds out what the document holds, and returns how to make it; nil where that is nothing that we know.
func (d *decoder) kind(root *yaml.Node) func() proto.Message {
	node := field(root, "kind")
	name := scalar(node)
	switch create := kinds[name]; {
	case create != nil:
		d.document.Kind = name
		return create
	case node == nil:
		d.fail("kind", root, "is missing; expected %s", oneOf(kindNames()))
	default:
		d.fail("kind", node, "expected %s, found %s%s", oneOf(kindNames()), describe(node), DidYouMean(name, kindNames()))
	}
	return nil
}

// validate applies the schema's rules. What already failed to decode is not judged again.
func (d *decoder) validate(message proto.Message) {
	err := protovalidate.Validate(message)
	var invalid *protovalidate.ValidationError
	switch {
	case err == nil:
	case errors.As(err, &invalid):
		for _, v := range invalid.Violations {
			if path, words := d.explain(message.ProtoReflect().Descriptor(), v); !d.failedAround(path) {
				d.problems = append(d.problems, d.document.Problem(path, "%s", words))
			}
		}
	default:
		d.problems = append(d.problems, d.document.Problem("", "the schema's rules could not be applied: %v", err))
	}
}

// failedAround tells whether the field, one around it or one in it failed to decode.
func (d *decoder) failedAround(path string) bool {
	for failed := range d.failed {
		if within(path, failed) || within(failed, path) {
			return true
		}
	}
	return false
}

// within tells whether path is outer or lies in it.
func within(path, outer string) bool {
	rest, ok := strings.CutPrefix(path, outer)
	return ok && (rest == "" || outer == "" || rest[0] == '.' || rest[0] == '[')
}
