package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Defaults of Config.
const (
	DefaultStopGrace = 2 * time.Second
	DefaultDrainTime = 5 * time.Second
)

// Config says how to run one Envoy.
type Config struct {
	// Binary is the path of the Envoy, as Find returns it.
	Binary string
	// BootstrapPath is the bootstrap file that it starts with.
	BootstrapPath string
	// Name says which Envoy it is in logs and errors, such as "edge".
	Name string
	// Logger receives what Envoy logs, each entry at its own level, under Name.
	Logger hclog.Logger

	// LogLevel is the least that Envoy itself logs; hclog.NoLevel means hclog.Warn.
	LogLevel hclog.Level
	// Concurrency is the number of worker threads; 0 leaves it to Envoy: one for each hardware thread.
	Concurrency int
	// DrainTime is how long connections of a listener that was replaced or removed may live on, in whole seconds;
	// 0 means DefaultDrainTime. Envoy's own default is ten minutes.
	DrainTime time.Duration
	// StopGrace is how long Envoy has between SIGTERM and SIGKILL; 0 means DefaultStopGrace.
	StopGrace time.Duration
	// Output receives Envoy's standard output, to which access logs may be written; nil discards it.
	Output io.Writer
}

// Process is one Envoy as a child of this process. Make it with New.
type Process struct {
	config Config
	log    *logWriter
	pid    atomic.Int64
}

// New checks a Config and fills in its defaults. It starts nothing.
func New(config Config) (*Process, error) {
	switch {
	case config.Binary == "":
		return nil, errors.New("run an Envoy: no binary is given")
	case config.BootstrapPath == "":
		return nil, errors.New("run an Envoy: no bootstrap file is given")
	case config.Name == "":
		return nil, errors.New("run an Envoy: no name is given")
	case config.Logger == nil:
		return nil, errors.New("run an Envoy: no logger is given")
	case config.Concurrency < 0, config.DrainTime < 0, config.StopGrace < 0:
		return nil, errors.New("run an Envoy: concurrency, drain time and grace must not be negative")
	}
	if config.LogLevel == hclog.NoLevel {
		config.LogLevel = hclog.Warn
	}
	if _, known := levelNames[config.LogLevel]; !known {
		return nil, fmt.Errorf("run an Envoy: unknown log level %d", config.LogLevel)
	}
	if config.DrainTime == 0 {
		config.DrainTime = DefaultDrainTime
	}
	if config.StopGrace == 0 {
		config.StopGrace = DefaultStopGrace
	}
	return &Process{config: config, log: &logWriter{logger: config.Logger.Named(config.Name)}}, nil
}

// ExitError is an Envoy that ended although nobody asked it to.
type ExitError struct {
	// Name is Config.Name.
	Name string
	// Status is how it ended, such as "exit status 1" or "signal: killed".
	Status string
	// Log holds the last lines that it logged, oldest first.
	Log []string
}

// Error says how it ended and what it said last.
func (e *ExitError) Error() string {
	if len(e.Log) == 0 {
		return fmt.Sprintf("envoy %s ended by itself (%s) and logged nothing", e.Name, e.Status)
	}
	return fmt.Sprintf("envoy %s ended by itself (%s); it logged last:\n  %s",
		e.Name, e.Status, strings.ReplaceAll(strings.Join(e.Log, "\n"), "\n", "\n  "))
}

// Run starts the Envoy and waits until it has ended. When ctx ends it sends SIGTERM, after the grace SIGKILL, and
// returns nil once the process is gone; that is, within the grace and little more. If the Envoy ends before, the error
// is an *ExitError. On Linux the kernel kills the Envoy also if this process dies, however that comes.
//
// Run may be called again after it has returned, but not at the same time.
func (p *Process) Run(ctx context.Context) error {
	// The parent-death signal comes when the *thread* dies that started the child (prctl(2), PR_SET_PDEATHSIG), so this
	// goroutine keeps its thread for as long as the child lives.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	command := exec.CommandContext(ctx, p.config.Binary, p.arguments()...)
	command.Env = environment()
	command.SysProcAttr = attributes()
	command.Stdout = p.config.Output
	command.Stderr = p.log
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = p.config.StopGrace

	if err := command.Start(); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("start envoy %s: %w", p.config.Name, err)
	}
	p.pid.Store(int64(command.Process.Pid))
	p.log.logger.Debug("started", "pid", command.Process.Pid)
	err := command.Wait()
	p.pid.Store(0)
	p.log.flush()

	if ctx.Err() == nil {
		return &ExitError{Name: p.config.Name, Status: command.ProcessState.String(), Log: p.log.last()}
	}
	if killed(command.ProcessState) {
		p.log.logger.Warn("did not stop in time and was killed", "grace", p.config.StopGrace)
		return nil
	}
	p.log.logger.Debug("stopped", "status", command.ProcessState.String(), "error", err)
	return nil
}

func killed(state *os.ProcessState) bool {
	status, known := state.Sys().(syscall.WaitStatus)
	return known && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// PID is the process id of the running Envoy, or 0 while there is none.
func (p *Process) PID() int { return int(p.pid.Load()) }

// Validate has Envoy check a bootstrap file without serving (`--mode validate`). It proves what stands in the bootstrap
// and the files that it names, never what comes by ADS.
func Validate(ctx context.Context, binary, bootstrapPath string) error {
	command := exec.CommandContext(ctx, binary, "--mode", "validate", "--config-path", bootstrapPath,
		"--log-level", "warning", "--log-format", logFormat, "--log-format-escaped", "--disable-hot-restart")
	command.Env = environment()
	command.SysProcAttr = attributes()
	log := &logWriter{logger: hclog.NewNullLogger()}
	command.Stderr = log
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := command.Run(); err != nil {
		log.flush()
		return fmt.Errorf("envoy refuses the bootstrap %s (%w):\n%s", bootstrapPath, err, strings.Join(log.last(), "\n"))
	}
	return nil
}

// arguments is Envoy's command line. Hot restart is off: it would need a base id of its own for each Envoy of this
// machine, shared memory and sockets, and nothing here hands over from one Envoy to the next.
func (p *Process) arguments() []string {
	arguments := []string{
		"--config-path", p.config.BootstrapPath,
		"--disable-hot-restart",
		"--log-level", levelNames[p.config.LogLevel],
		"--log-format", logFormat,
		"--log-format-escaped",
		"--drain-time-s", strconv.Itoa(max(1, int(p.config.DrainTime/time.Second))),
	}
	if p.config.Concurrency > 0 {
		arguments = append(arguments, "--concurrency", strconv.Itoa(p.config.Concurrency))
	}
	return arguments
}
