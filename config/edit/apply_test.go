package edit

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestAFileKeepsItsModeAndALinkStays(t *testing.T) {
	dir, shared := directory(t), filepath.Join(t.TempDir(), "shared.yaml")
	write(t, shared, doc("mapps", " {}\n"))
	if err := os.Chmod(shared, 0o640); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "consumers.yaml")
	if err := os.Symlink(shared, link); err != nil {
		t.Fatal(err)
	}
	plan, err := SetSuspended(dir, "mapps", true)
	apply(t, plan, err)
	if got := readFile(t, shared); got != doc("mapps", " {suspended: true}\n") {
		t.Errorf("the file reads\n%s", got)
	}
	info, err := os.Stat(shared)
	if err != nil || info.Mode().Perm() != 0o640 || !isLink(link) {
		t.Errorf("mode %v, a link: %t, %v", info.Mode(), isLink(link), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(shared), ".*")); len(left) > 0 {
		t.Errorf("files are left: %v", left)
	}
}

func TestNothingIsWrittenOverAChangeOfSomebodyElse(t *testing.T) {
	for _, c := range []struct {
		name   string
		meddle func(dir string)
		after  []string
	}{
		{"the file", func(dir string) { write(t, filepath.Join(dir, "a.yaml"), doc("mapps", " {roles: []}\n")) }, []string{"a.yaml", doc("mapps", " {roles: []}\n")}},
		{"another file", func(dir string) { write(t, filepath.Join(dir, "b.yaml"), doc("b", " {}\n")) }, []string{"a.yaml", doc("mapps", " {}\n"), "b.yaml", doc("b", " {}\n")}},
		{"the file is gone", func(dir string) { _ = os.Remove(filepath.Join(dir, "a.yaml")) }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := directory(t, "a.yaml", doc("mapps", " {}\n"))
			for _, edit := range []func() (*Plan, error){
				func() (*Plan, error) { return SetSuspended(dir, "mapps", true) },
				func() (*Plan, error) { return RemoveConsumer(dir, "mapps") },
				func() (*Plan, error) { return AddConsumer(dir, newConsumer("nsp"), "new.yaml") },
			} {
				write(t, filepath.Join(dir, "a.yaml"), doc("mapps", " {}\n"))
				_ = os.Remove(filepath.Join(dir, "b.yaml"))
				plan, err := edit()
				if err != nil {
					t.Fatal(err)
				}
				c.meddle(dir)
				if err := plan.Apply(); !errors.Is(err, ErrChanged) {
					t.Errorf("applying gives %v", err)
				}
				expectFiles(t, dir, c.after...)
			}
		})
	}
}

func TestAFileThatAppearsIsNotOverwritten(t *testing.T) {
	dir := directory(t)
	plan, err := AddConsumer(dir, newConsumer("mapps"), "")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "consumers.yaml")
	if err := os.Symlink("/nowhere/at/all", path); err != nil { // it is not read, and so no change of the configuration
		t.Fatal(err)
	}
	expectError(t, plan.Apply(), "never overwritten")
	if !isLink(path) {
		t.Error("the link is gone")
	}
}
