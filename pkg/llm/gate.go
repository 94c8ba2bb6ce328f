package llm

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// gate limits what this process asks of one endpoint: calls at once, requests and tokens a minute, a pause that a
// server's refusal puts on all calls, and how much is sent again. It learns the limits from what the endpoint says and
// does. Clients of the same endpoint share it; the first one's limits hold.
type gate struct {
	key   string
	users int
	most  int           // calls at once
	turn  chan struct{} // held by the one who is next; others queue, first come, first served
	freed chan struct{} // tells the one who is next that something has changed

	mu       sync.Mutex
	limit    float64 // calls at once now, 1 to most: one until the first answer, so that it finds out what the endpoint takes and warms its cache
	answered bool
	busy     int
	asked    int // tokens that the calls in flight may need
	requests pace
	tokens   pace
	paused   time.Time // no call is sent before
	spare    float64   // what may be sent again at once
	sparedAt time.Time
	outage   outage
	hours    busyTime
	others   []chan struct{} // as freed, of clients with several endpoints
}

// gates are those of the endpoints in use. They are the process's because its limits are.
var gates = struct {
	sync.Mutex
	open map[string]*gate
}{open: map[string]*gate{}}

// openGate opens the gate of an endpoint. freed, if not nil, is told whenever a call has ended there.
func openGate(key string, inFlight, rpm, tpm int, freed chan struct{}) *gate {
	gates.Lock()
	defer gates.Unlock()
	g := gates.open[key]
	if g == nil {
		g = &gate{key: key, most: inFlight, limit: 1, turn: make(chan struct{}, 1), freed: make(chan struct{}, 1),
			requests: pace{own: float64(rpm)}, tokens: pace{own: float64(tpm)}, spare: float64(inFlight)}
		gates.open[key] = g
	}
	g.users++
	if freed != nil {
		g.mu.Lock()
		g.others = append(g.others, freed)
		g.mu.Unlock()
	}
	return g
}

// close is given what openGate was.
func (g *gate) close(freed chan struct{}) {
	gates.Lock()
	defer gates.Unlock()
	g.mu.Lock()
	g.others = slices.DeleteFunc(g.others, func(c chan struct{}) bool { return c == freed })
	g.mu.Unlock()
	if g.users--; g.users == 0 {
		delete(gates.open, g.key)
	}
}

// enter waits for a turn of a call that may need these tokens. leave must be called after it, with what came back or nil.
// It gives up at once where the deadline, if there is one, would pass during a pause.
func (g *gate) enter(ctx context.Context, tokens int, deadline time.Time) (leave func(*exchange), err error) {
	select {
	case g.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-g.turn }()
	for {
		wait, paused, ok := g.take(tokens, time.Now())
		switch {
		case ok:
			return func(x *exchange) { g.leave(tokens, x, time.Now()) }, nil
		case !deadline.IsZero() && time.Now().Add(paused).After(deadline):
			return nil, fmt.Errorf("%w: the endpoint asked for a pause of %s, longer than the deadline", ErrTemporary, paused.Round(time.Millisecond))
		}
		if err := await(ctx, wait, g.freed); err != nil {
			return nil, err
		}
	}
}

// await waits so long, or until something has changed.
func await(ctx context.Context, d time.Duration, freed <-chan struct{}) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-freed:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// take takes a turn, or says how long there will be none, and what part of that the endpoint has asked for.
func (g *gate) take(tokens int, now time.Time) (wait, paused time.Duration, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if float64(g.busy)+1 > g.limit && g.busy > 0 {
		return time.Hour, 0, false
	}
	paused = max(g.paused.Sub(now), g.requests.dry(1, now), g.tokens.dry(float64(tokens), now))
	if wait = max(paused, g.requests.wait(now), g.tokens.wait(now)); wait > 0 {
		return wait, paused, false
	}
	g.busy++
	g.asked += tokens
	g.requests.take(1)
	g.tokens.take(float64(tokens))
	return 0, 0, true
}

// leave ends a call and learns from it. A refusal that says "too much", or no answer at all, takes half a call from the
// limit, and an answer gives its share of one: a round that is refused halves it, a round of answers adds one (additive
// increase, multiplicative decrease by the refused share: Alizadeh et al., "Data Center TCP", SIGCOMM 2010).
func (g *gate) leave(tokens int, x *exchange, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.busy--
	g.asked -= tokens
	if x != nil && x.status/100 == 2 {
		g.outage = outage{}
	}
	switch {
	case x == nil:
	case x.status/100 == 2 && !g.answered:
		g.answered, g.limit = true, float64(g.most)
	case x.status/100 == 2:
		g.limit = min(float64(g.most), g.limit+1/g.limit)
		g.spare = min(g.reserve(), g.spare+1)
	case x.status == 0 && x.left, tooMuch(x.status):
		g.limit = max(1, g.limit-0.5)
	}
	if x != nil && x.status > 0 {
		g.requests.learn(x.header, ofRequests, float64(g.busy), now)
		g.tokens.learn(x.header, ofTokens, float64(g.asked), now)
		if tooMuch(x.status) {
			if after := retryAfter(x.header, now); after > 0 { // names the time itself: a reset is when all is there again
				g.requests.soonest(now.Add(after))
				g.tokens.soonest(now.Add(after))
			}
		}
	}
	ring(g.freed)
	for _, freed := range g.others {
		ring(freed)
	}
}

// ring tells whoever waits, or the next who will.
func ring(freed chan<- struct{}) {
	select {
	case freed <- struct{}{}:
	default:
	}
}

// tooMuch says whether a status asks for less: of everybody, not of one report.
func tooMuch(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable || status == 529 // Anthropic's "overloaded"
}

// pause stops all calls until a time.
func (g *gate) pause(until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if until.After(g.paused) {
		g.paused = until
	}
}

// again is how long something that failed must wait to be sent again, so that a broken endpoint is not stormed: as much is
// sent again as was answered, and what goes beyond a reserve once a second.
func (g *gate) again(now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.sparedAt.IsZero() {
		g.spare = min(g.reserve(), g.spare+now.Sub(g.sparedAt).Seconds())
	}
	g.spare, g.sparedAt = g.spare-1, now
	return max(0, time.Duration(-g.spare*float64(time.Second)))
}

// reserve is a retry for each call that may be in flight: one hiccup of the endpoint holds nobody up.
func (g *gate) reserve() float64 { return float64(max(g.most, 10)) }
