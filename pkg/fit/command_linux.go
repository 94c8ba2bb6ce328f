package fit

import "syscall"

// bound has a program end with this process, and be the first of a group of its own.
func bound() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
