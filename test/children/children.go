// Package children starts processes that end when the test program ends.
package children

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// Start starts a command. The kernel kills the process when this program ends, also if this program is killed. The kernel
// watches the thread that started the process, and not the whole program. So one goroutine, which keeps its thread, starts
// every process.
func Start(command *exec.Cmd) error {
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	command.SysProcAttr.Pdeathsig = syscall.SIGKILL
	started := make(chan error)
	startQueue() <- func() { started <- command.Start() }
	return <-started
}

// startQueue returns a channel. A function that is sent to it runs in the one goroutine that keeps its thread.
var startQueue = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for do := range work {
			do()
		}
	}()
	return work
})
