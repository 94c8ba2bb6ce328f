package batch

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// threadCPU ties the goroutine to its thread and returns a function that frees it and tells the CPU time spent since.
func threadCPU() func() time.Duration {
	runtime.LockOSThread()
	start := rusage(unix.RUSAGE_THREAD)
	return func() time.Duration {
		defer runtime.UnlockOSThread()
		return rusage(unix.RUSAGE_THREAD) - start
	}
}

func processCPU() time.Duration { return rusage(unix.RUSAGE_SELF) }

func rusage(who int) time.Duration {
	var u unix.Rusage
	if unix.Getrusage(who, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
