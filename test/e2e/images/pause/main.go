// Command pause is what a pod's sandbox runs: it holds the pod's namespaces, and waits to be told to end.
//
// Where a pod shares its process namespace it is PID 1 there, so it takes in what others leave behind.
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

// reap takes in every process that has ended. Signals of the same kind merge, so there may be more than one.
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
