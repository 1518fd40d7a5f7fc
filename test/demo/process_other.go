//go:build !linux

package main

import "syscall"

// dieWithUs puts a child into a group of its own.
func dieWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
