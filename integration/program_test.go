package integration

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// output collects what a program prints. It is safe for concurrent use.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write takes a piece of output.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

// String is everything so far.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// program is a run of the built binary, or of another program that tests need.
type program struct {
	*exec.Cmd
	out, err output
	ended    chan struct{}
	failure  error
}

// start starts the binary; it is killed at the end of the test, if it still runs. Its files go below the test's folder.
func start(t testing.TB, folder string, args ...string) *program {
	t.Helper()
	command := exec.Command(binary, args...)
	command.Env = append(os.Environ(), "TMPDIR="+folder, "XDG_STATE_HOME="+filepath.Join(folder, "state"))
	return launch(t, command)
}

// launch starts a program; it is killed at the end of the test, if it still runs.
func launch(t testing.TB, command *exec.Cmd) *program {
	t.Helper()
	p := &program{Cmd: command, ended: make(chan struct{})}
	p.Stdout, p.Stderr = &p.out, &p.err
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.failure = p.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.Process.Kill() // it may have ended
		<-p.ended
		if t.Failed() {
			t.Logf("%s %s\nstandard output:\n%s\nstandard error:\n%s",
				filepath.Base(p.Path), strings.Join(p.Args[1:], " "), p.out.String(), p.err.String())
		}
	})
	return p
}

// wait waits for the end and returns the exit code.
func (p *program) wait(t testing.TB) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Fatal("the program does not end")
	}
	var exit *exec.ExitError
	if errors.As(p.failure, &exit) {
		return exit.ExitCode()
	}
	if p.failure != nil {
		t.Fatal(p.failure)
	}
	return 0
}

// end sends a signal and waits for the end; it returns how long that took.
func (p *program) end(t testing.TB, signal syscall.Signal) time.Duration {
	t.Helper()
	begin := time.Now()
	if err := p.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	p.wait(t)
	return time.Since(begin)
}

// succeed runs the binary to its end, which must be a good one, and returns what it printed.
func succeed(t testing.TB, folder string, args ...string) string {
	t.Helper()
	p := start(t, folder, args...)
	if code := p.wait(t); code != 0 {
		t.Fatalf("sallyport %s: exit code %d\n%s", strings.Join(args, " "), code, p.err.String())
	}
	return p.out.String()
}

// processesOf lists the processes whose command line names the folder: what a program left behind.
func processesOf(t *testing.T, folder string) []string {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, path := range lines {
		content, err := os.ReadFile(path)
		if err == nil && bytes.Contains(content, []byte(folder)) {
			found = append(found, strings.ReplaceAll(string(content), "\x00", " "))
		}
	}
	return found
}

// shortFolder makes a folder whose path leaves room for sockets in it.
func shortFolder(t testing.TB) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "sp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	return folder
}

// pidsOf lists the ids of the processes whose command line names the folder, but for the program's own.
func pidsOf(t *testing.T, folder string) []int {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, path := range lines {
		content, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(content, []byte(folder)) || bytes.HasPrefix(content, []byte(binary)) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}
