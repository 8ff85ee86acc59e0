package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTheBaseOfTheseTestsIsValid(t *testing.T) {
	model := build(t, base())
	rule := model.Gateway("edge").Listener("https").Entry("api.example.org").VirtualHosts[0].Rules[0]
	if rule.Policy != model.Policy("partners") || rule.Upstreams[0].Upstream != model.Upstream("api") || rule.Route != model.Route("persons") {
		t.Errorf("the rule leads elsewhere: %+v", rule)
	}
	consumer := model.Consumer("mapps")
	if !consumer.HasRole("reader") || consumer.Roles[0].Permissions[0].Routes[0] != model.Route("persons") || consumer.Certificates[0].Truststore != model.Truststore("partners") {
		t.Errorf("the consumer leads elsewhere: %+v", consumer)
	}
	if got := model.ForwardableHeaders(); !slices.Equal(got, []string{"x-consumer"}) {
		t.Errorf("forwardable are %q", got)
	}
}

func TestTheExampleHasNoProblems(t *testing.T) {
	model, problems, err := Load("../examples/partner-certificates")
	if err != nil || len(problems) > 0 || model == nil {
		t.Fatalf("%v\n%v", err, problems)
	}
}

func TestThreeMistakesInThreeFilesAreThreeMessages(t *testing.T) {
	expectProblems(t, base().
		replace("roles: [reader]", "role: [reader]").
		replace("policy: partners}", "policy: partner}").
		replace("port: 8443", "port: 84430"),
		"access.yaml:13:3: error: spec.role: no such field; expected one of certificates, roles, attributes, rate_limit, contact, suspended, valid_from, valid_until, tokens; did you mean `roles`?",
		"edge.yaml:9:11: error: spec.listeners[0].port: expected a whole number from 1 to 65535, found 84430",
		"routes.yaml:8:81: error: spec.rules[0].policy: there is no Policy \"partner\"; did you mean `partners`?",
	)
}

func TestAReferenceToNothingIsReportedWithTheNearestName(t *testing.T) {
	for name, test := range map[string]struct {
		files files
		want  string
	}{
		"a role":             {base().replace("roles: [reader]", "roles: [raeder]"), "access.yaml:13:11: error: spec.roles[0]: there is no Role \"raeder\"; did you mean `reader`?"},
		"a route":            {base().replace("routes: [persons]", "routes: [person]"), "access.yaml:6:15: error: spec.permissions[0].routes[0]: there is no Route \"person\"; did you mean `persons`?"},
		"a truststore":       {base().replace("mode: required, truststores: [partners]", "mode: required, truststores: [other]"), `edge.yaml:13:51: error: spec.listeners[0].tls[0].client_auth.truststores[0]: there is no Truststore "other"`},
		"of a consumer":      {base().replace("{truststore: partners", "{truststore: partner"), "access.yaml:12:31: error: spec.certificates[0].truststore: there is no Truststore \"partner\"; did you mean `partners`?"},
		"of a policy":        {base().replace("{truststores: [partners]}", "{truststores: [partner]}"), "access.yaml:19:46: error: spec.authenticate.certificate.truststores[0]: there is no Truststore \"partner\"; did you mean `partners`?"},
		"a certificate":      {base().replace("certificate: server", "certificate: sever"), "edge.yaml:12:20: error: spec.listeners[0].tls[0].certificate: there is no Certificate \"sever\"; did you mean `server`?"},
		"an authority":       {base().replace("issued: {authority: partner-ca", "issued: {authority: partners-ca"), "trust.yaml:14:28: error: spec.issued.authority: there is no Authority \"partners-ca\"; did you mean `partner-ca`?"},
		"of a bundle":        {base().replace("authority:partner-ca", "authority:partnerca"), "trust.yaml:9:16: error: spec.bundle: there is no Authority \"partnerca\"; did you mean `partner-ca`?"},
		"a gateway":          {base().replace("gateway: edge", "gateway: egde"), "routes.yaml:5:12: error: spec.gateway: there is no Gateway \"egde\"; did you mean `edge`?"},
		"an upstream":        {base().replace("{name: api}]", "{name: app}]"), "routes.yaml:8:66: error: spec.rules[0].upstreams[0].name: there is no Upstream \"app\"; did you mean `api`?"},
		"a consumer":         {base().replace("permissions: consumer_roles", "consumers: [maps]"), "access.yaml:20:43: error: spec.authorize[0].consumers[0]: there is no Consumer \"maps\"; did you mean `mapps`?"},
		"of a test":          {base().add("t.yaml", resource("Test", "t", "{via: edge, cases: [{name: a, caller: {consumer: maps}, request: {url: 'https://a/'}, expect: {status: 200}}]}")), "t.yaml:4:56: error: spec.cases[0].caller.consumer: there is no Consumer \"maps\"; did you mean `mapps`?"},
		"an upstream's TLS":  {base().replace(`addresses: ["10.0.0.7:8080"]}`, "addresses: [\"10.0.0.7:8080\"]}\n  tls: {truststore: partner, server_name: a}"), "routes.yaml:15:21: error: spec.tls.truststore: there is no Truststore \"partner\"; did you mean `partners`?"},
		"a gateway of tests": {base().add("t.yaml", resource("Test", "t", "{via: egde, cases: [{name: a, request: {url: 'https://a/'}, expect: {status: 200}}]}")), "t.yaml:4:13: error: spec.via: there is no Gateway \"egde\"; did you mean `edge`?"},
	} {
		t.Run(name, func(t *testing.T) { expectProblems(t, test.files, test.want) })
	}
}

func TestNothingIsSaidOfWhatABrokenDocumentLeavesOut(t *testing.T) {
	for name, test := range map[string]struct {
		files files
		want  string
	}{
		"a broken policy": {
			base().replace("  authorize:", "  authorise:"),
			"access.yaml:20:3: error: spec.authorise: no such field; expected one of authenticate, authorize, forward, deny; did you mean `authorize`?",
		},
		"a broken gateway": {
			base().replace("  group: edge", "  groups: edge"),
			"edge.yaml:5:3: error: spec.groups: no such field; expected one of group, authorization, listeners; did you mean `group`?",
		},
		"a kind that is misspelt": {
			base().replace("kind: Route", "kind: Rout"),
			"routes.yaml:2:7: error: kind: expected one of Authority, Certificate, Consumer, Gateway, Policy, Provider, Role, Route, Test, Truststore, Upstream, found \"Rout\"; did you mean `Route`?",
		},
		"a name that is missing": {
			base().replace("metadata: {name: persons}", "metadata: {}"),
			"routes.yaml:3:1: error: metadata.name: is missing",
		},
		"a consumer whose word on a header counts": {
			base().replace("permissions: consumer_roles", "consumers: [mapps]").
				replace("forward: {headers: [{name: x-consumer, value: consumer.name}]}", "forward: {pass: [x-consumer]}").
				replace("  roles: [reader]", "  rolls: [reader]"),
			"access.yaml:13:3: error: spec.rolls: no such field; expected one of certificates, roles, attributes, rate_limit, contact, suspended, valid_from, valid_until, tokens; did you mean `roles`?",
		},
		"a test that nothing refers to": {
			base().add("t.yaml", resource("Test", "t", "{via: edge}")),
			"t.yaml:4:1: error: spec.cases: is missing; expected at least one",
		},
	} {
		t.Run(name, func(t *testing.T) { expectProblems(t, test.files, test.want) })
	}
}

func TestNothingIsSaidOfUnknownNamesWhereAFileCouldNotBeReadToItsEnd(t *testing.T) {
	expectProblems(t, base().replace("kind: Upstream", "kind: Upstream: a"),
		"routes.yaml:11:1: error: this is not YAML: mapping values are not allowed in this context")
}

func TestAFileThatCannotBeReadMakesNoModel(t *testing.T) {
	documents, complete, problems := Decode([]File{{Path: "a.yaml", Err: os.ErrPermission}, {Path: "trust.yaml", Data: []byte(base()["trust.yaml"])}})
	if complete || len(problems) != 1 || problems[0].Error() != "a.yaml: error: cannot be read: permission denied" {
		t.Fatalf("complete: %t, problems: %v", complete, problems)
	}
	if model, found := Build(documents, complete); model != nil || len(found) != 0 {
		t.Errorf("got a Model: %t, and problems %v", model != nil, found)
	}
}

func TestDuplicates(t *testing.T) {
	for name, test := range map[string]struct {
		files files
		want  string
	}{
		"a resource": {
			base().add("z.yaml", resource("Upstream", "api", "{endpoints: {dns: 'a:1'}}")),
			`z.yaml:3:18: error: metadata.name: the Upstream "api" stands at routes.yaml:10:1 already`,
		},
		"a listener": {
			base().replace("    tls:\n", "    plaintext: true\n  - name: https\n    address: 0.0.0.0\n    port: 8444\n    tls:\n"),
			`edge.yaml:11:11: error: spec.listeners[1].name: there are two listeners "https" in this gateway`,
		},
		"an address and port of a group": {
			base().add("z.yaml", resource("Gateway", "other", "{group: edge, listeners: [{name: a, address: 0.0.0.0, port: 8443, plaintext: true}]}")),
			`z.yaml:4:67: error: spec.listeners[0].port: 0.0.0.0:8443 is taken in the group "edge" by the listener at edge.yaml:7:5`,
		},
		"a hostname of a listener": {
			base().replace("    - hostnames: [api.example.org]\n", "    - {hostnames: [a.example.org, api.example.org], certificate: server}\n    - hostnames: [api.example.org]\n"),
			`edge.yaml:12:19: error: spec.listeners[0].tls[1].hostnames[0]: "api.example.org" belongs to tls[0] of this listener already`,
		},
		"a rule of a route": {
			base().replace("  - {name: all,", "  - {name: all, match: {exact: /a}, upstreams: [{name: api}], policy: partners}\n  - {name: all,"),
			`routes.yaml:9:12: error: spec.rules[1].name: there are two rules "all" in this route`,
		},
		"a rule of a policy": {
			base().replace("[{name: granted,", "[{name: granted, consumers: [mapps]}, {name: granted,"),
			`access.yaml:20:59: error: spec.authorize[1].name: there are two rules "granted" in this policy`,
		},
		"an upstream of a rule": {
			base().replace("[{name: api}]", "[{name: api}, {name: api}]"),
			`routes.yaml:8:79: error: spec.rules[0].upstreams[1].name: the Upstream "api" stands twice in this rule`,
		},
		"a header of a policy": {
			base().replace("[{name: x-consumer,", "[{name: x-consumer, value: subject}, {name: x-consumer,"),
			`access.yaml:21:66: error: spec.forward.headers[1].name: the header "x-consumer" is set twice`,
		},
		"a case of a test": {
			base().add("t.yaml", resource("Test", "t", "{via: edge, cases: [{name: a, request: {url: 'https://a/'}, expect: {}}, {name: a, request: {url: 'https://a/'}, expect: {}}]}")),
			"t.yaml:4:87: error: spec.cases[1].name: there are two cases of this name in this test",
		},
	} {
		t.Run(name, func(t *testing.T) { expectProblems(t, test.files, test.want) })
	}
}

func TestLoadReadsFoldersAndPassesOverTheRest(t *testing.T) {
	directory := t.TempDir()
	for name, text := range base() {
		write(t, filepath.Join(directory, "deep", "er", name), text)
	}
	for _, name := range []string{".hidden.yaml", "notes.txt", "access.yaml~", "#access.yaml#", ".git/config.yaml", "access.yaml.swp"} {
		write(t, filepath.Join(directory, name), "not: [a configuration")
	}
	if err := os.Symlink("nowhere.yaml", filepath.Join(directory, "dangling.yaml")); err != nil {
		t.Fatal(err)
	}
	model, problems, err := Load(directory)
	if err != nil || model == nil || problems != nil {
		t.Fatalf("%v\n%v", err, problems)
	}
	if got, want := model.Gateway("edge").Origin.File, filepath.Join(directory, "deep", "er", "edge.yaml"); got != want {
		t.Errorf("the gateway's origin is %s, want %s", got, want)
	}
}

func TestLoadSaysWhyThereIsNothingToLoad(t *testing.T) {
	empty := t.TempDir()
	file := filepath.Join(empty, "a.txt")
	write(t, file, "")
	round := t.TempDir()
	if err := os.Symlink(round, filepath.Join(round, "again")); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ directory, want string }{
		"no such folder":     {filepath.Join(empty, "nowhere"), "no such file or directory"},
		"a file":             {file, "is a file; give the directory that holds the configuration"},
		"no resource":        {empty, "no .yaml or .yml file with a resource in it"},
		"a folder in itself": {round, "is there a link to a folder around it?"},
	} {
		t.Run(name, func(t *testing.T) {
			model, _, err := Load(test.directory)
			if model != nil || err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got the error %v", err)
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
