package testcloud

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// patience bounds every wait for a server. It is no expectation: a machine may be slow.
const patience = 60 * time.Second

// tool returns the path of something that make installs below .tools, in the working directory or one above it.
func tool(t testing.TB, path, target string) string {
	t.Helper()
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		candidate := filepath.Join(folder, ".tools", path)
		if _, err := os.Stat(candidate); err == nil {
			return candidate
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			t.Fatalf("there is no .tools/%s in the working directory or above it: run `make %s`", path, target)
		}
		folder = parent
	}
}

// server is a process that runs as long as the test.
type server struct {
	output output
	ended  chan struct{}
}

// start starts a server and ends it, by its process id, when the test does. The command's context is the test's.
func start(t testing.TB, command *exec.Cmd) *server {
	t.Helper()
	s := &server{ended: make(chan struct{})}
	command.Stdout, command.Stderr = &s.output, &s.output
	command.SysProcAttr = attributes()
	if err := command.Start(); err != nil {
		t.Fatalf("start %s: %v", command.Path, err)
	}
	go func() {
		_ = command.Wait() // it is killed
		close(s.ended)
	}()
	t.Cleanup(func() {
		_ = command.Process.Kill() // it may have ended
		<-s.ended
		if t.Failed() {
			t.Logf("%s printed:\n%s", filepath.Base(command.Path), s.output.String())
		}
	})
	return s
}

// until waits for a condition.
func (s *server) until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-ticker.C:
		case <-s.ended:
			t.Fatalf("ended before it %s:\n%s", what, s.output.String())
		case <-deadline:
			t.Fatalf("never %s:\n%s", what, s.output.String())
		}
	}
}

// output collects what a process prints. It is safe for concurrent use.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write takes a piece of output.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// String is everything so far.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
