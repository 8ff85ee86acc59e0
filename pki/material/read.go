package material

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// MaxSize is the most that one reference may hold: 1 MiB.
const MaxSize = 1 << 20

// Read returns the bytes that a reference points to now. A path must be absolute, as Reference.In returns it. Nothing is
// remembered: each call reads again.
//
// An error wraps fs.ErrNotExist where there is nothing yet, and ErrNotAllowed where the allow-list forbids to look. What
// is empty, larger than MaxSize or no regular file is an error. With an allow-list, symlinks are followed only as far as
// the allowed folder reaches: a link in a configuration's folder opens no other.
func (s *Store) Read(reference Reference) ([]byte, error) {
	root, err := s.config.Allow.match(reference)
	if err != nil {
		return nil, err
	}
	var data []byte
	switch reference.Scheme {
	case File:
		data, err = readFile(root, reference.Value)
	case Environment:
		data, err = s.readEnvironment(reference.Value)
	default:
		err = errors.New("it is not a place that can be read")
	}
	if err == nil && len(data) == 0 {
		err = errors.New("it is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", reference, err)
	}
	return data, nil
}

func (s *Store) readEnvironment(name string) ([]byte, error) {
	value, found := s.config.LookupEnv(name)
	switch {
	case !found:
		return nil, fmt.Errorf("the environment variable is not set: %w", fs.ErrNotExist)
	case len(value) > MaxSize:
		return nil, errTooLarge
	}
	return []byte(value), nil
}

var errTooLarge = fmt.Errorf("it is larger than %d bytes", MaxSize)

func readFile(root, path string) ([]byte, error) {
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
	data, err := io.ReadAll(io.LimitReader(file, MaxSize+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MaxSize {
		return nil, errTooLarge
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
	return folder.OpenFile(relative, flags, 0)
}
