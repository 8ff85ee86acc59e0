package material

import (
	"errors"
	"testing"
)

func TestAllowListCoversWholeSegments(t *testing.T) {
	const base = "/srv/config"
	for name, test := range map[string]struct {
		prefixes  []string
		reference string
		allowed   bool
	}{
		"an empty list allows any file":             {nil, "file:/etc/shadow", true},
		"an empty list allows any variable":         {nil, "env:HOME", true},
		"the file itself":                           {[]string{"file:/etc/ca.pem"}, "file:/etc/ca.pem", true},
		"a file beneath":                            {[]string{"file:/etc/keys"}, "file:/etc/keys/a/b.pem", true},
		"a prefix with a slash at its end":          {[]string{"file:/etc/keys/"}, "file:/etc/keys/b.pem", true},
		"a sibling with the same beginning":         {[]string{"file:/etc/keys"}, "file:/etc/keys-other/b.pem", false},
		"dots out of the folder":                    {[]string{"file:/etc/keys"}, "file:/etc/keys/../shadow", false},
		"dots back into the folder":                 {[]string{"file:/etc/keys"}, "file:/etc/other/../keys/a", true},
		"a relative prefix":                         {[]string{"file:keys"}, "file:keys/a.pem", true},
		"the configuration's folder":                {[]string{"file:."}, "file:a.pem", true},
		"above the configuration's folder":          {[]string{"file:."}, "file:../a.pem", false},
		"the root":                                  {[]string{"file:/"}, "file:/etc/shadow", true},
		"every file":                                {[]string{"file:"}, "file:/etc/shadow", true},
		"every file, but no variable":               {[]string{"file:"}, "env:HOME", false},
		"a variable by its beginning":               {[]string{"env:SALLYPORT_"}, "env:SALLYPORT_KEY", true},
		"another variable":                          {[]string{"env:SALLYPORT_"}, "env:AWS_SECRET_ACCESS_KEY", false},
		"every variable, but no file":               {[]string{"env:"}, "file:/etc/shadow", false},
		"the second prefix":                         {[]string{"env:A", "file:/etc/keys"}, "file:/etc/keys/a", true},
		"an authority is part of the configuration": {[]string{"env:A"}, "authority:ca", true},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := ParseAllowList(test.prefixes, base)
			if err != nil {
				t.Fatal(err)
			}
			reference, err := Parse(test.reference)
			if err != nil {
				t.Fatal(err)
			}
			err = list.Check(reference.In(base))
			if test.allowed && err != nil || !test.allowed && !errors.Is(err, ErrNotAllowed) {
				t.Errorf("got %v, allowed %v", err, test.allowed)
			}
		})
	}
}

func TestAllowListRefusesAPathThatIsNotCleaned(t *testing.T) {
	list, err := ParseAllowList([]string{"file:/etc/keys"}, "/")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/etc/keys/../shadow", "etc/keys/a", "/etc/keys//a"} {
		if err := list.Check(Reference{File, path}); !errors.Is(err, ErrNotAllowed) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestParseAllowListRefuses(t *testing.T) {
	for _, prefix := range []string{"", "/etc", "vault:a", "authority:a", "file:///etc", "env:A=b", "s3://bucket/", "awskms:"} {
		if _, err := ParseAllowList([]string{prefix}, "/"); err == nil {
			t.Errorf("%q was taken", prefix)
		}
	}
	if _, err := ParseAllowList([]string{"s3://bucket/"}, "/"); !errors.Is(err, ErrNotSupportedYet) {
		t.Errorf("got %v", err)
	}
}
