package llm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// endpoint is a server that calls go to, and what this client knows of it. What the process knows of it is its gate's.
type endpoint struct {
	site       site
	http       http.RoundTripper
	chat       *http.Request // each call is a copy of it; nil: the model takes no chat completions
	embeddings *http.Request // likewise
	gate       *gate
	habits     habits
	met        atomic.Bool               // it has answered, whatever it said
	noted      atomic.Bool               // that it was left out
	said       atomic.Pointer[[2]string] // what it named as model and fingerprint last
	called     map[[2]string]bool        // all of those; under the client's lock

	busy int     // calls of this client; with tag under the lock of endpoints
	tag  float64 // when its next call is due, in calls for each unit of weight
}

// endpoints are the servers of one client. They hold the same model: whichever answers, it is that model's answer.
//
// Calls go to them in proportion to their weights, and as many at once too, so that a slow one holds up its own share
// alone; where one takes less than its share, others get the rest. The order is that of start-time fair queueing (Goyal,
// Vin, Cheng, SIGCOMM 1996): what could not be given to one for a while is not made up for.
type endpoints struct {
	all   []*endpoint
	most  int           // calls at once, to all together
	turn  chan struct{} // as a gate's, and the next
	freed chan struct{}

	mu   sync.Mutex
	busy int
	tag  float64 // of the call that was given last
}

// enter waits for a turn at one of them, as a gate's does. It avoids those where the call has failed just now.
func (s *endpoints) enter(ctx context.Context, tokens int, deadline time.Time, failed []*endpoint) (e *endpoint, leave func(*exchange), err error) {
	if len(s.all) == 1 {
		e = s.all[0]
		leave, err = e.gate.enter(ctx, tokens, deadline)
		return e, leave, err
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	defer func() { <-s.turn }()
	for {
		e, wait, paused := s.take(tokens, failed, time.Now())
		if e != nil {
			return e, func(x *exchange) { s.leave(e, tokens, x) }, nil
		}
		switch no := s.refusal(); {
		case no != nil:
			return nil, nil, no
		case !deadline.IsZero() && time.Now().Add(paused).After(deadline):
			return nil, nil, fmt.Errorf("%w: the endpoints asked for a pause of %s, longer than the deadline", ErrTemporary, paused.Round(time.Millisecond))
		}
		if err := await(ctx, wait, s.freed); err != nil {
			return nil, nil, err
		}
	}
}

// rank is how willingly a call is given to an endpoint. Beyond overShare, one is asked only where all of better rank have
// asked for a pause, and do not merely have enough to do.
type rank int

const (
	inShare   rank = iota
	overShare      // it has its share of the calls under way
	spare          // its weight is 0
	failedAt       // this call has just failed there
	leftOut        // several have
	refuses        // it refuses every call: never
)

// take takes a turn at the best endpoint that has one, or says how long none will, and what part of that they have asked
// for.
func (s *endpoints) take(tokens int, failed []*endpoint, now time.Time) (given *endpoint, wait, paused time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if wait = time.Hour; s.busy >= s.most {
		return nil, wait, 0
	}
	ranks, order := s.rank(failed, now), slices.Clone(s.all)
	slices.SortStableFunc(order, func(a, b *endpoint) int {
		return cmp.Or(cmp.Compare(ranks[a], ranks[b]), cmp.Compare(max(a.tag, s.tag), max(b.tag, s.tag)))
	})
	paused, enough := time.Hour, refuses
	for _, e := range order {
		if ranks[e] > max(enough, overShare) || ranks[e] == refuses {
			break
		}
		w, p, ok := e.gate.take(tokens, now)
		if ok {
			s.busy++
			e.busy++
			s.tag = max(s.tag, e.tag)
			e.tag = s.tag + 1/float64(max(e.site.weight, 1))
			return e, 0, 0
		}
		if wait, paused = min(wait, w), min(paused, p); p == 0 && !e.gate.onTrial() {
			enough = min(enough, ranks[e])
		}
	}
	for _, e := range s.all {
		if out := e.gate.outFor(now); out > 0 {
			wait = min(wait, out)
		}
	}
	return nil, wait, paused
}

// rank ranks them for a call.
func (s *endpoints) rank(failed []*endpoint, now time.Time) map[*endpoint]rank {
	all, weights := make(map[*endpoint]rank, len(s.all)), 0
	for _, e := range s.all {
		if e.gate.outFor(now) == 0 {
			weights += e.site.weight
		}
	}
	for _, e := range s.all {
		switch {
		case e.gate.outFor(now) > 0 && errors.Is(e.gate.why(), ErrProvider):
			all[e] = refuses
		case e.gate.outFor(now) > 0:
			all[e] = leftOut
		case slices.Contains(failed, e):
			all[e] = failedAt
		case e.site.weight == 0:
			all[e] = spare
		case e.busy > 0 && e.busy*weights >= s.most*e.site.weight:
			all[e] = overShare
		}
	}
	return all
}

func (s *endpoints) leave(e *endpoint, tokens int, x *exchange) {
	s.mu.Lock()
	s.busy--
	e.busy--
	s.mu.Unlock()
	e.gate.leave(tokens, x, time.Now()) // which tells whoever waits
}

// elsewhere says whether a call that failed at some can go to another one now.
func (s *endpoints) elsewhere(failed []*endpoint, now time.Time) bool {
	return slices.ContainsFunc(s.all, func(e *endpoint) bool {
		return !slices.Contains(failed, e) && e.gate.outFor(now) == 0 && e.gate.pausedFor(now) == 0
	})
}

// drop leaves one out that refuses a call as it would every other. It is an error where that is all of them, or where the
// fault is not the endpoint's.
func (s *endpoints) drop(e *endpoint, why error, now time.Time) (out bool, err error) {
	if len(s.all) == 1 || !errors.Is(why, ErrProvider) {
		return false, why
	}
	return e.gate.strike(why, now), s.refusal()
}

// refusal is an error where each of them refuses every call.
func (s *endpoints) refusal() error {
	var all []string
	for _, e := range s.all {
		no := e.gate.why()
		if !errors.Is(no, ErrProvider) {
			return nil
		}
		all = append(all, strings.TrimPrefix(no.Error(), ErrProvider.Error()+": "))
	}
	return fmt.Errorf("%w: %s", ErrProvider, strings.Join(all, "; "))
}

const (
	strikes     = 5 // failures without an answer between: by chance, at 5 % failures, once in 3 million calls
	shortestOut = 15 * time.Second
	longestOut  = 10 * time.Minute
)

// outage is of an endpoint that is left out while there are others. It begins anew with an answer.
type outage struct {
	strikes int
	until   time.Time
	lasts   time.Duration // doubles each time
	why     error
}

// strike counts a failure, and leaves the endpoint out from the last one on: an ErrProvider needs no second. It says
// whether this was it. When the time is over, one call finds out how the endpoint is.
func (g *gate) strike(why error, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	o := &g.outage
	if o.strikes++; o.strikes < strikes && !errors.Is(why, ErrProvider) {
		return false
	}
	if o.why = why; now.Before(o.until) {
		return false
	}
	o.lasts = min(longestOut, max(shortestOut, 2*o.lasts))
	o.until = now.Add(o.lasts)
	g.answered, g.limit = false, 1
	return true
}

// outFor is how long the endpoint is still left out.
func (g *gate) outFor(now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return max(0, g.outage.until.Sub(now))
}

// why is why the endpoint was left out; nil: it has answered since, or never was.
func (g *gate) why() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.outage.why
}

func (g *gate) onTrial() bool { return g.why() != nil }

// pausedFor is what is left of a pause that the endpoint has asked for.
func (g *gate) pausedFor(now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return max(0, g.paused.Sub(now))
}
