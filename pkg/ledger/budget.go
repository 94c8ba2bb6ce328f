package ledger

import (
	"context"
	"fmt"
	"math"
)

// reserve takes the worst case of a call out of the budget and writes what it is for.
func (b *Book) reserve(ctx context.Context, in Intent, write op) error {
	if b.d.shared {
		return b.reserveShared(ctx, in, write)
	}
	err := b.take(ctx, in)
	if err != nil {
		return err
	}
	if err = b.d.hand(write); err != nil {
		b.release(in.ReservePico, 0, 0)
		return fmt.Errorf("ledger: %w", err)
	}
	return nil
}

// take waits until the budget has room for a call.
func (b *Book) take(ctx context.Context, in Intent) error {
	for {
		b.mu.Lock()
		fixed, err := sum(b.spent, b.dead, in.ReservePico)
		total, err2 := Add(fixed, b.live)
		if err != nil || err2 != nil {
			b.mu.Unlock()
			return fmt.Errorf("ledger: reservation of %d: %w", in.ReservePico, ErrOverflow)
		}
		if in.CapPico == 0 || total <= in.CapPico {
			b.live += in.ReservePico
			b.mu.Unlock()
			return nil
		}
		wait := b.settled
		spent, dead := b.spent, b.dead
		b.mu.Unlock()
		if fixed > in.CapPico { // whatever the calls in flight turn out to cost
			return in.overBudget(spent, dead)
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (in Intent) overBudget(spent, unsettled int64) error {
	return fmt.Errorf("%w: spent %s USD, unsettled %s USD, the next call may cost %s USD, the cap is %s USD",
		ErrBudget, short(spent), short(unsettled), short(in.ReservePico), short(in.CapPico))
}

// release turns a live reservation into what is known of its cost.
func (b *Book) release(reserved, cost, dead int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.live -= reserved
	var err error
	if b.spent, err = Add(b.spent, cost); err != nil {
		b.spent = math.MaxInt64 // past counting: every further reservation is refused
	}
	b.dead += dead
	close(b.settled)
	b.settled = make(chan struct{})
}
