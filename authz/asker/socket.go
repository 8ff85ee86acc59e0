package asker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc/credentials"
)

// maxSocketPath is the longest path of a Unix socket that every system takes, in bytes.
const maxSocketPath = 103

// Listen makes the Unix socket of one group of proxies, with mode 0600 from the moment on that it can be found. A socket
// that nobody listens on any more is replaced; one that somebody does is an error. The socket is removed when the
// listener is closed. A path that is longer than a socket's may be, and a folder that other users may write to, are errors.
func Listen(ctx context.Context, path string) (net.Listener, error) {
	// Made under another name, it appears under its own complete.
	making := path + ".new"
	if len(making) > maxSocketPath {
		return nil, fmt.Errorf("the path of the socket %s has %d bytes, and may have %d", path, len(path), maxSocketPath-len(".new"))
	}
	if err := guarded(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if err := vacate(ctx, path); err != nil {
		return nil, err
	}
	if err := os.Remove(making); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("make the socket %s: %w", path, err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", making)
	if err != nil {
		return nil, fmt.Errorf("make the socket %s: %w", path, err)
	}
	unix, ok := listener.(*net.UnixListener)
	if !ok {
		return nil, errors.Join(fmt.Errorf("make the socket %s: it is no Unix socket", path), listener.Close())
	}
	unix.SetUnlinkOnClose(false)
	err = os.Chmod(making, 0o600)
	if err == nil {
		err = os.Rename(making, path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make the socket %s: %w", path, err), listener.Close(), os.Remove(making))
	}
	return &socket{UnixListener: unix, path: filepath.Clean(path)}, nil
}

// guarded reports a folder in which other users could put a socket of their own in the place of ours.
func guarded(folder string) error {
	const othersWrite = 0o022
	info, err := os.Stat(folder)
	if err != nil {
		return fmt.Errorf("make a socket: %w", err)
	}
	if info.Mode().Perm()&othersWrite != 0 && info.Mode()&fs.ModeSticky == 0 {
		return fmt.Errorf("make a socket: other users may write to %s, and could put theirs in its place: choose another folder, or chmod go-w", folder)
	}
	return nil
}

// vacate reports that somebody listens on a socket, or that something else has its place.
func vacate(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("make the socket %s: %w", path, err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is there and is no socket: remove it, or choose another path", path)
	}
	dialer := net.Dialer{Timeout: time.Second}
	if connection, err := dialer.DialContext(ctx, "unix", path); err == nil {
		return errors.Join(fmt.Errorf("somebody listens on the socket %s already", path), connection.Close())
	}
	return nil
}

// socket removes its file when it is closed.
type socket struct {
	*net.UnixListener
	path string
}

// Close ends the listener and removes the socket's file.
func (s *socket) Close() error {
	err := s.UnixListener.Close()
	if removed := os.Remove(s.path); removed != nil && !errors.Is(removed, fs.ErrNotExist) {
		err = errors.Join(err, removed)
	}
	return err
}

// SocketInfo is what a connection by a Unix socket proves.
type SocketInfo struct {
	credentials.CommonAuthInfo
	// Group whose socket it is.
	Group string
	// User is the number of the user who connected, as the kernel noted it then.
	User int
}

// AuthType is `unix`.
func (SocketInfo) AuthType() string { return "unix" }

// SocketCredentials are the server's credentials on the socket of one group: they accept processes of our own user, and
// of root, by what the kernel says of them (SO_PEERCRED), and nobody else.
func SocketCredentials(group string) credentials.TransportCredentials {
	return socketCredentials{group: group, peerUser: peerUser}
}

type socketCredentials struct {
	group    string
	peerUser func(*net.UnixConn) (uid int, err error)
}

// ServerHandshake looks at who connected. A refused connection is closed.
func (c socketCredentials) ServerHandshake(connection net.Conn) (net.Conn, credentials.AuthInfo, error) {
	user, err := c.check(connection)
	if err != nil {
		return nil, nil, errors.Join(err, connection.Close())
	}
	return connection, SocketInfo{
		CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
		Group:          c.group, User: user,
	}, nil
}

// check returns the user who connected.
func (c socketCredentials) check(connection net.Conn) (user int, err error) {
	unix, ok := connection.(*net.UnixConn)
	if !ok {
		return 0, errors.New("the connection is not by a Unix socket")
	}
	uid, err := c.peerUser(unix)
	if err != nil {
		return 0, fmt.Errorf("find out who connected: %w", err)
	}
	if own := os.Geteuid(); uid != own && uid != 0 {
		return 0, fmt.Errorf("a process of the user %d connected: only those of %d and root may", uid, own)
	}
	return uid, nil
}

var errServerOnly = errors.New("these credentials are a server's")

// ClientHandshake is not offered.
func (socketCredentials) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errServerOnly
}

// Info names the protocol.
func (socketCredentials) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "unix"}
}

// Clone returns a copy.
func (c socketCredentials) Clone() credentials.TransportCredentials { return c }

// OverrideServerName does nothing and is never called on a server.
func (socketCredentials) OverrideServerName(string) error { return errServerOnly }
