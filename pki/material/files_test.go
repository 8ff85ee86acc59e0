package material

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestFilesKeepWhatAnotherHasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bundle.pem")
	reference := Reference{File, path}
	objects := ByScheme{File: Files{}}
	ctx := t.Context()

	if _, err := objects.Get(ctx, reference); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("what is not there: %v", err)
	}
	first, err := objects.Put(ctx, reference, []byte("one"), Condition{IfAbsent: true})
	if err != nil || first.Size != 3 || first.ETag == "" {
		t.Fatalf("written as %+v, %v", first, err)
	}
	if _, err := objects.Put(ctx, reference, []byte("two"), Condition{IfAbsent: true}); !errors.Is(err, ErrConflict) || !errors.Is(err, fs.ErrExist) {
		t.Errorf("made although it was there: %v", err)
	}
	second, err := objects.Put(ctx, reference, []byte("two"), Condition{IfMatch: first.ETag})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := objects.Put(ctx, reference, []byte("three"), Condition{IfMatch: first.ETag}); !errors.Is(err, ErrConflict) {
		t.Errorf("replaced although it was another: %v", err)
	}
	if again, err := objects.Put(ctx, reference, []byte("two"), Condition{IfMatch: first.ETag}); err != nil || again.ETag != second.ETag {
		t.Errorf("what had been written already: %+v, %v", again, err)
	}
	if got, err := objects.Get(ctx, reference); err != nil || string(got.Data) != "two" || got.Version != second {
		t.Errorf("got %q, %+v, %v; want %+v", got.Data, got.Version, err, second)
	}
	if _, err := objects.Versions(ctx, reference); !errors.Is(err, ErrNoVersions) {
		t.Errorf("versions: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := objects.Put(ctx, reference, []byte("three"), Condition{IfMatch: second.ETag}); !errors.Is(err, ErrConflict) {
		t.Errorf("replaced although it was gone: %v", err)
	}
	for name, data := range map[string][]byte{"nothing": nil, "more than can be read": make([]byte, MaxSize+1)} {
		if _, err := objects.Put(ctx, reference, data, Condition{}); err == nil {
			t.Errorf("%s was published", name)
		}
	}
	if _, err := objects.Put(ctx, Reference{Environment, "A"}, nil, Condition{}); err == nil {
		t.Error("a variable was published to")
	}
}

// Each of several writers adds a line to what it has read, and begins again where another was first.
func TestNothingIsLostBetweenWritersOfAFile(t *testing.T) {
	const writers, lines = 8, 10
	reference := Reference{File, filepath.Join(t.TempDir(), "log")}
	var all sync.WaitGroup
	for writer := range writers {
		all.Go(func() {
			for line := 0; line < lines; {
				var condition Condition
				content, err := Files{}.Get(t.Context(), reference)
				if err != nil {
					condition.IfAbsent = true
				} else {
					condition.IfMatch = content.ETag
				}
				text := fmt.Appendf(content.Data, "%d/%d\n", writer, line)
				switch _, err := (Files{}).Put(t.Context(), reference, text, condition); {
				case err == nil:
					line++
				case !errors.Is(err, ErrConflict):
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	content, err := Files{}.Get(t.Context(), reference)
	if want := writers * lines * len("0/0\n"); err != nil || len(content.Data) != want {
		t.Errorf("%d bytes, %v; want %d", len(content.Data), err, want)
	}
}
