// Command filter copies its input to its output. At the end it fails if package noise has found noise in the input:
//
//	make test 2>&1 | filter
package main

import (
	"fmt"
	"os"
	"time"

	"jupyter-user.io/jupyter-user-webhook/test/noise"
)

func main() {
	found, err := (&noise.Finder{Now: time.Now}).Copy(os.Stdout, os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error: read the output:", err)
		os.Exit(1)
	}
	for _, line := range found {
		fmt.Fprintln(os.Stderr, "noise:", line)
	}
	if len(found) > 0 {
		os.Exit(1)
	}
}
