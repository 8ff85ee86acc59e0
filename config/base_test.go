package config

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// files is a configuration by file name.
type files map[string]string

// base is a valid configuration, with nothing to warn of.
func base() files {
	return files{
		"access.yaml": `api_version: sallyport/v1
kind: Role
metadata: {name: reader}
spec:
  permissions:
  - {routes: [persons], methods: [GET], paths: ["/v1/persons/{id}"]}
---
api_version: sallyport/v1
kind: Consumer
metadata: {name: mapps}
spec:
  certificates: [{truststore: partners, subject_common_name: mapps}]
  roles: [reader]
---
api_version: sallyport/v1
kind: Policy
metadata: {name: partners}
spec:
  authenticate: {certificate: {truststores: [partners]}}
  authorize: [{name: granted, permissions: consumer_roles}]
  forward: {headers: [{name: x-consumer, value: consumer.name}]}
`,
		"edge.yaml": `api_version: sallyport/v1
kind: Gateway
metadata: {name: edge}
spec:
  group: edge
  listeners:
  - name: https
    address: 0.0.0.0
    port: 8443
    tls:
    - hostnames: [api.example.org]
      certificate: server
      client_auth: {mode: required, truststores: [partners]}
`,
		"routes.yaml": `api_version: sallyport/v1
kind: Route
metadata: {name: persons}
spec:
  gateway: edge
  hostnames: [api.example.org]
  rules:
  - {name: all, match: {prefix: /v1/persons}, upstreams: [{name: api}], policy: partners}
---
api_version: sallyport/v1
kind: Upstream
metadata: {name: api}
spec:
  endpoints: {addresses: ["10.0.0.7:8080"]}
`,
		"trust.yaml": `api_version: sallyport/v1
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
kind: Certificate
metadata: {name: server}
spec: {issued: {authority: partner-ca, profile: server, dns_names: [api.example.org]}}
`,
	}
}

// replace replaces a text that stands in one of the files.
func (f files) replace(old, with string) files {
	changed, found := maps.Clone(f), false
	for name, text := range f {
		if strings.Contains(text, old) {
			changed[name], found = strings.Replace(text, old, with, 1), true
			break
		}
	}
	if !found {
		panic("no file has " + old)
	}
	return changed
}

// add adds a file.
func (f files) add(name, text string) files {
	changed := maps.Clone(f)
	changed[name] = text
	return changed
}

// resource is one document; its spec begins in line 4.
func resource(kind, name, spec string) string {
	return "api_version: sallyport/v1\nkind: " + kind + "\nmetadata: {name: " + name + "}\nspec: " + spec + "\n"
}

// read builds a Model as Load does, without a disk.
func read(f files) (*Model, []string) {
	var all []File
	for _, name := range slices.Sorted(maps.Keys(f)) {
		all = append(all, File{Path: name, Data: []byte(f[name])})
	}
	documents, complete, problems := Decode(all)
	model, found := Build(documents, complete)
	problems = append(problems, found...)
	problems.Sort()
	var lines []string
	for _, p := range problems {
		lines = append(lines, p.Error())
	}
	return model, lines
}

// build builds a Model that must have no problem at all.
func build(t *testing.T, f files) *Model {
	t.Helper()
	model, problems := read(f)
	if model == nil || problems != nil {
		t.Fatalf("the configuration has problems:\n%s", strings.Join(problems, "\n"))
	}
	return model
}

// expectProblems checks that a configuration has exactly these problems, and a Model only if all of them are warnings.
func expectProblems(t *testing.T, f files, want ...string) {
	t.Helper()
	model, got := read(f)
	if difference := cmp.Diff(want, got); difference != "" {
		t.Errorf("unexpected problems (-want +got):\n%s", difference)
	}
	failed := slices.ContainsFunc(got, func(line string) bool { return strings.Contains(line, ": error: ") })
	if (model == nil) != failed {
		t.Errorf("there is a Model: %t, with the problems %q", model != nil, got)
	}
}
