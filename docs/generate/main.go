// Command generate is a protoc plugin that writes the reference of the configuration language, from the comments in the
// .proto files. `make generate` runs it.
package main

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/sallyport-project/sallyport/config/document"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// kinds are the resources, in the order in which a reader meets them.
var kinds = []protoreflect.Name{
	"Gateway", "Route", "Upstream", "Policy", "Consumer", "Role", "Provider", "Truststore", "Certificate", "Authority", "Test",
}

func main() {
	protogen.Options{}.Run(func(plugin *protogen.Plugin) error {
		plugin.SupportedFeatures = uint64(pluginpb.CodeGeneratorResponse_FEATURE_PROTO3_OPTIONAL)
		messages := map[protoreflect.Name]*protogen.Message{}
		for _, file := range plugin.Files {
			if file.Desc.Package() == "sallyport.v1" {
				for _, message := range file.Messages {
					messages[message.Desc.Name()] = message
				}
			}
		}
		page := plugin.NewGeneratedFile("configuration.md", "")
		w := &writer{page: page, written: map[protoreflect.FullName]bool{}}
		w.intro()
		for _, kind := range kinds {
			message := messages[kind]
			if message == nil {
				continue // another module of the same run
			}
			w.kind(message)
		}
		if len(messages) == 0 {
			page.Skip()
		}
		return nil
	})
}

// writer writes one page.
type writer struct {
	page    *protogen.GeneratedFile
	written map[protoreflect.FullName]bool
}

func (w *writer) intro() {
	w.page.P("# The configuration language")
	w.page.P()
	w.page.P("<!-- Made from the comments in proto/sallyport/v1 by `make generate`. -->")
	w.page.P()
	w.page.P("A configuration is a folder of `.yaml` files. Each holds documents with `api_version: sallyport/v1`, a `kind`,")
	w.page.P("`metadata` and a `spec`. Files and their order mean nothing; names are unique within a kind. Fields marked *not")
	w.page.P("supported yet* are refused.")
	w.page.P()
	for _, kind := range kinds {
		w.page.P("- [", kind, "](#", strings.ToLower(string(kind)), ")")
	}
	w.page.P()
}

// kind writes a resource and, below it, the messages that it leads to.
func (w *writer) kind(message *protogen.Message) {
	w.page.P("## ", message.Desc.Name())
	w.page.P()
	w.page.P(comment(message.Comments.Leading))
	w.page.P()
	for _, field := range message.Fields {
		if field.Desc.Name() == "spec" {
			w.message(field.Message, "spec")
		}
	}
}

// message writes the fields of a message, then the messages in them.
func (w *writer) message(message *protogen.Message, path string) {
	if w.written[message.Desc.FullName()] {
		return
	}
	w.written[message.Desc.FullName()] = true
	w.page.P("### ", path)
	w.page.P()
	w.page.P(comment(message.Comments.Leading))
	w.page.P()
	w.page.P("| field | type | meaning |")
	w.page.P("| --- | --- | --- |")
	for _, field := range message.Fields {
		w.page.P("| `", field.Desc.Name(), "` | ", typeOf(field), " | ", meaning(field), " |")
	}
	w.page.P()
	for _, field := range message.Fields {
		if field.Message == nil || field.Desc.IsMap() || unsupported(field) || scalar(field.Message) {
			continue
		}
		below, name := field.Message, path+"."+string(field.Desc.Name())
		if field.Desc.IsList() {
			name += "[]"
		}
		if item := listItem(below); item != nil {
			below, name = item.Message, name+"[]"
		}
		if below != nil {
			w.message(below, name)
		}
	}
}

// typeOf is a field's type as it reads in YAML.
func typeOf(field *protogen.Field) string {
	switch {
	case unsupported(field):
		return "–"
	case field.Desc.IsMap():
		return "mapping of text"
	case field.Desc.IsList():
		return "list of " + single(field)
	case field.Message != nil && listItem(field.Message) != nil:
		return "list of " + single(listItem(field.Message))
	}
	return single(field)
}

// single is the type of one value of a field.
func single(field *protogen.Field) string {
	switch {
	case field.Enum != nil:
		var names []string
		for _, value := range field.Enum.Values {
			if name := document.EnumName(value.Desc); name != "unspecified" {
				names = append(names, "`"+name+"`")
			}
		}
		return strings.Join(names, ", ")
	case field.Message != nil && field.Message.Desc.FullName() == "google.protobuf.Duration":
		return "duration"
	case field.Message != nil && field.Message.Desc.FullName() == "google.protobuf.Timestamp":
		return "time"
	case field.Message != nil:
		return "mapping"
	case field.Desc.Kind() == protoreflect.BoolKind:
		return "true or false"
	case field.Desc.Kind() == protoreflect.StringKind:
		return "text"
	}
	return "number"
}

// meaning is a field's comment, with the meaning of each value of an enumeration.
func meaning(field *protogen.Field) string {
	text := comment(field.Comments.Leading)
	if unsupported(field) {
		return "*Not supported yet.* " + text
	}
	if oneof := field.Oneof; oneof != nil && !oneof.Desc.IsSynthetic() {
		text += fmt.Sprintf(" *(one of %d forms)*", len(oneof.Fields))
	}
	if field.Enum != nil {
		for _, value := range field.Enum.Values {
			if name := document.EnumName(value.Desc); name != "unspecified" {
				text += " `" + name + "`: " + comment(value.Comments.Leading)
			}
		}
	}
	return strings.ReplaceAll(text, "|", "\\|")
}

// comment is a comment on one line.
func comment(c protogen.Comments) string { return strings.Join(strings.Fields(string(c)), " ") }

func unsupported(field *protogen.Field) bool {
	return option(field.Desc.Options(), sallyportv1.E_NotSupportedYet)
}

// option is the value of one of our own options.
func option(options proto.Message, of protoreflect.ExtensionType) bool {
	set, ok := proto.GetExtension(options, of).(bool)
	return ok && set
}

// listItem is the field of a message that is written as a list, or nil.
func listItem(message *protogen.Message) *protogen.Field {
	if option(message.Desc.Options(), sallyportv1.E_WrittenAsList) {
		return message.Fields[0]
	}
	return nil
}

func scalar(message *protogen.Message) bool {
	return message.Desc.ParentFile().Package() == "google.protobuf"
}
