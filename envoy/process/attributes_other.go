//go:build unix && !linux

package process

import "syscall"

// attributes puts the child into a process group of its own, so that Ctrl-C at a terminal reaches us alone and we stop
// it in good order. There is no parent-death signal outside Linux: our crash leaves the child behind.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
