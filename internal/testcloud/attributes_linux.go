package testcloud

import "syscall"

// attributes end a server with the test's process, should that be killed.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
