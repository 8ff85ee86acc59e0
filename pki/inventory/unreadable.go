package inventory

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// asideMark stands between the name of a file that could not be read and the time when it was moved aside.
const asideMark = ".unreadable-"

// errStillThere says that a file that cannot be read is still in its place, where nothing else may be written then.
var errStillThere = errors.New("it could not be moved aside")

// load reads a file of what must not be forgotten. Without one it does nothing. One that cannot be read or understood is
// moved aside for people to look at, so that it is never overwritten; the error says so, and wraps errStillThere where
// that failed.
func (s state) load(path string, now time.Time, understand func([]byte) error) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = understand(data)
	}
	if err == nil {
		return nil
	}
	err = fmt.Errorf("read %s: %w", path, err)
	if failed := moveAside(path, now); failed != nil {
		return errors.Join(err, errStillThere, failed)
	}
	return err
}

func moveAside(path string, now time.Time) error {
	aside := path + asideMark + now.UTC().Format("20060102T150405.000000000Z")
	if _, err := os.Lstat(aside); err == nil {
		return fmt.Errorf("there is a file %s already", aside)
	}
	return os.Rename(path, aside)
}

// unreadable tells the log why something that was kept about a truststore cannot be read. Its problem stays until people
// have seen to it.
func (l *look) unreadable(name string, err error) {
	l.logger.Warn("what was seen of a truststore before cannot be read; older lists are taken for new", "truststore", name, "error", err)
	if errors.Is(err, errStillThere) {
		l.memory.unreadable[name] = err
	}
}

// tellOfUnreadable makes problems of files that were moved aside, by this process or one before, and are there still.
func (t *trustLook) tellOfUnreadable() {
	const effect = "what was seen of it before could not be read, so a list, register or manifest that is older than that may be taken"
	if err := t.memory.unreadable[t.name]; err != nil {
		t.fault("%s: %w; see to the file and start again", effect, err)
	}
	if t.state.folder == "" {
		return
	}
	files, err := os.ReadDir(filepath.Join(t.state.folder, "seen"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.fault("look for what could not be read: %w", err)
	}
	for _, file := range files {
		if name := file.Name(); strings.HasPrefix(name, t.name+".") && strings.Contains(name, asideMark) {
			t.fault("%s: find out who wrote %s, and remove it once what is in force now is the newest", effect, filepath.Join(t.state.folder, "seen", name))
		}
	}
}
