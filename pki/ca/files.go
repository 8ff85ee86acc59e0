package ca

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Files are the two files of a key pair.
type Files struct {
	Certificate, PrivateKey string
}

// FilesIn names the files of a key pair in a folder: <name>.pem and <name>-key.pem.
func FilesIn(dir, name string) Files {
	return Files{Certificate: filepath.Join(dir, name+".pem"), PrivateKey: filepath.Join(dir, name+"-key.pem")}
}

// WriteKeyPair writes a key pair into a folder that exists, under the names that FilesIn gives: the key with mode 0600, the
// certificate with 0644. It never overwrites: where either file exists, the error is fs.ErrExist, says what to do, and
// both files are as they were. Where the pair has no private key that can be written, the certificate's file alone is made
// and the other's name is empty. What is returned without an error is on the disk.
func WriteKeyPair(dir, name string, pair KeyPair) (Files, error) {
	if name == "" || name != filepath.Base(name) || name == "." || name == ".." {
		return Files{}, fmt.Errorf("write a key pair: %q is not a file name", name)
	}
	files := FilesIn(dir, name)
	if len(pair.PrivateKeyPEM) == 0 {
		return writeCertificate(files, pair.CertificatePEM)
	}
	if err := writeNew(files.PrivateKey, pair.PrivateKeyPEM, 0o600); err != nil {
		return Files{}, err
	}
	if err := writeNew(files.Certificate, pair.CertificatePEM, 0o644); err != nil {
		return Files{}, errors.Join(err, os.Remove(files.PrivateKey))
	}
	return files, nil
}

// writeCertificate writes a certificate alone, and not beside a key of the same name, which would be another's.
func writeCertificate(files Files, certificatePEM []byte) (Files, error) {
	if _, err := os.Lstat(files.PrivateKey); !errors.Is(err, fs.ErrNotExist) {
		return Files{}, existsError(files.PrivateKey)
	}
	if err := writeNew(files.Certificate, certificatePEM, 0o644); err != nil {
		return Files{}, err
	}
	return Files{Certificate: files.Certificate}, nil
}

func existsError(path string) error {
	return fmt.Errorf("%s exists and is never overwritten: move it away, or choose another name or folder: %w", path, fs.ErrExist)
}

// writeNew makes a file that must not exist yet, whatever the umask, and leaves none behind if it fails.
func writeNew(path string, data []byte, mode fs.FileMode) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return existsError(path)
	}
	if err != nil {
		return fmt.Errorf("write a key pair: %w", err)
	}
	_, err = file.Write(data)
	err = errors.Join(err, file.Chmod(mode), file.Sync(), file.Close())
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(path))
	}
	return nil
}
