package engine

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// parallel runs f for each job below n on GOMAXPROCS goroutines. Jobs are cut by shape, never by the number of
// goroutines, and write to places of their own, so that results are the same for any number.
func parallel(n int, f func(job int)) {
	workers := min(runtime.GOMAXPROCS(0), n)
	if workers <= 1 {
		for i := range n {
			f(i)
		}
		return
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	work := func() {
		for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
			f(int(i))
		}
		wg.Done()
	}
	wg.Add(workers)
	for range workers - 1 {
		go work()
	}
	work()
	wg.Wait()
}

// scratch is memory of one job, kept for the next.
type scratch struct{ f []float32 }

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// take gives n floats of any content.
func (s *scratch) take(n int) []float32 {
	if cap(s.f) < n {
		s.f = make([]float32, n)
	}
	return s.f[:n]
}

// sumParts adds parts of equal length, one after the other, into dst: a fixed order.
func sumParts(dst, parts []float32) {
	n := len(dst)
	parallel((n+sumChunk-1)/sumChunk, func(job int) {
		lo, hi := job*sumChunk, min(n, (job+1)*sumChunk)
		d := dst[lo:hi]
		copy(d, parts[lo:hi])
		for p := n; p < len(parts); p += n {
			for i, v := range parts[p+lo : p+hi] {
				d[i] += v
			}
		}
	})
}

const sumChunk = 8192
