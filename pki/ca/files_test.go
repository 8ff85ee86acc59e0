package ca

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWriteKeyPairLocksTheKey(t *testing.T) {
	dir := t.TempDir()
	pair := newTestAuthority(t, Options{}).KeyPair()
	files, err := WriteKeyPair(dir, "root", pair)
	if err != nil {
		t.Fatal(err)
	}
	if files != FilesIn(dir, "root") {
		t.Errorf("files %+v", files)
	}
	for path, want := range map[string]struct {
		mode fs.FileMode
		data []byte
	}{
		filepath.Join(dir, "root.pem"):     {0o644, pair.CertificatePEM},
		filepath.Join(dir, "root-key.pem"): {0o600, pair.PrivateKeyPEM},
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want.mode || !bytes.Equal(data, want.data) {
			t.Errorf("%s: mode %s, want %s; content as meant: %v", path, info.Mode(), want.mode, bytes.Equal(data, want.data))
		}
	}
}

func TestWriteKeyPairNeverOverwrites(t *testing.T) {
	for _, existing := range []string{"root.pem", "root-key.pem"} {
		t.Run(existing, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, existing)
			if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := WriteKeyPair(dir, "root", newTestAuthority(t, Options{}).KeyPair())
			if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "move it away") {
				t.Errorf("error %v", err)
			}
			entries, readErr := os.ReadDir(dir)
			data, fileErr := os.ReadFile(path)
			if readErr != nil || fileErr != nil || len(entries) != 1 || string(data) != "precious" {
				t.Errorf("left behind: %v, %q", entries, data)
			}
		})
	}
}

func TestWriteKeyPairFollowsNoSymlink(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	if err := os.Symlink(target, filepath.Join(dir, "root-key.pem")); err != nil {
		t.Fatal(err)
	}
	if _, err := WriteKeyPair(dir, "root", newTestAuthority(t, Options{}).KeyPair()); !errors.Is(err, fs.ErrExist) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(target); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the key was written through a symlink: %v", err)
	}
}

func TestWriteKeyPairRefusesWhatIsNoFileName(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"", ".", "..", "a/b", "../a"} {
		if _, err := WriteKeyPair(dir, name, newTestAuthority(t, Options{}).KeyPair()); err == nil {
			t.Errorf("%q was taken", name)
		}
	}
}

func TestWriteKeyPairWritesTheCertificateAloneWhereNoKeyCanBeWritten(t *testing.T) {
	dir := t.TempDir()
	pair := newTestAuthority(t, Options{}).KeyPair()
	pair.PrivateKeyPEM = nil
	files, err := WriteKeyPair(dir, "root", pair)
	if err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 || files != (Files{Certificate: filepath.Join(dir, "root.pem")}) {
		t.Errorf("files %+v, in the folder %v, %v", files, entries, err)
	}

	if err := os.WriteFile(filepath.Join(dir, "other-key.pem"), []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := WriteKeyPair(dir, "other", pair); !errors.Is(err, fs.ErrExist) {
		t.Errorf("written beside another's key: %v", err)
	}
}
