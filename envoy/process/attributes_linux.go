package process

import "syscall"

// attributes puts the child into a process group of its own, so that Ctrl-C at a terminal reaches us alone and we stop
// it in good order; and has the kernel kill it when the thread that started it dies, so that our crash leaves none.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
