package kit

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// folderMode is that of folders that Write makes.
const folderMode = 0o700

// Write writes the kit into a folder, which it makes with those around it as far as they are not there. Files that anybody may
// see have mode 0644, an encrypted key 0600. It never overwrites: where a file is there already the error is fs.ErrExist,
// and what was written is removed again. What is returned without an error is on the disk.
//
// A kit with a plain private key is refused.
func (k *Kit) Write(dir string) (err error) {
	if k.plainKey {
		return errPlainKey
	}
	if err := os.MkdirAll(dir, folderMode); err != nil {
		return fmt.Errorf("make the folder of the kit: %w", err)
	}
	var written []string
	defer func() {
		if err == nil {
			return
		}
		for _, path := range written {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	for _, f := range k.files {
		path := filepath.Join(dir, f.name)
		if err := writeNew(path, f); err != nil {
			return err
		}
		written = append(written, path)
	}
	return nil
}

// writeNew makes a file that must not exist yet, whatever the umask, and leaves none behind if it fails.
func writeNew(path string, f file) error {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists and is never overwritten: name another folder: %w", path, fs.ErrExist)
	}
	if err != nil {
		return fmt.Errorf("write the kit: %w", err)
	}
	_, err = out.Write(f.data)
	if err = errors.Join(err, out.Chmod(f.mode), out.Sync(), out.Close()); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(path))
	}
	return nil
}

// Archive writes the kit as a ZIP file, with everything in a folder of the consumer's name. Of the same kit the bytes are
// the same. A kit with a plain private key is refused.
func (k *Kit) Archive(w io.Writer) error {
	if k.plainKey {
		return errPlainKey
	}
	return k.archive(w)
}

func (k *Kit) archive(w io.Writer) error {
	archive := zip.NewWriter(w)
	for _, f := range k.files {
		header := &zip.FileHeader{Name: k.config.Consumer + "/" + f.name, Method: zip.Deflate, Modified: k.made()}
		header.SetMode(f.mode)
		entry, err := archive.CreateHeader(header)
		if err != nil {
			return fmt.Errorf("archive the kit: %w", err)
		}
		if _, err := io.Copy(entry, bytes.NewReader(f.data)); err != nil {
			return fmt.Errorf("archive the kit: %w", err)
		}
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("archive the kit: %w", err)
	}
	return nil
}
