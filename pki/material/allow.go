package material

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
)

// ErrNotAllowed is wrapped by the error for a reference that no prefix of the allow-list covers.
var ErrNotAllowed = errors.New("not allowed by --allow-material")

// AllowList limits which references a configuration may use, so that its authors reach no file, variable, object or host
// that is none of their business. The zero value allows everything.
type AllowList struct {
	prefixes []Reference
}

// ParseAllowList reads prefixes of references:
//
//	file:/etc/sallyport         the folder and everything beneath it (or that one file), but not /etc/sallyport-other
//	file:                       every file
//	env:SALLYPORT_              every variable whose name begins so
//	s3://bucket                 every object of the bucket
//	s3://bucket/partners        that object and everything beneath it, in every version, but not partners-other
//	secretsmanager:sallyport/   every secret whose name begins so; an ARN is no name, and is covered as it is written
//	awskms:alias/sallyport-     every key that is referred to by what begins so
//	https://pki.example.org/    every address of that host and port
//	https://pki.example.org/a   that address and everything beneath it
//
// A scheme and its colon alone allow all that it can reach. A relative path is resolved against the folder given, which
// is made absolute by the working folder. An empty list allows everything.
func ParseAllowList(prefixes []string, folder string) (AllowList, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return AllowList{}, fmt.Errorf("find the folder of the allow-list: %w", err)
	}
	var list AllowList
	for _, text := range prefixes {
		prefix, err := parsePrefix(text)
		if err != nil {
			return AllowList{}, fmt.Errorf("allowed prefix %q: %w", text, err)
		}
		if prefix.Value != "" {
			prefix = prefix.In(folder)
		}
		list.prefixes = append(list.prefixes, prefix)
	}
	return list, nil
}

func parsePrefix(text string) (Reference, error) {
	scheme, value, found := strings.Cut(text, ":")
	if !found {
		return Reference{}, errors.New("it has no scheme, such as file:PATH or env:NAME")
	}
	prefix := Reference{Scheme: Scheme(scheme), Value: value}
	if problem := prefix.prefixProblem(); problem != "" {
		return Reference{}, errors.New(problem)
	}
	return prefix, nil
}

func (r Reference) prefixProblem() string {
	switch r.Scheme {
	case Authority:
		return "an authority is part of the configuration and needs no leave"
	case File, Environment, S3, SecretsManager, KMS, HTTP, HTTPS:
	default:
		return fmt.Sprintf("unknown scheme %q; file:, env:, s3:, secretsmanager:, awskms:, https: and http: are known", string(r.Scheme))
	}
	switch {
	case r.Value == "":
		return "" // everything of the scheme
	case r.Scheme == File && strings.HasPrefix(r.Value, "//"):
		return "a path follows file: without //"
	case r.Scheme == File:
		return ""
	case r.Scheme == S3:
		return objectPrefixProblem(r.Value)
	case r.isAddress():
		address, problem := parseAddress(r.Value)
		if problem == "" && (address.RawQuery != "" || address.ForceQuery) {
			problem = "a prefix has no query"
		}
		return problem
	}
	return r.problem()
}

// objectPrefixProblem is about a bucket, or a bucket and the beginning of a key, with or without a slash at the end.
func objectPrefixProblem(value string) string {
	value = strings.TrimSuffix(value, "/")
	if !strings.Contains(strings.TrimPrefix(value, "//"), "/") {
		value += "/any" // the bucket alone
	}
	object, problem := parseObject(value)
	if problem == "" && object.Version != "" {
		problem = "a prefix pins no version"
	}
	return problem
}

// Check reports, as an error that wraps ErrNotAllowed, that a reference is not covered. A path must be absolute and
// clean, as Reference.In returns it. Authorities are always allowed, because what they are made of is checked itself.
func (l AllowList) Check(reference Reference) error {
	_, err := l.match(reference)
	return err
}

// match returns the folder within which a file must lie once symlinks have been followed; empty if it may lie anywhere.
func (l AllowList) match(reference Reference) (root string, err error) {
	if len(l.prefixes) == 0 || reference.Scheme == Authority {
		return "", nil
	}
	if reference.Scheme == File && (!filepath.IsAbs(reference.Value) || reference.Value != filepath.Clean(reference.Value)) {
		return "", fmt.Errorf("%s is %w: its path is not absolute and clean", reference, ErrNotAllowed)
	}
	for _, prefix := range l.prefixes {
		if prefix.Scheme != reference.Scheme {
			continue
		}
		if prefix.Value == "" {
			return "", nil
		}
		if prefix.Scheme == File {
			if root, covered := coversPath(prefix.Value, reference.Value); covered {
				return root, nil
			}
			continue
		}
		if prefix.covers(reference) {
			return "", nil
		}
	}
	return "", fmt.Errorf("%s is %w", reference, ErrNotAllowed)
}

// coversPath returns the folder that a prefix opens for a path.
func coversPath(prefix, path string) (root string, covered bool) {
	switch {
	case prefix == "/":
		return "", true
	case path == prefix:
		return filepath.Dir(prefix), true
	}
	return prefix, strings.HasPrefix(path, prefix+string(filepath.Separator))
}

// covers holds a reference of the same scheme, but no file, against a prefix that is not empty.
func (r Reference) covers(reference Reference) bool {
	switch r.Scheme {
	case S3:
		object, problem := parseObject(reference.Value)
		return problem == "" && beneath(r.Value, "//"+object.Bucket+"/"+object.Key)
	case HTTP, HTTPS:
		prefix, _ := url.Parse(r.Value) // it has been parsed before
		address, problem := parseAddress(reference.Value)
		return problem == "" && prefix.Host == address.Host && beneath(prefix.EscapedPath(), address.EscapedPath())
	}
	return strings.HasPrefix(reference.Value, r.Value)
}

// beneath reports whether a path is a prefix itself or lies beneath it, by whole segments.
func beneath(prefix, path string) bool {
	prefix = strings.TrimSuffix(prefix, "/")
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}
