package edit

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/sallyport-project/sallyport/config"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// trust is what Consumers refer to.
const trust = `api_version: sallyport/v1
kind: Authority
metadata: {name: partner-ca}
spec: {development: {}}
---
api_version: sallyport/v1
kind: Truststore
metadata: {name: partners}
spec: {bundle: "authority:partner-ca"}
---
api_version: sallyport/v1
kind: Role
metadata: {name: reader}
spec: {permissions: [{routes: [persons], methods: [GET], paths: [/v1/persons]}]}
---
api_version: sallyport/v1
kind: Gateway
metadata: {name: edge}
spec:
  group: edge
  listeners:
  - {name: http, address: 127.0.0.1, port: 8080, plaintext: true}
---
api_version: sallyport/v1
kind: Upstream
metadata: {name: api}
spec: {endpoints: {addresses: ["10.0.0.7:8080"]}}
---
api_version: sallyport/v1
kind: Policy
metadata: {name: anyone}
spec: {authenticate: {anonymous: {}}, authorize: [{name: all, everyone: true}]}
---
api_version: sallyport/v1
kind: Route
metadata: {name: persons}
spec:
  gateway: edge
  hostnames: [api.example.org]
  rules: [{name: all, match: {prefix: /v1/persons}, upstreams: [{name: api}], policy: anyone}]
`

// directory writes a configuration: trust, and the files given by name and content.
func directory(t testing.TB, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "trust.yaml"), trust)
	for i := 0; i < len(files); i += 2 {
		write(t, filepath.Join(dir, files[i]), files[i+1])
	}
	return dir
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readFile(t testing.TB, path ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// apply makes a plan that must be good.
func apply(t testing.TB, plan *Plan, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.Apply(); err != nil {
		t.Fatal(err)
	}
}

// consumerIn reads a Consumer back from a directory that must be valid.
func consumerIn(t testing.TB, dir, name string) *sallyportv1.Consumer {
	t.Helper()
	r := read(filesOf(t, dir))
	if wrong := r.problems.Errors(); len(wrong) > 0 {
		t.Fatal(wrong)
	}
	for _, d := range r.consumers(name) {
		message, _ := d.Message.(*sallyportv1.Consumer)
		return message
	}
	return nil
}

// doc is a Consumer of that spec, whose first line is "spec:" already.
func doc(name, spec string) string {
	return "api_version: sallyport/v1\nkind: Consumer\nmetadata: {name: " + name + "}\nspec:" + spec
}

func commonName(name string) *sallyportv1.CertificateMatch {
	return &sallyportv1.CertificateMatch{Truststore: "partners", SubjectCommonName: name}
}

func crlf(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }

// expectFiles compares the files of a directory other than trust.yaml, given by name and content.
func expectFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	wanted, got := map[string]string{}, map[string]string{}
	for i := 0; i < len(want); i += 2 {
		wanted[want[i]] = want[i+1]
	}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && entry.Name() != "trust.yaml" {
			name, _ := filepath.Rel(dir, path)
			got[name] = readFile(t, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if difference := cmp.Diff(wanted, got); difference != "" {
		t.Errorf("unexpected files (-want +got), of %v:\n%s", slices.Sorted(maps.Keys(got)), difference)
	}
}

func expectError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("there is no error that says %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q:\n%v", part, err)
		}
	}
}

func expectConsumer(t testing.TB, dir string, want *sallyportv1.Consumer) {
	t.Helper()
	if got := consumerIn(t, dir, want.GetMetadata().GetName()); !proto.Equal(got, want) {
		t.Errorf("the Consumer reads %v, not %v", got, want)
	}
}

func filesOf(t testing.TB, dir string) []config.File {
	t.Helper()
	files, err := config.ReadFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	return files
}
