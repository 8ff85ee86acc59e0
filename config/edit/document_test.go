package edit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

const plain = "api_version: sallyport/v1\nkind: Consumer\nmetadata: {name: mapps}\nspec:\n" +
	"  certificates: [{truststore: partners, subject_common_name: mapps}]\n  roles: [reader]\n"

func TestANewConsumerIsWrittenWhereConsumersStand(t *testing.T) {
	other := doc("nsp", " {}\n")
	for _, c := range []struct {
		name, file    string
		before, after []string
	}{
		{"a file of its own by default", "", nil, []string{"consumers.yaml", plain}},
		{"behind the other Consumers", "", []string{"a/parties.yaml", other}, []string{"a/parties.yaml", other + "---\n" + plain}},
		{"behind most of the other Consumers", "", []string{"a.yaml", doc("a", " {}\n"), "b.yaml", other + "---\n" + doc("b", " {}\n")},
			[]string{"a.yaml", doc("a", " {}\n"), "b.yaml", other + "---\n" + doc("b", " {}\n") + "---\n" + plain}},
		{"in the folder of Consumers", "", []string{"consumers/nsp.yaml", other}, []string{"consumers/nsp.yaml", other, "consumers/mapps.yaml", plain}},
		{"in a new file that is named", "new.yml", []string{"a.yaml", other}, []string{"a.yaml", other, "new.yml", plain}},
		{"in a file that is named and there", "b.yaml", []string{"a.yaml", other, "b.yaml", "# Only a comment.\n"}, []string{"a.yaml", other, "b.yaml", "# Only a comment.\n" + plain}},
		{"behind a file without a last line end, with CRLF", "", []string{"a.yaml", strings.TrimSuffix(crlf(other), "\r\n")}, []string{"a.yaml", crlf(other + "---\n" + plain)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := directory(t, c.before...)
			plan, err := AddConsumer(dir, newConsumer("mapps"), c.file)
			apply(t, plan, err)
			expectFiles(t, dir, c.after...)
			expectConsumer(t, dir, newConsumer("mapps"))
		})
	}
}

func TestANewConsumerIsWrittenLikeTheLastOne(t *testing.T) {
	existing := "api_version: sallyport/v1\nkind: Consumer\nmetadata:\n    name: nsp\n    labels: {team: x}\nspec:\n    certificates:\n        - truststore: partners\n          subject_common_name: nsp\n" +
		"    roles:\n        - reader\n"
	dir := directory(t, "consumers.yaml", existing)
	consumer := newConsumer("mapps")
	consumer.Metadata.Labels = map[string]string{"team": "police"}
	plan, err := AddConsumer(dir, consumer, "")
	apply(t, plan, err)
	expectFiles(t, dir, "consumers.yaml", existing+"---\n"+strings.NewReplacer("nsp", "mapps", "team: x", "team: police").Replace(existing))
}

func TestEveryFieldOfAConsumerIsWritten(t *testing.T) {
	consumer := newConsumer("mapps")
	consumer.Metadata.Labels = map[string]string{"b": "yes", "a": "12"}
	consumer.Spec.Certificates = append(consumer.Spec.Certificates, &sallyportv1.CertificateMatch{
		Truststore: "partners", SubjectDn: "CN=a\\, b,O={c}: #d", SanUri: "spiffe://example.org/x", SpkiSha256: strings.Repeat("0", 64),
		IssuerDn: "CN=ca", Serial: "1e3", Patterns: &sallyportv1.CertificatePatterns{SubjectCommonName: "partner-[0-9]+"},
	})
	consumer.Spec.Contact = "a: b # c"
	consumer.Spec.Suspended = true
	consumer.Spec.Attributes = map[string]*sallyportv1.AttributeValues{"prisons": {Values: []string{"MDI", "null", "1.0"}}}
	consumer.Spec.RateLimit = &sallyportv1.RateLimit{Requests: 100, Per: durationpb.New(time.Hour), Burst: 7}
	consumer.Spec.ValidFrom = timestamppb.New(time.Date(2026, 12, 24, 1, 2, 3, 0, time.UTC))
	consumer.Spec.ValidUntil = timestamppb.New(time.Date(2027, 12, 24, 1, 2, 3, 400, time.UTC))
	dir := directory(t)
	plan, err := AddConsumer(dir, consumer, "")
	apply(t, plan, err)
	expectConsumer(t, dir, consumer)
	want := `  attributes: {prisons: [MDI, "null", "1.0"]}
  rate_limit: {requests: 100, per: 1h, burst: 7}
  contact: 'a: b # c'
  suspended: true
  valid_from: 2026-12-24T01:02:03Z
`
	if text := readFile(t, dir, "consumers.yaml"); !strings.Contains(text, want) {
		t.Errorf("it is written as\n%s", text)
	}
}

func TestAConsumerThatCannotBeAddedIsRefused(t *testing.T) {
	existing := doc("nsp", " {certificates: ["+one+"]}\n")
	for _, c := range []struct {
		name, file string
		consumer   *sallyportv1.Consumer
		says       []string
	}{
		{"a name that is taken", "", newConsumer("nsp"), []string{"nsp.yaml:1:1 already", "choose another name"}},
		{"a name that leads elsewhere", "", newConsumer("../x"), []string{"metadata.name", "lower-case letters"}},
		{"no name", "", &sallyportv1.Consumer{}, []string{"metadata"}},
		{"a file elsewhere", "../x.yaml", newConsumer("mapps"), []string{"does not lie in the configuration"}},
		{"a file that would not be read", "x.txt", newConsumer("mapps"), []string{"name a .yaml file"}},
		{"a hidden folder", ".git/x.yaml", newConsumer("mapps"), []string{"begin with a dot"}},
		{"a folder that is not there", "new/x.yaml", newConsumer("mapps"), []string{"make it first"}},
		{"a file that leads nowhere", "dangling.yaml", newConsumer("mapps"), []string{"never overwritten"}},
		{"a certificate of another's", "", &sallyportv1.Consumer{Metadata: &sallyportv1.Metadata{Name: "mapps"},
			Spec: &sallyportv1.ConsumerSpec{Certificates: []*sallyportv1.CertificateMatch{commonName("one")}}}, []string{"no longer be valid", "nsp.yaml:4"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := directory(t, "consumers/nsp.yaml", existing)
			if err := os.Symlink("nowhere", filepath.Join(dir, "dangling.yaml")); err != nil {
				t.Fatal(err)
			}
			_, err := AddConsumer(dir, c.consumer, c.file)
			expectError(t, err, c.says...)
		})
	}
}

func TestAConsumerIsRemovedWithItsComments(t *testing.T) {
	a, b, c := doc("a", " {}\n# foot\n"), doc("b", " {}\n\n"), doc("c", " {}\n")
	for _, test := range []struct{ name, before, remove, after string }{
		{"between others", a + "---\n# It.\n" + b + "---\n" + c, "b", a + "---\n" + c},
		{"last", a + "---\n# It.\n" + b, "b", a},
		{"first", "# It.\n" + a + "---\n" + c, "a", c},
		{"first, with a marker", "---\n# It.\n" + a + "---\n" + c, "a", "---\n" + c},
		{"first, before a marker with a comment", a + "--- # Other.\n" + c, "a", "--- # Other.\n" + c},
		{"first, below what speaks of the file", "# The file.\n\n# It.\n" + a + "---\n" + c, "a", "# The file.\n\n---\n" + c},
		{"beside a text that looks like a marker", a + "---\n" + doc("b", "\n  contact: |\n    x\n    ---\n    y\n") + "---\n" + c, "a", doc("b", "\n  contact: |\n    x\n    ---\n    y\n") + "---\n" + c},
	} {
		for name, change := range map[string]func(string) string{"LF": func(s string) string { return s }, "CRLF": crlf} {
			t.Run(test.name+", "+name, func(t *testing.T) {
				dir := directory(t, "consumers.yaml", change(test.before))
				plan, err := RemoveConsumer(dir, test.remove)
				apply(t, plan, err)
				expectFiles(t, dir, "consumers.yaml", change(test.after))
			})
		}
	}
}

func TestAFileWithNothingButTheConsumerIsRemoved(t *testing.T) {
	dir := directory(t, "consumers/a.yaml", "# A.\n"+doc("a", " {}\n"), "consumers/b.yaml", doc("b", " {}\n"))
	plan, err := RemoveConsumer(dir, "a")
	if err == nil && !strings.Contains(plan.Diff(), "+++ /dev/null\n") {
		t.Errorf("the diff is\n%s", plan.Diff())
	}
	apply(t, plan, err)
	expectFiles(t, dir, "consumers/b.yaml", doc("b", " {}\n"))
}

func TestAConsumerThatIsReferredToIsNotRemoved(t *testing.T) {
	dir := directory(t, "consumers.yaml", doc("a", " {}\n"), "policy.yaml",
		"api_version: sallyport/v1\nkind: Policy\nmetadata: {name: p}\nspec: {authenticate: {certificate: {truststores: [partners]}}, authorize: [{name: a, consumers: [a]}]}\n")
	_, err := RemoveConsumer(dir, "a")
	expectError(t, err, "no longer be valid", "policy.yaml:4", `there is no Consumer "a"`)
}

func TestWhatIsNotUnderstoodIsNotRemoved(t *testing.T) {
	dir := directory(t, "consumers.yaml", "%YAML 1.1\n---\n"+doc("a", " {}\n---\n")+doc("b", " {}\n"))
	_, err := RemoveConsumer(dir, "a")
	expectError(t, err, "consumers.yaml:3:1", "by hand")

	dir = directory(t)
	write(t, filepath.Join(dir, ".shared.yml"), doc("a", " {}\n"))
	if err := os.Symlink(".shared.yml", filepath.Join(dir, "a.yaml")); err != nil {
		t.Fatal(err)
	}
	_, err = RemoveConsumer(dir, "a")
	expectError(t, err, "symbolic link")
}
