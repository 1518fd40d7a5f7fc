// Package children starts processes that do not outlive the test.
package children

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// Start starts a command whose process the kernel kills when this program ends, however that ends. The kernel kills it already when the
// thread ends that started it, as a goroutine's thread does that was locked to it: one goroutine, which keeps its thread, starts all.
func Start(command *exec.Cmd) error {
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	command.SysProcAttr.Pdeathsig = syscall.SIGKILL
	started := make(chan error)
	starts() <- func() { started <- command.Start() }
	return <-started
}

// starts returns where the goroutine that keeps its thread takes what it has to start.
var starts = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for do := range work {
			do()
		}
	}()
	return work
})
