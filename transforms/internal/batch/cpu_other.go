//go:build !linux

package batch

import "time"

// threadCPU measures wall time where threads have no clock of their own.
func threadCPU() func() time.Duration {
	start := time.Now()
	return func() time.Duration { return time.Since(start) }
}

func processCPU() time.Duration { return time.Since(began) }

var began = time.Now()
