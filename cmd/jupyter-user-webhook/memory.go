package main

import (
	"errors"
	"log/slog"
	"math"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// memoryRatio is how much of the container's memory limit Go's heap may take. The rest is for the program itself, and for what
// the kernel counts.
const memoryRatio = 0.9

// limitMemory has Go collect garbage more often before the container's memory limit is reached. Without it the heap grows to
// twice of what is used, and a few large reviews end the process. The limit is read from the control group, of either version,
// and not from the downward API: that cannot give nine tenths of it, and a Deployment of one's own would have to know.
// GOMEMLIMIT wins.
func limitMemory(log *slog.Logger) {
	limit, err := memlimit.Set(memlimit.WithRatio(memoryRatio))
	switch {
	case errors.Is(err, memlimit.ErrNoCgroup), limit == math.MaxInt64:
	case err != nil:
		log.Warn("the container's memory limit cannot be read, so garbage is collected without regard to it: set GOMEMLIMIT",
			"err", err.Error())
	default:
		log.Info("memory limit", "bytes", limit)
	}
}
