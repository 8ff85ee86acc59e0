package material

import (
	"errors"
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
)

// ErrNotSupportedYet is wrapped by the error for a scheme that is part of the language and has no behaviour yet.
var ErrNotSupportedYet = errors.New("not supported yet")

// planned are the beginnings of references that are known and not yet supported.
var planned = []string{"s3://", "secretsmanager:", "awskms:"}

const accepted = "file:PATH, env:NAME or authority:NAME"

var (
	environmentName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	authorityName   = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
)

// Reference is a parsed reference. References are comparable with ==; the zero value refers to nothing.
type Reference struct {
	Scheme Scheme
	// Value is a path, a variable's name or an authority's name.
	Value string
}

// Parse reads a reference. The error for what is planned wraps ErrNotSupportedYet; every other error lists what is
// accepted.
func Parse(text string) (Reference, error) {
	for _, beginning := range planned {
		if strings.HasPrefix(text, beginning) {
			return Reference{}, fmt.Errorf("reference %q: %s is %w: use %s", text, beginning, ErrNotSupportedYet, accepted)
		}
	}
	scheme, value, found := strings.Cut(text, ":")
	if !found {
		return Reference{}, fmt.Errorf("reference %q names no scheme: it is %s", text, accepted)
	}
	reference := Reference{Scheme: Scheme(scheme), Value: value}
	if problem := reference.problem(); problem != "" {
		return Reference{}, fmt.Errorf("reference %q: %s: it is %s", text, problem, accepted)
	}
	return reference, nil
}

func (r Reference) problem() string {
	switch r.Scheme {
	case File:
		switch {
		case r.Value == "":
			return "the path is empty"
		case strings.HasPrefix(r.Value, "//"):
			return "a path follows file: without //, as in file:/etc/ca.pem or file:ca.pem"
		case strings.ContainsRune(r.Value, 0):
			return "the path holds a NUL"
		case strings.HasSuffix(r.Value, "/"):
			return "the path names a folder"
		}
	case Environment:
		if !environmentName.MatchString(r.Value) {
			return "a variable's name has letters, digits and underscores"
		}
	case Authority:
		if len(r.Value) > 63 || !authorityName.MatchString(r.Value) {
			return "an authority's name has lower-case letters, digits and hyphens"
		}
	default:
		return fmt.Sprintf("unknown scheme %q", string(r.Scheme))
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

// String writes the reference as Parse reads it.
func (r Reference) String() string {
	if r == (Reference{}) {
		return "no reference"
	}
	return string(r.Scheme) + ":" + r.Value
}
