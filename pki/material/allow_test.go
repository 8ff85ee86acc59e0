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

func TestAllowListCoversRemoteReferencesBySegments(t *testing.T) {
	for name, test := range map[string]struct {
		prefix, reference string
		allowed           bool
	}{
		"every object":                         {"s3:", "s3://bucket/key", true},
		"a bucket":                             {"s3://bucket", "s3://bucket/a/b", true},
		"a bucket with a slash":                {"s3://bucket/", "s3://bucket/a/b", true},
		"another bucket, same beginning":       {"s3://bucket", "s3://bucket-other/a", false},
		"beneath a key":                        {"s3://bucket/keys", "s3://bucket/keys/a", true},
		"beneath a key with a slash":           {"s3://bucket/keys/", "s3://bucket/keys/a", true},
		"the key itself":                       {"s3://bucket/keys/a", "s3://bucket/keys/a", true},
		"a version of the key":                 {"s3://bucket/keys/a", "s3://bucket/keys/a?version=1", true},
		"a sibling with the same beginning":    {"s3://bucket/keys", "s3://bucket/keys-other/a", false},
		"a secret by the beginning":            {"secretsmanager:ours/", "secretsmanager:ours/a#b", true},
		"another secret":                       {"secretsmanager:ours/", "secretsmanager:theirs/a", false},
		"a secret by its ARN":                  {"secretsmanager:ours/", "secretsmanager:arn:aws:secretsmanager:a:1:secret:ours/a", false},
		"every key":                            {"awskms:", "awskms:alias/ca", true},
		"a key by the beginning":               {"awskms:alias/ours-", "awskms:alias/ours-ca", true},
		"another key":                          {"awskms:alias/ours-", "awskms:alias/theirs", false},
		"a host":                               {"https://host/", "https://host/a/b?c=d", true},
		"a host without a slash":               {"https://host", "https://host/a", true},
		"another host with the same beginning": {"https://host", "https://host.example.org/a", false},
		"another port":                         {"https://host/", "https://host:8443/a", false},
		"the same host without security":       {"https://host/", "http://host/a", false},
		"beneath a path":                       {"https://host/a", "https://host/a/b", true},
		"beside a path":                        {"https://host/a", "https://host/ab", false},
		"a file where S3 is allowed":           {"s3:", "file:/etc/shadow", false},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := ParseAllowList([]string{test.prefix}, "/")
			if err != nil {
				t.Fatal(err)
			}
			reference, problem := parse(test.reference)
			if problem != "" {
				t.Fatal(problem)
			}
			if err := list.Check(reference); test.allowed && err != nil || !test.allowed && !errors.Is(err, ErrNotAllowed) {
				t.Errorf("got %v, allowed %v", err, test.allowed)
			}
		})
	}
}

func TestParseAllowListRefuses(t *testing.T) {
	for _, prefix := range []string{
		"", "/etc", "vault:a", "authority:a", "file:///etc", "env:A=b", "s3:bucket", "s3://B", "s3://bucket/a/../b",
		"s3://bucket/a?version=1", "secretsmanager:a b", "awskms:a b", "https://", "https://a@host/", "https://host/?a=b", "https://host/../a",
	} {
		if _, err := ParseAllowList([]string{prefix}, "/"); err == nil {
			t.Errorf("%q was taken", prefix)
		}
	}
}
