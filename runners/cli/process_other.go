//go:build !unix

package cli

import (
	"errors"
	"os/exec"
)

func apart(*exec.Cmd) {}

func restart([]string) error { return errors.New("a program cannot take its own place on this system") }
