package main

import "syscall"

// ownGroup returns attributes that put a child into a process group of its own. The kernel kills the child when this
// program ends, also if this program is killed.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
