package routing_test

import (
	"strings"
	"testing"

	"github.com/sallyport-project/sallyport/envoy/routing"
)

var (
	rejecting = routing.Options{Normalize: true, MergeSlashes: true, RejectEscapedSlashes: true}
	keeping   = routing.Options{Normalize: true, MergeSlashes: true}
)

func TestNormalise(t *testing.T) {
	for name, test := range map[string]struct {
		path, want string
		status     int
	}{
		"a path stays":                                    {"/v1/persons?x=1", "/v1/persons?x=1", 0},
		"a dot segment goes":                              {"/a/./b", "/a/b", 0},
		"two dots take a segment with them":               {"/a/../b", "/b", 0},
		"two dots at the end":                             {"/a/b/..", "/a/", 0},
		"two dots at the top":                             {"/../../b", "/b", 0},
		"escaped dots are dots":                           {"/a/%2e%2E/b", "/b", 0},
		"three dots are a name":                           {"/a/.../b", "/a/.../b", 0},
		"a dot in a name":                                 {"/a/b.c/.d/e.", "/a/b.c/.d/e.", 0},
		"a backslash is a slash":                          {`/a\..\b`, "/b", 0},
		"slashes are merged":                              {"//a///b//", "/a/b/", 0},
		"dots are resolved before slashes are merged":     {"/a//../b", "/a/b", 0},
		"nothing but slashes":                             {"////", "//", 0},
		"letters, digits and ~-_ are unescaped":           {"/%61%41%31%7e%2D%5f", "/aA1~-_", 0},
		"other escapes keep their case":                   {"/%c3%A9%20%3b", "/%c3%A9%20%3b", 0},
		"an escaped percent sign stays":                   {"/%2561", "/%2561", 0},
		"what is no escape stays":                         {"/%zz/%4/%", "/%zz/%4/%", 0},
		"an escape is not made of two":                    {"/%%36%31", "/%2561", 0},
		"nor of one and a digit":                          {"/%%361", "/%2561", 0},
		"characters that no path has are escaped":         {"/\"<>^`{|}", "/%22%3C%3E%5E%60%7B%7C%7D", 0},
		"parameters of dots go":                           {"/a/..;x=1/b/.;y/c", "/b/c", 0},
		"parameters of escaped dots stay":                 {"/a/%2e%2e;/b", "/a/..;/b", 0},
		"other parameters stay":                           {"/a;x/b", "/a;x/b", 0},
		"the query stays as it is":                        {"/a?b=/../c//%2f%61", "/a?b=/../c//%2f%61", 0},
		"a fragment is refused":                           {"/a#b", "", 400},
		"a fragment in the query is refused":              {"/a?b#c", "", 400},
		"an escaped slash is refused":                     {"/a%2fb", "", 400},
		"an escaped slash in capitals is refused":         {"/a%2Fb", "", 400},
		"an escaped backslash is refused":                 {"/a%5cb", "", 400},
		"an escaped zero is refused":                      {"/a%00", "", 400},
		"no path is refused":                              {"", "", 400},
		"a path without a slash is refused":               {"a", "", 400},
		"a backslash at the beginning is refused":         {`\a`, "", 400},
		"a control character is refused":                  {"/a\x01", "", 400},
		"a character that is not ASCII is refused":        {"/é", "", 400},
		"a space is refused":                              {"/a b", "", 400},
		"a percent sign does not outlive its segment":     {"/%/../b%61c", "/bac", 0},
		"an escaped slash that was escaped again stays":   {"/%252f", "/%252f", 0},
		"an escaped slash in pieces stays in pieces":      {"/%%32%66", "/%252f", 0},
		"escaped dots in pieces stay in pieces":           {"/a/%%32%65%%32%65/b", "/a/%252e%252e/b", 0},
		"dots that a backslash hides stay, parameters do": {`/a\..;/b`, "/a/..;/b", 0},
	} {
		t.Run(name, func(t *testing.T) {
			got, status := routing.Normalise(test.path, rejecting)
			if status != test.status || status == 0 && got != test.want {
				t.Errorf("%q becomes %q with status %d, want %q with %d", test.path, got, status, test.want, test.status)
			}
		})
	}
}

func TestNormaliseKeepsEscapedSlashesWhereItIsToldTo(t *testing.T) {
	for path, want := range map[string]string{
		"/a%2Fb%5c": "/a%2Fb%5c", "/a/..%2fb": "/a/..%2fb", "/a%2f../b": "/a%2f../b", "/a/%2e%2e%2fb": "/a/..%2fb",
	} {
		if got, status := routing.Normalise(path, keeping); got != want || status != 0 {
			t.Errorf("%q becomes %q with status %d, want %q", path, got, status, want)
		}
	}
}

func FuzzNormalise(f *testing.F) {
	for _, path := range []string{
		"/", "//", "/a/../b", "/%2e%2e/", "/a%2Fb", "/%%36%31", "/..;/", "/%2e%2e;/", `/\..\`, "/?#", "/%", "/%4", "/a?b=%00", "é", "/%00",
	} {
		f.Add(path, true)
	}
	f.Fuzz(func(t *testing.T, path string, keep bool) {
		options := rejecting
		if keep {
			options = keeping
		}
		once, status := routing.Normalise(path, options)
		if status != 0 {
			return
		}
		within, _, _ := strings.Cut(once, "?")
		switch {
		case !strings.HasPrefix(within, "/"):
			t.Errorf("%q becomes %q", path, once)
		case strings.Contains(within, "//") && within != "//":
			t.Errorf("%q becomes %q, with adjacent slashes", path, once)
		case strings.Contains(within+"/", "/../") || strings.Contains(within+"/", "/./"):
			t.Errorf("%q becomes %q, with a dot segment", path, once)
		}
		if strings.Contains(within, ";") {
			return // see Normalise
		}
		if twice, status := routing.Normalise(once, options); twice != once || status != 0 {
			t.Errorf("%q becomes %q, and that %q with status %d", path, once, twice, status)
		}
	})
}
