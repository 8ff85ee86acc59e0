package handshake

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc/credentials"
)

// refusing are credentials that let nobody in.
type refusing struct {
	credentials.TransportCredentials
	err error
}

func (r refusing) ServerHandshake(net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, r.err
}

func (r refusing) Clone() credentials.TransportCredentials { return r }

// refuse has so many connections refused.
func refuse(t *testing.T, by credentials.TransportCredentials, times int) {
	t.Helper()
	for range times {
		server, client := net.Pipe()
		if _, _, err := by.ServerHandshake(server); err == nil {
			t.Fatal("a connection was let in")
		}
		_, _ = server.Close(), client.Close()
	}
}

func TestRefusalsAreLoggedWithPeerAndReasonUpToTenAMinute(t *testing.T) {
	var log bytes.Buffer
	now := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	logger := hclog.New(&hclog.LoggerOptions{Output: &log})
	logged := Logged(refusing{err: errors.New("unknown authority")}, logger, func() time.Time { return now })

	refuse(t, logged, 7)
	refuse(t, logged.Clone(), 7)
	if lines := strings.Count(log.String(), "[WARN]"); lines != mostInWindow {
		t.Errorf("%d lines, want %d:\n%s", lines, mostInWindow, log.String())
	}
	if !strings.Contains(log.String(), "a connection was refused: peer=pipe error=\"unknown authority\"") {
		t.Errorf("peer or reason is missing:\n%s", log.String())
	}

	log.Reset()
	now = now.Add(window)
	refuse(t, logged, 1)
	if !strings.Contains(log.String(), "left_out=4") {
		t.Errorf("the line after the flood does not count what was left out:\n%s", log.String())
	}
	log.Reset()
	refuse(t, logged, 1)
	if strings.Contains(log.String(), "left_out") {
		t.Errorf("what was left out is counted twice:\n%s", log.String())
	}
}

func TestAPortProbeIsNoWarning(t *testing.T) {
	var log bytes.Buffer
	logger := hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Debug})
	refuse(t, Logged(refusing{err: fmt.Errorf("handshake: %w", io.EOF)}, logger, time.Now), 1)
	if strings.Contains(log.String(), "[WARN]") || !strings.Contains(log.String(), "closed before its handshake") {
		t.Errorf("the log says:\n%s", log.String())
	}
}
