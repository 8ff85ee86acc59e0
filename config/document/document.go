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

	"buf.build/go/protovalidate"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// MaxSize bounds one file, in bytes.
const MaxSize = 4 << 20

// Document is one resource as it was written.
type Document struct {
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
	"Upstream":    func() proto.Message { return new(sallyportv1.Upstream) },
	"Route":       func() proto.Message { return new(sallyportv1.Route) },
	"Test":        func() proto.Message { return new(sallyportv1.Test) },
}

// kindsNotSupportedYet belong to the language and have no behaviour.
var kindsNotSupportedYet = map[string]bool{"Provider": true}

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
		return nil, false, Problems{{Origin: Origin{File: file}, Message: fmt.Sprintf("the file has %d bytes; at most %d are read", len(data), MaxSize)}}
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

var yamlErrorLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): (.*)$`)

// syntaxProblem places a syntax error of the YAML library, which knows no column, at the first character of its line.
func syntaxProblem(file string, data []byte, err error) Problem {
	problem := Problem{Origin: Origin{File: file, Line: 1, Column: 1}, Message: strings.TrimPrefix(err.Error(), "yaml: ")}
	if m := yamlErrorLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ := strconv.Atoi(m[1])
		problem.Message = m[2]
		problem.Origin.Line = line
		if lines := bytes.Split(data, []byte("\n")); line >= 1 && line <= len(lines) {
			text := lines[line-1]
			problem.Origin.Column = len(text) - len(bytes.TrimLeft(text, " \t")) + 1
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
	kind := field(root, "kind")
	d.document.Name = scalar(field(field(root, "metadata"), "name"))
	d.document.Kind = scalar(kind)
	create, known := kinds[d.document.Kind]
	switch {
	case kind == nil:
		d.fail("kind", root, "is missing; expected one of %s", listKinds())
	case kindsNotSupportedYet[d.document.Kind]:
		d.fail("kind", kind, "%s is not supported yet", d.document.Kind)
	case !known:
		d.fail("kind", kind, "no kind %q; expected one of %s%s", d.document.Kind, listKinds(), DidYouMean(d.document.Kind, kindNames()))
	}
	if !known || d.problems != nil {
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

// validate applies the schema's rules. What already failed to decode is not judged again.
func (d *decoder) validate(message proto.Message) {
	err := protovalidate.Validate(message)
	var invalid *protovalidate.ValidationError
	switch {
	case err == nil:
	case errors.As(err, &invalid):
		for _, violation := range invalid.Violations {
			path := protovalidate.FieldPathString(violation.Proto.GetField())
			if d.failedAround(path) {
				continue
			}
			d.problems = append(d.problems, d.document.Problem(path, "%s", explain(violation)))
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

// explain is a violation in words for the person who wrote the file.
func explain(v *protovalidate.Violation) string {
	message := v.Proto.GetMessage()
	switch v.Proto.GetRuleId() {
	case "required", "":
		if v.Proto.GetRuleId() == "required" {
			return "is missing"
		}
	case "string.pattern":
		if pattern := v.RuleValue.String(); patternsInWords[pattern] != "" {
			message = "expected " + patternsInWords[pattern]
		}
	}
	if v.FieldValue.IsValid() && v.FieldDescriptor != nil && v.FieldDescriptor.Kind() == protoreflect.StringKind && !v.FieldDescriptor.IsList() && !v.FieldDescriptor.IsMap() {
		return fmt.Sprintf("%s; found %q", message, v.FieldValue.String())
	}
	return message
}

// patternsInWords says what the schema's regular expressions ask for.
var patternsInWords = map[string]string{
	"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$": "lower-case letters, digits and hyphens, beginning and ending with a letter or digit",
	"^[A-Z]+$":                        "an HTTP method in capitals",
	"^[0-9a-f]{64}$":                  "64 lower-case hexadecimal digits",
	"^https?://[^/]+(/.*)?$":          "a URL with http:// or https://",
	`^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`: "a host name in lower case without a port, or *. and one",
}
