package material

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/sallyport-project/sallyport/internal/atomicfile"
)

// publicMode is the mode of what Files publishes: anybody on the machine may read it, as on a web server.
const publicMode = 0o644

// Files publishes to files by path. A file's ETag is a hash of its content, and processes that put to the same folder wait
// for each other (flock on the folder). The folder must be there.
type Files struct{}

// Get implements Objects.
func (Files) Get(_ context.Context, reference Reference) (Content, error) {
	if reference.Scheme != File {
		return Content{}, fmt.Errorf("%s is no file", reference)
	}
	content, err := getFile(reference.Value)
	if err != nil {
		return Content{}, fmt.Errorf("read %s: %w", reference, err)
	}
	return content, nil
}

func getFile(path string) (Content, error) {
	data, err := readFile("", path, MaxSize)
	if err != nil {
		return Content{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return Content{}, err
	}
	return Content{Data: data, Version: Version{ETag: etag(data), Modified: info.ModTime(), Size: int64(len(data)), Latest: true}}, nil
}

func etag(data []byte) string { return fmt.Sprintf(`"%x"`, sha256.Sum256(data)) }

// Put implements Objects.
func (Files) Put(_ context.Context, reference Reference, data []byte, condition Condition) (version Version, err error) {
	if reference.Scheme != File {
		return Version{}, fmt.Errorf("%s is no file", reference)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", reference, err)
		}
	}()
	if err := Publishable(data); err != nil {
		return Version{}, err
	}
	unlock, err := lockFolder(filepath.Dir(reference.Value))
	if err != nil {
		return Version{}, err
	}
	defer unlock()
	before, err := getFile(reference.Value)
	missing := errors.Is(err, fs.ErrNotExist)
	switch {
	case err != nil && !missing && condition != (Condition{}):
		return Version{}, err
	case !missing && condition != (Condition{}) && bytes.Equal(before.Data, data):
		return before.Version, nil
	case condition.IfAbsent && !missing:
		return Version{}, Meaning(ErrConflict, fs.ErrExist)
	case condition.IfMatch != "" && before.ETag != condition.IfMatch:
		return Version{}, ErrConflict
	}
	if err := atomicfile.Replace(reference.Value, data, publicMode); err != nil {
		return Version{}, err
	}
	after, err := getFile(reference.Value)
	return after.Version, err
}

// lockFolder waits until nobody else holds the folder.
func lockFolder(path string) (unlock func(), err error) {
	folder, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(folder.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), folder.Close())
	}
	return func() { _ = folder.Close() }, nil // which ends the lock
}

// Versions implements Objects: files have none.
func (Files) Versions(_ context.Context, reference Reference) ([]Version, error) {
	return nil, fmt.Errorf("%s: %w: publish to a bucket that does, or keep the files under version control", reference, ErrNoVersions)
}
