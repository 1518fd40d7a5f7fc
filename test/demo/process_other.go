//go:build !linux

package main

import (
	"os/exec"
	"syscall"
)

// startInOwnGroup starts a command in a process group of its own.
func startInOwnGroup(command *exec.Cmd) error {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return command.Start()
}
