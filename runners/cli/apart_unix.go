//go:build unix

package cli

import (
	"os/exec"
	"syscall"
)

// apart has a process outlive this one's terminal.
func apart(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }
