package directory

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// followed is a source that is running on a folder of its own.
type followed struct {
	t         *testing.T
	directory string
	readings  chan Reading
	log       *syncBuffer
}

// follow starts a source on a folder, and takes its first reading.
func follow(t *testing.T, directory string) *followed {
	t.Helper()
	f := &followed{t: t, directory: directory, readings: make(chan Reading, 100), log: &syncBuffer{}}
	source := New(Config{Directory: directory, Logger: hclog.New(&hclog.LoggerOptions{Output: f.log}), Debounce: 10 * time.Millisecond})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- source.Run(ctx, func(_ context.Context, r Reading) { f.readings <- r }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
	return f
}

// next is the next reading, as the names of its documents and its problems.
func (f *followed) next() string {
	f.t.Helper()
	select {
	case reading := <-f.readings:
		return summary(reading)
	case <-time.After(patience):
		f.t.Fatal("no reading came")
	}
	return ""
}

// until reads on until a reading says this: one change can be seen in two steps.
func (f *followed) until(want string) {
	f.t.Helper()
	for {
		select {
		case reading := <-f.readings:
			if summary(reading) == want {
				return
			}
		case <-time.After(patience):
			f.t.Fatalf("no reading says %q", want)
		}
	}
}

func summary(r Reading) string {
	var parts []string
	for _, d := range r.Documents {
		parts = append(parts, d.Name)
	}
	slices.Sort(parts)
	text := strings.Join(parts, " ")
	for _, p := range r.Problems {
		text += fmt.Sprintf(" (%s:%d)", filepath.Base(p.Origin.File), p.Origin.Line)
	}
	if !r.Complete {
		text += " incomplete"
	}
	return text
}

// upstream is a document with a name.
func upstream(name string) string {
	return "api_version: sallyport/v1\nkind: Upstream\nmetadata: {name: " + name + "}\nspec: {endpoints: {dns: 'a:1'}}\n"
}

// write puts a file in place at once, so that no reading sees half of it.
func write(t *testing.T, path, text string) {
	t.Helper()
	aside := filepath.Join(filepath.Dir(path), ".aside")
	try(t, os.MkdirAll(filepath.Dir(path), 0o755))
	try(t, os.WriteFile(aside, []byte(text), 0o644))
	try(t, os.Rename(aside, path))
}

func try(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestChangesAreFollowed(t *testing.T) {
	directory := t.TempDir()
	file := filepath.Join(directory, "a.yaml")
	write(t, file, upstream("a"))
	f := follow(t, directory)
	f.until("a")

	write(t, file, upstream("b"))
	f.until("b")
	write(t, filepath.Join(directory, "c.yml"), upstream("c"))
	f.until("b c")
	write(t, filepath.Join(directory, "deep", "er", "d.yaml"), upstream("d"))
	f.until("b c d")
	write(t, filepath.Join(directory, "deep", "er", "d.yaml"), upstream("e"))
	f.until("b c e")
	try(t, os.RemoveAll(filepath.Join(directory, "deep")))
	f.until("b c")
	try(t, os.Remove(file))
	f.until("c")
	try(t, os.Rename(filepath.Join(directory, "c.yml"), filepath.Join(directory, "c.txt")))
	f.until("")
}

func TestAFileThatIsWrittenInPlaceIsFollowed(t *testing.T) {
	directory := t.TempDir()
	file := filepath.Join(directory, "a.yaml")
	write(t, file, upstream("a"))
	f := follow(t, directory)
	f.until("a")
	for _, name := range []string{"b", "c"} {
		try(t, os.WriteFile(file, []byte(upstream(name)), 0o644))
		f.until(name)
	}
}

func TestTheSwapOfALinkAsKubernetesDoesItIsFollowed(t *testing.T) {
	directory := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		write(t, filepath.Join(directory, "..version_"+name, "up.yaml"), upstream(name))
	}
	data := filepath.Join(directory, "..data")
	try(t, os.Symlink("..version_a", data))
	try(t, os.Symlink(filepath.Join("..data", "up.yaml"), filepath.Join(directory, "up.yaml")))
	f := follow(t, directory)
	if got := f.next(); got != "a" {
		t.Fatalf("the first reading is %q", got)
	}
	for _, name := range []string{"b", "c"} {
		try(t, os.Symlink("..version_"+name, data+"_tmp"))
		try(t, os.Rename(data+"_tmp", data))
		if got := f.next(); got != name {
			t.Fatalf("after the swap the reading is %q, want %q", got, name)
		}
	}
}

func TestTheSwapOfTheFolderItselfIsFollowed(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"a", "b"} {
		write(t, filepath.Join(root, "release-"+name, "up.yaml"), upstream(name))
	}
	current := filepath.Join(root, "current")
	try(t, os.Symlink("release-a", current))
	f := follow(t, current)
	f.until("a")
	try(t, os.Symlink("release-b", current+"_tmp"))
	try(t, os.Rename(current+"_tmp", current))
	f.until("b")
	write(t, filepath.Join(root, "release-b", "up.yaml"), upstream("c"))
	f.until("c")
}

func TestWhatChangesNothingIsNotReported(t *testing.T) {
	directory := t.TempDir()
	file := filepath.Join(directory, "a.yaml")
	write(t, file, upstream("a"))
	f := follow(t, directory)
	f.until("a")
	for _, name := range []string{".a.yaml.swp", ".#a.yaml", "#a.yaml#", "a.yaml~", "4913", "a.yaml___jb_tmp___", "notes.md"} {
		write(t, filepath.Join(directory, name), upstream("no"))
	}
	write(t, file, upstream("a")) // the same again
	try(t, os.Chtimes(file, time.Now(), time.Now()))
	try(t, os.Remove(filepath.Join(directory, "4913")))
	// The next reading is that of the next change.
	write(t, filepath.Join(directory, "z.yaml"), upstream("z"))
	if got := f.next(); got != "a z" {
		t.Errorf("got the reading %q, want %q", got, "a z")
	}
}

func TestAFolderThatVanishesKeepsWhatIsInForceUntilItComesBack(t *testing.T) {
	root := t.TempDir()
	directory := filepath.Join(root, "config")
	write(t, filepath.Join(directory, "a.yaml"), upstream("a"))
	f := follow(t, directory)
	f.until("a")

	try(t, os.Rename(directory, directory+"-away"))
	f.waitForLog("what is in force stays")
	try(t, os.Rename(directory+"-away", directory))
	write(t, filepath.Join(directory, "a.yaml"), upstream("b"))
	f.until("b")

	write(t, filepath.Join(directory, "a.yaml"), upstream("c"))
	f.until("c")
	if got := strings.Count(f.log.String(), "what is in force stays"); got != 1 {
		t.Errorf("the loss is logged %d times:\n%s", got, f.log)
	}
}

func TestAFolderThatIsNotThereYetIsWaitedFor(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "not", "yet")
	f := follow(t, directory)
	f.waitForLog("what is in force stays")
	write(t, filepath.Join(directory, "a.yaml"), upstream("a"))
	f.until("a")
}

func TestAnInvalidEditIsReportedOnce(t *testing.T) {
	directory := t.TempDir()
	file := filepath.Join(directory, "a.yaml")
	write(t, file, upstream("a"))
	f := follow(t, directory)
	f.until("a")
	broken := filepath.Join(directory, "z.yaml")
	write(t, broken, "a: b: c\n")
	if got := f.next(); got != "a (z.yaml:1) incomplete" {
		t.Fatalf("got the reading %q", got)
	}
	write(t, broken, "a: b: c\n") // saved again as it is
	try(t, os.Remove(broken))
	if got := f.next(); got != "a" {
		t.Errorf("got the reading %q, want that without the file", got)
	}
}

func TestWhatReadHasReturnedIsNotReportedAgain(t *testing.T) {
	directory := t.TempDir()
	write(t, filepath.Join(directory, "a.yaml"), upstream("a"))
	source := New(Config{Directory: directory, Debounce: 10 * time.Millisecond})
	reading, err := source.Read()
	if err != nil || summary(reading) != "a" || reading.Directory != directory {
		t.Fatalf("got the reading %q of %s and the error %v", summary(reading), reading.Directory, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	write(t, filepath.Join(directory, "b.yaml"), upstream("b"))
	var first string
	if err := source.Run(ctx, func(_ context.Context, r Reading) {
		first = summary(r)
		cancel()
	}); err != nil || first != "a b" {
		t.Errorf("the first reading of Run is %q, with the error %v", first, err)
	}
}

func TestReadSaysWhyAFolderCannotBeRead(t *testing.T) {
	if _, err := New(Config{Directory: filepath.Join(t.TempDir(), "nowhere")}).Read(); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("got the error %v", err)
	}
}

// waitForLog waits until a line has been logged.
func (f *followed) waitForLog(text string) {
	f.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for !strings.Contains(f.log.String(), text) {
		select {
		case <-look.C:
		case <-deadline.C:
			f.t.Fatalf("%q was not logged, but\n%s", text, f.log)
		}
	}
}

// syncBuffer is a buffer for several goroutines.
type syncBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
