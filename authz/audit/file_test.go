package audit_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/authz/internal/fixture"
)

// logFile opens a file with a clock that a test moves.
func logFile(t *testing.T, path string) (file *audit.File, later func()) {
	t.Helper()
	now := fixture.Noon
	file, err := audit.OpenFile(path, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return file, func() { now = now.Add(time.Minute) }
}

func write(t *testing.T, file *audit.File, text string) {
	t.Helper()
	if _, err := file.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func wantContent(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s holds %q, error %v, want %q", filepath.Base(path), got, err, want)
	}
}

func TestAFileIsAppendedToAndForItsOwnerAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	file, _ := logFile(t, path)
	write(t, file, "1\n")
	again, _ := logFile(t, path)
	write(t, again, "2\n")
	wantContent(t, path, "1\n2\n")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestAFileThatWasRotatedIsMadeAnew(t *testing.T) {
	for name, rotate := range map[string]func(path string) error{
		"renamed": func(path string) error { return os.Rename(path, path+".1") },
		"removed": os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.log")
			file, later := logFile(t, path)
			write(t, file, "1\n")
			if err := rotate(path); err != nil {
				t.Fatal(err)
			}
			later()
			write(t, file, "2\n")
			wantContent(t, path, "2\n")
		})
	}
}

func TestASignalOpensTheFileAgainAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	file, _ := logFile(t, path)
	write(t, file, "1\n")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write(t, file, "2\n") // within a second nobody looks
	if err := file.Reopen(); err != nil {
		t.Fatal(err)
	}
	write(t, file, "3\n")
	wantContent(t, path+".1", "1\n2\n")
	wantContent(t, path, "3\n")
}

func TestAFileThatCannotBeMadeAnewKeepsTheOldOne(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "log")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "audit.log")
	file, later := logFile(t, path)
	moved := folder + ".moved"
	if err := os.Rename(folder, moved); err != nil {
		t.Fatal(err)
	}
	later()
	write(t, file, "1\n")
	wantContent(t, filepath.Join(moved, "audit.log"), "1\n")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	later()
	write(t, file, "2\n")
	wantContent(t, path, "2\n")
}

func TestAFolderIsNoFile(t *testing.T) {
	if _, err := audit.OpenFile(t.TempDir(), nil); err == nil {
		t.Error("it is opened")
	}
}
