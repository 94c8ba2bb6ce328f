package intake

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

func TestRowsInMemoryAreBounded(t *testing.T) {
	room := int64(cap(held.rows)) * 1000
	var wg sync.WaitGroup
	var now atomic.Int64
	for _, rows := range []int64{5000, 5000, 10 * room, 5000, 64, 1, 5000, 10 * room, 3001, 5000} {
		wg.Go(func() {
			defer hold(rows)()
			rows := min(rows, room)
			if n := now.Add(rows); n > room {
				t.Errorf("%d rows held at once, room for %d", n, room)
			}
			runtime.Gosched()
			now.Add(-rows)
		})
	}
	wg.Wait()
	if len(held.rows) > 0 {
		t.Errorf("%d thousand rows are still held", len(held.rows))
	}
}
