package material

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxKey is how long an object's key can be, in bytes (Amazon S3 User Guide, "Naming Amazon S3 objects").
const maxKey = 1024

var (
	bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	versionID  = regexp.MustCompile(`^[A-Za-z0-9._~+=/-]+$`)
	secretName = regexp.MustCompile(`^[A-Za-z0-9/_+=.@:-]+$`)
	keyID      = regexp.MustCompile(`^[A-Za-z0-9/_:-]+$`)
)

// Object is what an S3 reference points to.
type Object struct {
	Bucket, Key string
	// Version pins one version of the object; empty for whichever is the latest.
	Version string
}

// Object takes an S3 reference apart. It is the zero value for any other.
func (r Reference) Object() Object {
	if r.Scheme != S3 {
		return Object{}
	}
	object, _ := parseObject(r.Value)
	return object
}

// AtVersion pins an S3 reference to a version, or to none if it is empty. Other references are returned as they are.
func (r Reference) AtVersion(version string) Reference {
	if r.Scheme == S3 {
		object := r.Object()
		object.Version = version
		r.Value = object.value()
	}
	return r
}

func (o Object) value() string {
	value := "//" + o.Bucket + "/" + o.Key
	if o.Version != "" {
		value += "?version=" + o.Version
	}
	return value
}

// parseObject reads what follows s3:.
func parseObject(value string) (object Object, problem string) {
	rest, found := strings.CutPrefix(value, "//")
	if !found {
		return Object{}, "a bucket follows s3://"
	}
	rest, version, pinned := strings.Cut(rest, "?version=")
	bucket, key, _ := strings.Cut(rest, "/")
	switch {
	case !bucketName.MatchString(bucket):
		return Object{}, "the bucket's name is malformed"
	case key == "":
		return Object{}, "the bucket's name is followed by / and a key"
	case strings.HasSuffix(key, "/"):
		return Object{}, "the key names a folder"
	case pinned && !versionID.MatchString(version):
		return Object{}, "the version is malformed"
	}
	if problem := keyProblem(key); problem != "" {
		return Object{}, problem
	}
	return Object{Bucket: bucket, Key: key, Version: version}, ""
}

// keyProblem is strict: a key that another reader could take for another one is refused, because the allow-list judges
// it by its segments.
func keyProblem(key string) string {
	switch {
	case len(key) > maxKey:
		return "the key is longer than 1024 bytes"
	case !utf8.ValidString(key) || strings.ContainsFunc(key, unicode.IsControl):
		return "the key holds control characters"
	case strings.ContainsAny(key, `?#\`):
		return "the key holds one of ?, # and \\; a version is pinned by ?version=ID"
	}
	for segment := range strings.SplitSeq(key, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return "the key holds an empty segment, . or .."
		}
	}
	return ""
}

// Secret takes a SecretsManager reference apart: the secret's name or ARN, and the member of the JSON object that it
// holds; empty for the secret as a whole. Both are empty for any other reference.
func (r Reference) Secret() (name, field string) {
	if r.Scheme != SecretsManager {
		return "", ""
	}
	name, field, _ = strings.Cut(r.Value, "#")
	return name, field
}

func secretProblem(value string) string {
	name, field, found := strings.Cut(value, "#")
	switch {
	case !secretName.MatchString(name):
		return "a secret's name has letters, digits and /_+=.@-"
	case found && field == "":
		return "the name of a field follows #"
	case !utf8.ValidString(field) || strings.ContainsFunc(field, unicode.IsControl):
		return "the field's name holds control characters"
	}
	return ""
}

// place is what is fetched for a reference: the whole secret for any of its fields, so that a certificate and its key
// which share a secret change as one.
func (r Reference) place() Reference {
	if r.Scheme == SecretsManager {
		r.Value, _ = r.Secret()
	}
	return r
}

// parseAddress reads what follows http: or https:.
func parseAddress(value string) (address *url.URL, problem string) {
	if strings.ContainsFunc(value, func(c rune) bool { return unicode.IsControl(c) || unicode.IsSpace(c) || c == '\\' }) {
		return nil, "the address holds blanks, control characters or backslashes"
	}
	address, err := url.Parse(value)
	switch {
	case err != nil || !strings.HasPrefix(value, "//") || address.Hostname() == "":
		return nil, "a host and a path follow the scheme and //"
	case address.User != nil:
		return nil, "the address holds a name or a password, which everybody could read"
	case strings.Contains(value, "#"):
		return nil, "the address holds a #"
	case slices.ContainsFunc(strings.Split(address.Path, "/"), func(s string) bool { return s == "." || s == ".." }):
		return nil, "the path holds . or .. as a segment"
	}
	return address, ""
}
