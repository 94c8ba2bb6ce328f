package llm

import (
	"sync"
	"time"

	"silverbeam/pkg/ledger"
)

// busyTime is the time that an endpoint has calls of this process in flight. Whoever ends takes what has passed since the
// last one ended, or since there was none in flight: the shares sum up to the whole, each second counted once.
type busyTime struct {
	mu    sync.Mutex
	calls int
	since time.Time
}

func (b *busyTime) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.calls++; b.calls == 1 {
		b.since = time.Now()
	}
}

// end gives the share of a call that has ended. alone says that no other is in flight.
func (b *busyTime) end() (share time.Duration, alone bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	share, b.since = now.Sub(b.since), now
	b.calls--
	return share, b.calls == 0
}

// hours books time at a price by the hour. What is rounded off one call is booked with a later one.
type hours struct {
	mu     sync.Mutex
	total  time.Duration
	booked int64
}

// book gives the cost of a call's share of the time. It is no more than the call has reserved: what is beyond comes with the
// next. A call that was not sent costs nothing; its share is the others', if there are any.
func (h *hours) book(p ledger.Price, share time.Duration, reserved int64, unsent, alone bool) (*int64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case unsent && alone:
		return new(int64), nil
	case unsent:
		reserved = 0
	}
	h.total += share
	due, err := p.Over(h.total)
	cost := min(due-h.booked, reserved)
	h.booked += cost
	return &cost, err
}
