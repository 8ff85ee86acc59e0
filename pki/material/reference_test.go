package material

import (
	"strings"
	"testing"
)

func TestParseReadsWhatIsAccepted(t *testing.T) {
	for text, want := range map[string]Reference{
		"file:ca.pem":                             {File, "ca.pem"},
		"file:./keys/../ca.pem":                   {File, "./keys/../ca.pem"},
		"file:/etc/ca.pem":                        {File, "/etc/ca.pem"},
		"file:a:b":                                {File, "a:b"},
		"env:SERVER_KEY_1":                        {Environment, "SERVER_KEY_1"},
		"authority:partner-ca":                    {Authority, "partner-ca"},
		"s3://partners/ca.pem":                    {S3, "//partners/ca.pem"},
		"s3://a.b-c/d/e f/ü.pem":                  {S3, "//a.b-c/d/e f/ü.pem"},
		"s3://partners/ca.pem?version=3sL4kqtJ.l": {S3, "//partners/ca.pem?version=3sL4kqtJ.l"},
		"secretsmanager:sallyport/edge":           {SecretsManager, "sallyport/edge"},
		"secretsmanager:sallyport/edge#key":       {SecretsManager, "sallyport/edge#key"},
		"secretsmanager:arn:aws:secretsmanager:eu-west-2:123456789012:secret:edge-a1B2c3#key": {
			SecretsManager, "arn:aws:secretsmanager:eu-west-2:123456789012:secret:edge-a1B2c3#key"},
		"awskms:alias/Partner-CA":                                {KMS, "alias/Partner-CA"},
		"awskms:arn:aws:kms:eu-west-2:123456789012:key/mrk-1234": {KMS, "arn:aws:kms:eu-west-2:123456789012:key/mrk-1234"},
	} {
		got, err := Parse(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("Parse(%q) = %+v (%q), %v", text, got, got, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"nothing":                     {"", "names no scheme"},
		"a bare path":                 {"ca.pem", "names no scheme"},
		"an unknown scheme":           {"vault:secret", `unknown scheme "vault"`},
		"an upper-case one":           {"FILE:ca.pem", `unknown scheme "FILE"`},
		"a URL of a file":             {"file:///etc/ca.pem", "without //"},
		"no path":                     {"file:", "path is empty"},
		"a folder":                    {"file:keys/", "names a folder"},
		"a NUL":                       {"file:a\x00b", "NUL"},
		"no variable":                 {"env:", "letters, digits and underscores"},
		"a variable's value":          {"env:A=b", "letters, digits and underscores"},
		"no authority":                {"authority:", "lower-case"},
		"an authority's path":         {"authority:../a", "lower-case"},
		"S3 without slashes":          {"s3:bucket/key", "a bucket follows s3://"},
		"a bucket alone":              {"s3://bucket", "followed by / and a key"},
		"a bucket without a key":      {"s3://bucket/", "followed by / and a key"},
		"a bucket with capitals":      {"s3://Bucket/key", "bucket's name"},
		"a folder of a bucket":        {"s3://bucket/folder/", "names a folder"},
		"dots in a key":               {"s3://bucket/a/../b", "an empty segment, . or .."},
		"an empty segment in a key":   {"s3://bucket/a//b", "an empty segment, . or .."},
		"another parameter":           {"s3://bucket/key?versionId=1", "a version is pinned by ?version=ID"},
		"an empty version":            {"s3://bucket/key?version=", "version is malformed"},
		"a version and more":          {"s3://bucket/key?version=1&x=2", "version is malformed"},
		"a key with a line's end":     {"s3://bucket/a\nb", "control characters"},
		"a key that is too long":      {"s3://bucket/" + strings.Repeat("a", 1025), "longer than 1024"},
		"no secret":                   {"secretsmanager:", "a secret's name"},
		"a secret with a blank":       {"secretsmanager:a b", "a secret's name"},
		"a secret without its field":  {"secretsmanager:a#", "a field follows #"},
		"no key":                      {"awskms:", "follows awskms:"},
		"a key's field":               {"awskms:a#b", "follows awskms:"},
		"an address":                  {"https://pki.example.org/ca.pem", "revocation lists and registers alone"},
		"an address without security": {"http://pki.example.org/ca.pem", "revocation lists and registers alone"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(test.text)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), accepted) {
				t.Errorf("got %v, %v; want an error with %q", got, err, test.want)
			}
		})
	}
}

func TestParseListReadsPlacesOfWhatIsSignedAndPublic(t *testing.T) {
	for _, text := range []string{
		"file:ca.crl", "env:CRL", "s3://partners/ca.crl", "https://pki.example.org/ca.crl", "http://10.0.0.1:8080/a/b?c=d", "http://[::1]/a",
	} {
		if got, err := ParseList(text); err != nil || got.String() != text {
			t.Errorf("ParseList(%q) = %q, %v", text, got, err)
		}
	}
	for name, text := range map[string]string{
		"an authority":           "authority:ca",
		"a secret":               "secretsmanager:a",
		"a key":                  "awskms:a",
		"no host":                "https:///ca.crl",
		"no slashes":             "https:pki.example.org/ca.crl",
		"a password":             "https://a:b@pki.example.org/ca.crl",
		"a fragment":             "https://pki.example.org/ca.crl#a",
		"dots":                   "https://pki.example.org/a/../b",
		"encoded dots":           "https://pki.example.org/a/%2e%2e/b",
		"dots and encoded slash": "https://pki.example.org/a/..%2fb",
		"a backslash":            `https://pki.example.org/a\b`,
		"a blank":                "https://pki.example.org/a b",
		"a bad escape":           "https://pki.example.org/%zz",
	} {
		if got, err := ParseList(text); err == nil || !strings.Contains(err.Error(), acceptedOfList) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestAReferenceIsTakenApart(t *testing.T) {
	pinned := Reference{S3, "//bucket/a/b.pem?version=1"}
	if got := pinned.Object(); got != (Object{"bucket", "a/b.pem", "1"}) {
		t.Errorf("the object is %+v", got)
	}
	for want, got := range map[string]Reference{
		"s3://bucket/a/b.pem":           pinned.AtVersion(""),
		"s3://bucket/a/b.pem?version=2": pinned.AtVersion("2"),
		"s3://bucket/a/b.pem.manifest":  pinned.Beside(".manifest"),
		"file:b.pem.manifest":           Reference{File, "b.pem"}.Beside(".manifest"),
		"env:B":                         Reference{Environment, "B"}.Beside(".manifest"),
	} {
		if got.String() != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if name, field := (Reference{SecretsManager, "a/b#c#d"}).Secret(); name != "a/b" || field != "c#d" {
		t.Errorf("the secret is %q, its field %q", name, field)
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
		"s3://bucket/a":         "s3://bucket/a",
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
	for _, seed := range []string{
		"file:ca.pem", "file:../../etc/passwd", "env:A", "authority:a", "file:a/./b/..", "file:/..",
		"s3://bucket/keys/a", "s3://bucket/keys/../b?version=1", "secretsmanager:ours/a#b", "awskms:alias/ours",
		"https://host/keys/a?b", "http://host/keys/%2e%2e/b", "https://host/keys%2f..%2fa",
	} {
		f.Add(seed)
	}
	allowed, err := ParseAllowList([]string{"file:/base/keys", "env:OURS_", "s3://bucket/keys", "secretsmanager:ours/", "https://host/keys/"}, "/base")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		reference, err := ParseList(text)
		if err != nil {
			reference, err = Parse(text)
		}
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
		if object := reference.Object(); reference.Scheme == S3 && reference.AtVersion(object.Version) != reference {
			t.Fatalf("%q is put together as %q", text, reference.AtVersion(object.Version))
		}
		if allowed.Check(resolved) != nil {
			return
		}
		reached := map[Scheme]string{
			File: "/base/keys/", Environment: "OURS_", S3: "//bucket/keys/", SecretsManager: "ours/", HTTPS: "//host/keys/",
		}[reference.Scheme]
		switch value := resolved.Value; {
		case reference.Scheme == Authority:
		case reached == "", !strings.HasPrefix(value+"/", reached) && !strings.HasPrefix(value, strings.TrimSuffix(reached, "/")+"?"), strings.Contains(value, "/../"):
			t.Fatalf("%q reached %q", text, value)
		}
	})
}
