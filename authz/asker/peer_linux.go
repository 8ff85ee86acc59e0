package asker

import (
	"net"
	"syscall"
)

// peerUser is the user that connected, as the kernel noted it then.
func peerUser(connection *net.UnixConn) (uid int, err error) {
	raw, err := connection.SyscallConn()
	if err != nil {
		return 0, err
	}
	var found *syscall.Ucred
	var failed error
	if err := raw.Control(func(descriptor uintptr) {
		found, failed = syscall.GetsockoptUcred(int(descriptor), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if failed != nil {
		return 0, failed
	}
	return int(found.Uid), nil
}
