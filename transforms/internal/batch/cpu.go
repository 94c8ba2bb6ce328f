package batch

import (
	"sync"
	"sync/atomic"
	"time"
)

// computed is the CPU time that clocks and work have told of.
var computed atomic.Int64

// asking is the CPU time of this process, less what was computed, when a step that waits on calls last asked for it.
var asking struct {
	sync.Mutex
	at time.Duration
}

// Clock tells how much CPU time work of one kind takes. A thread's own clock ties the goroutine to the thread, and goroutines
// so tied leave cores idle while threads wake, a tenth of a run: so the first eight pieces and every eighth after them have it,
// and the others are given their share of its time by how long they took. The zero value is ready.
type Clock struct{ n, cpu, wall atomic.Int64 }

const measuredEach = 8

// Start begins a piece of work; stop ends it and gives its CPU time.
func (c *Clock) Start() (stop func() time.Duration) {
	began := time.Now()
	if n := c.n.Add(1); n > measuredEach && n%measuredEach > 0 && c.wall.Load() > 0 {
		return func() time.Duration {
			share := float64(c.cpu.Load()) / float64(c.wall.Load())
			spent := time.Duration(share * float64(time.Since(began)))
			computed.Add(int64(spent))
			return spent
		}
	}
	thread := threadCPU()
	return func() time.Duration {
		spent := thread()
		c.cpu.Add(int64(spent))
		c.wall.Add(int64(time.Since(began)))
		computed.Add(int64(spent))
		return spent
	}
}

// work is the CPU time of the studies that a worker goes through, one after another: what each took on the wall's clock, for
// a worker holds a core meanwhile. A study in which the worker was clearly interrupted counts as the mean.
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
