package config

import (
	"slices"
	"testing"
)

// named is the base with a policy that lets one consumer in, and with this under `forward`.
func named(forward string) files {
	return base().replace("permissions: consumer_roles", "consumers: [mapps]").
		replace("forward: {headers: [{name: x-consumer, value: consumer.name}]}", "forward: "+forward).
		replace("  roles: [reader]\n", "  roles: [reader]\n---\n"+resource("Policy", "granting", "{authenticate: {certificate: {truststores: [partners]}}, authorize: [{name: a, permissions: consumer_roles}]}")).
		replace("  - {name: all,", "  - {name: granted, match: {template: '/v1/persons/{id}'}, upstreams: [{name: api}], policy: granting}\n  - {name: all,")
}

func TestWhatAPolicyForwards(t *testing.T) {
	for name, test := range map[string]struct {
		files files
		want  []string
	}{
		"what an edge that is named may say":  {named("{pass: [x-consumer]}"), nil},
		"some headers set, some let pass":     {named("{headers: [{name: x-subject, value: subject}], pass: [x-consumer]}"), nil},
		"a header both set and let pass":      {named("{headers: [{name: x-a, value: subject}], pass: [x-a]}"), []string{`access.yaml:26:60: error: spec.forward.pass[0]: the header "x-a" is set by this policy and cannot be let pass as well`}},
		"a value that is none":                {named("{headers: [{name: x-a, value: consumer.nam}]}"), []string{"access.yaml:26:42: error: spec.forward.headers[0].value: at character 9: `consumer` has no `nam`, but name, roles, attributes, labels; did you mean `name`?"}},
		"HTTP's own header":                   {named("{headers: [{name: host, value: subject}]}"), []string{`access.yaml:26:30: error: spec.forward.headers[0].name: "host" is reserved: it belongs to HTTP, to the proxies or to authentication`}},
		"a method override":                   {named("{pass: [x-http-method-override]}"), []string{`access.yaml:26:20: error: spec.forward.pass[0]: "x-http-method-override" is reserved: it belongs to HTTP, to the proxies or to authentication`}},
		"a rewritten URL":                     {named("{pass: [x-original-url]}"), []string{`access.yaml:26:20: error: spec.forward.pass[0]: "x-original-url" is reserved: it belongs to HTTP, to the proxies or to authentication`}},
		"the proxies' header":                 {named("{headers: [{name: x-forwarded-client-cert, value: subject}]}"), []string{`access.yaml:26:30: error: spec.forward.headers[0].name: "x-forwarded-client-cert" is reserved: it belongs to HTTP, to the proxies or to authentication`}},
		"Envoy's header":                      {named("{headers: [{name: x-envoy-external-address, value: subject}]}"), []string{`access.yaml:26:30: error: spec.forward.headers[0].name: "x-envoy-external-address" is reserved: it belongs to HTTP, to the proxies or to authentication`}},
		"a name in capitals":                  {named("{headers: [{name: X-Consumer, value: subject}]}"), []string{`access.yaml:26:30: error: spec.forward.headers[0].name: expected lower-case letters, digits and hyphens, beginning and ending with a letter or digit, found "X-Consumer"`}},
		"believed from anybody with roles":    {named("{pass: [x-consumer]}").replace("consumers: [mapps]", "permissions: consumer_roles"), []string{passRefused}},
		"believed from consumers or everyone": {named("{pass: [x-consumer]}").replace("consumers: [mapps]}", "consumers: [mapps]}, {name: all, everyone: true}"), []string{passRefused}},
		"believed without a certificate":      {named("{pass: [x-consumer]}").replace("authenticate: {certificate: {truststores: [partners]}}\n", "authenticate: {anonymous: {}}\n"), []string{passRefused}},
		"believed with or without one": {
			named("{pass: [x-consumer]}").replace("authenticate: {certificate: {truststores: [partners]}}\n", "authenticate: {any_of: [{certificate: {truststores: [partners]}}, {anonymous: {}}]}\n"),
			[]string{passRefused},
		},
		"believed with a certificate and more": {
			named("{pass: [x-consumer]}").replace("authenticate: {certificate: {truststores: [partners]}}\n", "authenticate: {all_of: [{certificate: {truststores: [partners]}}, {anonymous: {}}]}\n"),
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) { expectProblems(t, test.files, test.want...) })
	}
}

// Each of these has led some server astray.
var notToBeForwarded = []string{
	"client-cert", "client-cert-chain", "forwarded", "proxy", "proxy-authorization", "ssl-client-cert", "ssl-client-verify",
	"x-client-cert", "x-client-verify", "x-forwarded-client-cert", "x-forwarded-client-cert-chain", "x-forwarded-host",
	"x-forwarded-method", "x-forwarded-path", "x-forwarded-port", "x-forwarded-prefix", "x-forwarded-scheme",
	"x-forwarded-server", "x-forwarded-uri", "x-http-method", "x-http-method-override", "x-method-override", "x-original-host",
	"x-original-method", "x-original-uri", "x-original-url", "x-override-url", "x-real-ip", "x-rewrite-url",
	"x-ssl-client-cert", "x-ssl-client-verify", "x-waws-unencoded-url",
}

func TestWhatIsNeverForwardedIsNeitherSetNorLetPass(t *testing.T) {
	if got := slices.Sorted(slices.Values(NeverForwarded())); !slices.Equal(got, notToBeForwarded) {
		t.Errorf("never forwarded are %v, want %v", got, notToBeForwarded)
	}
	for _, name := range notToBeForwarded {
		t.Run(name, func(t *testing.T) {
			const reserved = ` is reserved: it belongs to HTTP, to the proxies or to authentication`
			expectProblems(t, named("{headers: [{name: "+name+", value: subject}]}"), `access.yaml:26:30: error: spec.forward.headers[0].name: "`+name+`"`+reserved)
			expectProblems(t, named("{pass: ["+name+"]}"), `access.yaml:26:20: error: spec.forward.pass[0]: "`+name+`"`+reserved)
		})
	}
}

func TestWhatIsNeverForwardedCannotBeChanged(t *testing.T) {
	NeverForwarded()[0] = "x-harmless"
	if slices.Contains(NeverForwarded(), "x-harmless") {
		t.Error("who asks for the list can change it for everyone")
	}
}

const passRefused = "access.yaml:26:20: error: spec.forward.pass[0]: a caller's own \"x-consumer\" is believed only from named proxies: authenticate by certificate alone, and let every rule name `consumers`"

func TestConsumersThatClaimTheSameCertificates(t *testing.T) {
	claiming := func(certificates string) files {
		return base().add("z.yaml", resource("Consumer", "other", "{certificates: ["+certificates+"]}")).
			add("more.yaml", resource("Truststore", "more", "{bundle: 'file:more.pem'}")).
			replace("truststores: [partners]}\n", "truststores: [partners, more]}\n") // the gateway's
	}
	for name, test := range map[string]struct {
		certificates string
		want         []string
	}{
		"others":                               {"{truststore: partners, subject_common_name: other}", nil},
		"the same name under another CA":       {"{truststore: more, subject_common_name: mapps}", nil},
		"other criteria, which may meet":       {"{truststore: partners, san_dns: mapps.example.org}", nil},
		"the same criteria":                    {"{truststore: partners, subject_common_name: mapps}", []string{`z.yaml:4:23: error: spec.certificates[0]: the same certificates are claimed by the Consumer "mapps" at access.yaml:12:18`}},
		"the same criteria and one more":       {"{truststore: partners, subject_common_name: mapps, san_dns: a.example.org}", []string{`z.yaml:4:23: error: spec.certificates[0]: every such certificate is claimed by the Consumer "mapps" as well, at access.yaml:12:18: both would be refused`}},
		"one that another of its own widens":   {"{truststore: partners, san_dns: a.example.org}, {truststore: partners, san_dns: a.example.org, subject_common_name: other}", nil},
		"an unknown truststore, reported once": {"{truststore: nowhere, subject_common_name: mapps}", []string{`z.yaml:4:36: error: spec.certificates[0].truststore: there is no Truststore "nowhere"`}},
	} {
		t.Run(name, func(t *testing.T) { expectProblems(t, claiming(test.certificates), test.want...) })
	}
	// The wider claim may come second by name.
	expectProblems(t, base().replace("subject_common_name: mapps}", "subject_common_name: mapps, san_uri: 'spiffe://a/b'}").
		add("z.yaml", resource("Consumer", "other", "{certificates: [{truststore: partners, san_uri: 'spiffe://a/b'}]}")),
		`access.yaml:12:18: error: spec.certificates[0]: every such certificate is claimed by the Consumer "other" as well, at z.yaml:4:23: both would be refused`)
}

func TestAConsumersValidity(t *testing.T) {
	expectProblems(t, base().replace("  roles: [reader]\n", "  roles: [reader]\n  valid_from: 2027-01-01T00:00:00Z\n  valid_until: 2026-01-01T00:00:00Z\n"),
		"access.yaml:15:16: error: spec.valid_until: is not after valid_from")
	consumer := build(t, base().replace("  roles: [reader]\n", "  roles: [reader]\n  valid_until: 2027-01-01T00:00:00Z\n")).Consumer("mapps")
	if !consumer.ValidFrom.IsZero() || consumer.ValidUntil.Format("2006-01-02") != "2027-01-01" {
		t.Errorf("the consumer is valid from %s to %s", consumer.ValidFrom, consumer.ValidUntil)
	}
}

func TestAPermissionsPathIsChecked(t *testing.T) {
	expectProblems(t, base().replace(`paths: ["/v1/persons/{id}"]`, `paths: ["/v1/persons/{id}", "v1"]`),
		`access.yaml:6:69: error: spec.permissions[0].paths[1]: a path starts with a slash, "v1" does not`)
}

func TestReferencesToMaterial(t *testing.T) {
	for name, test := range map[string]struct{ kind, spec, want string }{
		"a path alone":              {"Truststore", "{bundle: truststore.pem}", "z.yaml:4:16: error: spec.bundle: expected a reference such as file:server.pem or env:NAME, found `truststo…`"},
		"a scheme without anything": {"Truststore", "{bundle: 'file:'}", "z.yaml:4:16: error: spec.bundle: nothing stands after file:"},
		"S3 without a bucket":       {"Truststore", "{bundle: 's3:a/b'}", "z.yaml:4:16: error: spec.bundle: a bucket and a key follow s3://"},
		"a bundle by address":       {"Truststore", "{bundle: 'https://a/b'}", "z.yaml:4:16: error: spec.bundle: https: is not accepted here: use one of file:, env:, s3:, secretsmanager:"},
		"a bundle in KMS":           {"Truststore", "{bundle: 'awskms:b'}", "z.yaml:4:16: error: spec.bundle: awskms: is not accepted here: use one of file:, env:, s3:, secretsmanager:"},
		"a key in S3": {"Certificate", "{material: {certificate: 's3://a/b', private_key: 's3://a/k'}}",
			"z.yaml:4:57: error: spec.material.private_key: s3: is not accepted here: use one of file:, env:, secretsmanager:"},
		"a key in KMS that is to be sent to proxies": {"Certificate", "{material: {certificate: 's3://a/b', private_key: 'awskms:k'}}",
			"z.yaml:4:57: error: spec.material.private_key: awskms: is not accepted here: use one of file:, env:, secretsmanager:"},
		"an authority's key in S3": {"Authority", "{material: {certificate: 's3://a/b', private_key: 's3://a/k'}}",
			"z.yaml:4:57: error: spec.material.private_key: s3: is not accepted here: use one of file:, env:, secretsmanager:, awskms:"},
		"a list in a secret": {"Truststore", "{bundle: 's3://a/b', revocation: {lists: ['http://c/d', 'secretsmanager:e']}}",
			"z.yaml:4:63: error: spec.revocation.lists[1]: secretsmanager: is not accepted here: use one of file:, env:, s3:, https:, http:"},
		"a register without a scheme": {"Truststore", "{bundle: 's3://a/b', issuance: {registers: [index]}}",
			"z.yaml:4:51: error: spec.issuance.registers[0]: expected a reference such as file:server.pem or env:NAME, found `index`"},
		"a manifest by address": {"Truststore", "{bundle: 's3://a/b', manifest: 'https://c/d'}",
			"z.yaml:4:38: error: spec.manifest: https: is not accepted here: use one of file:, env:, s3:, secretsmanager:"},
		"a signer that who writes the bundle can replace": {"Truststore", "{bundle: 's3://a/b', signers: ['s3://a/c?version=1', 's3://a/c']}",
			"z.yaml:4:60: error: spec.signers[1]: whoever can write the bundle could write this object too: pin its version (s3://bucket/key?version=ID), or keep the key in a file"},
		"a secret where a reference belongs is not shown": {"Certificate", "{material: {certificate: 'file:a', private_key: 'MIGHAgEAMBMGByqGSM49'}}",
			"z.yaml:4:55: error: spec.material.private_key: expected a reference such as file:server.pem or env:NAME, found `MIGHAgEA…`"},
		"an issuer without a key": {"Authority", "{material: {certificate: 'file:a'}}\n---\n" + resource("Certificate", "y", "{issued: {authority: z, profile: server, dns_names: [a]}}"),
			`z.yaml:9:28: error: spec.issued.authority: the Authority "z" has no private_key (z.yaml:1:1) and cannot issue`},
		"a server without a name": {"Certificate", "{issued: {authority: partner-ca, profile: server}}", "z.yaml:4:8: error: spec.issued: a server certificate needs dns_names or ip_addresses"},
		"a client without a name": {"Certificate", "{issued: {authority: partner-ca, profile: client}}", "z.yaml:4:8: error: spec.issued: a client certificate needs a name: common_name, uris or dns_names"},
	} {
		t.Run(name, func(t *testing.T) {
			expectProblems(t, base().add("z.yaml", resource(test.kind, "z", test.spec)), test.want)
		})
	}
}

func TestReferencesToMaterialFromAfar(t *testing.T) {
	build(t, base().add("z.yaml", resource("Truststore", "z", "{bundle: 's3://a/b', manifest: 's3://a/m', signers: ['file:s.pem'], "+
		"revocation: {lists: ['s3://a/l', 'https://c/l', 'http://c/l']}, issuance: {registers: ['s3://a/r']}}")+
		"\n---\n"+resource("Authority", "y", "{material: {certificate: 's3://a/b', private_key: 'awskms:alias/ca'}}")+
		"\n---\n"+resource("Certificate", "x", "{material: {certificate: 'secretsmanager:a#c', private_key: 'secretsmanager:a#k'}}")))
}

func TestUpstreams(t *testing.T) {
	for name, test := range map[string]struct{ spec, want string }{
		"a name among addresses":    {"{endpoints: {addresses: ['api.internal:8080']}}", `z.yaml:4:32: error: spec.endpoints.addresses[0]: expected an IP address with a port, such as 10.0.0.7:8443, found "api.internal:8080"; a name goes under ` + "`dns`"},
		"port 0":                    {"{endpoints: {addresses: ['10.0.0.7:0']}}", `z.yaml:4:32: error: spec.endpoints.addresses[0]: expected an IP address with a port, such as 10.0.0.7:8443, found "10.0.0.7:0"; a name goes under ` + "`dns`"},
		"a port that is too high":   {"{endpoints: {dns: 'api.internal:80800'}}", `z.yaml:4:25: error: spec.endpoints.dns: "80800" is no port`},
		"a server's key for client": {"{endpoints: {dns: 'a:1'}, tls: {truststore: partners, server_name: a, client_certificate: server}}", `z.yaml:4:97: error: spec.tls.client_certificate: the Certificate "server" (trust.yaml:11:1) is not of the profile client`},
	} {
		t.Run(name, func(t *testing.T) {
			expectProblems(t, base().add("z.yaml", resource("Upstream", "z", test.spec)), test.want)
		})
	}
}

func TestWhoATestCanCallAs(t *testing.T) {
	with := func(caller string) files {
		return base().add("z.yaml", resource("Test", "z", "{via: edge, cases: [{name: a, caller: "+caller+", request: {url: 'https://a/x%zz?y'}, expect: {status: 200}}]}"))
	}
	build(t, with("{consumer: mapps}"))
	build(t, with("{certificate: {authority: unknown}}"))
	build(t, with("{certificate: {authority: partner-ca}}"))
	build(t, with("{certificate: {authority: partners}}"))
	build(t, with("{presents: server}"))
	expectProblems(t, with("{certificate: {authority: partner}}"), "z.yaml:4:71: error: spec.cases[0].caller.certificate.authority: there is no Authority \"partner\"; did you mean `partner-ca`?")
	expectProblems(t, with("{consumer: mapps}").replace("subject_common_name: mapps}", "serial: 1f, issuer_dn: 'CN=a'}"),
		`z.yaml:4:56: error: spec.cases[0].caller.consumer: the Consumer "mapps" is recognised by fingerprints, serial numbers or patterns alone: no certificate can be made for a test`)
}
