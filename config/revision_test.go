package config

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-project/sallyport/config/document"
)

func TestTheRevisionIsOfTheContent(t *testing.T) {
	want := build(t, base()).Revision()
	if len(want) != 32 {
		t.Errorf("the revision is %q", want)
	}
	whole := strings.Join(slices.Collect(maps.Values(base())), "---\n")
	for name, f := range map[string]files{
		"again":                base(),
		"files by other names": {"1.yaml": base()["trust.yaml"], "2.yaml": base()["routes.yaml"], "3.yaml": base()["edge.yaml"], "4.yaml": base()["access.yaml"]},
		"one file":             {"all.yaml": whole},
		"comments and space":   base().replace("spec:\n", "# why\n\nspec:   # not\n"),
		"another layout":       base().replace("{name: partners}", "\n  name: partners"),
		"fields reordered":     base().replace("gateway: edge\n  hostnames: [api.example.org]\n", "hostnames: [api.example.org]\n  gateway: edge\n"),
	} {
		if got := build(t, f).Revision(); got != want {
			t.Errorf("%s: the revision is %s, want %s", name, got, want)
		}
	}
	for name, f := range map[string]files{
		"a value":       base().replace("port: 8443", "port: 8444"),
		"a label":       base().replace("{name: mapps}", "{name: mapps, labels: {team: a}}"),
		"a suspension":  base().replace("  roles: [reader]\n", "  roles: [reader]\n  suspended: true\n"),
		"a new one":     base().add("z.yaml", resource("Upstream", "other", "{endpoints: {dns: 'a:1'}}")),
		"another name":  base().replace("metadata: {name: api}", "metadata: {name: app}").replace("[{name: api}]", "[{name: app}]"),
		"items in turn": base().replace(`["10.0.0.7:8080"]`, `["10.0.0.8:8080", "10.0.0.7:8080"]`),
	} {
		if got := build(t, f).Revision(); got == want {
			t.Errorf("%s: the revision is the same", name)
		}
	}
}

func TestAPolicysVersionIsOfItsOwnContent(t *testing.T) {
	want := build(t, base()).Policy("partners").Version
	for name, f := range map[string]files{
		"another file":      {"0.yaml": base()["trust.yaml"], "1.yaml": base()["access.yaml"], "2.yaml": base()["routes.yaml"], "3.yaml": base()["edge.yaml"]},
		"another role":      base().replace("methods: [GET]", "methods: [GET, POST]"),
		"a suspension":      base().replace("  roles: [reader]\n", "  roles: [reader]\n  suspended: true\n"),
		"another bundle":    base().replace("authority:partner-ca", "file:partners.pem"),
		"another timeout":   base().replace("policy: partners}", "policy: partners, timeout: 1s}"),
		"a label of it":     base().replace("{name: partners}\nspec:\n  auth", "{name: partners, labels: {a: b}}\nspec:\n  auth"),
		"a comment in it":   base().replace("authorize: [", "# why\n  authorize: ["),
		"its fields turned": base().replace("{name: granted, permissions: consumer_roles}", "{permissions: consumer_roles, name: granted}"),
	} {
		if got := build(t, f).Policy("partners").Version; got != want {
			t.Errorf("%s: the version has changed", name)
		}
	}
	for name, f := range map[string]files{
		"what it demands":  base().replace("permissions: consumer_roles", "everyone: true"),
		"what it forwards": base().replace("name: x-consumer", "name: x-caller"),
		"what it says":     base().replace("value: consumer.name}]}\n", "value: consumer.name}]}\n  deny: {disclose: detail}\n"),
	} {
		model, problems := read(f)
		if model == nil {
			t.Fatalf("%s: %q", name, problems)
		}
		if model.Policy("partners").Version == want {
			t.Errorf("%s: the version is the same", name)
		}
	}
}

func documentsOf(t *testing.T, f files) []*document.Document {
	t.Helper()
	var all []File
	for name, text := range f {
		all = append(all, File{Path: name, Data: []byte(text)})
	}
	documents, _, _ := Decode(all)
	return documents
}

func TestASuspensionIsSeenWhateverElseIsBroken(t *testing.T) {
	suspended := base().replace("  roles: [reader]\n", "  roles: [reader]\n  suspended: true\n")
	for name, test := range map[string]struct {
		files files
		want  []string
	}{
		"none":                                 {base(), nil},
		"one":                                  {suspended, []string{"mapps"}},
		"beside a broken document":             {suspended.replace("gateway: edge", "gatway: edge"), []string{"mapps"}},
		"beside a file that is not YAML":       {suspended.add("z.yaml", "a: b: c"), []string{"mapps"}},
		"with a reference to nothing":          {suspended.replace("roles: [reader]", "roles: [nothing]"), []string{"mapps"}},
		"twice":                                {suspended.add("z.yaml", resource("Consumer", "mapps", "{suspended: true}")), []string{"mapps"}},
		"in a document that is itself broken":  {suspended.replace("roles: [reader]", "rolls: [reader]"), nil},
		"of a Consumer that nobody else knows": {base().add("z.yaml", resource("Consumer", "a", "{suspended: true}")), []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := WithdrawalsOf(documentsOf(t, test.files)).Suspended; !slices.Equal(got, test.want) {
				t.Errorf("suspended are %q, want %q", got, test.want)
			}
		})
	}
}

func TestAModelWithSuspensionsIsTheOneThatHadThemWritten(t *testing.T) {
	model := build(t, base())
	before := model.Revision()
	got := model.Without(Withdrawals{Suspended: []string{"mapps", "nobody"}})
	want := build(t, base().replace("  roles: [reader]\n", "  roles: [reader]\n  suspended: true\n"))
	if !got.Consumer("mapps").Suspended || got.Revision() != want.Revision() {
		t.Errorf("suspended: %t, revision %s, want %s", got.Consumer("mapps").Suspended, got.Revision(), want.Revision())
	}
	if model.Consumer("mapps").Suspended || model.Revision() != before {
		t.Error("the first Model has changed")
	}
	if origin := got.Consumer("mapps").SuspendedOrigin; origin.File != "access.yaml" || origin.Line == 0 {
		t.Errorf("the suspension is said to be at %s", origin)
	}
	match := got.Consumer("mapps").Certificates[0]
	if match.Consumer != got.Consumer("mapps") || match.Truststore != got.Truststore("partners") {
		t.Error("the new Model leads into the old one")
	}
}

func TestAModelThatHasTheSuspensionsIsTheSame(t *testing.T) {
	model := build(t, base().replace("  roles: [reader]\n", "  roles: [reader]\n  suspended: true\n"))
	for _, names := range [][]string{nil, {"nobody"}, {"mapps"}} {
		if model.Without(Withdrawals{Suspended: names}) != model {
			t.Errorf("suspending %q makes another Model", names)
		}
	}
}
