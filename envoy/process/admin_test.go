package process_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/sallyport-project/sallyport/envoy/process"
)

func TestAdminAnswers(t *testing.T) {
	bootstrap, socket := bootstrapFile(t)
	var log bytes.Buffer
	envoy := newProcess(t, "edge", bootstrap, func(config *process.Config) {
		config.Logger = hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Trace})
		config.LogLevel = hclog.Info
	})
	stop, ended := start(t, envoy, socket)
	admin := process.NewAdmin(socket)

	info, err := os.Stat(socket)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the admin socket: %v, %v", info.Mode(), err)
	}
	stats, err := admin.Stats(t.Context(), `^server\.(live|concurrency)$`)
	if err != nil || len(stats) != 2 || stats["server.live"] != 1 || stats["server.concurrency"] != 1 {
		t.Errorf("statistics: %v, %v", stats, err)
	}
	if all, err := admin.Stats(t.Context(), ""); err != nil || len(all) <= len(stats) {
		t.Errorf("all statistics: %d, %v", len(all), err)
	}
	if _, err := admin.Stats(t.Context(), "("); err == nil || !strings.Contains(err.Error(), "400") {
		t.Errorf("a broken filter: %v", err)
	}
	if dump, err := admin.ConfigDump(t.Context()); err != nil || !bytes.Contains(dump, []byte("BootstrapConfigDump")) {
		t.Errorf("configuration: %d bytes, %v", len(dump), err)
	}
	if err := admin.DrainListeners(t.Context()); err != nil {
		t.Error(err)
	}
	stop()
	if err := await(t, ended); err != nil {
		t.Error(err)
	}
	if !bytes.Contains(log.Bytes(), []byte("[INFO]  edge: envoy log: component=main")) {
		t.Errorf("Envoy's log did not reach ours:\n%s", log.String())
	}
}

func TestQuitIsAnEndThatTheRunDidNotAskFor(t *testing.T) {
	bootstrap, socket := bootstrapFile(t)
	_, ended := start(t, newProcess(t, "edge", bootstrap, nil), socket)
	if err := process.NewAdmin(socket).Quit(t.Context()); err != nil {
		t.Error(err)
	}
	var exit *process.ExitError
	if err := await(t, ended); !errors.As(err, &exit) || exit.Status != "exit status 0" {
		t.Errorf("error: %v", err)
	}
}

func TestWaitReadyEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	socket := filepath.Join(t.TempDir(), "absent.sock")
	if err := process.Ready(ctx, socket); !errors.Is(err, context.Canceled) {
		t.Errorf("error: %v", err)
	}
}
