// Package atomicfile replaces files as a whole: a reader sees what was there before or what is there now, and nothing in
// between, also after a crash.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Replace writes data beside its place and moves it there. The file has the mode given from the first byte on, whatever
// the umask. Without an error, what was written is on the disk; with one, the file is as it was.
func Replace(path string, data []byte, mode fs.FileMode) error {
	folder := filepath.Dir(path)
	file, err := os.CreateTemp(folder, ".making-") // mode 0600
	if err != nil {
		return fmt.Errorf("replace %s: %w", path, err)
	}
	_, err = file.Write(data)
	err = errors.Join(err, file.Chmod(mode), file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("replace %s: %w", path, err), os.Remove(file.Name()))
	}
	return SyncFolder(folder)
}

// SyncFolder makes last what was made, renamed or removed in a folder.
func SyncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("keep %s: %w", path, err)
	}
	if err := errors.Join(folder.Sync(), folder.Close()); err != nil {
		return fmt.Errorf("keep %s: %w", path, err)
	}
	return nil
}
