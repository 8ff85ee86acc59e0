package dev

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheAdminSocketIsInTheStateFolderWhereItsPathIsShortEnough(t *testing.T) {
	short, err := os.MkdirTemp("", "dev-") // t.TempDir has the test's name in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(short) })
	long := filepath.Join(short, strings.Repeat("a", 100))
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ state, runtime, want string }{
		"a short path":  {short, long, short},
		"a long one":    {long, short, short},
		"two long ones": {long, long, ""},
	} {
		listener, path, err := listenForOperators(t.Context(), c.state, c.runtime)
		if c.want == "" {
			if err == nil || !strings.Contains(err.Error(), "--state") {
				t.Errorf("%s: %s, %v", name, path, err)
			}
			continue
		}
		if err != nil || filepath.Dir(path) != c.want {
			t.Fatalf("%s: %s, %v", name, path, err)
		}
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
	}
}
