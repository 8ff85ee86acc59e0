package asker

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// folder is one whose path is short enough for a socket.
func folder(t *testing.T) string {
	t.Helper()
	path, err := os.MkdirTemp("", "asker")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(path) })
	return path
}

// closed closes what may have been closed already: a refused connection is.
func closed(t *testing.T, what io.Closer) {
	t.Helper()
	if err := what.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

func TestASocketIsForItsOwnerAloneAndGoesWithItsListener(t *testing.T) {
	path := filepath.Join(folder(t), "edge.sock")
	listener, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
	if _, err := Listen(t.Context(), path); err == nil || !strings.Contains(err.Error(), "somebody listens") {
		t.Errorf("a second listener: %v", err)
	}
	if err := listener.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestASocketThatNobodyListensOnIsReplaced(t *testing.T) {
	path := filepath.Join(folder(t), "edge.sock")
	abandoned, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	abandoned.SetUnlinkOnClose(false)
	if err := abandoned.Close(); err != nil {
		t.Fatal(err)
	}
	listener, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Error(err)
	}
}

func TestWhatCannotBeASocketIsSaidAtOnce(t *testing.T) {
	inTheWay := filepath.Join(folder(t), "edge.sock")
	if err := os.WriteFile(inTheWay, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ path, want string }{
		"a file in its place":       {inTheWay, "is no socket"},
		"a path that is too long":   {filepath.Join(folder(t), strings.Repeat("a", 108)), "bytes"},
		"a folder that isn't there": {filepath.Join(folder(t), "none", "edge.sock"), "no such file"},
	} {
		if _, err := Listen(t.Context(), test.path); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", name, err, test.want)
		}
	}
	if data, err := os.ReadFile(inTheWay); err != nil || string(data) != "precious" {
		t.Errorf("the file is %q, error %v", data, err)
	}
}

func TestOnlyOurOwnUserAndRootMayConnect(t *testing.T) {
	own := os.Geteuid()
	for name, test := range map[string]struct {
		uid  int
		err  error
		want bool
	}{
		"our own user": {uid: own, want: true},
		"root":         {uid: 0, want: true},
		"another user": {uid: own + 1},
		"unknown":      {err: errors.ErrUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(folder(t), "edge.sock")
			listener, err := Listen(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			defer closed(t, listener)
			client, err := net.Dial("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			defer closed(t, client)
			server, err := listener.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer closed(t, server)
			with := socketCredentials{group: "edge", peerUser: func(*net.UnixConn) (int, error) { return test.uid, test.err }}
			_, info, err := with.ServerHandshake(server)
			if (err == nil) != test.want {
				t.Errorf("error %v", err)
			}
			if socket, ok := info.(SocketInfo); test.want && (!ok || socket.Group != "edge") {
				t.Errorf("info %+v", info)
			}
			if uid, err := peerUser(server.(*net.UnixConn)); test.want && (err != nil || uid != own) {
				t.Errorf("the kernel says %d, error %v", uid, err)
			}
		})
	}
	one, other := net.Pipe()
	defer closed(t, other)
	if _, _, err := SocketCredentials("edge").ServerHandshake(one); err == nil {
		t.Error("a connection that is no socket was accepted")
	}
}

func TestAFolderThatOthersMayWriteToHoldsNoSocket(t *testing.T) {
	folder := t.TempDir()
	if err := os.Chmod(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	if listener, err := Listen(t.Context(), filepath.Join(folder, "s")); err == nil {
		_ = listener.Close()
		t.Error("it does")
	}
}
