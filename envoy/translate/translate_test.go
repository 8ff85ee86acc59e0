package translate_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/envoy/translate"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

// small is a configuration with a TLS entry of two truststores; %s is more text for the rule.
const small = `
api_version: sallyport/v1
kind: Gateway
metadata: {name: g}
spec:
  group: all
  listeners:
  - name: l
    address: 127.0.0.1
    port: 8443
    tls:
    - {hostnames: [one.example.org], certificate: one, client_auth: {mode: optional, truststores: [a, b]%[1]s}}
    - {hostnames: [two.example.org], certificate: two}
---
api_version: sallyport/v1
kind: Route
metadata: {name: r}
spec:
  gateway: g
  hostnames: [one.example.org, two.example.org]
  rules:
  - {name: all, match: {prefix: /}, upstreams: [{name: u}], policy: open%[2]s}
---
api_version: sallyport/v1
kind: Policy
metadata: {name: open}
spec: {authenticate: {anonymous: {}}, authorize: [{name: anyone, everyone: true}]%[3]s}
---
api_version: sallyport/v1
kind: Upstream
metadata: {name: u}
spec: {endpoints: {addresses: ["10.0.0.7:8443"]}, tls: {truststore: b, server_name: u.internal, client_certificate: client}}
---
api_version: sallyport/v1
kind: Certificate
metadata: {name: one}
spec: {material: {certificate: "file:1.pem", private_key: "file:1-key.pem"}}
---
api_version: sallyport/v1
kind: Certificate
metadata: {name: two}
spec: {material: {certificate: "file:2.pem", private_key: "file:2-key.pem"}}
---
api_version: sallyport/v1
kind: Certificate
metadata: {name: client}
spec: {material: {certificate: "file:c.pem", private_key: "file:c-key.pem"}}
---
api_version: sallyport/v1
kind: Truststore
metadata: {name: a}
spec: {bundle: "file:a.pem"}
---
api_version: sallyport/v1
kind: Truststore
metadata: {name: b}
spec: {bundle: "file:b.pem"}
`

func smallModel(t *testing.T, clientAuth, rule, policy string) *config.Model {
	t.Helper()
	return build(t, fmt.Sprintf(small, clientAuth, rule, policy))
}

func TestMissingMaterialBlocksOnlyWhatNeedsIt(t *testing.T) {
	model := smallModel(t, "", "", "")
	for name, test := range map[string]struct {
		remove func(*inventory.Snapshot)
		// chains that are left, whether the upstream has endpoints, and words of each problem.
		chains    []string
		endpoints bool
		problems  []string
	}{
		"nothing": {func(*inventory.Snapshot) {}, []string{"one.example.org", "two.example.org"}, true, nil},
		"an entry's certificate": {
			func(s *inventory.Snapshot) { delete(s.Certificates, "one") }, []string{"two.example.org"}, true,
			[]string{`one.example.org at g/l waits for the material of the Certificate "one": connections for its hostnames are refused`},
		},
		"one of two truststores": {
			func(s *inventory.Snapshot) { delete(s.Truststores, "a") }, []string{"one.example.org", "two.example.org"}, true,
			[]string{`Truststore "a": callers whom it vouches for are refused`},
		},
		"both truststores, one of them the upstream's": {
			func(s *inventory.Snapshot) { clear(s.Truststores) }, []string{"two.example.org"}, false,
			[]string{`Truststore "a"`, `Truststore "b"`, `the Upstream "u" waits for the material of the Truststore "b": requests for it are answered 503`},
		},
		"the upstream's client certificate": {
			func(s *inventory.Snapshot) { delete(s.Certificates, "client") }, []string{"one.example.org", "two.example.org"}, false,
			[]string{`the Upstream "u" waits for the material of the Certificate "client"`},
		},
		"all of it": {
			func(s *inventory.Snapshot) { clear(s.Certificates); clear(s.Truststores) }, nil, true,
			[]string{`Certificate "one"`, `Certificate "two"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			material := everything(model)
			test.remove(material)
			resources := translate.Group(model, material, "all")
			var chains []string
			for _, chain := range resources.Listeners["g/l"].GetFilterChains() {
				chains = append(chains, chain.GetName())
				if resources.Routes["g/l/"+chain.GetName()] == nil {
					t.Errorf("%s has no routes", chain.GetName())
				}
			}
			if !slices.Equal(chains, test.chains) || len(resources.Routes) != len(chains) {
				t.Errorf("filter chains %v, want %v; %d route configurations", chains, test.chains, len(resources.Routes))
			}
			if len(chains) > 0 && (resources.Clusters["upstream/u"] == nil || (resources.Endpoints["upstream/u"] != nil) != test.endpoints) {
				t.Errorf("cluster %v, endpoints %v", resources.Clusters["upstream/u"], resources.Endpoints)
			}
			if len(resources.Problems) != len(test.problems) {
				t.Fatalf("problems %v", resources.Problems)
			}
			for i, words := range test.problems {
				if got := resources.Problems[i]; !strings.Contains(got.Error(), words) || got.Origin.Line == 0 {
					t.Errorf("problem %q, want %q", got, words)
				}
			}
		})
	}
}

func TestMissingTruststoresAnchorsStandBesideNoOthers(t *testing.T) {
	model := smallModel(t, "", "", "")
	material := everything(model)
	delete(material.Truststores, "a")
	secret := translate.Group(model, material, "all").Secrets["truststores/g/l/one.example.org"]
	if got := string(secret.GetValidationContext().GetTrustedCa().GetInlineBytes()); got != "anchors of b\n" {
		t.Errorf("anchors %q", got)
	}
}

func TestGroupIsAFunction(t *testing.T) {
	model := load(t, "testdata/forms")
	first := marshalled(t, translate.Group(model, everything(model), "all"))
	for range 20 {
		again := marshalled(t, translate.Group(load(t, "testdata/forms"), everything(model), "all"))
		for name, content := range first {
			if !bytes.Equal(content, again[name]) {
				t.Fatalf("%s has other bytes the second time", name)
			}
		}
	}
}

// marshalled is the content of all resources as it is hashed and sent.
func marshalled(t *testing.T, r *translate.Resources) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	add(t, all, "listener ", r.Listeners)
	add(t, all, "routes ", r.Routes)
	add(t, all, "cluster ", r.Clusters)
	add(t, all, "endpoints ", r.Endpoints)
	add(t, all, "secret ", r.Secrets)
	return all
}

func add[M proto.Message](t *testing.T, all map[string][]byte, kind string, resources map[string]M) {
	t.Helper()
	for name, resource := range resources {
		content, err := proto.MarshalOptions{Deterministic: true}.Marshal(resource)
		if err != nil {
			t.Fatal(err)
		}
		all[kind+name] = content
	}
}

// A listener that changes drains its connections, a cluster that changes closes its own.
func TestWhatChangesWhileConnectionsAreOpenChangesNoListener(t *testing.T) {
	model := smallModel(t, "", "", "")
	rotated := everything(model)
	for _, pair := range rotated.Certificates {
		pair.CertificatePEM, pair.PrivateKeyPEM = []byte("another chain\n"), []byte("another key\n")
	}
	rotated.Truststores["a"].PEM = []byte("other anchors\n")
	before := marshalled(t, translate.Group(model, everything(model), "all"))
	const partners = "}\n---\napi_version: sallyport/v1\nkind: Policy\nmetadata: {name: partners}\n" +
		"spec: {authenticate: {certificate: {truststores: [a]}}, authorize: [{name: anyone, everyone: true}]}\n" +
		"---\napi_version: sallyport/v1\nkind: Consumer\nmetadata: {name: mapps}\nspec: {certificates: [{truststore: a, subject_common_name: mapps}]}\n" +
		"---\napi_version: sallyport/v1\nkind: Provider\nmetadata: {name: own}\n" +
		"spec: {issuers: ['https://one.example.org'], mint: {class: partner, grants: [{consumers: [mapps], audiences: [api]}]}"
	for name, test := range map[string]struct {
		after *translate.Resources
		want  []string
	}{
		"material": {translate.Group(model, rotated, "all"), []string{
			"secret certificate/client", "secret certificate/one", "secret certificate/two", "secret truststores/g/l/one.example.org",
		}},
		"what becomes of an untrusted certificate": {
			group(t, smallModel(t, ", on_untrusted: explain", "", "")), []string{"secret truststores/g/l/one.example.org"},
		},
		"a rule": {group(t, smallModel(t, "", ", timeout: 3s", "")), []string{"routes g/l/one.example.org", "routes g/l/two.example.org"}},
		"the first token endpoint": {
			group(t, smallModel(t, "", "}\n  - {name: token, match: {exact: /token}, token_endpoint: own, policy: partners", partners)),
			[]string{"routes g/l/one.example.org", "routes g/l/two.example.org"},
		},
		"where an upstream is": {
			group(t, build(t, strings.Replace(fmt.Sprintf(small, "", "", ""), "10.0.0.7", "10.0.0.8", 1))),
			[]string{"endpoints upstream/u", "routes g/l/one.example.org", "routes g/l/two.example.org"},
		},
		"a policy": {
			group(t, smallModel(t, "", "", ", deny: {hide_as_not_found: true}")), []string{"routes g/l/one.example.org", "routes g/l/two.example.org"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			after := marshalled(t, test.after)
			var changed []string
			for name := range before {
				if !bytes.Equal(before[name], after[name]) {
					changed = append(changed, name)
				}
			}
			slices.Sort(changed)
			if !slices.Equal(changed, test.want) || len(after) != len(before) {
				t.Errorf("changed are %q, want %q", changed, test.want)
			}
		})
	}
}

func group(t *testing.T, model *config.Model) *translate.Resources {
	t.Helper()
	return translate.Group(model, everything(model), "all")
}

func TestGroupsAreThoseOfTheGateways(t *testing.T) {
	model := load(t, "../../examples/partner-certificates")
	if got := translate.Groups(model); !slices.Equal(got, []string{"edge", "sidecar"}) {
		t.Error(got)
	}
}

func TestAGroupHasNothingOfAnother(t *testing.T) {
	model := load(t, "../../examples/partner-certificates")
	sidecar := translate.Group(model, everything(model), "sidecar")
	for _, name := range []string{"certificate/edge-server", "certificate/edge-client"} {
		if sidecar.Secrets[name] != nil {
			t.Errorf("the sidecar is given %s", name)
		}
	}
	if len(sidecar.Clusters) != 1 || sidecar.Clusters["upstream/api"] == nil {
		t.Errorf("clusters %v", sidecar.Clusters)
	}
}
