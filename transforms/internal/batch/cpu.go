package batch

import (
	"sync"
	"time"
)

// asked is the process's CPU time when it was last asked for.
var asked struct {
	sync.Mutex
	at time.Duration
}

// beginAsking leaves out what the process did before the first step that will ask.
var beginAsking = sync.OnceFunc(func() { sinceAsked() })

// sinceAsked is the CPU time that this process has spent since it was last asked, by whatever it did.
func sinceAsked() time.Duration {
	asked.Lock()
	defer asked.Unlock()
	before := asked.at
	asked.at = processCPU()
	return asked.at - before
}
