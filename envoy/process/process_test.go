package process_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/sallyport-project/sallyport/envoy/process"
)

// deadline bounds every wait of these tests; nothing waits that long when all is well.
const deadline = 30 * time.Second

// parentVariable makes the test binary run an Envoy with the bootstrap that it names, as a parent that can be killed.
const parentVariable = "SALLYPORT_PROCESS_TEST_BOOTSTRAP"

func TestMain(m *testing.M) {
	if bootstrap := os.Getenv(parentVariable); bootstrap != "" {
		if err := runAsParent(bootstrap); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// runAsParent runs an Envoy and prints its process id when it is ready.
func runAsParent(bootstrap string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	binary, err := process.Find(ctx)
	if err != nil {
		return err
	}
	envoy, err := process.New(process.Config{Binary: binary, BootstrapPath: bootstrap, Name: "child", Logger: hclog.Default(), Concurrency: 1})
	if err != nil {
		return err
	}
	go func() {
		if process.Ready(ctx, filepath.Join(filepath.Dir(bootstrap), "admin.sock")) == nil {
			fmt.Println(envoy.PID())
		}
	}()
	return envoy.Run(ctx)
}

// bootstrapFile writes the smallest bootstrap with an admin socket, and returns both paths. Its folder's name is short,
// because a socket's path must be.
func bootstrapFile(t *testing.T) (bootstrap, adminSocket string) {
	t.Helper()
	directory, err := os.MkdirTemp("", "process")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(directory) })
	adminSocket = filepath.Join(directory, "admin.sock")
	bootstrap = filepath.Join(directory, "bootstrap.json")
	content := fmt.Sprintf(`{"admin": {"address": {"pipe": {"path": %q, "mode": 384}}}}`, adminSocket)
	if err := os.WriteFile(bootstrap, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return bootstrap, adminSocket
}

func newProcess(t *testing.T, name, bootstrap string, change func(*process.Config)) *process.Process {
	t.Helper()
	binary, err := process.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	config := process.Config{Binary: binary, BootstrapPath: bootstrap, Name: name, Logger: hclog.NewNullLogger(), Concurrency: 1}
	if change != nil {
		change(&config)
	}
	envoy, err := process.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return envoy
}

// start runs an Envoy until the test ends or stop is called, waits until it is ready, and returns a channel with what
// Run returned.
func start(t *testing.T, envoy *process.Process, adminSocket string) (stop context.CancelFunc, ended <-chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	result := make(chan error, 1)
	go func() { result <- envoy.Run(ctx) }()

	ready, cancelReady := context.WithTimeout(ctx, deadline)
	defer cancelReady()
	if err := process.Ready(ready, adminSocket); err != nil {
		t.Fatal(err)
	}
	return cancel, result
}

func await(t *testing.T, ended <-chan error) error {
	t.Helper()
	select {
	case err := <-ended:
		return err
	case <-time.After(deadline):
		t.Fatal("the Envoy did not end")
		return nil
	}
}

// awaitGone waits until a process exists no more; one that nobody has reaped counts as gone.
func awaitGone(t *testing.T, pid int) {
	t.Helper()
	gone := func() bool {
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return true
		}
		status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		return err == nil && bytes.Contains(status, []byte(") Z "))
	}
	limit := time.NewTimer(deadline)
	defer limit.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !gone() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("process %d is still there", pid)
		}
	}
}

func TestAnEnvoyStartsAndStopsWithoutTrace(t *testing.T) {
	bootstrap, socket := bootstrapFile(t)
	envoy := newProcess(t, "edge", bootstrap, nil)
	for range 2 { // a second time over the socket that the first one left
		stop, ended := start(t, envoy, socket)
		pid := envoy.PID()
		if pid == 0 {
			t.Error("a running Envoy has no process id")
		}
		if group, err := syscall.Getpgid(pid); err != nil || group != pid {
			t.Errorf("it is in process group %d (%v), which Ctrl-C at our terminal would reach", group, err)
		}
		began := time.Now()
		stop()
		if err := await(t, ended); err != nil {
			t.Errorf("an end that was asked for is an error: %v", err)
		}
		if took := time.Since(began); took >= process.DefaultStopGrace {
			t.Errorf("it needed the whole grace: %v", took)
		}
		if envoy.PID() != 0 {
			t.Error("an Envoy that has ended has a process id")
		}
		awaitGone(t, pid)
	}
}

func TestAnEnvoyThatDoesNotStopIsKilledAfterTheGrace(t *testing.T) {
	bootstrap, socket := bootstrapFile(t)
	envoy := newProcess(t, "edge", bootstrap, func(config *process.Config) { config.StopGrace = 100 * time.Millisecond })
	stop, ended := start(t, envoy, socket)
	pid := envoy.PID()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil { // a stopped process heeds SIGKILL only
		t.Fatal(err)
	}
	stop()
	if err := await(t, ended); err != nil {
		t.Errorf("an end that was asked for is an error: %v", err)
	}
	awaitGone(t, pid)
}

func TestSeveralEnvoysRunSideBySide(t *testing.T) {
	var stops []context.CancelFunc
	var ends []<-chan error
	for _, name := range []string{"edge", "sidecar", "another"} {
		bootstrap, socket := bootstrapFile(t)
		stop, ended := start(t, newProcess(t, name, bootstrap, nil), socket)
		stops, ends = append(stops, stop), append(ends, ended)
	}
	for i, stop := range stops {
		stop()
		if err := await(t, ends[i]); err != nil {
			t.Error(err)
		}
	}
}

func TestADeathThatNobodyAskedForIsAnError(t *testing.T) {
	bootstrap, socket := bootstrapFile(t)
	envoy := newProcess(t, "edge", bootstrap, nil)
	_, ended := start(t, envoy, socket)
	if err := syscall.Kill(envoy.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	err := await(t, ended)
	var exit *process.ExitError
	if !errors.As(err, &exit) || exit.Name != "edge" || exit.Status != "signal: killed" {
		t.Errorf("error: %v", err)
	}
}

func TestARefusedBootstrapIsAnErrorWithEnvoysWords(t *testing.T) {
	bootstrap := filepath.Join(t.TempDir(), "bootstrap.json")
	if err := os.WriteFile(bootstrap, []byte(`{"no_such_field": 1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	err := newProcess(t, "edge", bootstrap, nil).Run(t.Context())
	var exit *process.ExitError
	if !errors.As(err, &exit) || exit.Status != "exit status 1" || !strings.Contains(exit.Error(), "no_such_field") {
		t.Errorf("error: %v", err)
	}
	binary, err := process.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Validate(t.Context(), binary, bootstrap); err == nil || !strings.Contains(err.Error(), "no_such_field") {
		t.Errorf("validate: %v", err)
	}
}

func TestAMissingBinaryIsAnError(t *testing.T) {
	envoy := newProcess(t, "edge", "bootstrap.json", func(config *process.Config) { config.Binary = filepath.Join(t.TempDir(), "absent") })
	if err := envoy.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "start envoy edge") {
		t.Errorf("error: %v", err)
	}
}

func TestAKilledParentLeavesNoEnvoy(t *testing.T) {
	bootstrap, _ := bootstrapFile(t)
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.CommandContext(t.Context(), executable)
	parent.Env = append(os.Environ(), parentVariable+"="+bootstrap)
	parent.Stderr = os.Stderr
	output, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatalf("the parent did not say that its Envoy is ready: %v", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // its status is that of a killed process
	awaitGone(t, pid)
}

func TestNewRefuses(t *testing.T) {
	good := process.Config{Binary: "envoy", BootstrapPath: "b.json", Name: "edge", Logger: hclog.NewNullLogger()}
	if _, err := process.New(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*process.Config){
		"no binary":            func(c *process.Config) { c.Binary = "" },
		"no bootstrap":         func(c *process.Config) { c.BootstrapPath = "" },
		"no name":              func(c *process.Config) { c.Name = "" },
		"no logger":            func(c *process.Config) { c.Logger = nil },
		"negative concurrency": func(c *process.Config) { c.Concurrency = -1 },
		"negative grace":       func(c *process.Config) { c.StopGrace = -1 },
		"an unknown log level": func(c *process.Config) { c.LogLevel = 99 },
	} {
		t.Run(name, func(t *testing.T) {
			config := good
			change(&config)
			if _, err := process.New(config); err == nil {
				t.Error("accepted")
			}
		})
	}
}
