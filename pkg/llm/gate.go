package llm

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// gate limits what this process asks of one endpoint: calls in flight, requests and tokens a minute, and a pause that a
// server's refusal puts on all calls at once. Clients of the same endpoint share it; the first one's limits hold.
type gate struct {
	key      string
	users    int
	slots    chan struct{}
	requests *rate.Limiter
	tokens   *rate.Limiter

	mu     sync.Mutex
	paused time.Time // no call is sent before
}

// gates are those of the endpoints in use. They are the process's because its limits are.
var gates = struct {
	sync.Mutex
	open map[string]*gate
}{open: map[string]*gate{}}

func openGate(key string, inFlight, rpm, tpm int) *gate {
	gates.Lock()
	defer gates.Unlock()
	g := gates.open[key]
	if g == nil {
		g = &gate{key: key, slots: make(chan struct{}, inFlight), requests: perMinute(rpm, 60), tokens: perMinute(tpm, 6)}
		gates.open[key] = g
	}
	g.users++
	return g
}

// perMinute is a bucket that holds a given part of a minute's share, at least 1; it starts full.
func perMinute(n, part int) *rate.Limiter {
	if n <= 0 {
		return rate.NewLimiter(rate.Inf, 1)
	}
	return rate.NewLimiter(rate.Limit(float64(n)/60), max(1, n/part))
}

func (g *gate) close() {
	gates.Lock()
	defer gates.Unlock()
	if g.users--; g.users == 0 {
		delete(gates.open, g.key)
	}
}

// enter waits for a turn that is expected to need these tokens. leave must be called after the call. It gives up at once
// where the deadline, if there is one, would pass during a pause.
func (g *gate) enter(ctx context.Context, tokens int, deadline time.Time) (leave func(), err error) {
	if err := g.requests.Wait(ctx); err != nil {
		return nil, waited(ctx, err)
	}
	if b := g.tokens.Burst(); tokens > b {
		tokens = b
	}
	if err := g.tokens.WaitN(ctx, tokens); err != nil {
		return nil, waited(ctx, err)
	}
	for {
		select {
		case g.slots <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		rest := g.rest()
		if rest <= 0 {
			return sync.OnceFunc(func() { <-g.slots }), nil
		}
		<-g.slots
		if !deadline.IsZero() && time.Now().Add(rest).After(deadline) {
			return nil, fmt.Errorf("%w: the endpoint asked for a pause of %s, longer than the deadline", ErrTemporary, rest.Round(time.Millisecond))
		}
		if err := sleep(ctx, rest); err != nil {
			return nil, err
		}
	}
}

func waited(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: %w", ErrTemporary, err) // the context's deadline is nearer than the turn
}

// pause stops all calls until a time.
func (g *gate) pause(until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if until.After(g.paused) {
		g.paused = until
	}
}

func (g *gate) rest() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return time.Until(g.paused)
}
