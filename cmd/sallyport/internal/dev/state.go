package dev

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
)

// state is the folder that keeps development authorities over a restart, so that certificates that were handed out stay
// good. One process at a time uses it.
type state struct {
	folder string
	lock   *os.File
	// temporary is removed when the environment ends.
	temporary bool
}

// StateFolder is the absolute path of the folder that keeps the state of a configuration folder: the one that was named, or
// one below $XDG_STATE_HOME or ~/.local/state. It is an error for it to lie in the configuration folder, which is watched
// and under version control. Nothing is made.
func StateFolder(named, directory string) (string, error) {
	folder := named
	if named == "" {
		var err error
		if folder, err = defaultStateFolder(directory); err != nil {
			return "", err
		}
	}
	folder, err := filepath.Abs(folder)
	if err != nil {
		return "", fmt.Errorf("find the state folder: %w", err)
	}
	watched, err := filepath.Abs(directory)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", directory, err)
	}
	relative, err := filepath.Rel(resolved(watched), resolved(folder))
	if err != nil {
		return "", fmt.Errorf("find the state folder: %w", err)
	}
	if relative != ".." && !strings.HasPrefix(relative, ".."+string(filepath.Separator)) {
		return "", fmt.Errorf("the state folder %s lies in %s, which is watched: name one outside of it with --state", folder, directory)
	}
	return folder, nil
}

// resolved is an absolute path without symbolic links, as far as it is there.
func resolved(path string) string {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		return target
	}
	parent := filepath.Dir(path)
	if parent == path {
		return path
	}
	return filepath.Join(resolved(parent), filepath.Base(path))
}

func defaultStateFolder(directory string) (string, error) {
	absolute, err := filepath.Abs(directory)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", directory, err)
	}
	base := os.Getenv("XDG_STATE_HOME")
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("no place to keep the development authorities: %w; name one with --state", err)
		}
		base = filepath.Join(home, ".local", "state")
	}
	hash := sha256.Sum256([]byte(absolute))
	return filepath.Join(base, "sallyport", "dev", filepath.Base(absolute)+"-"+hex.EncodeToString(hash[:4])), nil
}

// openState opens a state folder and locks it. An empty name makes a temporary one.
func openState(folder string) (*state, error) {
	if folder == "" {
		folder, err := os.MkdirTemp("", "sallyport-state-")
		if err != nil {
			return nil, fmt.Errorf("make a temporary state folder: %w", err)
		}
		if folder, err = filepath.Abs(folder); err != nil { // $TMPDIR may be relative
			return nil, fmt.Errorf("find the temporary state folder: %w", err)
		}
		return &state{folder: folder, temporary: true}, nil
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("make the state folder: %w; name another with --state", err)
	}
	path := filepath.Join(folder, "lock")
	lock, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the state folder: %w; name another with --state", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		owner, _ := os.ReadFile(path) // only to name it
		_ = lock.Close()
		return nil, fmt.Errorf("another `sallyport dev`%s is running with this state folder (%s): stop it, or name another folder with --state",
			ownerWords(owner), folder)
	}
	if err := lock.Truncate(0); err == nil {
		_, _ = lock.WriteString(strconv.Itoa(os.Getpid())) // only to be named to others
	}
	return &state{folder: folder, lock: lock}, nil
}

func ownerWords(owner []byte) string {
	if pid := strings.TrimSpace(string(owner)); pid != "" {
		return " (process " + pid + ")"
	}
	return ""
}

// close gives the folder up.
func (s *state) close() error {
	if s.temporary {
		return os.RemoveAll(s.folder)
	}
	return s.lock.Close()
}

// proxyAuthority is the CA of our own processes: made on first use, and apart from every authority of the configuration.
func (s *state) proxyAuthority(clock func() time.Time) (*ca.Authority, error) {
	files := ca.FilesIn(s.folder, "proxies")
	certificate, err := os.ReadFile(files.Certificate)
	if errors.Is(err, fs.ErrNotExist) {
		authority, err := ca.Create(ca.Options{CommonName: "proxies", Development: true, Clock: clock})
		if err != nil {
			return nil, err
		}
		_, err = ca.WriteKeyPair(s.folder, "proxies", authority.KeyPair())
		return authority, err
	}
	if err != nil {
		return nil, fmt.Errorf("read the proxies' authority: %w", err)
	}
	key, err := os.ReadFile(files.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("read the proxies' authority: %w", err)
	}
	return ca.Load(certificate, key, clock)
}
