package integration

import (
	"os"
	"path/filepath"
	"testing"
)

// installProgram puts a program for Node, which is a folder beside this file, where it finds the packages that `make` has
// installed for it, and returns its folder.
func installProgram(t testing.TB, name, target string) string {
	t.Helper()
	modules, err := filepath.Abs(filepath.Join("..", ".tools", name, "node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(modules); err != nil {
		t.Fatalf("the packages of integration/%s are not installed: %v; run `make %s`", name, err, target)
	}
	folder := filepath.Join(t.TempDir(), name)
	if err := os.CopyFS(folder, os.DirFS(name)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(modules, filepath.Join(folder, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return folder
}
