package config

import (
	"strings"
	"testing"
)

// presenting is a rule at the base's TLS entry, behind a policy that takes tokens of class hop by the method given.
func presenting(method string) files {
	return tokens().
		add("s.yaml", resource("Policy", "s", "{authenticate: "+method+", authorize: [{name: a, everyone: true}]}")).
		add("internal.yaml", resource("Truststore", "internal", "{bundle: 'file:internal.pem'}")+"---\n"+resource("Truststore", "other", "{bundle: 'file:other.pem'}")).
		replace("  - {name: all,", "  - {name: s, match: {prefix: /s}, upstreams: [{name: api}], policy: s}\n  - {name: all,")
}

func TestWhoVouchesForThePresentersOfHopTokensIsCertain(t *testing.T) {
	const (
		unnamed = "{jwt: {providers: [hop], audiences: [sidecar]}}"
		named   = "{jwt: {providers: [hop], audiences: [sidecar], truststores: [internal]}}"
		nested  = "{any_of: [{certificate: {truststores: [partners]}}, {all_of: [{certificate: {truststores: [partners]}}, " + unnamed + "]}]}"
		two     = "truststores: [partners, internal]}\n"
		none    = "      client_auth: {mode: required, truststores: [partners]}\n"
	)
	for name, test := range map[string]struct {
		files files
		want  string // a part of the only problem; empty for none
	}{
		"the entry has one":                   {presenting(unnamed), ""},
		"the one that it has, named":          {presenting(strings.Replace(named, "internal", "partners", 1)), ""},
		"the entry has several":               {presenting(unnamed).replace("truststores: [partners]}\n", two), "s.yaml:4:23: error: spec.authenticate.jwt.truststores: is missing: name the Truststores"},
		"in a method of a method":             {presenting(nested).replace("truststores: [partners]}\n", two), "spec.authenticate.any_of[1].all_of[1].jwt.truststores: is missing"},
		"the entry has several, one is named": {presenting(named).replace("truststores: [partners]}\n", two), ""},
		"the entry has not the one named":     {presenting(named), "truststores: names none of the Truststores of the entry"},
		"of no hop tokens":                    {presenting("{jwt: {providers: [corporate], truststores: [partners]}}"), "spec.authenticate.jwt.truststores: has no effect"},
		"one that there is not":               {presenting(strings.Replace(named, "internal", "internl", 1)), `there is no Truststore "internl"`},
		"an entry with one that there is not": {presenting(named).replace("truststores: [partners]}\n", "truststores: [internl]}\n"), `there is no Truststore "internl"`},
		"no rule asks for it": {presenting(unnamed).replace("  - {name: s, match: {prefix: /s}, upstreams: [{name: api}], policy: s}\n", "").replace("truststores: [partners]}\n", two),
			`warning: no rule of any Route uses the Policy "s"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, got := read(test.files)
			if test.want == "" && len(got) != 0 || test.want != "" && (len(got) != 1 || !strings.Contains(got[0], test.want)) {
				t.Errorf("found %q, want one with %q", got, test.want)
			}
		})
	}
	t.Run("the entry asks for no certificates", func(t *testing.T) {
		_, got := read(presenting(unnamed).replace(none, "").replace("policy: partners}", "policy: users}"))
		if !strings.Contains(strings.Join(got, "\n"), "nobody can present a token of class `hop` where no certificates are asked for") {
			t.Errorf("found %q", got)
		}
	})
}

func TestAnUpstreamsVersionIsOfItsOwnContent(t *testing.T) {
	want := build(t, tokens()).Upstream("sidecar").Version
	if len(want) != 32 {
		t.Errorf("the version is %q", want)
	}
	for name, f := range map[string]files{
		"another upstream": tokens().replace("10.0.0.7:8080", "10.0.0.8:8080"),
		"a label of it":    tokens().replace("metadata: {name: sidecar}", "metadata: {name: sidecar, labels: {a: b}}"),
		"the policy":       tokens().replace("name: readers", "name: others"),
	} {
		if got := build(t, f).Upstream("sidecar").Version; got != want {
			t.Errorf("%s: the version has changed", name)
		}
	}
	for name, f := range map[string]files{
		"its address":   tokens().replace("dns: 'sidecar.internal:8443'", "dns: 'other.internal:8443'"),
		"its name":      tokens().replace("server_name: sidecar.internal", "server_name: other.internal"),
		"what it gets":  tokens().replace("mint: {audience: sidecar}", "mint: {audience: other}"),
		"how it is met": tokens().replace("server_name: sidecar.internal, client_certificate: edge-client}", "server_name: sidecar.internal, client_certificate: edge-client}, protocol: http2"),
	} {
		if got := build(t, f).Upstream("sidecar").Version; got == want {
			t.Errorf("%s: the version is the same", name)
		}
	}
}
