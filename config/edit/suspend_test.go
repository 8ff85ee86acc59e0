package edit

import (
	"path/filepath"
	"strings"
	"testing"
)

const certificates = "\n  certificates: [{truststore: partners, subject_common_name: mapps}]\n"

func TestAConsumerIsSuspendedAndResumedInTheStyleOfItsDocument(t *testing.T) {
	for _, c := range []struct{ name, active, suspended, resumed string }{
		{"a block gets a line at its end, which goes again",
			doc("mapps", certificates), doc("mapps", certificates+"  suspended: true\n"), doc("mapps", certificates)},
		{"the last line need not end",
			doc("mapps", strings.TrimSuffix(certificates, "\n")), doc("mapps", certificates+"  suspended: true"), doc("mapps", strings.TrimSuffix(certificates, "\n"))},
		{"brackets get an entry at their end, which goes again",
			doc("mapps", " {roles: [reader]}\n"), doc("mapps", " {roles: [reader], suspended: true}\n"), doc("mapps", " {roles: [reader]}\n")},
		{"empty brackets keep the entry",
			doc("mapps", " {}\n"), doc("mapps", " {suspended: true}\n"), doc("mapps", " {suspended: false}\n")},
		{"a trailing comma stays",
			doc("mapps", " {roles: [reader,],}\n"), doc("mapps", " {roles: [reader,], suspended: true,}\n"), doc("mapps", " {roles: [reader,],}\n")},
		{"brackets over several lines get a line",
			doc("mapps", " {\n    roles: [reader], # one\n    contact: a # two\n  }\n"),
			doc("mapps", " {\n    roles: [reader], # one\n    contact: a, # two\n    suspended: true\n  }\n"),
			doc("mapps", " {\n    roles: [reader], # one\n    contact: a, # two\n  }\n")},
		{"a value is changed where it stands, with the comment behind it",
			doc("mapps", "\n  suspended: false  # since May\n  roles: [reader]\n"), doc("mapps", "\n  suspended: true  # since May\n  roles: [reader]\n"),
			doc("mapps", "\n  suspended: false  # since May\n  roles: [reader]\n")},
		{"a comment above keeps the line",
			doc("mapps", "\n  roles: [reader]\n  # Under investigation.\n  suspended: false\n"), doc("mapps", "\n  roles: [reader]\n  # Under investigation.\n  suspended: true\n"),
			doc("mapps", "\n  roles: [reader]\n  # Under investigation.\n  suspended: false\n")},
		{"an indentation of four, and a comment behind the last line",
			doc("mapps", "\n    roles:\n    - reader   # all\n# foot\n"), doc("mapps", "\n    roles:\n    - reader   # all\n    suspended: true\n# foot\n"),
			doc("mapps", "\n    roles:\n    - reader   # all\n# foot\n")},
		{"a literal scalar at the end, and its empty lines",
			doc("mapps", "\n  contact: |+\n    a\n\n"), doc("mapps", "\n  contact: |+\n    a\n\n  suspended: true\n"), doc("mapps", "\n  contact: |+\n    a\n\n")},
		{"a folded plain scalar at the end",
			doc("mapps", "\n  contact: a b\n    c\n\n    d # e\n"), doc("mapps", "\n  contact: a b\n    c\n\n    d # e\n  suspended: true\n"), doc("mapps", "\n  contact: a b\n    c\n\n    d # e\n")},
		{"quotes of both kinds",
			doc("mapps", "\n  contact: 'it''s # \"'\n  roles: [\"read\\u0065r\"]\n"), doc("mapps", "\n  contact: 'it''s # \"'\n  roles: [\"read\\u0065r\"]\n  suspended: true\n"),
			doc("mapps", "\n  contact: 'it''s # \"'\n  roles: [\"read\\u0065r\"]\n")},
		{"the document in brackets",
			"{api_version: sallyport/v1, kind: Consumer, metadata: {name: mapps}, spec: {contact: é}}", "{api_version: sallyport/v1, kind: Consumer, metadata: {name: mapps}, spec: {contact: é, suspended: true}}",
			"{api_version: sallyport/v1, kind: Consumer, metadata: {name: mapps}, spec: {contact: é}}"},
		{"a spec in front of the metadata",
			"spec:\n  roles: [reader]\n\n# Who.\nmetadata: {name: mapps}\nkind: Consumer\napi_version: sallyport/v1\n",
			"spec:\n  roles: [reader]\n  suspended: true\n\n# Who.\nmetadata: {name: mapps}\nkind: Consumer\napi_version: sallyport/v1\n",
			"spec:\n  roles: [reader]\n\n# Who.\nmetadata: {name: mapps}\nkind: Consumer\napi_version: sallyport/v1\n"},
		{"keys with question marks",
			doc("mapps", "\n  roles: [reader]\n  ? suspended\n  : false\n"), doc("mapps", "\n  roles: [reader]\n  ? suspended\n  : true\n"), doc("mapps", "\n  roles: [reader]\n  ? suspended\n  : false\n")},
		{"an anchor elsewhere, which nothing refers to",
			doc("mapps", " &s\n  roles: &r [reader]\n"), doc("mapps", " &s\n  roles: &r [reader]\n  suspended: true\n"), doc("mapps", " &s\n  roles: &r [reader]\n")},
	} {
		for _, surroundings := range []struct{ name, before, after string }{
			{"alone", "", ""},
			{"among others", "# Ours.\n" + doc("first", " {}\n") + "---\n# This one.\n", ""},
			{"before others", "", "\n---\n" + doc("last", " {}\n")},
		} {
			if surroundings.after != "" && strings.HasSuffix(c.active, "\n") {
				surroundings.after = surroundings.after[1:]
			}
			for _, ends := range []struct {
				name   string
				change func(string) string
			}{{"LF", func(s string) string { return s }}, {"CRLF", crlf}, {"byte order mark", func(s string) string { return "\ufeff" + s }}} {
				t.Run(c.name+", "+surroundings.name+", "+ends.name, func(t *testing.T) {
					whole := func(text string) string { return ends.change(surroundings.before + text + surroundings.after) }
					dir := directory(t, "consumers.yaml", whole(c.active))
					plan, err := SetSuspended(dir, "mapps", true)
					apply(t, plan, err)
					expectFiles(t, dir, "consumers.yaml", whole(c.suspended))
					plan, err = SetSuspended(dir, "mapps", true)
					if err != nil || !plan.Empty() || plan.Diff() != "" || plan.File() != "" {
						t.Errorf("suspending what is suspended is not nothing: %v", err)
					}
					apply(t, plan, err)
					plan, err = SetSuspended(dir, "mapps", false)
					apply(t, plan, err)
					expectFiles(t, dir, "consumers.yaml", whole(c.resumed))
				})
			}
		}
	}
}

func TestASuspensionTakesEffectAlthoughOtherDocumentsAreBroken(t *testing.T) {
	for name, broken := range map[string]string{
		"another file":                   "kind: [",
		"a reference that leads nowhere": doc("other", " {roles: [nobody]}\n"),
	} {
		t.Run(name, func(t *testing.T) {
			dir := directory(t, "a.yaml", doc("mapps", " {}\n"), "b.yaml", broken)
			plan, err := SetSuspended(dir, "mapps", true)
			apply(t, plan, err)
			expectFiles(t, dir, "a.yaml", doc("mapps", " {suspended: true}\n"), "b.yaml", broken)
		})
	}
	t.Run("below it in the same file", func(t *testing.T) {
		dir := directory(t, "a.yaml", doc("mapps", "\n  roles: []\n---\nkind: [\n"))
		plan, err := SetSuspended(dir, "mapps", true)
		apply(t, plan, err)
		expectFiles(t, dir, "a.yaml", doc("mapps", "\n  roles: []\n  suspended: true\n---\nkind: [\n"))
	})
}

func TestAValueThatIsNotWrittenPlainlyIsRefusedWithItsPlace(t *testing.T) {
	for _, c := range []struct {
		name, content string
		says          []string
	}{
		{"an alias", doc("mapps", "\n  contact: &c a\n  suspended: *c\n"), []string{"consumers.yaml:6:14", "anchors and aliases are not accepted"}},
		{"a merge key", doc("mapps", "\n  <<: {suspended: false}\n"), []string{"consumers.yaml:5:3", "merge key"}},
		{"an anchor", doc("mapps", "\n  suspended: &s false\n"), []string{"consumers.yaml:5:14: spec.suspended of the Consumer \"mapps\"", "by hand"}},
		{"a tag", doc("mapps", " {suspended: !!bool false}\n"), []string{"consumers.yaml:4:19: spec.suspended of the Consumer \"mapps\"", "by hand"}},
		{"a Consumer that is broken", doc("mapps", "\n  suspendd: true\n"), []string{"cannot be read; mend it first", "consumers.yaml:5:3"}},
		{"a name that is not there", doc("mappps", " {}\n"), []string{`no Consumer "mapps"`, "did you mean `mappps`"}},
		{"two of the name", doc("mapps", " {}\n---\n") + doc("mapps", " {}\n"), []string{"consumers.yaml:1:1", "consumers.yaml:6:1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := directory(t, "consumers.yaml", c.content)
			_, err := SetSuspended(dir, "mapps", true)
			expectError(t, err, c.says...)
			expectFiles(t, dir, "consumers.yaml", c.content)
		})
	}
}

func TestThePlanShowsTheEditAsADiff(t *testing.T) {
	dir := directory(t, "consumers.yaml", doc("mapps", certificates+"---\n")+doc("nsp", " {}\n"))
	plan, err := SetSuspended(dir, "mapps", true)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "consumers.yaml")
	want := "--- " + path + "\n+++ " + path + "\n@@ -3,6 +3,7 @@\n metadata: {name: mapps}\n spec:\n   certificates: [{truststore: partners, subject_common_name: mapps}]\n" +
		"+  suspended: true\n ---\n api_version: sallyport/v1\n kind: Consumer\n"
	if plan.Diff() != want {
		t.Errorf("the diff is\n%s", plan.Diff())
	}
	if plan.File() != path {
		t.Errorf("the file is %s", plan.File())
	}
}
