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

// find looks before it asks, and asks for what it did not find. An answer is in the book with its cost, then in the
// store, and only then used. What comes back has a label for each finding of the taxonomy, and their cost.
func (c *Client) find(ctx context.Context, in ledger.Intent, text string) (a ledger.Answer, stored bool, err error) {
	answers, err := c.store.Get(in.Identity)
	if err != nil {
		return a, false, err
	}
	a, missing := c.pick(answers)
	if len(missing) == 0 {
		return a, true, c.book.Spared(in, true, a.CostPico)
	}
	in.SavedPico = a.CostPico
	paid, err := c.book.Paid(in.Identity)
	for _, p := range paid {
		err = errors.Join(err, c.store.Put(in.Identity, p))
	}
	if err != nil {
		return a, false, err
	}
	answers = append(answers, paid...)
	if a, missing = c.pick(answers); len(missing) == 0 {
		return a, false, c.book.Spared(in, false, a.CostPico)
	}
	if c.o.Replay {
		return a, false, ErrReplay
	}
	for _, i := range missing {
		in.Findings = append(in.Findings, c.asks.findings[i])
	}
	got, err := c.ask(ctx, in, c.prompts.of(missing), text)
	if err != nil {
		return a, false, err
	}
	a, _ = c.pick(append(answers, got))
	return a, false, c.store.Put(in.Identity, got)
}

// pick puts the taxonomy's answer together, and names the findings that have none by their place.
func (c *Client) pick(answers []ledger.Answer) (a ledger.Answer, missing []int) {
	a.Labels, missing, a.CostPico = ledger.Pick(answers, c.asks.findings)
	return a, missing
}
