package template_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sallyport-project/sallyport/config/template"
)

func parse(t *testing.T, source string) *template.Template {
	t.Helper()
	parsed, err := template.Parse(source)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestTwoTemplatesMeetInOne(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"/v1/{id}", "/v1/{name}", "/v1/{id}"},
		{"/v1/{id}", "/v1/7", "/v1/7"},
		{"/v1/{id}/{rest=**}", "/v1/{x}/alerts", "/v1/{id}/alerts"},
		{"/v1/{rest=**}", "/v1/{rest=**}", "/v1/{rest=**}"},
		{"/{a}/{rest=**}", "/{b}/{a}/z", "/{a}/{a_}/z"},
		{"/v1/{id}", "/v1/", ""},
		{"/v1/{rest=**}", "/v1/", ""},
		{"/v1", "/v1/{id}", ""},
		{"/v1/a", "/v1/b", ""},
	} {
		met, found := template.Intersect(parse(t, c.a), parse(t, c.b))
		if found != (c.want != "") || found && met.String() != c.want {
			t.Errorf("%s and %s meet in %v, %t; want %q", c.a, c.b, met, found, c.want)
		}
	}
}

func TestATemplateWithinAPrefix(t *testing.T) {
	for _, c := range []struct{ source, prefix, want string }{
		{"/v1/{id}/alerts", "/v1", "/v1/{id}/alerts"},
		{"/{version}/{id}", "/v1", "/v1/{id}"},
		{"/v1/{rest=**}", "/v1/persons", "all"},
		{"/v1/{rest=**}", "/v1", "/v1/{rest=**}"},
		{"/v1/{rest=**}", "/", "/v1/{rest=**}"},
		{"/v1", "/v1", "/v1"},
		{"/v1/", "/v1", "/v1/"},
		{"/v1", "/v1/persons", ""},
		{"/v2/{id}", "/v1", ""},
	} {
		within, all, found := template.Within(parse(t, c.source), parse(t, c.prefix))
		got := ""
		switch {
		case all && found:
			got = "all"
		case found:
			got = within.String()
		}
		if got != c.want {
			t.Errorf("%s within %s: %q, want %q", c.source, c.prefix, got, c.want)
		}
	}
}

// TestMeetingAgreesWithMatching holds both functions against Match on random paths.
func TestMeetingAgreesWithMatching(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(of ...string) string { return of[random.IntN(len(of))] }
	path := func(segment func(last bool) string) string {
		parts := make([]string, 1+random.IntN(3))
		for i := range parts {
			parts[i] = segment(i == len(parts)-1)
		}
		return "/" + strings.Join(parts, "/")
	}
	literal := func(last bool) string {
		if last {
			return pick("a", "b", "")
		}
		return pick("a", "b")
	}
	names := 0
	source := func(last bool) string {
		names++
		name := strings.Repeat("x", 1+names%5)
		if last && random.IntN(3) == 0 {
			return "{rest=**}"
		}
		return pick(literal(last), literal(last), "{"+name+"}")
	}
	var met int
	for range 20000 {
		first, err := template.Parse(path(source))
		if err != nil {
			continue // a name stands twice
		}
		second, err := template.Parse(path(source))
		if err != nil {
			continue
		}
		prefix, err := template.ParseLiteral("/" + pick("", "a", "a/b"))
		if err != nil {
			t.Fatal(err)
		}
		both, found := template.Intersect(first, second)
		within, all, inside := template.Within(first, prefix)
		for range 5 {
			p := path(literal)
			if want, got := first.Match(p) && second.Match(p), found && both.Match(p); got != want {
				t.Fatalf("%s and %s meet in %v, which matches %s: %t", first, second, both, p, got)
			} else if want {
				met++
			}
			below := prefix.String() == "/" || p == prefix.String() || strings.HasPrefix(p, prefix.String()+"/")
			if want, got := first.Match(p) && below, inside && (all && below || !all && within.Match(p)); got != want {
				t.Fatalf("%s within %s is %v (all: %t), which matches %s: %t", first, prefix, within, all, p, got)
			}
		}
	}
	if met < 1000 {
		t.Errorf("only %d paths were matched by both", met)
	}
}
