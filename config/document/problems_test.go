package document

import (
	"slices"
	"strings"
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const allKinds = "Authority, Certificate, Consumer, Gateway, Policy, Provider, Role, Route, Test, Truststore, Upstream"

func TestProblemsOfADocument(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"an unknown field, with the nearest name": {
			resource("Role", "\n  permissions:\n  - {routes: [api], method: [GET], paths: [/a]}"),
			[]string{"a.yaml:6:21: error: spec.permissions[0].method: no such field; expected one of routes, methods, paths; did you mean `methods`?"},
		},
		"an unknown field is not missed under its right name": {
			resource("Role", "\n  permission:\n  - {routes: [api], paths: [/a]}"),
			[]string{"a.yaml:5:3: error: spec.permission: no such field; expected permissions; did you mean `permissions`?"},
		},
		"an unknown field beside a missing one": {
			"kind: Role\nmetadata: {name: a}\nxyzzy: 1\napi_version: sallyport/v1\n",
			[]string{
				"a.yaml:1:1: error: spec: is missing",
				"a.yaml:3:1: error: xyzzy: no such field; expected one of api_version, kind, metadata, spec",
			},
		},
		"a key given twice": {
			resource("Consumer", "\n  roles: [a]\n  contact: x\n  roles: [b]"),
			[]string{"a.yaml:7:3: error: spec.roles: is given twice, first in line 5"},
		},
		"a label given twice": {
			"api_version: sallyport/v1\nkind: Consumer\nmetadata: {name: a, labels: {t: a, t: b}}\nspec: {}\n",
			[]string{`a.yaml:3:36: error: metadata.labels["t"]: is given twice, first in line 3`},
		},
		"a list where a mapping belongs": {
			resource("Gateway", "[a]"), []string{"a.yaml:4:7: error: spec: expected a mapping, found a list"},
		},
		"a mapping where a list belongs": {
			resource("Consumer", "{roles: {a: b}}"), []string{"a.yaml:4:15: error: spec.roles: expected a list, found a mapping"},
		},
		"one word where a list belongs": {
			resource("Policy", "{authenticate: {any_of: anonymous}, authorize: [{name: a, consumers: b}]}"),
			[]string{
				`a.yaml:4:31: error: spec.authenticate.any_of: expected a list, found "anonymous"`,
				`a.yaml:4:76: error: spec.authorize[0].consumers: expected a list, found "b"`,
			},
		},
		"a number where text belongs": {
			resource("Consumer", "{contact: 112}"), []string{`a.yaml:4:17: error: spec.contact: expected text (in quotes, where it looks like something else), found "112"`},
		},
		"nothing where something belongs": {
			resource("Authority", "{development: }"), []string{"a.yaml:4:21: error: spec.development: expected a mapping, found nothing"},
		},
		"text where a number belongs": {
			resource("Gateway", "{group: a, listeners: [{name: a, address: 127.0.0.1, port: https, plaintext: yes}]}"),
			[]string{
				`a.yaml:4:66: error: spec.listeners[0].port: expected a whole number from 0, found "https"`,
				`a.yaml:4:84: error: spec.listeners[0].plaintext: expected true or false, found "yes"`,
			},
		},
		"a duration without a unit, a time without a zone": {
			resource("Upstream", "{endpoints: {dns: \"a:1\"}, connect_timeout: 5}") + "---\n" + resource("Consumer", "{valid_until: 2026-12-24}"),
			[]string{
				`a.yaml:4:50: error: spec.connect_timeout: expected a duration such as 200ms, 5s or 24h, found "5"`,
				`a.yaml:9:21: error: spec.valid_until: expected a time such as 2026-12-24T00:00:00Z, found "2026-12-24"`,
			},
		},
		"a wrong value of an enumeration, with the nearest": {
			resource("Upstream", "{endpoints: {dns: \"a:1\"}, protocol: http3}"),
			[]string{"a.yaml:4:43: error: spec.protocol: expected one of http1, http2, found \"http3\"; did you mean `http1`?"},
		},
		"a value of an enumeration that stands for nothing": {
			resource("Certificate", "{issued: {authority: a, profile: unspecified}}"),
			[]string{`a.yaml:4:40: error: spec.issued.profile: expected one of server, client, found "unspecified"`},
		},
		"an enumeration that must be written": {
			resource("Certificate", "{issued: {authority: a}}"),
			[]string{"a.yaml:4:8: error: spec.issued.profile: is missing; expected one of server, client"},
		},
		"no kind": {
			"api_version: sallyport/v1\n", []string{"a.yaml:1:1: error: kind: is missing; expected one of " + allKinds},
		},
		"an unknown kind, with the nearest": {
			resource("Gatway", "{}"), []string{`a.yaml:2:7: error: kind: expected one of ` + allKinds + ", found \"Gatway\"; did you mean `Gateway`?"},
		},
		"a kind that is no word": {
			"kind: [Role]\n", []string{"a.yaml:1:7: error: kind: expected one of " + allKinds + ", found a list"},
		},
		"a field that is not supported yet": {
			resource("Upstream", "{endpoints: {dns: 'a.example.org:80'}, health: {}}"), []string{"a.yaml:4:46: error: spec.health: is not supported yet"},
		},
		"a form that is not supported yet": {
			resource("Upstream", "{endpoints: {file: endpoints.yaml}}"), []string{"a.yaml:4:20: error: spec.endpoints.file: is not supported yet"},
		},
		"another version of the language": {
			strings.Replace(resource("Consumer", "{}"), "v1", "v2", 1), []string{`a.yaml:1:14: error: api_version: expected sallyport/v1, found "sallyport/v2"`},
		},
		"two forms of one": {
			resource("Policy", "\n  authenticate:\n    certificate: {truststores: [a]}\n    anonymous: {}\n  authorize: [{name: a, everyone: true}]"),
			[]string{"a.yaml:7:5: error: spec.authenticate.anonymous: stands beside `certificate`; only one of them may be given"},
		},
		"no form of several": {
			resource("Policy", "{authenticate: {}, authorize: [{name: a}]}"),
			[]string{
				"a.yaml:4:8: error: spec.authenticate: expected one of certificate, jwt, anonymous, any_of, all_of",
				"a.yaml:4:38: error: spec.authorize[0]: expected one of permissions, consumer_roles, consumers, token_roles, scopes, everyone",
			},
		},
		"an alias": {
			"api_version: sallyport/v1\nkind: &k Consumer\nmetadata: {name: a}\nspec: {contact: *k}\n",
			[]string{"a.yaml:4:17: error: spec.contact: expected text (in quotes, where it looks like something else), found an alias; anchors and aliases are not accepted"},
		},
		"a merge key": {
			resource("Consumer", "\n  <<: {contact: a}"),
			[]string{"a.yaml:5:3: error: spec.<<: expected a name, found a merge key; anchors and aliases are not accepted"},
		},
		"a key that is no word": {
			resource("Consumer", "\n  [a]: b"), []string{"a.yaml:5:3: error: spec: expected a name, found a list"},
		},
		"no mapping at all": {
			"- a\n", []string{"a.yaml:1:1: error: expected a mapping with api_version, kind, metadata and spec"},
		},
		"a rule that an item of a list breaks": {
			resource("Role", "{permissions: [{routes: [a], methods: [GET, get], paths: [/a]}]}"),
			[]string{`a.yaml:4:51: error: spec.permissions[0].methods[1]: expected an HTTP method in capitals, found "get"`},
		},
		"an item twice": {
			resource("Role", "{permissions: [{routes: [a, b, a], paths: [/a]}]}"),
			[]string{`a.yaml:4:38: error: spec.permissions[0].routes[2]: stands twice in the list: "a"`},
		},
		"a rule that a key of a mapping breaks": {
			"api_version: sallyport/v1\nkind: Consumer\nmetadata: {name: a, labels: {'': b}}\nspec: {}\n",
			[]string{`a.yaml:3:30: error: metadata.labels[""]: expected some text, found ""`},
		},
		"rules that are broken within a message that is written as a list": {
			resource("Upstream", "{endpoints: {addresses: ['10.0.0.7:80', nowhere, '10.0.0.7:80']}}"),
			[]string{
				`a.yaml:4:47: error: spec.endpoints.addresses[1]: expected an IP address with a port, such as 10.0.0.7:8443, found "nowhere"`,
				`a.yaml:4:56: error: spec.endpoints.addresses[2]: stands twice in the list: "10.0.0.7:80"`,
			},
		},
		"lists that are empty or missing": {
			resource("Role", "{permissions: [{routes: []}]}"),
			[]string{
				"a.yaml:4:22: error: spec.permissions[0].paths: is missing; expected at least one",
				"a.yaml:4:31: error: spec.permissions[0].routes: expected at least one",
			},
		},
		"a list that is written as nothing": {
			resource("Role", "{permissions: }"), []string{"a.yaml:4:21: error: spec.permissions: expected a list, found nothing"},
		},
		"numbers and durations out of their bounds": {
			resource("Gateway", "{group: a, authorization: {timeout: 1m}, listeners: [{name: a, address: here, port: 70000}]}"),
			[]string{
				"a.yaml:4:43: error: spec.authorization.timeout: expected 10ms to 10s, found 1m",
				`a.yaml:4:79: error: spec.listeners[0].address: expected an IP address, found "here"`,
				"a.yaml:4:91: error: spec.listeners[0].port: expected a whole number from 1 to 65535, found 70000",
			},
		},
		"a name that is none": {
			strings.Replace(resource("Consumer", "{}"), "name: a", "name: A_b", 1),
			[]string{`a.yaml:3:18: error: metadata.name: expected lower-case letters, digits and hyphens, beginning and ending with a letter or digit, found "A_b"`},
		},
		"everyone: false": {
			resource("Policy", "{authenticate: {anonymous: {}}, authorize: [{name: a, everyone: false}]}"),
			[]string{"a.yaml:4:71: error: spec.authorize[0].everyone: expected true, found false"},
		},
		"a rule of a whole message": {
			resource("Consumer", "{certificates: [{truststore: a, serial: '1f'}]}"),
			[]string{
				"a.yaml:4:23: error: spec.certificates[0]: give at least one of subject_common_name, subject_dn, san_uri, san_dns (or a pattern of one), spki_sha256, certificate_sha256, or issuer_dn with serial",
				"a.yaml:4:23: error: spec.certificates[0]: issuer_dn and serial go together",
			},
		},
		"a long value is cut": {
			resource("Consumer", "{suspended: "+strings.Repeat("x", 200)+"}"),
			[]string{`a.yaml:4:19: error: spec.suspended: expected true or false, found "` + strings.Repeat("x", 60) + `…"`},
		},
		"forms within forms without end": {
			resource("Policy", "{authenticate: "+strings.Repeat("{any_of: [", 100)+"{anonymous: {}}"+strings.Repeat("]}", 100)+", authorize: [{name: a, everyone: true}]}"),
			[]string{"a.yaml:4:322: error: spec.authenticate" + strings.Repeat(".any_of[0]", 30) + ": lies too deep: at most 32 levels are read"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			documents, _, problems := decode(t, test.text)
			if difference := cmp.Diff(test.want, problems); difference != "" {
				t.Errorf("unexpected problems (-want +got):\n%s", difference)
			}
			if !slices.ContainsFunc(documents, (*Document).Broken) {
				t.Error("no document is broken")
			}
		})
	}
}

func TestProblemsOfSyntax(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"a mapping within a value": {"a: 1\nb: c: d\n", "a.yaml:2:1: error: this is not YAML: mapping values are not allowed in this context"},
		"a tab":                    {"a:\n\tb: c\n", "a.yaml:2:2: error: this is not YAML: found character that cannot start any token; lines are indented with spaces, not with tabs"},
		"an open quote":            {"a: 'b\n", "a.yaml:2:1: error: this is not YAML: found unexpected end of stream"},
		"an unknown escape":        {"a: b\nc: \"\\q\"\n", "a.yaml:2:1: error: this is not YAML: found unknown escape character"},
		"an unknown anchor":        {"a: 1\nb:  *there\n", "a.yaml:2:5: error: expected a value, found an alias; anchors and aliases are not accepted"},
		"in the second document":   {role + "---\na: b: c\n", "a.yaml:12:1: error: this is not YAML: mapping values are not allowed in this context"},
		"a control character":      {"a: b\nc: \x01\n", "a.yaml:2:4: error: this is not text in UTF-8: found the byte 0x1"},
		"Latin-1":                  {"ä: \xe4\n", "a.yaml:1:4: error: this is not text in UTF-8: found the byte 0xe4"},
		"UTF-16":                   {"\xff\xfea\x00", "a.yaml:1:1: error: this is not text in UTF-8: found the byte 0xff"},
	} {
		t.Run(name, func(t *testing.T) {
			_, complete, problems := decode(t, test.text)
			if complete {
				t.Error("the file is said to be complete")
			}
			if len(problems) != 1 || problems[0] != test.want {
				t.Errorf("got  %q\nwant %q", problems, test.want)
			}
		})
	}
}

func TestDocumentsBeforeASyntaxErrorAreKept(t *testing.T) {
	documents, complete, _ := decode(t, role+"---\na: b: c\n")
	if len(documents) != 1 || documents[0].Broken() || complete {
		t.Errorf("got %d documents, complete %t", len(documents), complete)
	}
}

func TestEveryPatternOfTheSchemaIsPutIntoWords(t *testing.T) {
	seen := map[protoreflect.FullName]bool{}
	var check func(md protoreflect.MessageDescriptor)
	check = func(md protoreflect.MessageDescriptor) {
		if seen[md.FullName()] {
			return
		}
		seen[md.FullName()] = true
		for i := range md.Fields().Len() {
			fd := md.Fields().Get(i)
			rules, _ := proto.GetExtension(fd.Options(), validate.E_Field).(*validate.FieldRules)
			for _, pattern := range []string{rules.GetString().GetPattern(), rules.GetRepeated().GetItems().GetString().GetPattern()} {
				if pattern != "" && patternsInWords[pattern] == "" {
					t.Errorf("%s: the pattern %s is not put into words", fd.FullName(), pattern)
				}
			}
			if fd.Message() != nil {
				check(fd.Message())
			}
		}
	}
	for _, create := range kinds {
		check(create().ProtoReflect().Descriptor())
	}
}

func TestNearest(t *testing.T) {
	candidates := []string{"partners", "internal", "edge-client"}
	for name, want := range map[string]string{
		"partner": "partners", "Partners": "partners", "patrners": "partners", "interal": "internal",
		"edge_client": "edge-client", "unrelated": "", "x": "", "": "",
	} {
		if got := Nearest(name, candidates); got != want {
			t.Errorf("nearest to %q is %q, want %q", name, got, want)
		}
	}
}
