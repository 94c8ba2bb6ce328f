package llm

import (
	"context"
	"errors"
	"slices"
	"strings"

	"silverbeam/pkg/ledger"
)

// flight is one answer being found; equal reports wait for it.
type flight struct {
	want   []int // findings
	landed chan struct{}
	a      ledger.Answer
	stored bool // another run has put it into the store
	err    error
}

// answer finds the answer to one report: what another call is already getting, what the store holds, what this run has
// paid for, or a call.
func (c *Client) answer(ctx context.Context, in ledger.Intent, text string, want []int) (ledger.Answer, error) {
	for {
		f, first := c.board(in.Identity, want)
		if first {
			f.a, f.stored, f.err = c.find(ctx, in, text, want)
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
		if slices.ContainsFunc(want, func(i int) bool { return !slices.Contains(f.want, i) }) {
			continue // it asked for other findings
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

func (c *Client) board(id ledger.Identity, want []int) (f *flight, first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f, ok := c.flights[id]; ok {
		return f, false
	}
	f = &flight{want: want, landed: make(chan struct{})}
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
// store, and only then used. What comes back has labels for the wanted findings, by their place, and their cost.
func (c *Client) find(ctx context.Context, in ledger.Intent, text string, want []int) (a ledger.Answer, stored bool, err error) {
	k, err := c.look(&in, want)
	if err == nil && len(k.missing) > 0 {
		since, letGo, no := c.store.Claim(ctx, in.Identity)
		if no != nil {
			return a, false, no
		}
		defer func() { err = errors.Join(err, letGo()) }()
		if len(since) > 0 {
			k, err = c.look(&in, want)
		}
	}
	switch {
	case err != nil:
		return a, false, err
	case len(k.missing) == 0:
		return k.Answer, k.stored, c.book.Spared(in, k.stored, k.CostPico)
	case k.refusal != nil:
		return a, false, c.unasked(in, *k.refusal)
	case c.o.Replay:
		return a, false, ErrReplay
	}
	got, err := c.ask(ctx, in, k.missing, user(in.Identity, text), k.asks)
	n := c.asked.Add(1)
	if errors.As(err, new(Refusal)) {
		c.refused.Add(1)
	}
	for _, g := range got {
		err = errors.Join(err, c.store.Put(in.Identity, g))
	}
	if err == nil {
		err = c.tryCanaries(ctx, n)
	}
	a, _ = c.asks.pick(append(k.answers, got...), want)
	return a, false, err
}

// looked is what is known of a report without a call.
type looked struct {
	ledger.Answer // to the wanted findings, as far as there is one
	answers       []ledger.Answer
	missing       []int    // of the wanted findings, those without an answer
	stored        bool     // the store had all, and none of this run
	asks          int      // lines of batches about it whose answers did not validate
	refusal       *Refusal // of a line: the report is not asked again
}

// look finds out what store and book know of a report, and writes into the intent what is left to ask. What was paid for
// and has not reached the store does so here.
func (c *Client) look(in *ledger.Intent, want []int) (k looked, err error) {
	if k.answers, err = c.store.Get(in.Identity); err != nil {
		return k, err
	}
	if k.Answer, k.missing = c.asks.pick(k.answers, want); len(k.missing) == 0 {
		k.stored = !slices.ContainsFunc(k.answers, func(a ledger.Answer) bool { return a.Run == c.book.Run() })
		return k, nil
	}
	in.SavedPico = k.CostPico
	paid, err := c.book.Paid(in.Identity)
	for _, p := range paid {
		p.Run = c.book.Run()
		err = errors.Join(err, c.store.Put(in.Identity, p))
	}
	if err != nil {
		return k, err
	}
	k.answers = append(k.answers, paid...)
	if k.Answer, k.missing = c.asks.pick(k.answers, want); len(k.missing) == 0 {
		return k, nil
	}
	in.Findings = c.asks.ids(k.missing)
	var why string
	if k.asks, why, err = c.book.Declined(in.Identity); err == nil && why != "" {
		class, reason, _ := strings.Cut(why, ": ")
		k.refusal = &Refusal{class, reason}
	}
	return k, err
}
