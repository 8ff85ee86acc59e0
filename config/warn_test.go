package config

import "testing"

func TestWarningsOfWhatCanNeverTakeEffect(t *testing.T) {
	for name, test := range map[string]struct {
		files files
		want  []string
	}{
		"a policy that demands a certificate where none is asked for": {
			base().replace("      client_auth: {mode: required, truststores: [partners]}\n", ""),
			[]string{
				`access.yaml:12:18: warning: no listener asks for certificates of the Truststore "partners"`,
				`routes.yaml:8:5: warning: nobody can pass at "api.example.org" (edge.yaml:11:7): the policy "partners" demands a certificate of a truststore that this entry does not ask for`,
			},
		},
		"a policy that no rule uses": {
			base().add("z.yaml", resource("Policy", "idle", "{authenticate: {anonymous: {}}, authorize: [{name: a, everyone: true}]}")),
			[]string{`z.yaml:1:1: warning: no rule of any Route uses the Policy "idle"`},
		},
		"a rule for consumers among callers who are all anonymous": {
			base().replace("authenticate: {certificate: {truststores: [partners]}}", "authenticate: {anonymous: {}}"),
			[]string{`access.yaml:20:15: warning: the rule "granted" lets nobody in: callers of the Policy "partners" are all anonymous, and no Consumer`},
		},
		"a permission for a path that no rule takes": {
			base().replace("/v1/persons/{id}", "/v2/persons/{id}"),
			[]string{"access.yaml:6:5: warning: the permission for /v2/persons/{id} never takes effect: no rule of its routes takes such a request under a policy with `permissions: consumer_roles`"},
		},
		"a permission for a method that no rule takes": {
			base().replace("match: {prefix: /v1/persons}", "match: {prefix: /v1/persons, methods: [POST]}"),
			[]string{"access.yaml:6:5: warning: the permission for /v1/persons/{id} never takes effect: no rule of its routes takes such a request under a policy with `permissions: consumer_roles`"},
		},
		"a permission under a policy that does not ask for permissions": {
			base().replace("permissions: consumer_roles", "consumers: [mapps]"),
			[]string{"access.yaml:6:5: warning: the permission for /v1/persons/{id} never takes effect: no rule of its routes takes such a request under a policy with `permissions: consumer_roles`"},
		},
		"a consumer without a certificate": {
			base().replace("certificates: [{truststore: partners, subject_common_name: mapps}]\n  ", ""),
			[]string{`access.yaml:8:1: warning: nobody can be the Consumer "mapps": it has no certificates and no tokens`},
		},
		"a consumer by a truststore that no listener asks for": {
			base().add("z.yaml", resource("Truststore", "idle", "{bundle: 'file:a'}")).replace("{truststore: partners", "{truststore: idle"),
			[]string{`access.yaml:12:18: warning: no listener asks for certificates of the Truststore "idle"`},
		},
		"a certificate without the name that it is for": {
			base().replace("dns_names: [api.example.org]", "dns_names: [app.example.org]"),
			[]string{`edge.yaml:11:7: warning: callers of api.example.org will refuse the Certificate "server" (trust.yaml:11:1): it has no such DNS name`},
		},
	} {
		t.Run(name, func(t *testing.T) { expectProblems(t, test.files, test.want...) })
	}
}

func TestAWildcardNamesACertificate(t *testing.T) {
	build(t, base().replace("dns_names: [api.example.org]", `dns_names: ["*.example.org"]`))
}

func TestThereAreNoWarningsBesideErrors(t *testing.T) {
	f := base().add("z.yaml", resource("Policy", "idle", "{authenticate: {anonymous: {}}, authorize: [{name: a, everyone: true}]}"))
	expectProblems(t, f.replace("gateway: edge", "gateway: egde"),
		"routes.yaml:5:12: error: spec.gateway: there is no Gateway \"egde\"; did you mean `edge`?")
	expectProblems(t, f.replace("  gateway: edge\n", "  gateway: edge\n  gatway: edge\n"),
		"routes.yaml:6:3: error: spec.gatway: no such field; expected one of gateway, hostnames, cors, rules; did you mean `gateway`?")
}
