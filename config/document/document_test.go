package document

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// decode decodes a file and returns its documents and problems, the problems in order.
func decode(t *testing.T, text string) ([]*Document, bool, []string) {
	t.Helper()
	documents, complete, problems := Decode("a.yaml", []byte(text))
	problems.Sort()
	var lines []string
	for _, p := range problems {
		lines = append(lines, p.Error())
	}
	return documents, complete, lines
}

// resource is a document of a kind with its spec in line 4.
func resource(kind, spec string) string {
	return fmt.Sprintf("api_version: sallyport/v1\nkind: %s\nmetadata: {name: a}\nspec: %s\n", kind, spec)
}

const role = `api_version: sallyport/v1
kind: Role
metadata:
  name: reader
  labels: {team: police}
spec:
  permissions:
  - routes: [api]
    methods: [GET]
    paths: ["/v1/{id}"]
`

func TestADocumentIsReadIntoItsMessage(t *testing.T) {
	documents, complete, problems := decode(t, role)
	if len(documents) != 1 || !complete || problems != nil {
		t.Fatalf("got %d documents, complete %t, problems %q", len(documents), complete, problems)
	}
	want := &sallyportv1.Role{
		ApiVersion: "sallyport/v1", Kind: "Role",
		Metadata: &sallyportv1.Metadata{Name: "reader", Labels: map[string]string{"team": "police"}},
		Spec: &sallyportv1.RoleSpec{Permissions: []*sallyportv1.Permission{
			{Routes: []string{"api"}, Methods: []string{"GET"}, Paths: []string{"/v1/{id}"}},
		}},
	}
	if difference := cmp.Diff(want, documents[0].Message, protocmp.Transform()); difference != "" {
		t.Errorf("unexpected message (-want +got):\n%s", difference)
	}
	if d := documents[0]; d.Kind != "Role" || d.Name != "reader" || d.Broken() || d.Origin != (Origin{File: "a.yaml", Line: 1, Column: 1}) {
		t.Errorf("got the document %+v", d)
	}
}

func TestEveryWayToWriteTheSameIsTheSame(t *testing.T) {
	want, _, _ := decode(t, role)
	for name, text := range map[string]string{
		"CRLF":             strings.ReplaceAll(role, "\n", "\r\n"),
		"byte order mark":  "\ufeff" + role,
		"a separator":      "---\n" + role + "...\n",
		"comments":         "# first\n" + strings.ReplaceAll(role, "\n", " # why\n"),
		"quotes":           strings.NewReplacer("reader", `"reader"`, "GET", "'GET'").Replace(role),
		"no last newline":  strings.TrimSuffix(role, "\n"),
		"fields reordered": "spec:\n  permissions:\n  - {paths: [\"/v1/{id}\"], routes: [api], methods: [GET]}\nmetadata: {labels: {team: police}, name: reader}\nkind: Role\napi_version: sallyport/v1\n",
		"JSON":             `{"api_version": "sallyport/v1", "kind": "Role", "metadata": {"name": "reader", "labels": {"team": "police"}}, "spec": {"permissions": [{"routes": ["api"], "methods": ["GET"], "paths": ["/v1/{id}"]}]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			got, complete, problems := decode(t, text)
			if len(got) != 1 || !complete || problems != nil {
				t.Fatalf("got %d documents, complete %t, problems %q", len(got), complete, problems)
			}
			if !proto.Equal(got[0].Message, want[0].Message) {
				t.Errorf("got %v", got[0].Message)
			}
		})
	}
}

func TestAFileHoldsAnyNumberOfDocuments(t *testing.T) {
	separatorInText := strings.Replace(role, "team: police", `team: "a\n---\nb"`, 1)
	separatorInBlock := "api_version: sallyport/v1\nkind: Consumer\nmetadata: {name: a}\nspec:\n  contact: |\n    first\n    ---\n    second\n"
	for name, test := range map[string]struct {
		text string
		want []string // name@line
	}{
		"none":                              {"", nil},
		"comments alone":                    {"# nothing\n", nil},
		"separators alone":                  {"---\n---\n", nil},
		"two":                               {role + "---\n" + role, []string{"reader@1", "reader@12"}},
		"with empty ones between":           {"---\n---\n" + role + "---\n# nothing\n---\n" + role, []string{"reader@3", "reader@16"}},
		"a separator within text":           {separatorInText + "---\n" + role, []string{"reader@1", "reader@12"}},
		"a separator within a block scalar": {separatorInBlock + "---\n" + role, []string{"a@1", "reader@10"}},
		"ended by dots":                     {role + "...\n---\n" + role, []string{"reader@1", "reader@13"}},
	} {
		t.Run(name, func(t *testing.T) {
			documents, complete, problems := decode(t, test.text)
			var got []string
			for _, d := range documents {
				got = append(got, fmt.Sprintf("%s@%d", d.Name, d.Origin.Line))
			}
			if difference := cmp.Diff(test.want, got); difference != "" || !complete || problems != nil {
				t.Errorf("complete %t, problems %q, documents (-want +got):\n%s", complete, problems, difference)
			}
		})
	}
}

func TestValuesOfEachTypeAreRead(t *testing.T) {
	documents, _, problems := decode(t, resource("Consumer", `{suspended: true, valid_from: 2026-12-24T00:00:00Z, valid_until: "2027-12-24T00:00:00+01:00"}`)+
		"---\n"+resource("Upstream", `{endpoints: {addresses: ["10.0.0.7:80"]}, protocol: http2, connect_timeout: 30s}`))
	if problems != nil {
		t.Fatal(problems)
	}
	consumer, upstream := documents[0].Message.(*sallyportv1.Consumer).GetSpec(), documents[1].Message.(*sallyportv1.Upstream).GetSpec()
	got := fmt.Sprint(consumer.GetSuspended(), consumer.GetValidFrom().AsTime(), consumer.GetValidUntil().AsTime(),
		upstream.GetEndpoints().GetAddresses().GetItems(), upstream.GetProtocol(), upstream.GetConnectTimeout().AsDuration())
	const want = "true 2026-12-24 00:00:00 +0000 UTC 2027-12-23 23:00:00 +0000 UTC [10.0.0.7:80] UPSTREAM_PROTOCOL_HTTP2 30s"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAMappingOfNamesToListsIsReadWithItsPlaces(t *testing.T) {
	documents, _, problems := decode(t, resource("Consumer", `{attributes: {prisons: [MDI, LEI], regions: []}}`))
	if problems != nil {
		t.Fatal(problems)
	}
	attributes := documents[0].Message.(*sallyportv1.Consumer).GetSpec().GetAttributes()
	if got := fmt.Sprint(len(attributes), attributes["prisons"].GetValues(), attributes["regions"].GetValues()); got != "2 [MDI LEI] []" {
		t.Errorf("got %s", got)
	}
	_, _, problems = decode(t, resource("Consumer", `{attributes: {prisons: MDI, Regions: [a]}}`))
	for _, want := range []string{"expected a list", "not beginning with a digit"} {
		if !strings.Contains(strings.Join(problems, "\n"), want) {
			t.Errorf("no problem says %q: %v", want, problems)
		}
	}
}

func TestAFieldIsFoundWhereItIsWritten(t *testing.T) {
	documents, _, problems := decode(t, "# first\n"+role+"---\n"+resource("Upstream", `{endpoints: {addresses: ["10.0.0.7:80", "10.0.0.8:80"]}}`))
	if problems != nil {
		t.Fatal(problems)
	}
	for _, test := range []struct {
		document   int
		path, want string
	}{
		{0, "", "a.yaml:2:1 "},
		{0, "metadata.name", "a.yaml:5:9 metadata.name"},
		{0, `metadata.labels["team"]`, `a.yaml:6:12 metadata.labels["team"]`},
		{0, "spec.permissions[0].paths[0]", "a.yaml:11:13 spec.permissions[0].paths[0]"},
		{0, "spec.permissions[0].not_there.nor_this", "a.yaml:9:5 spec.permissions[0].not_there.nor_this"},
		{0, "spec.permissions[7]", "a.yaml:9:3 spec.permissions[7]"},
		{1, "spec.endpoints.addresses.items[1]", "a.yaml:16:47 spec.endpoints.addresses[1]"},
	} {
		origin, field := documents[test.document].At(test.path)
		if got := fmt.Sprintf("%s %s", origin, field); got != test.want {
			t.Errorf("%q is said to be at %q, want %q", test.path, got, test.want)
		}
	}
}

func TestAFileThatIsTooLargeIsNotRead(t *testing.T) {
	documents, complete, problems := decode(t, role+strings.Repeat("#", MaxSize))
	if len(documents) != 0 || complete || len(problems) != 1 || problems[0] != "a.yaml: error: the file is too large: at most 4194304 bytes are read" {
		t.Errorf("got %d documents, complete %t, problems %q", len(documents), complete, problems)
	}
}

func TestABrokenDocumentKeepsItsNameAndDoesNotHideOthers(t *testing.T) {
	documents, complete, problems := decode(t, strings.Replace(role, "methods", "method", 1)+"---\n"+role)
	if len(documents) != 2 || !complete || len(problems) != 1 {
		t.Fatalf("got %d documents, complete %t, problems %q", len(documents), complete, problems)
	}
	if d := documents[0]; !d.Broken() || d.Kind != "Role" || d.Name != "reader" {
		t.Errorf("got the broken document %+v", d)
	}
	if documents[1].Broken() {
		t.Error("the whole document is broken as well")
	}
}
