// Command pause runs in a Pod's sandbox: it holds the Pod's namespaces, and waits for the signal to end.
//
// In a Pod with a shared process namespace it is PID 1, so it collects ended processes of other containers.
package main

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGCHLD)
	for s := range signals {
		if s != syscall.SIGCHLD {
			return
		}
		reap()
	}
}

// reap collects every ended process. Signals of the same kind merge, so one signal may stand for several processes.
func reap() {
	for {
		process, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || process <= 0 {
			return
		}
	}
}
