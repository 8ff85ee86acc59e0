package config

import "testing"

// withToken is the configuration of tokens with a Test's case whose caller has this token, and which goes on like this.
func withToken(token, rest string) files {
	return tokens().add("z.yaml", resource("Test", "z", "{via: edge, cases: [{name: a, caller: {token: "+token+"}, request: {url: 'https://a/'"+rest+", expect: {status: 200}}]}"))
}

func TestATokenOfATestIsOneThatCanBeMade(t *testing.T) {
	for _, token := range []string{
		"{provider: corporate}",
		"{provider: corporate, subject: ada, roles: [any], audience: elsewhere, id_token: true, bound_to: mapps}",
		"{provider: hop, audience: sidecar, bound_to: edge-client}",
	} {
		build(t, withToken(token, "}"))
	}
	for name, test := range map[string]struct {
		token, rest string
		want        string
	}{
		"of an unknown Provider":     {"{provider: corporat}", "}", "z.yaml:4:64: error: spec.cases[0].caller.token.provider: there is no Provider \"corporat\"; did you mean `corporate`?"},
		"of our own for nobody":      {"{provider: hop}", "}", `z.yaml:4:46: error: spec.cases[0].caller.token.audience: is missing: the Provider "hop" (providers.yaml:6:1) is ourselves, and has no audiences of its own`},
		"an ID token of our own":     {"{provider: hop, audience: sidecar, id_token: true}", "}", `z.yaml:4:98: error: spec.cases[0].caller.token.id_token: cannot be: the Provider "hop" (providers.yaml:6:1) is ourselves, and makes no ID tokens`},
		"bound to nobody":            {"{provider: corporate, bound_to: map}", "}", "z.yaml:4:85: error: spec.cases[0].caller.token.bound_to: there is no Consumer and no Certificate \"map\"; did you mean `mapps`?"},
		"beside the header for it":   {"{provider: corporate}", ", headers: {Authorization: x}}", "z.yaml:4:116: error: spec.cases[0].request.headers[\"Authorization\"]: stands beside the caller's `token`, which is sent in this header: give one of the two"},
		"beside a header of the API": {"{provider: corporate}", ", headers: {x-authorization: x}}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if test.want == "" {
				build(t, withToken(test.token, test.rest))
				return
			}
			expectProblems(t, withToken(test.token, test.rest), test.want)
		})
	}
}

func TestACallerOfATestSaysSomething(t *testing.T) {
	expectProblems(t, base().add("z.yaml", resource("Test", "z", "{via: edge, cases: [{name: a, caller: {}, request: {url: 'https://a/'}, expect: {answer_headers: {Vary: x}}}]}")),
		"z.yaml:4:37: error: spec.cases[0].caller: says nothing: give a form, a `token`, or both; leave it out for a caller who shows neither",
		`z.yaml:4:105: error: spec.cases[0].expect.answer_headers["Vary"]: write the names of headers in lower case`)
}

func TestATokenIsBoundToOneCertificate(t *testing.T) {
	expectProblems(t, withToken("{provider: corporate, bound_to: mapps}", "}").replace("subject_common_name: mapps}", "serial: 1f, issuer_dn: 'CN=a'}"),
		`z.yaml:4:85: error: spec.cases[0].caller.token.bound_to: the Consumer "mapps" is recognised by fingerprints, serial numbers or patterns alone: no certificate can be made for a test`)
	expectProblems(t, withToken("{provider: corporate, bound_to: edge-client}", "}").
		add("y.yaml", resource("Consumer", "edge-client", "{certificates: [{truststore: partners, subject_common_name: edge-client}]}")),
		`z.yaml:4:85: error: spec.cases[0].caller.token.bound_to: is the name of a Consumer (y.yaml:1:1) and of a Certificate (sidecar.yaml:1:1)`)
}
