// Package handshake tells the log of connections that a server refused before the first call. gRPC itself closes them
// without a word, so that a proxy with the wrong certificate would look like one that never came.
//
// It never decides who may connect: the credentials that it wraps do.
package handshake

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc/credentials"
)

// A flood of refused connections must not become a flood of lines: at most mostInWindow of them are told in a window.
const (
	window       = time.Minute
	mostInWindow = 10
)

// Logged wraps a server's credentials: each refused handshake is logged as a warning with the peer's address and the
// reason, at most ten a minute; the next line after that says how many were left out. A peer that closes without a word,
// as a port probe does, is told at debug level and not counted.
func Logged(inner credentials.TransportCredentials, logger hclog.Logger, clock func() time.Time) credentials.TransportCredentials {
	return logged{TransportCredentials: inner, log: &refusals{logger: logger, clock: clock}}
}

type logged struct {
	credentials.TransportCredentials
	log *refusals
}

// ServerHandshake is that of the wrapped credentials.
func (l logged) ServerHandshake(connection net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secured, info, err := l.TransportCredentials.ServerHandshake(connection)
	if err != nil {
		l.log.refused(connection.RemoteAddr(), err)
	}
	return secured, info, err
}

// Clone copies the wrapped credentials; the copy counts together with the original.
func (l logged) Clone() credentials.TransportCredentials {
	return logged{TransportCredentials: l.TransportCredentials.Clone(), log: l.log}
}

// refusals writes the log, and counts.
type refusals struct {
	logger hclog.Logger
	clock  func() time.Time

	mu sync.Mutex
	// begun is when the present window began, and told how many lines it has.
	begun time.Time
	told  int
	// leftOut counts the refusals since the last line.
	leftOut int
}

func (r *refusals) refused(peer net.Addr, err error) {
	if errors.Is(err, io.EOF) {
		r.logger.Debug("a connection was closed before its handshake", "peer", peer.String())
		return
	}
	leftOut, tell := r.count()
	switch {
	case !tell:
	case leftOut > 0:
		r.logger.Warn("a connection was refused", "peer", peer.String(), "error", err, "left_out", leftOut)
	default:
		r.logger.Warn("a connection was refused", "peer", peer.String(), "error", err)
	}
}

// count says whether to tell of one more refusal, and how many were left out before it.
func (r *refusals) count() (leftOut int, tell bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := r.clock(); now.Sub(r.begun) >= window {
		r.begun, r.told = now, 0
	}
	if r.told == mostInWindow {
		r.leftOut++
		return 0, false
	}
	leftOut, r.leftOut = r.leftOut, 0
	r.told++
	return leftOut, true
}
