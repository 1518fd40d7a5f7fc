package main

import (
	"errors"
	"log/slog"
	"math"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// memoryRatio is the part of the container's memory limit that Go's memory limit is set to. The rest is for memory that
// Go's limit does not include, such as the program itself and kernel memory.
const memoryRatio = 0.9

// limitMemory makes Go collect garbage more often when the heap approaches the container's memory limit. Otherwise the heap
// could grow to twice the memory in use, and a few large reviews could end the process. limitMemory reads the limit from
// the control group, version 1 or 2. The downward API would need a setting in every Deployment, and cannot give nine tenths
// of the limit. GOMEMLIMIT takes precedence.
func limitMemory(log *slog.Logger) {
	limit, err := memlimit.Set(memlimit.WithRatio(memoryRatio))
	switch {
	case errors.Is(err, memlimit.ErrNoCgroup), limit == math.MaxInt64:
	case err != nil:
		log.Warn("the container's memory limit cannot be read, so the garbage collector ignores it: set GOMEMLIMIT",
			"err", err.Error())
	default:
		log.Info("memory limit", "bytes", limit)
	}
}
