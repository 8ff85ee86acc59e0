package material

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// Scheme says what kind of place a reference points to.
type Scheme string

// The schemes.
const (
	// File is a file by path.
	File Scheme = "file"
	// Environment is an environment variable of this process.
	Environment Scheme = "env"
	// Authority is the certificate of an Authority of the same configuration. It is no place outside, so a Store does not
	// read it.
	Authority Scheme = "authority"
	// S3 is an object in a bucket, or one version of it.
	S3 Scheme = "s3"
	// SecretsManager is a secret of AWS Secrets Manager, or one member of it.
	SecretsManager Scheme = "secretsmanager"
	// KMS is a key that never leaves AWS KMS. It signs, so a Store does not read it.
	KMS Scheme = "awskms"
	// HTTPS and HTTP are addresses. Only what is signed is read from one; see ParseList.
	HTTPS Scheme = "https"
	HTTP  Scheme = "http"
)

const (
	accepted       = "file:PATH, env:NAME, s3://BUCKET/KEY, secretsmanager:NAME#FIELD, awskms:KEY or authority:NAME"
	acceptedPlace  = "file:PATH or s3://BUCKET/KEY"
	acceptedOfList = "file:PATH, env:NAME, s3://BUCKET/KEY, https://HOST/PATH or http://HOST/PATH"
)

var (
	environmentName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	authorityName   = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
)

// Reference is a parsed reference. References are comparable with ==; the zero value refers to nothing.
type Reference struct {
	Scheme Scheme
	// Value is what stands after the scheme and its colon: a path, a name, or what Object, Secret and Address take apart.
	Value string
}

// Parse reads a reference to a certificate, a key or a bundle. An http or https address is none: see ParseList. An error
// lists what is accepted.
func Parse(text string) (Reference, error) {
	reference, problem := parse(text)
	if problem == "" && reference.isAddress() {
		problem = "an address is taken for revocation lists and registers alone, because only they prove themselves by a signature"
	}
	if problem != "" {
		return Reference{}, fmt.Errorf("reference %q: %s: it is %s", text, problem, accepted)
	}
	return reference, nil
}

// ParsePlace reads a reference to a place where something can be written. An error lists what is accepted.
func ParsePlace(text string) (Reference, error) {
	reference, problem := parse(text)
	if problem == "" && reference.Scheme != File && reference.Scheme != S3 {
		problem = string(reference.Scheme) + ": is no place to write to"
	}
	if problem != "" {
		return Reference{}, fmt.Errorf("reference %q: %s: it is %s", text, problem, acceptedPlace)
	}
	return reference, nil
}

// ParseList reads a reference to a revocation list or an authority's register. They are signed, so they may come from an
// http or https address; and they are public, so they come from no secret. An error lists what is accepted.
func ParseList(text string) (Reference, error) {
	reference, problem := parse(text)
	if problem == "" {
		switch reference.Scheme {
		case Authority, SecretsManager, KMS:
			problem = string(reference.Scheme) + ": holds no list"
		}
	}
	if problem != "" {
		return Reference{}, fmt.Errorf("reference %q: %s: it is %s", text, problem, acceptedOfList)
	}
	return reference, nil
}

// parse reads any reference, or says in a few words what is wrong.
func parse(text string) (reference Reference, problem string) {
	scheme, value, found := strings.Cut(text, ":")
	if !found {
		return Reference{}, "it names no scheme"
	}
	reference = Reference{Scheme: Scheme(scheme), Value: value}
	return reference, reference.problem()
}

func (r Reference) problem() string {
	switch r.Scheme {
	case File:
		return pathProblem(r.Value)
	case Environment:
		if !environmentName.MatchString(r.Value) {
			return "a variable's name has letters, digits and underscores"
		}
	case Authority:
		if len(r.Value) > 63 || !authorityName.MatchString(r.Value) {
			return "an authority's name has lower-case letters, digits and hyphens"
		}
	case S3:
		_, problem := parseObject(r.Value)
		return problem
	case SecretsManager:
		return secretProblem(r.Value)
	case KMS:
		if !keyID.MatchString(r.Value) {
			return "an id, an alias (alias/NAME) or an ARN of a key follows awskms:"
		}
	case HTTP, HTTPS:
		_, problem := parseAddress(r.Value)
		return problem
	default:
		return fmt.Sprintf("unknown scheme %q", string(r.Scheme))
	}
	return ""
}

func pathProblem(path string) string {
	switch {
	case path == "":
		return "the path is empty"
	case strings.HasPrefix(path, "//"):
		return "a path follows file: without //, as in file:/etc/ca.pem or file:ca.pem"
	case strings.ContainsRune(path, 0):
		return "the path holds a NUL"
	case strings.HasSuffix(path, "/"):
		return "the path names a folder"
	}
	return ""
}

// In resolves a relative path against a folder, which should itself be absolute, and cleans it: no ".." is left. Other
// references are returned as they are.
func (r Reference) In(folder string) Reference {
	if r.Scheme != File {
		return r
	}
	if !filepath.IsAbs(r.Value) {
		r.Value = filepath.Join(folder, r.Value)
	}
	r.Value = filepath.Clean(r.Value)
	return r
}

// Beside refers to what lies beside a file or an object and has its name with a suffix. A pinned version is dropped: it
// is not the neighbour's. Other references are returned as they are.
func (r Reference) Beside(suffix string) Reference {
	switch r.Scheme {
	case File:
		r.Value += suffix
	case S3:
		if object, problem := parseObject(r.Value); problem == "" {
			r.Value = Object{Bucket: object.Bucket, Key: object.Key + suffix}.value()
		}
	}
	return r
}

// Remote reports whether a Store gets what is referred to over the network.
func (r Reference) Remote() bool {
	return r.Scheme == S3 || r.Scheme == SecretsManager || r.isAddress()
}

func (r Reference) isAddress() bool { return r.Scheme == HTTP || r.Scheme == HTTPS }

// String writes the reference as Parse reads it.
func (r Reference) String() string {
	if r == (Reference{}) {
		return "no reference"
	}
	return string(r.Scheme) + ":" + r.Value
}
