package material

import (
	"errors"
	"strings"
	"testing"
)

func TestParseReadsWhatIsAccepted(t *testing.T) {
	for text, want := range map[string]Reference{
		"file:ca.pem":           {File, "ca.pem"},
		"file:./keys/../ca.pem": {File, "./keys/../ca.pem"},
		"file:/etc/ca.pem":      {File, "/etc/ca.pem"},
		"file:a:b":              {File, "a:b"},
		"env:SERVER_KEY_1":      {Environment, "SERVER_KEY_1"},
		"authority:partner-ca":  {Authority, "partner-ca"},
	} {
		got, err := Parse(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("Parse(%q) = %+v (%q), %v", text, got, got, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		text, want string
		notYet     bool
	}{
		"S3":                  {"s3://bucket/key", "s3:// is not supported yet: use file:PATH", true},
		"Secrets Manager":     {"secretsmanager:name#field", "secretsmanager: is not supported yet", true},
		"KMS":                 {"awskms:alias/ca", "awskms: is not supported yet", true},
		"nothing":             {"", accepted, false},
		"a bare path":         {"ca.pem", "names no scheme", false},
		"an unknown scheme":   {"vault:secret", `unknown scheme "vault"`, false},
		"an upper-case one":   {"FILE:ca.pem", `unknown scheme "FILE"`, false},
		"S3 without slashes":  {"s3:bucket", `unknown scheme "s3"`, false},
		"a URL of a file":     {"file:///etc/ca.pem", "without //", false},
		"no path":             {"file:", "path is empty", false},
		"a folder":            {"file:keys/", "names a folder", false},
		"a NUL":               {"file:a\x00b", "NUL", false},
		"no variable":         {"env:", "letters, digits and underscores", false},
		"a variable's value":  {"env:A=b", "letters, digits and underscores", false},
		"no authority":        {"authority:", "lower-case", false},
		"an authority's path": {"authority:../a", "lower-case", false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(test.text)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), accepted) {
				t.Errorf("got %v, %v; want an error with %q", got, err, test.want)
			}
			if errors.Is(err, ErrNotSupportedYet) != test.notYet {
				t.Errorf("wraps ErrNotSupportedYet: %v", !test.notYet)
			}
		})
	}
}

func TestInResolvesAgainstTheFolder(t *testing.T) {
	for text, want := range map[string]string{
		"file:ca.pem":           "file:/etc/sallyport/ca.pem",
		"file:keys/../ca.pem":   "file:/etc/sallyport/ca.pem",
		"file:../shared/ca.pem": "file:/etc/shared/ca.pem",
		"file:/var//a/../b":     "file:/var/b",
		"env:A":                 "env:A",
		"authority:a":           "authority:a",
	} {
		reference, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := reference.In("/etc/sallyport").String(); got != want {
			t.Errorf("%s resolves to %s, want %s", text, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"file:ca.pem", "file:../../etc/passwd", "env:A", "authority:a", "s3://b/k", "file:a/./b/..", "file:/.."} {
		f.Add(seed)
	}
	allowed, err := ParseAllowList([]string{"file:/base/keys", "env:OURS_"}, "/base")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		reference, err := Parse(text)
		if err != nil {
			return
		}
		if reference.String() != text {
			t.Fatalf("%q is written back as %q", text, reference)
		}
		resolved := reference.In("/base")
		if resolved.In("/elsewhere") != resolved {
			t.Fatalf("%q resolves twice", text)
		}
		if allowed.Check(resolved) != nil {
			return
		}
		switch reference.Scheme {
		case File:
			if resolved.Value != "/base/keys" && !strings.HasPrefix(resolved.Value, "/base/keys/") || strings.Contains(resolved.Value, "/../") {
				t.Fatalf("%q reached %q", text, resolved.Value)
			}
		case Environment:
			if !strings.HasPrefix(resolved.Value, "OURS_") {
				t.Fatalf("%q reached %q", text, resolved.Value)
			}
		}
	})
}
