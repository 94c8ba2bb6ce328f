package batch

import (
	"sync"
	"sync/atomic"
	"time"
)

// computed is the CPU time that ThreadCPU and work have told of.
var computed atomic.Int64

// asking is the CPU time of this process, less what was computed, when a step that waits on calls last asked for it.
var asking struct {
	sync.Mutex
	at time.Duration
}

// work is the CPU time of the studies that a worker goes through, one after another: what each took on the clock, for a
// worker holds a core meanwhile. A thread's own clock would tie goroutines to threads, and each of their turns would wait for
// a thread to wake: a tenth of a run by the rules. A study in which the worker was clearly interrupted counts as the mean.
type work struct {
	spent time.Duration
	n     int
	cut   int // interrupted
}

func (w *work) add(d time.Duration) {
	if d > 2*time.Millisecond && w.n >= 20 && d > 50*w.spent/time.Duration(w.n) {
		w.cut++
		return
	}
	w.spent += d
	w.n++
}

// total is told to the steps that ask too.
func (w *work) total() time.Duration {
	t := w.spent
	if w.n > 0 {
		t += time.Duration(w.cut) * w.spent / time.Duration(w.n)
	}
	computed.Add(int64(t))
	return t
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
