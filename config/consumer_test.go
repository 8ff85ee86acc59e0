package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/config/checkcontext"
)

// consumerWith is the base with more lines in the spec of its Consumer.
func consumerWith(lines string) files {
	return base().replace("  roles: [reader]\n", "  roles: [reader]\n"+lines+"\n")
}

func TestARateLimitIsCompleted(t *testing.T) {
	for written, want := range map[string]RateLimit{
		"{requests: 100}":                        {Requests: 100, Burst: 100, Per: time.Second},
		"{requests: 100, per: 60s}":              {Requests: 100, Burst: 100, Per: time.Minute},
		"{requests: 100, per: 1.5s, burst: 200}": {Requests: 100, Burst: 200, Per: 1500 * time.Millisecond},
	} {
		got := build(t, consumerWith("  rate_limit: "+written)).Consumer("mapps").RateLimit
		if want.Origin = (Origin{File: "access.yaml", Line: 14, Column: 3}); got == nil || *got != want {
			t.Errorf("%s: %+v, want %+v", written, got, want)
		}
	}
	if limit := build(t, base()).Consumer("mapps").RateLimit; limit != nil {
		t.Errorf("a consumer without a limit has %+v", limit)
	}
}

func TestWhatExpressionsSeeOfAConsumer(t *testing.T) {
	f := consumerWith("  attributes: {prisons: [MDI, LEI], region: []}").replace("{name: mapps}", "{name: mapps, labels: {team: police}}")
	facts := build(t, f).Consumer("mapps").Facts
	if facts.Name != "mapps" || !slices.Equal(facts.Roles, []string{"reader"}) || facts.Labels["team"] != "police" ||
		!slices.Equal(facts.Attributes["prisons"], []string{"MDI", "LEI"}) || len(facts.Attributes) != 2 {
		t.Errorf("facts %+v", facts)
	}
}

func TestAttributesAreBounded(t *testing.T) {
	expectProblems(t, consumerWith("  attributes: {prisons: ["+strings.Repeat("x, ", 1000)+"x]}"),
		"access.yaml:14:16: error: spec.attributes[\"prisons\"]: has 1001 values; at most 1000 are accepted")
	expectProblems(t, consumerWith("  attributes: {prisons: ["+strings.Repeat("x", 257)+"]}"),
		"access.yaml:14:16: error: spec.attributes[\"prisons\"]: has a value of 257 bytes; at most 256 are accepted")
}

func TestPatterns(t *testing.T) {
	with := func(match string) files {
		return base().add("z.yaml", resource("Consumer", "other", "{certificates: [{truststore: partners, "+match+"}]}"))
	}
	const taken = `z.yaml:4:23: error: spec.certificates[0]: every such certificate is claimed by the Consumer "mapps" as well, at access.yaml:12:18: both would be refused`
	byPattern := func(pattern, match string) files {
		return with(match).replace("subject_common_name: mapps}", "patterns: {subject_common_name: '"+pattern+"'}}")
	}
	for name, test := range map[string]struct {
		files files
		want  []string
	}{
		"a pattern": {with("patterns: {subject_common_name: 'partner-[0-9]+'}"), nil},
		"one that is none": {with("patterns: {san_uri: 'a('}"), []string{
			"z.yaml:4:66: error: spec.certificates[0].patterns.san_uri: \"a(\" is no regular expression (RE2): missing closing ): `a(`"}},
		"one that would break out of its brackets": {with("patterns: {san_dns: 'a)|(?:b'}"), []string{
			"z.yaml:4:66: error: spec.certificates[0].patterns.san_dns: \"a)|(?:b\" is no regular expression (RE2): unexpected ): `a)|(?:b`"}},
		"none in the field": {with("patterns: {}"), []string{
			"z.yaml:4:46: error: spec.certificates[0].patterns: is empty: give at least one of subject_common_name, subject_dn, san_uri, san_dns"}},
		"beside the exact name": {with("subject_common_name: a, patterns: {subject_common_name: 'a+'}"), []string{
			`z.yaml:4:102: error: spec.certificates[0].patterns.subject_common_name: stands beside the exact subject_common_name "a": give one of the two`}},
		"beside another exact name":          {with("san_dns: a.example.org, patterns: {subject_common_name: 'a+'}"), nil},
		"the same pattern of two":            {byPattern("a+", "patterns: {subject_common_name: 'a+'}"), []string{`z.yaml:4:23: error: spec.certificates[0]: the same certificates are claimed by the Consumer "mapps" at access.yaml:12:18`}},
		"the same pattern and more":          {byPattern("a+", "san_dns: a.example.org, patterns: {subject_common_name: 'a+'}"), []string{taken}},
		"two patterns that may meet":         {byPattern("a+", "patterns: {subject_common_name: 'a|b'}"), nil},
		"an exact name that a pattern takes": {byPattern("a+", "subject_common_name: aaa"), []string{taken}},
		"one that it takes not":              {byPattern("a+", "subject_common_name: aab"), nil},
		"one of another kind":                {byPattern("a+", "san_dns: aaa"), nil},
	} {
		t.Run(name, func(t *testing.T) { expectProblems(t, test.files, test.want...) })
	}
}

func TestAPatternTakesWholeNames(t *testing.T) {
	for _, test := range []struct {
		pattern, name string
		want          bool
	}{
		{"partner-[0-9]+", "partner-7", true}, {"partner-[0-9]+", "my-partner-7", false}, {"partner-[0-9]+", "partner-7x", false},
		{"a|b", "ab", false}, {"a|b", "b", true}, {"^a$", "a", true}, {"(?i)a", "A", true}, {"(?m)^a$", "b\na", false}, {"a.c", "a\nc", false},
		{"", "", false},
	} {
		pattern, err := ParsePattern(test.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if test.pattern == "" {
			pattern = Pattern{}
		}
		if got := pattern.Matches(test.name); got != test.want {
			t.Errorf("%q takes %q: %t", test.pattern, test.name, got)
		}
	}
}

func TestAConsumerByPatternAloneCannotCallInATest(t *testing.T) {
	expectProblems(t, base().replace("subject_common_name: mapps}", "patterns: {subject_common_name: 'map+s'}}").
		add("z.yaml", resource("Test", "z", "{via: edge, cases: [{name: a, caller: {consumer: mapps}, request: {url: 'https://a/'}, expect: {status: 200}}]}")),
		`z.yaml:4:56: error: spec.cases[0].caller.consumer: the Consumer "mapps" is recognised by fingerprints, serial numbers or patterns alone: no certificate can be made for a test`)
}

// conditional is the base with a condition on its policy's rule.
func conditional(when string) files {
	return base().replace("permissions: consumer_roles}", fmt.Sprintf("permissions: consumer_roles, when: %q}", when))
}

func TestConditionsAreCompiledAndJudgedWithThePolicy(t *testing.T) {
	model := build(t, conditional("path.id != '0'"))
	rule := model.Policy("partners").Authorize[0]
	if rule.When == nil || rule.When.String() != "path.id != '0'" || rule.WhenOrigin.String() != "access.yaml:20:66" {
		t.Errorf("condition %v at %s", rule.When, rule.WhenOrigin)
	}
	if other := build(t, conditional("path.id != '1'")); other.Policy("partners").Version == model.Policy("partners").Version {
		t.Error("another condition is the same version of the policy")
	}
	for name, test := range map[string]struct {
		files files
		want  []string
	}{
		"a typo":       {conditional("consumer.nme == 'a'"), []string{"access.yaml:20:66: error: spec.authorize[0].when: at character 9: `consumer` has no `nme`, but name, roles, attributes, labels; did you mean `name`?"}},
		"no condition": {conditional("consumer.name"), []string{"access.yaml:20:66: error: spec.authorize[0].when: is no condition: it is a text, and must be true or false"}},
		"a value that is no text": {base().replace("value: consumer.name", "value: consumer.roles"),
			[]string{"access.yaml:21:49: error: spec.forward.headers[0].value: is no text: it is a list; join it, as `consumer.roles.join(',')`"}},
		"a capture that nothing has": {conditional("has(path.idd)"),
			[]string{"access.yaml:20:66: warning: nothing is called `path.idd`: no template of a rule with the Policy \"partners\", and no permission on its routes, has {idd}; did you mean `id`?"}},
		"a capture in a header": {base().replace("value: consumer.name", "value: path.person"),
			[]string{"access.yaml:21:23: warning: nothing is called `path.person`: no template of a rule with the Policy \"partners\", and no permission on its routes, has {person}"}},
		"an attribute that nobody has": {conditional("'x' in consumer.attributes.prisns").replace("  roles: [reader]\n", "  roles: [reader]\n  attributes: {prisons: [x]}\n"),
			[]string{"access.yaml:21:66: warning: no Consumer has the attribute `prisns`; did you mean `prisons`?"}},
		"a capture of the rule's own template": {conditional("path.person == '1'").replace("{prefix: /v1/persons}", "{template: '/v1/persons/{person}'}"), nil},
		"a capture of a permission, where none decides": {base().replace("permissions: consumer_roles}", "everyone: true, when: 'has(path.id)'}"), []string{
			"access.yaml:6:5: warning: the permission for /v1/persons/{id} never takes effect: no rule of its routes takes such a request under a policy with `permissions: consumer_roles`",
			"access.yaml:20:53: warning: nothing is called `path.id`: no template of a rule with the Policy \"partners\", and no permission on its routes, has {id}"}},
	} {
		t.Run(name, func(t *testing.T) { expectProblems(t, test.files, test.want...) })
	}
}

func TestARuleLeadsToUpstreamsOrAnswersByItself(t *testing.T) {
	with := func(rule string) files {
		return base().replace("  - {name: all,", "  - "+rule+"\n  - {name: all,")
	}
	const me = "name: me, match: {exact: /whoami}, "
	rule := build(t, with("{"+me+"whoami: true, policy: partners}")).Route("persons").Rules[0]
	if rule.Answer != checkcontext.AnswerWhoAmI || len(rule.Upstreams) != 0 {
		t.Errorf("rule %+v", rule)
	}
	open := resource("Policy", "open", "{authenticate: {anonymous: {}}, authorize: [{name: all, everyone: true}]}")
	for name, test := range map[string]struct {
		files files
		want  string
	}{
		"neither": {with("{" + me + "policy: partners}"), "routes.yaml:8:5: error: spec.rules[0]: leads nowhere: give `upstreams`, or `whoami: true`"},
		"both":    {with("{" + me + "whoami: true, upstreams: [{name: api}], policy: partners}"), "routes.yaml:8:49: error: spec.rules[0].whoami: stands beside `upstreams`: give one of the two"},
		"an answer to nobody": {with("{"+me+"whoami: true, policy: open}").add("open.yaml", open),
			`routes.yaml:8:49: error: spec.rules[0].whoami: would answer nobody anything: the Policy "open" (open.yaml:1:1) asks for no certificate and no token`},
	} {
		t.Run(name, func(t *testing.T) { expectProblems(t, test.files, test.want) })
	}
}
