package main

import "syscall"

// dieWithUs puts a child into a group of its own, and ends it with us even when we are killed.
func dieWithUs() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
