package document

import (
	"fmt"
	"strconv"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
)

// explain is a violation of the schema's rules in words for the person who wrote the file, with the path of the field that
// it is about.
func (d *decoder) explain(root protoreflect.MessageDescriptor, v *protovalidate.Violation) (path, words string) {
	path = protovalidate.FieldPathString(v.Proto.GetField())
	if forms := formsOf(root, v.Proto); forms != nil {
		return parent(path), "expected " + oneOf(forms)
	}
	if v.Proto.GetRuleId() == "repeated.unique" {
		if i, value := repeated(v.FieldValue); i > 0 {
			return fmt.Sprintf("%s[%d]", path, i), "stands twice in the list: " + quote(value)
		}
	}
	expected := expectation(v)
	if expected == "" {
		expected = v.Proto.GetMessage()
	}
	_, written := d.document.places[path]
	switch {
	case v.Proto.GetRuleId() == "required":
		return path, "is missing"
	case !written:
		return path, "is missing; " + expected
	}
	return path, expected + found(v.FieldValue)
}

// formsOf are the fields of the oneof that a violation is about, of which one must be given; nil for any other violation.
// Those that are not supported yet are left out.
func formsOf(root protoreflect.MessageDescriptor, v *validate.Violation) []string {
	elements := v.GetField().GetElements()
	if len(elements) == 0 || elements[len(elements)-1].GetFieldNumber() != 0 {
		return nil // it is about a field
	}
	last := len(elements) - 1
	for _, element := range elements[:last] {
		fd := root.Fields().ByName(protoreflect.Name(element.GetFieldName()))
		if fd == nil || fd.Message() == nil {
			return nil
		}
		root = fd.Message()
	}
	oneof := root.Oneofs().ByName(protoreflect.Name(elements[last].GetFieldName()))
	if oneof == nil {
		return nil
	}
	var forms []string
	for i := range oneof.Fields().Len() {
		if fd := oneof.Fields().Get(i); !notSupportedYet(fd) {
			forms = append(forms, string(fd.Name()))
		}
	}
	return forms
}

// expectation says what a rule asks for, or "" where the rule speaks for itself.
func expectation(v *protovalidate.Violation) string {
	rules := rulesOf(v)
	switch v.Proto.GetRuleId() {
	case "string.const":
		return "expected " + v.RuleValue.String()
	case "string.min_len":
		return "expected some text"
	case "string.max_len":
		return fmt.Sprintf("expected at most %d characters", v.RuleValue.Uint())
	case "string.pattern":
		return "expected " + patternsInWords[v.RuleValue.String()]
	case "string.ip":
		return "expected an IP address"
	case "string.uri":
		return "expected a URI such as spiffe://example.org/edge"
	case "string.hostname":
		return "expected a host name"
	case "string.host_and_port":
		return "expected an IP address with a port, such as 10.0.0.7:8443"
	case "repeated.min_items":
		return "expected at least one"
	case "repeated.max_items", "map.max_pairs":
		return fmt.Sprintf("expected at most %d", v.RuleValue.Uint())
	case "bool.const":
		return "expected true"
	case "enum.not_in", "enum.defined_only":
		return "expected " + oneOf(enumNames(v.FieldDescriptor.Enum()))
	case "duration.gte_lte":
		r := rules.GetDuration()
		return fmt.Sprintf("expected %s to %s", duration(r.GetGte()), duration(r.GetLte()))
	case "uint32.gte_lte":
		r := rules.GetUint32()
		return fmt.Sprintf("expected a whole number from %d to %d", r.GetGte(), r.GetLte())
	}
	return ""
}

// rulesOf are the rules of the field that a violation is about.
func rulesOf(v *protovalidate.Violation) *validate.FieldRules {
	if v.FieldDescriptor == nil {
		return nil
	}
	rules, _ := proto.GetExtension(v.FieldDescriptor.Options(), validate.E_Field).(*validate.FieldRules)
	return rules
}

// duration is written as in YAML: 200ms, 5s, 24h.
func duration(d *durationpb.Duration) string {
	text := d.AsDuration().String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// found says which value was written, where it is a single one.
func found(v protoreflect.Value) string {
	if !v.IsValid() {
		return ""
	}
	switch value := v.Interface().(type) {
	case string:
		return ", found " + quote(value)
	case uint32:
		return fmt.Sprintf(", found %d", value)
	case bool:
		return fmt.Sprintf(", found %t", value)
	case protoreflect.Message:
		if d, ok := value.Interface().(*durationpb.Duration); ok {
			return ", found " + duration(d)
		}
	}
	return ""
}

// repeated finds the first value of a list of texts that has stood there before.
func repeated(v protoreflect.Value) (index int, value string) {
	list, ok := v.Interface().(protoreflect.List)
	if !ok {
		return 0, ""
	}
	seen := map[string]bool{}
	for i := range list.Len() {
		text := list.Get(i).String()
		if seen[text] {
			return i, text
		}
		seen[text] = true
	}
	return 0, ""
}

// oneOf lists names to choose from.
func oneOf(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return "one of " + strings.Join(names, ", ")
}

// patternsInWords says what the schema's regular expressions ask for; each of them stands here.
var patternsInWords = map[string]string{
	"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$":             "lower-case letters, digits and hyphens, beginning and ending with a letter or digit",
	"^[A-Z]+$":                                    "an HTTP method in capitals",
	"^[0-9]{12}$":                                 "an AWS account, 12 digits",
	"^[a-z_][a-z0-9_]{0,62}$":                     "lower-case letters, digits and underscores, not beginning with a digit, at most 63 characters",
	"^[0-9a-f]{64}$":                              "64 lower-case hexadecimal digits",
	"^[1-9a-f][0-9a-f]{0,39}$":                    "at most 40 lower-case hexadecimal digits without zeros in front",
	"^https?://[^/]+(/.*)?$":                      "a URL that begins with http:// or https://",
	`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?:[0-9]{1,5}$`: "a host name in lower case with a port, such as api.internal:8443",
	`^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`:                        "a host name in lower case without a port, or *. and one",
	`^https?://(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*(:[0-9]{1,5})?$`: "an origin such as https://app.example.org or https://*.example.org, without a path",
	`^https?://[^\s?#]+$`:     "an address such as https://login.example.org/tenant, without query and fragment",
	`^https?://[^\s#]+$`:      "an address that begins with https:// or http://",
	`^https://[^\s"#]+$`:      "an address that begins with https://",
	`^\S+$`:                   "the name of a claim, or a path such as realm_access.roles",
	`^\S*$`:                   "the name of a claim, or a path such as realm_access.roles",
	`^[A-Za-z0-9!#$&^_.+-]+$`: "a type such as at+jwt, without `application/`",
	`^[!#-\[\]-~]+$`:          "a scope: visible characters without spaces, quotes and backslashes (RFC 6749, section 3.3)",
}

// quote is a value in quotes, shortened where it is long.
func quote(value string) string {
	const most = 60
	if len(value) > most {
		value = strings.ToValidUTF8(value[:most], "") + "…"
	}
	return strconv.Quote(value)
}
