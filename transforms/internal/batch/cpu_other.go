//go:build !linux

package batch

import "time"

// ThreadCPU measures wall time where threads have no clock of their own.
func ThreadCPU() func() time.Duration {
	start := time.Now()
	return func() time.Duration {
		spent := time.Since(start)
		computed.Add(int64(spent))
		return spent
	}
}

func processCPU() time.Duration { return time.Since(began) }

var began = time.Now()
