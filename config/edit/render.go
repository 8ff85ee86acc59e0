package edit

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/sallyport-project/sallyport/config/document"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// nodeOf writes a message as the language has it: fields in the order of the schema, without those that are not set.
func nodeOf(m protoreflect.Message) *yaml.Node {
	fields := m.Descriptor().Fields()
	if isList, _ := proto.GetExtension(m.Descriptor().Options(), sallyportv1.E_WrittenAsList).(bool); isList {
		return valueNode(fields.Get(0), m.Get(fields.Get(0)))
	}
	node := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for i := range fields.Len() {
		if fd := fields.Get(i); m.Has(fd) {
			node.Content = append(node.Content, scalarNode("!!str", string(fd.Name())), valueNode(fd, m.Get(fd)))
		}
	}
	return node
}

func valueNode(fd protoreflect.FieldDescriptor, value protoreflect.Value) *yaml.Node {
	switch {
	case fd.IsMap():
		return mapNode(fd, value.Map())
	case fd.IsList():
		node := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for i := range value.List().Len() {
			node.Content = append(node.Content, singleNode(fd, value.List().Get(i)))
		}
		return node
	}
	return singleNode(fd, value)
}

// mapNode writes a map in the order of its keys.
func mapNode(fd protoreflect.FieldDescriptor, values protoreflect.Map) *yaml.Node {
	var keys []string
	for key := range values.Range {
		keys = append(keys, key.String())
	}
	slices.Sort(keys)
	node := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for _, key := range keys {
		value := values.Get(protoreflect.ValueOfString(key).MapKey())
		node.Content = append(node.Content, scalarNode("!!str", key), singleNode(fd.MapValue(), value))
	}
	return node
}

func singleNode(fd protoreflect.FieldDescriptor, value protoreflect.Value) *yaml.Node {
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return scalarNode("!!bool", strconv.FormatBool(value.Bool()))
	case protoreflect.Uint32Kind:
		return scalarNode("!!int", strconv.FormatUint(value.Uint(), 10))
	case protoreflect.EnumKind:
		return scalarNode("!!str", document.EnumName(fd.Enum().Values().ByNumber(value.Enum())))
	case protoreflect.MessageKind:
		switch message := value.Message().Interface().(type) {
		case interface{ AsDuration() time.Duration }:
			return scalarNode("!!str", duration(message.AsDuration()))
		case interface{ AsTime() time.Time }:
			return scalarNode("!!timestamp", message.AsTime().Format(time.RFC3339Nano))
		}
		return nodeOf(value.Message())
	default:
		return scalarNode("!!str", value.String())
	}
}

func scalarNode(tag, value string) *yaml.Node {
	node := &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value}
	if strings.ContainsAny(value, "\r\n\u0085\u2028\u2029") {
		node.Style = yaml.DoubleQuotedStyle
	}
	return node
}

// duration is as a person writes it: 24h, not 24h0m0s.
func duration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// style is how documents of a kind are laid out.
type style struct {
	// sample is a document to be like, or nil.
	sample *yaml.Node
	// indent of what lies in a mapping, in characters.
	indent int
	// indentedItems is set where the dashes of a list stand further right than its key.
	indentedItems bool
}

const defaultIndent = 2

// styleOf learns from a document; from nil, the style is that of the examples.
func styleOf(sample *yaml.Node) style {
	s := style{sample: sample, indent: defaultIndent}
	_, spec, _ := valueOf(sample, "spec")
	if spec == nil || spec.Kind != yaml.MappingNode || spec.Style&yaml.FlowStyle != 0 || len(spec.Content) == 0 || sample.Style&yaml.FlowStyle != 0 {
		return s
	}
	column := spec.Content[0].Column
	if indent := column - sample.Column; indent >= 1 && indent <= 8 {
		s.indent = indent
	}
	for _, value := range spec.Content {
		if value.Kind == yaml.SequenceNode && value.Style&yaml.FlowStyle == 0 && !decorated(value) && value.Column > column {
			s.indentedItems = true
		}
	}
	return s
}

// document renders a resource, with a line break at the end. What the sample has as a block is a block; the rest is written
// in brackets, save the document itself and its spec.
func (s style) document(message proto.Message) (string, error) {
	root := nodeOf(message.ProtoReflect())
	if _, spec, _ := valueOf(root, "spec"); spec != nil {
		for i := 1; i < len(spec.Content); i += 2 {
			_, sampleSpec, _ := valueOf(s.sample, "spec")
			_, sample, _ := valueOf(sampleSpec, spec.Content[i-1].Value)
			lay(spec.Content[i], sample)
		}
	}
	_, metadata, _ := valueOf(root, "metadata")
	_, sample, _ := valueOf(s.sample, "metadata")
	if metadata != nil {
		lay(metadata, sample)
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(s.indent)
	if !s.indentedItems {
		encoder.CompactSeqIndent()
	}
	if err := encoder.Encode(root); err != nil {
		return "", fmt.Errorf("write the document: %w", err)
	}
	return out.String(), nil
}

// lay gives a node the layout of a sample: in brackets where there is none.
func lay(node, sample *yaml.Node) {
	if node.Kind == yaml.ScalarNode {
		return
	}
	if sample == nil || sample.Kind != node.Kind || sample.Style&yaml.FlowStyle != 0 || len(node.Content) == 0 {
		node.Style = yaml.FlowStyle // all in it is in brackets as well
		return
	}
	for i, child := range node.Content {
		var like *yaml.Node
		if node.Kind == yaml.MappingNode && i%2 == 1 {
			_, like, _ = valueOf(sample, node.Content[i-1].Value)
		} else if node.Kind == yaml.SequenceNode && len(sample.Content) > 0 {
			like = sample.Content[0]
		}
		lay(child, like)
	}
}

// fragment renders a message by itself, without a line break at the end: in brackets, or as a block.
func fragment(message proto.Message, flow bool) (string, error) {
	node := nodeOf(message.ProtoReflect())
	for _, child := range node.Content {
		lay(child, nil)
	}
	if flow {
		node.Style = yaml.FlowStyle
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(defaultIndent)
	if err := encoder.Encode(node); err != nil {
		return "", fmt.Errorf("write the entry: %w", err)
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}
