package document

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// decoder fills the message of one document from its nodes, and remembers where each field is written. Paths are kept
// twice: as the schema has them, to find a field again, and as they read in YAML, for people.
type decoder struct {
	document *Document
	problems Problems
	// failed holds the schema paths that could not be decoded.
	failed map[string]bool
	// depth is how many mappings are open.
	depth int
}

// maxDepth bounds how deep mappings may lie in one another: forms that hold themselves would have no end.
const maxDepth = 32

// fail records a problem at a node.
func (d *decoder) fail(path string, node *yaml.Node, format string, args ...any) {
	d.failAt(path, path, node, format, args...)
}

func (d *decoder) failAt(path, yamlPath string, node *yaml.Node, format string, args ...any) {
	d.failed[path] = true
	d.problems = append(d.problems, Problem{
		Origin:  Origin{File: d.document.Origin.File, Line: node.Line, Column: node.Column},
		Field:   yamlPath,
		Message: fmt.Sprintf(format, args...),
	})
}

// remember notes where a field is written.
func (d *decoder) remember(path, yamlPath string, node *yaml.Node) {
	d.document.places[path] = place{origin: Origin{File: d.document.Origin.File, Line: node.Line, Column: node.Column}, path: yamlPath}
}

// message fills a message from a mapping.
func (d *decoder) message(m protoreflect.Message, node *yaml.Node, path, yamlPath string) {
	if list := listField(m.Descriptor()); list != nil {
		d.list(m, list, node, join(path, string(list.Name())), yamlPath)
		return
	}
	if node.Kind != yaml.MappingNode {
		d.failAt(path, yamlPath, node, "expected a mapping, found %s", describe(node))
		return
	}
	d.depth++
	defer func() { d.depth-- }()
	if d.depth > maxDepth {
		d.failAt(path, yamlPath, node, "lies too deep: at most %d levels are read", maxDepth)
		return
	}
	fields := m.Descriptor().Fields()
	keys := map[string]*yaml.Node{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		at, yamlAt := join(path, key.Value), join(yamlPath, key.Value)
		if !d.key(keys, key, at, yamlAt) {
			continue
		}
		fd := fields.ByName(protoreflect.Name(key.Value))
		if fd == nil {
			d.failAt(at, yamlAt, key, "no such field; expected %s%s", oneOf(fieldNames(fields)), DidYouMean(key.Value, fieldNames(fields)))
			if meant := Nearest(key.Value, fieldNames(fields)); meant != "" {
				d.failed[join(path, meant)] = true // so it is not said to be missing
			}
			continue
		}
		d.remember(at, yamlAt, key)
		if notSupportedYet(fd) {
			d.failAt(at, yamlAt, key, "is not supported yet")
			continue
		}
		if oneof := fd.ContainingOneof(); oneof != nil && !oneof.IsSynthetic() {
			if other := m.WhichOneof(oneof); other != nil {
				d.failAt(at, yamlAt, key, "stands beside `%s`; only one of them may be given", other.Name())
				continue
			}
		}
		d.value(m, fd, value, at, yamlAt)
	}
}

// key checks one key of a mapping: a plain name, given once.
func (d *decoder) key(keys map[string]*yaml.Node, key *yaml.Node, path, yamlPath string) bool {
	if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
		d.failAt(path, yamlPath, key, "expected a name, found %s", describe(key))
		return false
	}
	if first := keys[key.Value]; first != nil {
		d.failAt(path, yamlPath, key, "is given twice, first in line %d", first.Line)
		return false
	}
	keys[key.Value] = key
	return true
}

// value sets one field from its node.
func (d *decoder) value(m protoreflect.Message, fd protoreflect.FieldDescriptor, node *yaml.Node, path, yamlPath string) {
	switch {
	case fd.IsMap():
		d.mapping(m, fd, node, path, yamlPath)
	case fd.IsList():
		d.list(m, fd, node, path, yamlPath)
	case fd.Message() != nil && !isScalarMessage(fd.Message()):
		d.message(m.Mutable(fd).Message(), node, path, yamlPath)
	default:
		d.remember(path, yamlPath, node)
		if v, ok := d.scalar(fd, node, path, yamlPath); ok {
			m.Set(fd, v)
		}
	}
}

// list fills a repeated field from a sequence.
func (d *decoder) list(m protoreflect.Message, fd protoreflect.FieldDescriptor, node *yaml.Node, path, yamlPath string) {
	if node.Kind != yaml.SequenceNode {
		d.failAt(path, yamlPath, node, "expected a list, found %s", describe(node))
		return
	}
	d.remember(path, yamlPath, node)
	list := m.Mutable(fd).List()
	for i, item := range node.Content {
		at, yamlAt := fmt.Sprintf("%s[%d]", path, i), fmt.Sprintf("%s[%d]", yamlPath, i)
		d.remember(at, yamlAt, item)
		if fd.Message() != nil && !isScalarMessage(fd.Message()) {
			d.message(list.AppendMutable().Message(), item, at, yamlAt)
		} else if v, ok := d.scalar(fd, item, at, yamlAt); ok {
			list.Append(v)
		}
	}
}

// mapping fills a map from names to values.
func (d *decoder) mapping(m protoreflect.Message, fd protoreflect.FieldDescriptor, node *yaml.Node, path, yamlPath string) {
	if node.Kind != yaml.MappingNode {
		d.failAt(path, yamlPath, node, "expected a mapping, found %s", describe(node))
		return
	}
	values := m.Mutable(fd).Map()
	keys := map[string]*yaml.Node{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		at, yamlAt := fmt.Sprintf("%s[%q]", path, key.Value), fmt.Sprintf("%s[%q]", yamlPath, key.Value)
		if !d.key(keys, key, at, yamlAt) {
			continue
		}
		d.remember(at, yamlAt, key)
		name := protoreflect.ValueOfString(key.Value).MapKey()
		if of := fd.MapValue().Message(); of != nil && !isScalarMessage(of) {
			d.message(values.Mutable(name).Message(), value, at, yamlAt)
		} else if v, ok := d.scalar(fd.MapValue(), value, at, yamlAt); ok {
			values.Set(name, v)
		}
	}
}

// scalar reads a value that is written as one word.
func (d *decoder) scalar(fd protoreflect.FieldDescriptor, node *yaml.Node, path, yamlPath string) (protoreflect.Value, bool) {
	expected, read := scalarReader(fd)
	if node.Kind == yaml.ScalarNode {
		if v, ok := read(node); ok {
			return v, true
		}
	}
	hint := ""
	if fd.Kind() == protoreflect.EnumKind {
		hint = DidYouMean(node.Value, enumNames(fd.Enum()))
	}
	d.failAt(path, yamlPath, node, "expected %s, found %s%s", expected, describe(node), hint)
	return protoreflect.Value{}, false
}

// scalarReader returns what is expected of a field, in words, and how to read it.
func scalarReader(fd protoreflect.FieldDescriptor) (expected string, read func(*yaml.Node) (protoreflect.Value, bool)) {
	switch fd.Kind() {
	case protoreflect.StringKind:
		return "text (in quotes, where it looks like something else)", func(n *yaml.Node) (protoreflect.Value, bool) {
			return protoreflect.ValueOfString(n.Value), n.Tag == "!!str"
		}
	case protoreflect.BoolKind:
		return "true or false", func(n *yaml.Node) (protoreflect.Value, bool) {
			return protoreflect.ValueOfBool(n.Value == "true"), n.Tag == "!!bool" && (n.Value == "true" || n.Value == "false")
		}
	case protoreflect.Uint32Kind:
		return "a whole number from 0", func(n *yaml.Node) (protoreflect.Value, bool) {
			v, err := strconv.ParseUint(n.Value, 10, 32)
			return protoreflect.ValueOfUint32(uint32(v & math.MaxUint32)), err == nil && n.Tag == "!!int"
		}
	case protoreflect.EnumKind:
		return enumReader(fd.Enum())
	case protoreflect.MessageKind:
		if fd.Message().FullName() == "google.protobuf.Duration" {
			return "a duration such as 200ms, 5s or 24h", func(n *yaml.Node) (protoreflect.Value, bool) {
				v, err := time.ParseDuration(n.Value)
				return protoreflect.ValueOfMessage(durationpb.New(v).ProtoReflect()), err == nil
			}
		}
		return "a time such as 2026-12-24T00:00:00Z", func(n *yaml.Node) (protoreflect.Value, bool) {
			v, err := time.Parse(time.RFC3339, n.Value)
			return protoreflect.ValueOfMessage(timestamppb.New(v).ProtoReflect()), err == nil
		}
	default:
		panic("document: the schema has a field of a kind that YAML is not read into: " + string(fd.FullName()))
	}
}

// enumReader reads an enumeration value by its name in lower case without the enumeration's prefix.
func enumReader(ed protoreflect.EnumDescriptor) (expected string, read func(*yaml.Node) (protoreflect.Value, bool)) {
	return oneOf(enumNames(ed)), func(n *yaml.Node) (protoreflect.Value, bool) {
		for i := range ed.Values().Len() {
			if value := ed.Values().Get(i); EnumName(value) == n.Value && n.Value != unspecified {
				return protoreflect.ValueOfEnum(value.Number()), true
			}
		}
		return protoreflect.Value{}, false
	}
}

// unspecified is the name of enumeration values that stand for nothing having been written.
const unspecified = "unspecified"

// enumNames are the names of an enumeration's values as they are written in YAML.
func enumNames(ed protoreflect.EnumDescriptor) []string {
	var names []string
	for i := range ed.Values().Len() {
		if name := EnumName(ed.Values().Get(i)); name != unspecified {
			names = append(names, name)
		}
	}
	return names
}

// EnumName is how an enumeration value is written in YAML: CLIENT_AUTH_MODE_OPTIONAL of ClientAuthMode is `optional`.
func EnumName(value protoreflect.EnumValueDescriptor) string {
	var prefix strings.Builder
	var previous rune
	for _, r := range string(value.Parent().Name()) {
		if r >= 'A' && r <= 'Z' && previous >= 'a' && previous <= 'z' {
			prefix.WriteByte('_')
		}
		prefix.WriteRune(r)
		previous = r
	}
	return strings.TrimPrefix(strings.ToLower(string(value.Name())), strings.ToLower(prefix.String())+"_")
}

// listField returns the only field of a message that is written as a list, or nil for any other message.
func listField(md protoreflect.MessageDescriptor) protoreflect.FieldDescriptor {
	if is, _ := proto.GetExtension(md.Options(), sallyportv1.E_WrittenAsList).(bool); is {
		return md.Fields().Get(0)
	}
	return nil
}

// notSupportedYet tells whether a field belongs to the language and has no behaviour.
func notSupportedYet(fd protoreflect.FieldDescriptor) bool {
	is, _ := proto.GetExtension(fd.Options(), sallyportv1.E_NotSupportedYet).(bool)
	return is
}

func isScalarMessage(md protoreflect.MessageDescriptor) bool {
	return md.FullName() == "google.protobuf.Duration" || md.FullName() == "google.protobuf.Timestamp"
}

func fieldNames(fields protoreflect.FieldDescriptors) []string {
	names := make([]string, fields.Len())
	for i := range names {
		names[i] = string(fields.Get(i).Name())
	}
	return names
}

func kindNames() []string { return slices.Sorted(maps.Keys(kinds)) }

// join adds a name to a path; a key that has no name stands for what it is in.
func join(path, name string) string {
	if path == "" || name == "" {
		return path + name
	}
	return path + "." + name
}

// describe says what a node is, for "found …".
func describe(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias; anchors and aliases are not accepted"
	}
	switch node.Tag {
	case "!!null":
		return "nothing"
	case "!!merge":
		return "a merge key; anchors and aliases are not accepted"
	}
	return quote(node.Value)
}

// field returns the value of a key of a mapping, or nil.
func field(node *yaml.Node, name string) *yaml.Node {
	if node == nil || node.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == name {
			return node.Content[i+1]
		}
	}
	return nil
}

// scalar returns the text of a node, or "".
func scalar(node *yaml.Node) string {
	if node == nil || node.Kind != yaml.ScalarNode {
		return ""
	}
	return node.Value
}
