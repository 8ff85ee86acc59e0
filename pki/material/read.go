package material

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	// MaxSize is the most that a file, an object or an address may hold: 4 MiB.
	MaxSize = 4 << 20
	// MaxSecretSize is the most that a variable or a secret may hold: 1 MiB.
	MaxSecretSize = 1 << 20
)

// limit is the most bytes that a reference may hold.
func (r Reference) limit() int64 {
	if r.Scheme == Environment || r.Scheme == SecretsManager {
		return MaxSecretSize
	}
	return MaxSize
}

// TooLarge is the error for what holds more than a limit of bytes.
func TooLarge(limit int64) error {
	return fmt.Errorf("it is larger than the %d bytes that are read at most", limit)
}

// Read returns the bytes that a reference points to. A path must be absolute, as Reference.In returns it.
//
// Files and variables are read now. Of a remote reference it is what was last fetched; Read never asks the place itself,
// and waits for the first attempt alone, for no longer than Config says after Watch. While the place cannot be read, Read
// gives an error that says since when: what you have stays, or begin with LastGood.
//
// An error wraps fs.ErrNotExist where there is nothing yet, and ErrNotAllowed where the allow-list forbids to look. What
// is empty, too large (see MaxSize) or no regular file is an error. With an allow-list, symlinks are followed only as far
// as the allowed folder reaches: a link in a configuration's folder opens no other.
//
// The caller may share the bytes with others, and does not change them.
func (s *Store) Read(reference Reference) ([]byte, error) {
	root, err := s.config.Allow.match(reference)
	if err != nil {
		return nil, err
	}
	var data []byte
	switch reference.Scheme {
	case File:
		data, err = readFile(root, reference.Value, MaxSize)
	case Environment:
		data, err = s.readEnvironment(reference.Value)
	case S3, SecretsManager, HTTP, HTTPS:
		data, err = s.poller.read(reference)
	case KMS:
		err = errors.New("the key never leaves AWS KMS, so it cannot be read; only an Authority's private_key can be one")
	default:
		err = errors.New("it is not a place that can be read")
	}
	if err == nil && len(data) == 0 {
		err = errEmpty
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", reference, err)
	}
	return data, nil
}

var errEmpty = errors.New("it is empty")

func (s *Store) readEnvironment(name string) ([]byte, error) {
	value, found := s.config.LookupEnv(name)
	switch {
	case !found:
		return nil, fmt.Errorf("the environment variable is not set: %w", fs.ErrNotExist)
	case len(value) > MaxSecretSize:
		return nil, TooLarge(MaxSecretSize)
	}
	return []byte(value), nil
}

// member returns a field of the JSON object that a secret holds. An error never quotes the secret.
func member(secret []byte, field string) ([]byte, error) {
	if field == "" {
		return secret, nil
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(secret, &members) != nil {
		return nil, errors.New("the secret holds no JSON object, so it has no fields")
	}
	raw, found := members[field]
	if !found {
		return nil, fmt.Errorf("the secret has no field %q: %w", field, fs.ErrNotExist)
	}
	var value string
	if json.Unmarshal(raw, &value) != nil {
		return nil, fmt.Errorf("the secret's field %q is no string", field)
	}
	return []byte(value), nil
}

func readFile(root, path string, limit int64) ([]byte, error) {
	file, err := openFile(root, path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // only read from
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("it is no regular file (%s)", info.Mode().Type())
	}
	return ReadLimited(file, limit)
}

// ReadLimited reads to the end. More than limit bytes is the error from TooLarge.
func ReadLimited(reader io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(reader, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, TooLarge(limit)
	}
	return data, nil
}

// openFile opens a file for reading, within a folder if one is given. O_NONBLOCK keeps a named pipe without a writer from
// holding us.
func openFile(root, path string) (*os.File, error) {
	const flags = os.O_RDONLY | syscall.O_NONBLOCK
	if root == "" {
		return os.OpenFile(path, flags, 0)
	}
	folder, err := os.OpenRoot(root)
	if err != nil {
		return nil, err
	}
	defer func() { _ = folder.Close() }() // an open file outlives it
	relative, err := filepath.Rel(root, path)
	if err != nil {
		return nil, err
	}
	file, err := folder.OpenFile(relative, flags, 0)
	if outside := new(fs.PathError); errors.As(err, &outside) && strings.Contains(outside.Err.Error(), "escapes") { // os has no name for it
		return nil, fmt.Errorf("a symbolic link leads out of the folder, and where to is %w: name that place as well, or put the file here", ErrNotAllowed)
	}
	return file, err
}
