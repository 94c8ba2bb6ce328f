package batch

import (
	"sync"
	"sync/atomic"
	"time"
)

// computed is the CPU time of all threads that ThreadCPU has told of.
var computed atomic.Int64

// asking is the CPU time of this process, less what was computed, when a step that waits on calls last asked for it.
var asking struct {
	sync.Mutex
	at time.Duration
}

// beginAsking leaves out what the process did before the first step that will ask.
var beginAsking = sync.OnceFunc(func() { sinceAsked() })

// sinceAsked is the CPU time that this process has spent since it was last asked, but for what steps that compute have
// told of. What such a step is at is told later and given back then.
func sinceAsked() time.Duration {
	asking.Lock()
	defer asking.Unlock()
	now, before := processCPU()-time.Duration(computed.Load()), asking.at
	asking.at = max(now, before)
	return asking.at - before
}
