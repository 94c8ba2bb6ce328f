package batch

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// ThreadCPU ties the goroutine to its thread and returns a function that frees it and tells the CPU time spent since.
func ThreadCPU() func() time.Duration {
	runtime.LockOSThread()
	start := rusage()
	return func() time.Duration {
		defer runtime.UnlockOSThread()
		return rusage() - start
	}
}

func rusage() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_THREAD, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
