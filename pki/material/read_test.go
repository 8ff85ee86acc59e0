package material

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

// allowing makes a Store that may read beneath one folder only.
func allowing(t *testing.T, folder string) *Store {
	t.Helper()
	list, err := ParseAllowList([]string{"file:" + folder}, folder)
	if err != nil {
		t.Fatal(err)
	}
	return NewStore(Config{Allow: list})
}

func TestReadReturnsWhatIsThereNow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ca.pem")
	environment := map[string]string{"CA": "from the environment"}
	store := NewStore(Config{LookupEnv: func(name string) (string, bool) { value, found := environment[name]; return value, found }})

	for _, want := range []string{"one", "two"} {
		write(t, path, want)
		if got, err := store.Read(Reference{File, path}); err != nil || string(got) != want {
			t.Errorf("read %q, %v; want %q", got, err, want)
		}
	}
	if got, err := store.Read(Reference{Environment, "CA"}); err != nil || string(got) != "from the environment" {
		t.Errorf("read %q, %v", got, err)
	}
	largest := bytes.Repeat([]byte("a"), MaxSize)
	write(t, path, string(largest))
	if got, err := store.Read(Reference{File, path}); err != nil || !bytes.Equal(got, largest) {
		t.Errorf("read %d bytes of the largest, %v", len(got), err)
	}
}

func TestReadRefuses(t *testing.T) {
	dir := t.TempDir()
	large := strings.Repeat("a", MaxSize+1)
	write(t, filepath.Join(dir, "large"), large)
	write(t, filepath.Join(dir, "empty"), "")
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	store := NewStore(Config{LookupEnv: func(name string) (string, bool) {
		switch name {
		case "LARGE":
			return large, true
		case "EMPTY":
			return "", true
		}
		return "", false
	}})
	for name, test := range map[string]struct {
		reference Reference
		want      string
		missing   bool
	}{
		"a file that is not there":     {Reference{File, filepath.Join(dir, "none")}, "none", true},
		"a folder that is not there":   {Reference{File, filepath.Join(dir, "none", "a")}, "none", true},
		"a variable that is not set":   {Reference{Environment, "NONE"}, "not set", true},
		"a file that is too large":     {Reference{File, filepath.Join(dir, "large")}, "larger than", false},
		"a variable that is too large": {Reference{Environment, "LARGE"}, "larger than", false},
		"an empty file":                {Reference{File, filepath.Join(dir, "empty")}, "empty", false},
		"an empty variable":            {Reference{Environment, "EMPTY"}, "empty", false},
		"a folder":                     {Reference{File, dir}, "no regular file", false},
		"a named pipe":                 {Reference{File, filepath.Join(dir, "pipe")}, "no regular file", false},
		"a device":                     {Reference{File, "/dev/zero"}, "no regular file", false},
		"an authority":                 {Reference{Authority, "ca"}, "not a place", false},
		"no reference":                 {Reference{}, "not a place", false},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := store.Read(test.reference)
			if err == nil || !strings.Contains(err.Error(), test.want) || errors.Is(err, fs.ErrNotExist) != test.missing {
				t.Errorf("got %v, want an error with %q, missing: %v", err, test.want, test.missing)
			}
		})
	}
}

func TestReadFollowsSymlinksOnlyWithinTheAllowedFolder(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "config")
	write(t, filepath.Join(dir, "secret"), "secret")
	write(t, filepath.Join(folder, "..2030", "ca.pem"), "mounted")
	link(t, "..2030", filepath.Join(folder, "..data"))
	link(t, "..data/ca.pem", filepath.Join(folder, "ca.pem"))
	link(t, "../secret", filepath.Join(folder, "relative"))
	link(t, filepath.Join(dir, "secret"), filepath.Join(folder, "absolute"))
	link(t, "..", filepath.Join(folder, "up"))
	store := allowing(t, folder)

	if got, err := store.Read(Reference{File, filepath.Join(folder, "ca.pem")}); err != nil || string(got) != "mounted" {
		t.Errorf("as Kubernetes mounts it: %q, %v", got, err)
	}
	for _, name := range []string{"relative", "absolute", "up/secret"} {
		if got, err := store.Read(Reference{File, filepath.Join(folder, name)}); !errors.Is(err, ErrNotAllowed) {
			t.Errorf("%s led out of the folder to %q", name, got)
		}
	}
	if _, err := store.Read(Reference{File, filepath.Join(dir, "secret")}); !errors.Is(err, ErrNotAllowed) {
		t.Errorf("got %v", err)
	}
	if got, err := NewStore(Config{}).Read(Reference{File, filepath.Join(folder, "absolute")}); err != nil || string(got) != "secret" {
		t.Errorf("without an allow-list: %q, %v", got, err)
	}
}

func TestReadOfAnAllowedFileByItself(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ca.pem")
	write(t, path, "one")
	if got, err := allowing(t, path).Read(Reference{File, path}); err != nil || string(got) != "one" {
		t.Errorf("read %q, %v", got, err)
	}
}
