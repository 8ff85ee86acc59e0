package template

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// agree holds the three matchers of a template against each other: Match, the regular expression, and a Set of many. The
// path is one that an HTTP request can have: visible ASCII (RFC 9112, section 3.2).
func agree(t *testing.T, sources []string, path string) {
	t.Helper()
	var set Set[string]
	var want []string
	for _, source := range sources {
		template := parse(t, source)
		set.Add(template, source)
		matches := template.Match(path)
		if regex := regexp.MustCompile(template.Regex()).MatchString(path); regex != matches {
			t.Errorf("%s and %q: Match says %t, the expression %s says %t", source, path, matches, template.Regex(), regex)
		}
		if matches {
			want = append(want, source)
		}
		agreeOnCaptures(t, template, path, matches)
	}
	var got []string
	set.Visit(path, func(source string) bool {
		got = append(got, source)
		return true
	})
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("of %q a Set finds %q for %q, Match finds %q", sources, got, path, want)
	}
}

// agreeOnCaptures puts what a template's variables stand for in their places: the path must come out of it.
func agreeOnCaptures(t *testing.T, template *Template, path string, matches bool) {
	t.Helper()
	values := map[string]string{}
	if captured := template.Capture(path, func(name, value string) { values[name] = value }); captured != matches {
		t.Errorf("%s and %q: Match says %t, Capture says %t", template, path, matches, captured)
	}
	if !matches {
		if len(values) > 0 {
			t.Errorf("%s captures %q of %q, which it does not match", template, values, path)
		}
		return
	}
	var b strings.Builder
	for _, s := range template.Segments() {
		b.WriteByte('/')
		if s.Kind == Literal {
			b.WriteString(s.Text)
		} else {
			b.WriteString(values[s.Text])
		}
	}
	if b.String() != path {
		t.Errorf("%s captures %q of %q", template, values, path)
	}
}

// random makes templates and paths out of few words, so that they often meet.
type random struct{ *rand.Rand }

func (r random) choose(words ...string) string { return words[r.IntN(len(words))] }

func (r random) template() string {
	var b strings.Builder
	for i := range 1 + r.IntN(4) {
		switch r.IntN(4) {
		case 0:
			b.WriteString("/{v" + string(rune('a'+i)) + "}")
		default:
			b.WriteString("/" + r.choose("a", "b", "a.b", "v1"))
		}
	}
	return b.String() + r.choose("", "", "", "/", "/{rest=**}")
}

func (r random) path() string {
	var b strings.Builder
	for range 1 + r.IntN(4) {
		b.WriteString("/" + r.choose("a", "b", "a.b", "axb", "v1", "a%2Fb", ""))
	}
	return b.String() + r.choose("", "", "/")
}

func TestAllMatchersAgree(t *testing.T) {
	r := random{rand.New(rand.NewPCG(1, 2))}
	for range 2000 {
		sources := []string{"/"}
		for range 1 + r.IntN(8) {
			sources = append(sources, r.template())
		}
		for range 5 {
			agree(t, sources, r.path())
		}
	}
}

func TestOverlapIsTrueExactlyWhereAPathMatchesBoth(t *testing.T) {
	r := random{rand.New(rand.NewPCG(3, 4))}
	paths := make(map[string]bool)
	for range 30000 {
		paths[r.path()] = true
	}
	for range 400 {
		a, b, prefix := parse(t, r.template()), parse(t, r.template()), false
		if !strings.Contains(b.String(), "{") && !strings.HasSuffix(b.String(), "/") {
			prefix = r.IntN(2) == 0
		}
		some := false
		for path := range paths {
			below := prefix && (path == b.String() || strings.HasPrefix(path, b.String()+"/"))
			if a.Match(path) && (below || b.Match(path)) {
				some = true
				break
			}
		}
		// Below a deep template the sample may hold no path, so only short ones are held to it.
		if got := Overlap(a, b, prefix); got != some && (some || len(a.segments) <= 3 && len(b.segments) <= 3) {
			t.Errorf("do %s and %s (a prefix: %t) overlap? got %t, but %t by the paths", a, b, prefix, got, some)
		}
	}
}

// FuzzParse holds that what is accepted is written back as it was, and compiles.
func FuzzParse(f *testing.F) {
	for _, source := range []string{"/", "/v1/{id}", "/a/{rest=**}", "/a//b", "/a/{b", "/a%2f", "/{a}/{a}"} {
		f.Add(source)
	}
	f.Fuzz(func(t *testing.T, source string) {
		template, err := Parse(source)
		if err != nil {
			return
		}
		if template.String() != source || !strings.HasPrefix(source, "/") || strings.ContainsAny(source, "%?#; \n\\") || strings.Contains(source, "//") {
			t.Errorf("%q was accepted as %q", source, template)
		}
		regexp.MustCompile(template.Regex())
		if !Overlap(template, template, false) {
			t.Errorf("%q does not overlap itself", source)
		}
	})
}

// FuzzSet holds all matchers against each other, for any templates (one a line) and any path.
func FuzzSet(f *testing.F) {
	f.Add("/v1/{id}\n/v1/{rest=**}\n/v1/status", "/v1/status")
	f.Add("/{a}/{b}/\n/{a}/b/", "/a/b/")
	f.Add("/\n/{x=**}", "/")
	f.Add("/a.b\n/a", "/a%2Fb")
	f.Add("/a/{x=**}", "/a//")
	f.Fuzz(func(t *testing.T, lines, path string) {
		if strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Skip("no path of a request")
		}
		var sources []string
		for source := range strings.SplitSeq(lines, "\n") {
			if _, err := Parse(source); err == nil && !slices.Contains(sources, source) {
				sources = append(sources, source)
			}
		}
		agree(t, sources, path)
	})
}
