package main

import (
	"os/exec"
	"syscall"

	"jupyter-user.io/jupyter-user-webhook/test/children"
)

// startInOwnGroup starts a command in a process group of its own. The kernel kills the process when this program ends, also
// if this program is killed.
func startInOwnGroup(command *exec.Cmd) error {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return children.Start(command)
}
