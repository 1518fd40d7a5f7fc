//go:build !linux

package main

import "syscall"

// ownGroup returns attributes that put a child into a process group of its own.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
