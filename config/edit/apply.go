package edit

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/internal/atomicfile"
)

// ErrChanged is what Apply returns where a file is no longer what the Plan was made for. Plan again.
var ErrChanged = errors.New("the configuration has changed in the meantime, so nothing was written: try again")

// fileMode is the mode of a file that is made, before the umask.
const fileMode = 0o644

// Apply makes the edit. Where any file of the directory has changed since the Plan was made, it writes nothing and returns
// ErrChanged. A file is replaced as a whole, with its mode and owner, so that nobody reads half of it; a symbolic link stays
// and what it leads to is replaced; a new file never takes the place of another. What is done without an error is on the
// disk. A Plan is applied once.
func (p *Plan) Apply() error {
	if p.Empty() {
		return nil
	}
	files, err := config.ReadFiles(p.directory)
	if err != nil {
		return err
	}
	if !slices.EqualFunc(files, p.files, same) {
		return ErrChanged
	}
	switch {
	case p.change.created:
		return create(p.change.path, p.change.new)
	case p.change.removed:
		if err := os.Remove(p.change.path); err != nil {
			return fmt.Errorf("remove the file of the consumer: %w", err)
		}
		return atomicfile.SyncFolder(filepath.Dir(p.change.path))
	}
	if err := replace(p.change.path, p.change.old, p.change.new); err != nil {
		return fmt.Errorf("write %s: %w", p.change.path, err)
	}
	return nil
}

// same tells whether a file reads the same. That it cannot be read is no change either.
func same(a, b config.File) bool {
	return a.Path == b.Path && bytes.Equal(a.Data, b.Data) && (a.Err == nil) == (b.Err == nil)
}

// create makes a file that must not exist yet, and leaves none behind if it fails.
func create(path string, data []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s exists and is never overwritten: name another file", path)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no folder %s: make it first, or name another file", filepath.Dir(path))
	case err != nil:
		return fmt.Errorf("make the file of the consumer: %w", err)
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(path))
	}
	return atomicfile.SyncFolder(filepath.Dir(path))
}

// replace puts new content in place of the old in one step.
func replace(path string, before, after []byte) (err error) {
	path, err = filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	old, err := os.OpenFile(path, os.O_RDWR, 0) // a file that may not be written is not to be replaced either
	if err != nil {
		return err
	}
	defer func() { _ = old.Close() }() // nothing is written to it
	info, err := old.Stat()
	if err != nil {
		return err
	}
	// A name that begins with a dot is no configuration: whoever watches the folder passes it over.
	temporary, err := os.CreateTemp(filepath.Dir(path), ".sallyport-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temporary.Name()) // the first error counts
		}
	}()
	_, err = temporary.Write(after)
	err = errors.Join(err, keepOwner(temporary, info), temporary.Chmod(info.Mode().Perm()), temporary.Sync(), temporary.Close())
	if err != nil {
		return err
	}
	now, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !bytes.Equal(now, before) {
		return ErrChanged
	}
	if err := os.Rename(temporary.Name(), path); err != nil {
		return err
	}
	return atomicfile.SyncFolder(filepath.Dir(path))
}

// keepOwner gives a file the owner and group of another, or fails.
func keepOwner(file *os.File, info fs.FileInfo) error {
	mine, err := file.Stat()
	if err != nil {
		return err
	}
	want, ok := info.Sys().(*syscall.Stat_t)
	have, known := mine.Sys().(*syscall.Stat_t)
	if !ok || !known || want.Uid == have.Uid && want.Gid == have.Gid {
		return nil
	}
	if err := file.Chown(int(want.Uid), int(want.Gid)); err != nil {
		return fmt.Errorf("keep its owner and group: %w", err)
	}
	return nil
}
