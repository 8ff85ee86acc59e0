package material

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// ErrNotAllowed is wrapped by the error for a reference that no prefix of the allow-list covers.
var ErrNotAllowed = errors.New("not allowed by --allow-material")

// AllowList limits which references a configuration may use, so that its authors reach no file or variable that is none
// of their business. The zero value allows everything.
type AllowList struct {
	prefixes []Reference
}

// ParseAllowList reads prefixes of references:
//
//	file:/etc/sallyport    the folder and everything beneath it (or that one file), but not /etc/sallyport-other
//	file:                  every file
//	env:SALLYPORT_         every variable whose name begins so
//
// A relative path is resolved against the folder given, which is made absolute by the working folder. An empty list
// allows everything.
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
	for _, beginning := range planned {
		if strings.HasPrefix(text, beginning) {
			return Reference{}, fmt.Errorf("%s is %w", beginning, ErrNotSupportedYet)
		}
	}
	scheme, value, found := strings.Cut(text, ":")
	prefix := Reference{Scheme: Scheme(scheme), Value: value}
	switch {
	case !found:
		return Reference{}, errors.New("it has no scheme, such as file:PATH or env:NAME")
	case prefix.Scheme == File && strings.HasPrefix(value, "//"):
		return Reference{}, errors.New("a path follows file: without //")
	case prefix.Scheme == Environment && value != "" && !environmentName.MatchString(value):
		return Reference{}, errors.New("a variable's name has letters, digits and underscores")
	case prefix.Scheme == File, prefix.Scheme == Environment:
		return prefix, nil
	case prefix.Scheme == Authority:
		return Reference{}, errors.New("an authority is part of the configuration and needs no leave")
	default:
		return Reference{}, fmt.Errorf("unknown scheme %q, file: and env: are known", scheme)
	}
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
		switch {
		case prefix.Value == "" || prefix.Value == "/":
			return "", nil
		case prefix.Scheme == Environment && strings.HasPrefix(reference.Value, prefix.Value):
			return "", nil
		case prefix.Scheme == File && reference.Value == prefix.Value:
			return filepath.Dir(prefix.Value), nil
		case prefix.Scheme == File && strings.HasPrefix(reference.Value, prefix.Value+string(filepath.Separator)):
			return prefix.Value, nil
		}
	}
	return "", fmt.Errorf("%s is %w", reference, ErrNotAllowed)
}
