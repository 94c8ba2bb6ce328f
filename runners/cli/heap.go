package cli

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// spareHeap is what a heap may grow by, at least, before it is collected, if that is within mostShare. By Go's own rule one of 20 MiB, which labelling
// needs, is collected for every other 20, and that takes a tenth of the work.
const spareHeap = 96 << 20

// mostShare bounds the share of what is alive, in percent, that a heap may grow by. On busy cores a new share is set late, and a heap
// that meanwhile grew from 4 MiB to 60 would go by the old one.
const mostShare = 300

// spareCollections lets heaps grow by spareHeap, large ones by half of what is alive, unless GOGC says otherwise: by Go's own rule, as
// much again, labelling's 150 MiB at most would be 300. The share is set anew after each collection (a fixed one would be a multiple of whatever is alive: gigabytes in training).
func spareCollections() {
	if os.Getenv("GOGC") == "" {
		pace(4 << 20) // as the runtime takes the first heap to be
	}
}

func pace(live uint64) {
	debug.SetGCPercent(int(min(max(50, 100*spareHeap/max(live, 1)), mostShare)))
	swept := &struct{ self *int }{}
	runtime.AddCleanup(swept, func(int) { // the next collection finds it dead
		s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(s)
		pace(s[0].Value.Uint64())
	}, 0)
}
