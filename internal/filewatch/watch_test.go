package filewatch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

// watching runs a Watcher that reports only what it is told of by the system, and ends it with the test.
func watching(t *testing.T, config Config) *Watcher {
	t.Helper()
	if config.Debounce == 0 {
		config.Debounce = 2 * time.Millisecond
	}
	if config.Rescan == 0 {
		config.Rescan = time.Hour
	}
	watcher := New(config)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- watcher.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run ended with %v", err)
		}
	})
	awaitChange(t, watcher) // it has begun
	return watcher
}

func awaitChange(t *testing.T, watcher *Watcher) {
	t.Helper()
	select {
	case <-watcher.Changes():
	case <-time.After(10 * time.Second):
		t.Fatal("no change was reported")
	}
}

// awaitText takes changes until a file reads as wanted; no text stands for a file that cannot be read.
func awaitText(t *testing.T, watcher *Watcher, path, want string) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		got, _ := os.ReadFile(path)
		if string(got) == want {
			return
		}
		select {
		case <-watcher.Changes():
		case <-deadline:
			t.Fatalf("the file still reads %q, want %q", got, want)
		}
	}
}

// replace writes a file as careful editors do: beside it, then over it.
func replace(t *testing.T, path, text string) {
	t.Helper()
	write(t, path+"~", text)
	rename(t, path+"~", path)
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

func TestRunReportsEachWayInWhichAFileChanges(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keys", "ca.pem")
	write(t, path, "0")
	watcher := watching(t, Config{})
	watcher.Watch([]string{path}, nil)

	for name, step := range map[string]func(text string){
		"written in place": func(text string) { write(t, path, text) },
		"replaced":         func(text string) { replace(t, path, text) },
		"removed and written again": func(text string) {
			remove(t, path)
			awaitText(t, watcher, path, "")
			write(t, path, text)
		},
		"folder removed and made again": func(text string) {
			remove(t, filepath.Dir(path))
			awaitText(t, watcher, path, "")
			write(t, path, text)
		},
		"folder removed and made again at once": func(text string) {
			remove(t, filepath.Dir(path))
			write(t, path, text)
		},
		"folder renamed away and another in its place": func(text string) {
			write(t, filepath.Join(dir, "new", "ca.pem"), text)
			remove(t, filepath.Join(dir, "old"))
			rename(t, filepath.Dir(path), filepath.Join(dir, "old"))
			rename(t, filepath.Join(dir, "new"), filepath.Dir(path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			// Twice, because a watch that is lost shows only at the second change.
			for round := range 2 {
				text := fmt.Sprintf("%s %d", name, round)
				step(text)
				awaitText(t, watcher, path, text)
			}
			write(t, path, name+" afterwards")
			awaitText(t, watcher, path, name+" afterwards")
		})
	}
}

func TestRunSurvivesAKubernetesSymlinkSwap(t *testing.T) {
	mount := t.TempDir()
	path := filepath.Join(mount, "ca.pem")
	publish := func(version string) {
		write(t, filepath.Join(mount, version, "ca.pem"), version)
		link(t, version, filepath.Join(mount, "..data_tmp"))
		rename(t, filepath.Join(mount, "..data_tmp"), filepath.Join(mount, "..data"))
	}
	publish("..v0")
	link(t, "..data/ca.pem", path)
	watcher := watching(t, Config{})
	watcher.Watch([]string{path}, nil)

	for version := 1; version <= 3; version++ {
		publish(fmt.Sprintf("..v%d", version))
		remove(t, filepath.Join(mount, fmt.Sprintf("..v%d", version-1)))
		awaitText(t, watcher, path, fmt.Sprintf("..v%d", version))
	}
}

func TestRunFollowsALinkToAnotherFolder(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "config", "current", "ca.pem")
	write(t, filepath.Join(dir, "blue", "ca.pem"), "blue")
	write(t, filepath.Join(dir, "green", "ca.pem"), "green")
	write(t, filepath.Join(dir, "config", "other"), "")
	link(t, filepath.Join(dir, "blue"), filepath.Join(dir, "config", "current"))
	watcher := watching(t, Config{})
	watcher.Watch([]string{path}, nil)

	write(t, filepath.Join(dir, "blue", "ca.pem"), "darker blue")
	awaitText(t, watcher, path, "darker blue")
	link(t, "../green", filepath.Join(dir, "config", "next"))
	rename(t, filepath.Join(dir, "config", "next"), filepath.Dir(path))
	awaitText(t, watcher, path, "green")
	write(t, filepath.Join(dir, "green", "ca.pem"), "darker green")
	awaitText(t, watcher, path, "darker green")
}

func TestRunWatchesWhatDoesNotExistYet(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "c", "ca.pem")
	watcher := watching(t, Config{})
	watcher.Watch([]string{path}, nil)
	write(t, path, "at last")
	awaitText(t, watcher, path, "at last")
	write(t, path, "and again")
	awaitText(t, watcher, path, "and again")
}

func TestRunIgnoresItsNeighbours(t *testing.T) {
	dir := t.TempDir()
	path, neighbour := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "noise")
	watcher := New(Config{})
	watches := &watches{places: places{}, folders: map[string]os.FileInfo{}}
	write(t, path, "0")
	watches.places.addPath(path)
	watcher.watches = watches

	for name, want := range map[string]bool{path: true, neighbour: false, path + ".swp": false} {
		if got := watcher.concerns(event(name)); got != want {
			t.Errorf("an event of %s concerns us: %v", filepath.Base(name), got)
		}
	}
}

func TestRunReportsAgainAndAgainWithoutASign(t *testing.T) {
	watcher := watching(t, Config{Rescan: 5 * time.Millisecond})
	awaitChange(t, watcher)
	awaitChange(t, watcher)
}

func TestRunReportsRestlessFilesAfterALimit(t *testing.T) {
	const period = time.Hour
	quiet := newDebounce(period)
	if quiet.over() != nil {
		t.Error("it is waiting before anything happened")
	}
	quiet.begin()
	quiet.deadline = time.Now() // as if the flurry had lasted
	quiet.begin()
	select {
	case <-quiet.over():
	case <-time.After(10 * time.Second):
		t.Error("a flurry of events holds a change back for ever")
	}
	quiet.end()
	if quiet.over() != nil {
		t.Error("it is waiting after the end")
	}
}

func TestPlacesStopAtALoopOfLinks(t *testing.T) {
	dir := t.TempDir()
	link(t, "b", filepath.Join(dir, "a"))
	link(t, "a", filepath.Join(dir, "b"))
	found := places{}
	found.addPath(filepath.Join(dir, "a", "ca.pem"))
	if names := found[dir]; len(names) != 2 {
		t.Errorf("places %v", found)
	}
}

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

func event(name string) fsnotify.Event { return fsnotify.Event{Name: name, Op: fsnotify.Write} }

func TestAWatchedFolderReportsWhateverHappensInIt(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "configuration")
	watcher := watching(t, Config{})
	watcher.Watch(nil, []string{dir})

	write(t, filepath.Join(dir, "first.yaml"), "1")
	awaitChange(t, watcher)
	write(t, filepath.Join(dir, "second.yaml"), "2")
	awaitChange(t, watcher)
	remove(t, dir)
	awaitChange(t, watcher)
	write(t, filepath.Join(dir, "third.yaml"), "3")
	awaitChange(t, watcher)
}
