package llm

import (
	"context"
	"errors"

	"silverbeam/pkg/ledger"
)

// flight is one answer being found; equal reports wait for it.
type flight struct {
	landed chan struct{}
	a      ledger.Answer
	stored bool // it was in the store
	err    error
}

// answer finds the answer to one report: what another call is already getting, what the store holds, what this run has
// paid for, or a call.
func (c *Client) answer(ctx context.Context, in ledger.Intent, text string) (ledger.Answer, error) {
	for {
		f, first := c.board(in.Identity)
		if first {
			f.a, f.stored, f.err = c.find(ctx, in, text)
			c.land(in.Identity, f)
			return f.a, f.err
		}
		select {
		case <-f.landed:
		case <-ctx.Done():
			return ledger.Answer{}, ctx.Err()
		}
		if errors.Is(f.err, context.Canceled) || errors.Is(f.err, context.DeadlineExceeded) {
			continue // the one who asked was called off, we are not
		}
		var no Refusal
		switch {
		case errors.As(f.err, &no):
			return ledger.Answer{}, c.unasked(in, f.err)
		case f.err != nil:
			return ledger.Answer{}, f.err
		}
		return f.a, c.book.Spared(in, f.stored, f.a.CostPico)
	}
}

func (c *Client) board(id ledger.Identity) (f *flight, first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f, ok := c.flights[id]; ok {
		return f, false
	}
	f = &flight{landed: make(chan struct{})}
	c.flights[id] = f
	return f, true
}

func (c *Client) land(id ledger.Identity, f *flight) {
	c.mu.Lock()
	delete(c.flights, id)
	c.mu.Unlock()
	close(f.landed)
}

// find looks before it asks. An answer is in the book with its cost, then in the store, and only then used.
func (c *Client) find(ctx context.Context, in ledger.Intent, text string) (a ledger.Answer, stored bool, err error) {
	a, stored, err = c.store.Get(in.Identity)
	if err != nil {
		return a, false, err
	}
	if stored {
		return a, true, c.book.Spared(in, true, a.CostPico)
	}
	a, paid, err := c.book.Paid(in.Identity)
	switch {
	case err != nil:
		return a, false, err
	case paid:
		err = c.book.Spared(in, false, a.CostPico)
	case c.o.Replay:
		return a, false, ErrReplay
	default:
		a, err = c.ask(ctx, in, text)
	}
	if err != nil {
		return a, false, err
	}
	return a, false, c.store.Put(in.Identity, a)
}
