//go:build !linux

package fit

import "syscall"

// bound has a program be the first of a group of its own. Nothing ends it with this process here.
func bound() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
