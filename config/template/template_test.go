package template

import (
	"slices"
	"strings"
	"testing"
)

func TestParseAccepts(t *testing.T) {
	for source, shape := range map[string]string{
		"/":                        "/",
		"/v1/persons":              "/v1/persons",
		"/v1/persons/":             "/v1/persons/",
		"/v1/persons/{hmpps_id}":   "/v1/persons/{}",
		"/{a}/{b}/{c-d}/{_e}/{f6}": "/{}/{}/{}/{}/{}",
		"/v1/{id}/":                "/v1/{}/",
		"/v1/{rest=**}":            "/v1/{=**}",
		"/{rest=**}":               "/{=**}",
		"/a.b~c!$&'()*+,=:@-_/...": "/a.b~c!$&'()*+,=:@-_/...",
	} {
		t.Run(source, func(t *testing.T) {
			template, err := Parse(source)
			if err != nil {
				t.Fatal(err)
			}
			if template.Shape() != shape || template.String() != source {
				t.Errorf("got the shape %q of %q, want %q", template.Shape(), template, shape)
			}
		})
	}
}

func TestParseSaysWhatIsWrong(t *testing.T) {
	for source, want := range map[string]string{
		"":              `a path starts with a slash, "" does not`,
		"v1":            `a path starts with a slash, "v1" does not`,
		"/a//b":         `"/a//b": an empty segment (//) never arrives: proxies merge slashes`,
		"/a/../b":       `"/a/../b": a segment ".." never arrives: proxies resolve it`,
		"/.":            `"/.": a segment "." never arrives: proxies resolve it`,
		"/a%2Fb":        `"/a%2Fb": "a%2Fb" is escaped: write the characters themselves, or a variable`,
		"/a?b":          `"/a?b": "a?b" has a character that no path segment has`,
		"/a;b":          `"/a;b": "a;b" has a character that no path segment has`,
		"/a b":          `"/a b": "a b" has a character that no path segment has`,
		"/ä":            `"/ä": "ä" has a character that no path segment has`,
		"/a\n":          `"/a\n": "a\n" has a character that no path segment has`,
		"/{a":           `"/{a": "{a" mixes text and a variable: a variable is a whole segment`,
		"/v{a}":         `"/v{a}": "v{a}" mixes text and a variable: a variable is a whole segment`,
		"/{a}{b}":       `"/{a}{b}": "a}{b" is no name for a variable: letters, digits, underscores and hyphens`,
		"/{}":           `"/{}": "" is no name for a variable: letters, digits, underscores and hyphens`,
		"/{1a}":         `"/{1a}": "1a" is no name for a variable: letters, digits, underscores and hyphens`,
		"/{a=*}":        `"/{a=*}": {a=*}: the only pattern is **`,
		"/{a=b/**}":     `"/{a=b/**}": "{a=b" mixes text and a variable: a variable is a whole segment`,
		"/{a=**}/b":     `"/{a=**}/b": {a=**} takes the rest and must be the last`,
		"/{a}/{a}":      `"/{a}/{a}": the name "a" stands twice`,
		"/{a}/b/{a=**}": `"/{a}/b/{a=**}": the name "a" stands twice`,
	} {
		t.Run(source, func(t *testing.T) {
			template, err := Parse(source)
			if template != nil || err == nil || err.Error() != want {
				t.Errorf("got %v and the error %q, want %q", template, err, want)
			}
		})
	}
}

func TestParseLiteralRefusesVariables(t *testing.T) {
	if _, err := ParseLiteral("/v1/{id}"); err == nil || !strings.Contains(err.Error(), "did you mean `template`?") {
		t.Errorf("got the error %v", err)
	}
	if literal, err := ParseLiteral("/v1/status"); err != nil || !literal.Match("/v1/status") {
		t.Errorf("got %v and the error %v", literal, err)
	}
}

func TestMatch(t *testing.T) {
	for _, test := range []struct {
		template  string
		yes, noes []string
	}{
		{"/", []string{"/"}, []string{"", "/a", "//"}},
		{"/v1/status", []string{"/v1/status"}, []string{"/v1/status/", "/v1/Status", "/v1/statu", "/v1/statuses", "v1/status", "/v1//status"}},
		{"/v1/status/", []string{"/v1/status/"}, []string{"/v1/status", "/v1/status//"}},
		{"/v1/{id}", []string{"/v1/1", "/v1/a%2Fb", "/v1/a;b", "/v1/{id}", "/v1/%"}, []string{"/v1/", "/v1", "/v1/1/", "/v1/1/2"}},
		{"/v1/{id}/", []string{"/v1/1/"}, []string{"/v1/1", "/v1//"}},
		{"/v1/{id}/alerts", []string{"/v1/1/alerts", "/v1/alerts/alerts"}, []string{"/v1/alerts", "/v1//alerts", "/v1/1%2Falerts", "/v1/1/2/alerts"}},
		{"/v1/{rest=**}", []string{"/v1/a", "/v1/a/b", "/v1//", "/v1/a/"}, []string{"/v1/", "/v1", "/v1a"}},
		{"/{rest=**}", []string{"/a", "/a/b"}, []string{"/", ""}},
		{"/a.b", []string{"/a.b"}, []string{"/axb"}},
	} {
		t.Run(test.template, func(t *testing.T) {
			for _, path := range test.yes {
				agree(t, []string{test.template}, path)
				if !parse(t, test.template).Match(path) {
					t.Errorf("%q is not matched", path)
				}
			}
			for _, path := range test.noes {
				agree(t, []string{test.template}, path)
				if parse(t, test.template).Match(path) {
					t.Errorf("%q is matched", path)
				}
			}
		})
	}
}

func TestMatchAllocatesNothing(t *testing.T) {
	template := parse(t, "/v1/{id}/alerts/{rest=**}")
	if allocations := testing.AllocsPerRun(100, func() { template.Match("/v1/A1234AA/alerts/2026/12") }); allocations != 0 {
		t.Errorf("a match allocates %v times", allocations)
	}
}

func TestVisitGoesFromTheMostSpecificToTheLeast(t *testing.T) {
	var set Set[string]
	for _, source := range []string{"/{rest=**}", "/v1/{id}", "/v1/{rest=**}", "/v1/status", "/{v}/status", "/v1/status/"} {
		set.Add(parse(t, source), source)
	}
	var got []string
	whole := set.Visit("/v1/status", func(source string) bool {
		got = append(got, source)
		return true
	})
	want := []string{"/v1/status", "/v1/{id}", "/v1/{rest=**}", "/{v}/status", "/{rest=**}"}
	if !slices.Equal(got, want) || !whole {
		t.Errorf("got %q, to the end %t, want %q", got, whole, want)
	}
}

func TestVisitStopsWhenItIsToldTo(t *testing.T) {
	var set Set[int]
	for i, source := range []string{"/v1/{id}", "/v1/{rest=**}", "/v1/status", "/v1/status"} {
		set.Add(parse(t, source), i)
	}
	for most := 1; most <= 4; most++ {
		visited := 0
		whole := set.Visit("/v1/status", func(int) bool {
			visited++
			return visited < most
		})
		if visited != most || whole {
			t.Errorf("visited %d, to the end %t, want %d", visited, whole, most)
		}
	}
}

func TestOverlap(t *testing.T) {
	for _, test := range []struct {
		a, b   string
		prefix bool
		want   bool
	}{
		{"/a", "/a", false, true},
		{"/a", "/b", false, false},
		{"/a", "/a/", false, false},
		{"/a/{x}", "/a/b", false, true},
		{"/a/{x}", "/a/", false, false},
		{"/a/{x}", "/{y}/b", false, true},
		{"/a/{x}/c", "/a/b", false, false},
		{"/a/{x=**}", "/a/b/c", false, true},
		{"/a/{x=**}", "/a/", false, false},
		{"/a/{x=**}", "/a", false, false},
		{"/a/{x=**}", "/b/c", false, false},
		{"/a/{x=**}", "/{y=**}", false, true},
		{"/a/b", "/a", true, true},
		{"/ab", "/a", true, false},
		{"/a", "/a/b", true, false},
		{"/{x=**}", "/a/b", true, true},
		{"/a/b", "/", true, true},
		{"/a/b", "/", false, false},
	} {
		if got := Overlap(parse(t, test.a), parse(t, test.b), test.prefix); got != test.want {
			t.Errorf("do %s and %s (a prefix: %t) overlap? got %t", test.a, test.b, test.prefix, got)
		}
	}
}

func parse(t *testing.T, source string) *Template {
	t.Helper()
	template, err := Parse(source)
	if err != nil {
		t.Fatal(err)
	}
	return template
}
