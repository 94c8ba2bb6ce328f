package llm

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"silverbeam/pkg/ledger"
	"silverbeam/pkg/taxonomy"
)

// Canaries are made-up reports that a long run asks about again and again, to see whether the model is still the one that
// goes by its name. Their answers are no report's: they stand in the store under identities of their own, and their calls
// in the book under a step of their own.
//
//go:embed canaries.txt
var canaryTexts string

// CanaryStep is the step that canaries are booked under, outside any batch.
const CanaryStep = "canary"

const (
	canaryFirst = 2_000  // calls of a run before its first canaries: a small run asks none
	canaryEvery = 10_000 // calls between: two batches of rows, and 8 calls for them
	canarySoon  = 500    // calls at least between, where answers come from another model or configuration
	canaryKept  = 20     // askings that the store keeps, to know how a model's answers vary
	canaryNote  = 1e-4   // a chance less than this is told, ...
	canaryStop  = 1e-6   // ... and less than this in half the texts or more stops the run. A million reports ask 100 times
)

// canaries are those of one client.
type canaries struct {
	every   int64 // 0: none are asked
	next    atomic.Int64
	soonest atomic.Int64
	changed atomic.Bool

	mu       sync.Mutex // held by the one who asks; of all below
	first    [][]taxonomy.Label
	n        int // askings, with those of earlier runs
	compared int // labels of askings after the first
	differed int // of them, from the first
	told     bool
}

// start says when they are asked: every so many calls; 0: by default, which is never of an endpoint that is a
// stand-in; below 0: never.
func (k *canaries) start(every int, s site) {
	switch k.every = int64(every); {
	case every < 0 || every == 0 && (s.local || s.fake != nil):
		k.every = 0
	case every == 0:
		k.every = canaryEvery
		k.next.Store(canaryFirst)
		k.soonest.Store(canaryFirst)
	}
}

// heard notes what an endpoint says that it is. Another configuration asks the canaries; another model is told, too.
func (c *Client) heard(e *endpoint, o ledger.Outcome) {
	now := [2]string{o.ModelSeen, o.Print}
	if was := e.said.Load(); o.Kind != ledger.Answered || was != nil && *was == now {
		return
	}
	c.mu.Lock()
	first, named := len(e.called) == 0, false
	for k := range e.called {
		named = named || k[0] == now[0]
	}
	known := e.called[now]
	if e.called == nil {
		e.called = map[[2]string]bool{}
	}
	e.called[now] = true
	c.mu.Unlock()
	e.said.Store(&now)
	if first || known {
		return
	}
	c.canary.changed.Store(true)
	if !named && e.site.fake == nil {
		c.note("%s answers as %s since %s, and did as another before", e.site.host, cmp.Or(now[0], "no model"), time.Now().UTC().Format(time.TimeOnly))
	}
}

// tryCanaries asks them after the n-th call of the run, if it is time to.
func (c *Client) tryCanaries(ctx context.Context, n int64) error {
	k := &c.canary
	if k.every == 0 || n < k.next.Load() && (!k.changed.Load() || n < k.soonest.Load()) || !k.mu.TryLock() {
		return nil
	}
	defer k.mu.Unlock()
	k.changed.Store(false)
	k.next.Store(n + k.every)
	k.soonest.Store(n + min(k.every, canarySoon))
	if k.n == 0 {
		if err := c.recall(); err != nil {
			return err
		}
	}
	again := k.n == 0 // the very first time they are asked twice: how the model's answers vary must be known
	err := c.askCanaries(ctx)
	if err == nil && again {
		err = c.askCanaries(ctx)
	}
	return err
}

func (k *canaries) texts() []string { return strings.Split(strings.TrimSpace(canaryTexts), "\n\n") }

func (c *Client) canaryID(text string, asking int) ledger.Identity {
	return c.store.Identity(append([]string{"canary", strconv.Itoa(asking), text}, c.asks.rest...)...)
}

// recall takes the askings of earlier runs from the store.
func (c *Client) recall() error {
	for c.canary.n < canaryKept {
		var all [][]taxonomy.Label
		found := false
		for _, text := range c.canary.texts() {
			answers, err := c.store.Get(c.canaryID(text, c.canary.n))
			if err != nil {
				return err
			}
			labels := c.asks.whole(answers)
			all, found = append(all, labels), found || labels != nil
		}
		if !found {
			return nil
		}
		c.canary.add(all)
	}
	return nil
}

// whole are the labels of all findings; nil: some has none.
func (q question) whole(answers []ledger.Answer) []taxonomy.Label {
	a, missing := q.pick(answers, q.all)
	if len(missing) > 0 {
		return nil
	}
	return a.Labels
}

// add takes an asking whose answers are the model's as it is known.
func (k *canaries) add(all [][]taxonomy.Label) {
	if k.n++; k.n == 1 {
		k.first = all
		return
	}
	compared, differed, _, _ := k.compare(all)
	k.compared, k.differed = k.compared+compared, k.differed+differed
}

// compare counts labels, and texts that were answered both times, and those that are not as the first time.
func (k *canaries) compare(all [][]taxonomy.Label) (labels, otherLabels, texts, otherTexts int) {
	for i, now := range all {
		if now == nil || k.first[i] == nil {
			continue
		}
		before := otherLabels
		for f := range now {
			if labels++; now[f].State != k.first[i][f].State {
				otherLabels++
			}
		}
		if texts++; otherLabels > before {
			otherTexts++
		}
	}
	return labels, otherLabels, texts, otherTexts
}

// askCanaries asks them once, and holds the answers against those before.
func (c *Client) askCanaries(ctx context.Context) error {
	k := &c.canary
	of := k.texts()
	all, got := make([][]taxonomy.Label, len(of)), make([][]ledger.Answer, len(of))
	err := together(of, func(i int, text string) (err error) {
		call := c.store.Identity("canary call", text, fmt.Sprint(rand.Uint64())) // each asking is a call of its own
		in := ledger.Intent{Step: CanaryStep, Study: fmt.Sprint("canary-", i+1), Identity: call, Findings: c.asks.ids(c.asks.all),
			Model: c.o.Model, PriceID: c.price.ID, CapPico: c.o.MaxCostPico}
		got[i], err = c.ask(context.WithValue(ctx, removedKey{}, Removed(nil)), in, c.asks.all, user(c.canaryID(text, 0), normalise(text)), 0) // nobody's: nothing to remove
		if all[i] = c.asks.whole(got[i]); errors.As(err, new(Refusal)) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("canary texts: %w", err)
	}
	labels, others, texts, otherTexts := 0, 0, 0, 0
	p := 1.0
	if k.n > 1 {
		labels, others, texts, otherTexts = k.compare(all)
		p = atLeast(others, labels, k.differed+others, k.compared+labels)
	}
	said := fmt.Sprintf("it answers %d of %d labels of the canary texts otherwise than at first, where %d of %d did before", others, labels, k.differed, k.compared)
	switch {
	case p < canaryStop && otherTexts*2 >= texts:
		return c.halt(fmt.Errorf("%w: %s: %s", ErrChanged, c.o.Model, said))
	case p < canaryNote && otherTexts > 1:
		if !k.told {
			c.note("%s may have changed by %s: %s", c.o.Model, time.Now().UTC().Format(time.TimeOnly), said)
		}
		k.told = true
		return nil
	}
	if k.n < canaryKept {
		err = together(of, func(i int, text string) (err error) {
			for _, a := range got[i] {
				err = errors.Join(err, c.store.Put(c.canaryID(text, k.n), a))
			}
			return err
		})
	}
	if err != nil {
		return err
	}
	k.add(all)
	return nil
}

// together does something with all texts at once.
func together(texts []string, do func(i int, text string) error) error {
	errs := make([]error, len(texts))
	var wg sync.WaitGroup
	for i, text := range texts {
		wg.Go(func() { errs[i] = do(i, text) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// atLeast is the chance that of n balls drawn from total, marked of which are marked, k or more are (the hypergeometric
// distribution: Fisher's exact test, one-sided).
func atLeast(k, n, marked, total int) (p float64) {
	choose := func(n, k int) float64 {
		a, _ := math.Lgamma(float64(n + 1))
		b, _ := math.Lgamma(float64(k + 1))
		c, _ := math.Lgamma(float64(n - k + 1))
		return a - b - c
	}
	for i := max(k, n-(total-marked), 0); i <= min(n, marked); i++ {
		p += math.Exp(choose(marked, i) + choose(total-marked, n-i) - choose(total, n))
	}
	return min(p, 1)
}
