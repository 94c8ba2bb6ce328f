package flink

import (
	"os/exec"
	"syscall"
)

// endsWithParent has a process killed when this one ends, even by kill -9.
func endsWithParent(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
