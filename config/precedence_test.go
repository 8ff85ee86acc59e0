package config

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ruled is the base with one route file for each rule, named a, b, c… in an order of its own.
func ruled(matches ...string) files {
	f := base()
	for i, match := range matches {
		name := string(rune('a' + i))
		f = f.add(name+".yaml", resource("Route", "route-"+name, fmt.Sprintf(
			"\n  gateway: edge\n  hostnames: [api.example.org]\n  rules: [{name: %s, match: %s, upstreams: [{name: api}], policy: partners}]", name, match)))
	}
	return f
}

func TestPrecedenceIsByTheMatchAndNotByTheOrderOfFiles(t *testing.T) {
	// Each list is in order of precedence.
	for name, ordered := range map[string][]string{
		"exact before template before prefix": {
			"{exact: /x/y}", `{template: "/x/{id}"}`, "{prefix: /x}",
		},
		"longer prefixes before shorter ones": {
			"{prefix: /x/y/z}", "{prefix: /x/y}", "{prefix: /x}", "{prefix: /}",
		},
		"more literal templates before less literal ones, from the left": {
			`{template: "/x/y/{b}"}`, `{template: "/x/{a}/z"}`, `{template: "/x/{a}/{b}"}`, `{template: "/x/{rest=**}"}`, "{prefix: /x}",
			`{template: "/{a}/y/z"}`, `{template: "/{rest=**}"}`, "{prefix: /}",
		},
		"a rest before a prefix, an exact path before its own prefix": {
			"{exact: /x}", `{template: "/x/{rest=**}"}`, "{prefix: /x}",
		},
		"methods before none, headers in number, values before presence": {
			"{prefix: /x, methods: [GET], headers: [{name: h, value: v}]}",
			"{prefix: /x, methods: [GET]}",
			"{prefix: /x, headers: [{name: h, value: v}, {name: i, present: true}]}",
			"{prefix: /x, headers: [{name: h, value: v}]}",
			"{prefix: /x, headers: [{name: h, present: true}]}",
			"{prefix: /x}",
		},
		"the path before methods and headers": {
			"{exact: /x}", "{prefix: /x, methods: [GET], headers: [{name: h, value: v}]}",
		},
		"methods that do not meet are no conflict": {
			"{exact: /x, methods: [GET]}", "{exact: /x, methods: [DELETE, POST]}",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 1))
			for range 10 {
				shuffled := slices.Clone(ordered)
				r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
				model := build(t, ruled(shuffled...))
				var got []string
				for _, rule := range model.Gateway("edge").Listeners[0].Entries[0].VirtualHosts[0].Rules {
					if rule.Route.Name != "persons" { // the base's own
						got = append(got, shuffled[rule.Name[0]-'a'])
					}
				}
				if difference := cmp.Diff(ordered, got); difference != "" {
					t.Fatalf("unexpected order (-want +got):\n%s", difference)
				}
			}
		})
	}
}

func TestRulesThatNobodyCanTellApartAreAnError(t *testing.T) {
	for name, matches := range map[string][2]string{
		"the same":                              {"{exact: /x}", "{exact: /x}"},
		"templates that differ in names":        {`{template: "/x/{a}/y"}`, `{template: "/x/{b}/y"}`},
		"rests that differ in names":            {`{template: "/x/{a=**}"}`, `{template: "/x/{b=**}"}`},
		"an exact path and a template of words": {"{exact: /x/y}", "{template: /x/y}"},
		"methods that meet":                     {"{prefix: /x, methods: [GET, PUT]}", "{prefix: /x, methods: [PUT, POST]}"},
		"headers in another order": {
			"{prefix: /x, headers: [{name: h, value: v}, {name: i, present: true}]}", "{prefix: /x, headers: [{name: i, present: true}, {name: h, value: v}]}",
		},
	} {
		t.Run(name, func(t *testing.T) {
			expectProblems(t, ruled(matches[:]...),
				`b.yaml:7:21: error: spec.rules[0].match: takes the same requests for api.example.org as the rule "a" at a.yaml:7:11, and neither is the more specific`)
		})
	}
}

func TestOneConflictOnTwoHostnamesIsReportedOnce(t *testing.T) {
	f := ruled("{exact: /x}", "{exact: /x}").replace("hostnames: [api.example.org]\n      certificate", "hostnames: [api.example.org, b.example.org]\n      certificate").
		replace("dns_names: [api.example.org]", "dns_names: [api.example.org, b.example.org]")
	for _, name := range []string{"a.yaml", "b.yaml"} {
		f[name] = strings.Replace(f[name], "[api.example.org]", "[b.example.org, api.example.org]", 1)
	}
	expectProblems(t, f,
		`b.yaml:7:21: error: spec.rules[0].match: takes the same requests for api.example.org as the rule "a" at a.yaml:7:11, and neither is the more specific`)
}

func TestABadPathIsReportedWhereItIsWritten(t *testing.T) {
	for match, want := range map[string]string{
		"{exact: x}":               `a.yaml:7:36: error: spec.rules[0].match.exact: a path starts with a slash, "x" does not`,
		`{exact: "/{id}"}`:         "a.yaml:7:36: error: spec.rules[0].match.exact: \"/{id}\": a variable stands in a path that has none; did you mean `template`?",
		"{prefix: /x/}":            `a.yaml:7:37: error: spec.rules[0].match.prefix: a prefix matches whole segments and has no trailing slash; write "/x"`,
		`{template: "/{a=**}/b"}`:  `a.yaml:7:39: error: spec.rules[0].match.template: "/{a=**}/b": {a=**} takes the rest and must be the last`,
		`{template: "/x%2Fy/{a}"}`: `a.yaml:7:39: error: spec.rules[0].match.template: "/x%2Fy/{a}": "x%2Fy" is escaped: write the characters themselves, or a variable`,
	} {
		t.Run(match, func(t *testing.T) { expectProblems(t, ruled(match), want) })
	}
}

func TestMatchesPath(t *testing.T) {
	for _, test := range []struct {
		match, path string
		want        bool
	}{
		{"{prefix: /x}", "/x", true},
		{"{prefix: /x}", "/x/", true},
		{"{prefix: /x}", "/x/y", true},
		{"{prefix: /x}", "/xy", false},
		{"{prefix: /}", "/", true},
		{"{prefix: /}", "/x", true},
		{"{exact: /x}", "/x", true},
		{"{exact: /x}", "/x/", false},
		{`{template: "/x/{a}"}`, "/x/y%2Fz", true},
		{`{template: "/x/{a}"}`, "/x/y/z", false},
	} {
		rule := build(t, ruled(test.match)).Route("route-a").Rules[0]
		if got := rule.Match.MatchesPath(test.path); got != test.want {
			t.Errorf("does %s match %s? got %t", test.match, test.path, got)
		}
	}
}
