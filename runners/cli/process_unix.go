//go:build unix

package cli

import (
	"os"
	"os/exec"
	"syscall"
)

// apart has a process outlive this one's terminal.
func apart(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// restart puts this program, with the arguments it has and this environment, in this process's place.
func restart(env []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(self, os.Args, env)
}
