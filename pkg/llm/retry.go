package llm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"silverbeam/pkg/ledger"
)

const (
	maxAsks     = 3                      // further asks after an answer that does not validate
	maxChanges  = 12                     // requests that only teach what the endpoint takes
	firstWait   = 500 * time.Millisecond // doubles with every failure, as the vendor's own client does
	longestWait = time.Minute
)

// ask sends one report until it has answers to the findings, or a reason to give up; answers to some of them come with the
// error. Where an answer is right but for some findings, those alone are asked for again. The book has every attempt, on
// the disk when it returns.
// body is the user's message; asks counts the answers before that did not validate.
func (c *Client) ask(ctx context.Context, in ledger.Intent, missing []int, body string, asks int) (answers []ledger.Answer, err error) {
	defer func() {
		if no := c.book.Sync(); no != nil {
			c.end(no)
			answers, err = nil, errors.Join(err, no)
		}
	}()
	err = c.retry(ctx, asks, func(ask int, failed []*endpoint, deadline *time.Time) (*endpoint, verdict, error) {
		e, v, err := c.attempt(ctx, &in, c.prompts.of(missing), body, ask, failed, deadline)
		if err == nil && len(v.good) > 0 {
			answers = append(answers, ledger.Answer{Findings: c.asks.ids(v.good), Labels: v.labels, Model: c.o.Model, CostPico: known(v.outcome.CostPico), Run: c.book.Run()})
			missing = slices.DeleteFunc(slices.Clone(missing), func(i int) bool { return slices.Contains(v.good, i) })
		}
		return e, v, err
	})
	return answers, err
}

// retry makes attempts until one is done, or gives a reason to give up. Each is told how many answers before did not validate, at which
// endpoints the call has failed since it last waited, and its deadline, which runs from the first attempt: waiting for a turn is nobody's
// fault.
//
// It is a loop of its own and not a library's retry policy: attempts of four kinds follow different counts, share one
// deadline and one cooldown, and each is booked before and after.
func (c *Client) retry(ctx context.Context, asks int, attempt func(ask int, failed []*endpoint, deadline *time.Time) (*endpoint, verdict, error)) error {
	var deadline time.Time
	changes, failures := 0, 0
	var failed []*endpoint
	for {
		e, v, err := attempt(asks, failed, &deadline)
		if err != nil {
			return err
		}
		switch v.next {
		case done:
			return nil
		case leave:
			return v.err
		case again:
			if asks++; asks > maxAsks {
				return v.err
			}
		case adapt:
			if changes++; changes > maxChanges*len(c.ends.all) {
				return v.err
			}
		case repeat:
			failures++
			failed = append(failed, e)
			waited, err := c.rest(ctx, v, failed, failures, deadline)
			if err != nil {
				return err
			}
			if waited {
				failed = nil
			}
		}
	}
}

func known(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}

// attempt books the intent, waits for its turn at an endpoint, sends, books the outcome. Its turn lasts until the outcome
// would outlive this process: of calls that a killed one had to repeat there are never more than may be in flight.
func (c *Client) attempt(ctx context.Context, in *ledger.Intent, p *prompt, body string, ask int, failed []*endpoint, deadline *time.Time) (e *endpoint, v verdict, err error) {
	id, modes, err := c.begin(ctx, in, p, body)
	if err != nil {
		return nil, v, err
	}
	bytes := p.bytes[modes[0]] + len(body)
	e, leave, err := c.ends.enter(ctx, c.meter.expect(bytes)+int(p.maxTokens), *deadline, failed) // vendors count the bound, not the answer
	<-c.waiting
	if err != nil {
		return e, v, errors.Join(err, c.book.Settle(id, *in, unsent))
	}
	used := e.habits.get()
	if used.mode != modes[slices.Index(c.ends.all, e)] { // learned while this one waited: what is reserved may be too little
		leave(nil)
		if err := c.book.Settle(id, *in, unsent); err != nil {
			return e, v, err
		}
		return c.attempt(ctx, in, p, body, ask, failed, deadline)
	}
	bytes = p.bytes[used.mode] + len(body)
	var x *exchange
	defer func() { leave(x) }()
	if deadline.IsZero() {
		*deadline = time.Now().Add(c.o.Deadline)
	}
	key, err := c.key.get(ctx)
	if err = errors.Join(c.halted(), c.halt(err)); err != nil {
		return e, v, errors.Join(err, c.book.Settle(id, *in, unsent))
	}
	sent := time.Now()
	e.gate.hours.begin()
	x = c.send(context.WithoutCancel(ctx), e, key, used, p, body, ask) // whoever is called off, this call is paid for
	share, alone := e.gate.hours.end()
	v, err = c.judge(ctx, x, p, used)
	if c.price.Hour > 0 && err == nil {
		v.outcome.CostPico, err = c.hours.book(c.price, share, in.ReservePico, v.outcome.Kind == ledger.Unsent, alone)
	}
	c.heard(e, v.outcome)
	if u := v.outcome.Usage; u != nil && x.status < 300 {
		c.meter.learn(p, used.mode, bytes, u.Input)
	}
	in.Findings, v.outcome.Sent = c.asks.ids(v.good), sent
	if no := c.book.Settle(id, *in, v.outcome); no != nil { // who waits for a turn has an intent in the book: his call would be one more to repeat
		c.end(no)
		err = errors.Join(err, no)
	}
	if err == nil && v.next == stop { // while its turn lasts: the next one would be refused too
		err = c.halt(c.leaveOut(e, v.err))
	}
	return e, v, err
}

// begin books an intent, with a reservation that holds whichever endpoint gets the call, asked in these modes.
func (c *Client) begin(ctx context.Context, in *ledger.Intent, p *prompt, body string) (attempt int64, modes []mode, err error) {
	var most int64
	for _, e := range c.ends.all {
		m := e.habits.get().mode
		modes = append(modes, m)
		most = max(most, c.meter.bound(p, m, p.bytes[m]+len(body), len(body)))
	}
	in.Findings = c.asks.ids(p.asked)
	attempt, err = c.reserve(ctx, in, most, p.maxTokens)
	return attempt, modes, err
}

// reserve books an intent, with the worst that so many tokens can cost. Few wait for their turn with a reservation, so that a
// killed process leaves few: whoever has his turn takes himself off waiting.
func (c *Client) reserve(ctx context.Context, in *ledger.Intent, input, output int64) (attempt int64, err error) {
	if err := c.halted(); err != nil {
		return 0, err
	}
	if in.ReservePico, err = c.price.Worst(input, output); err != nil {
		return 0, fmt.Errorf("llm: %w", err)
	}
	if c.price.Hour > 0 {
		if in.ReservePico, err = c.price.Over(c.o.Timeout + time.Second); err != nil { // and what reading an answer takes
			return 0, fmt.Errorf("llm: %w", err)
		}
	}
	select {
	case c.waiting <- struct{}{}: // though it was called off: where the budget is used up, each call says so
	default:
		select {
		case c.waiting <- struct{}{}:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	if attempt, err = c.book.Begin(ctx, *in); err != nil {
		<-c.waiting
	}
	return attempt, err
}

// unsent is the outcome of an attempt that did not get its turn.
var unsent = ledger.Outcome{Kind: ledger.Unsent, CostPico: new(int64)}

// rest waits before a request is sent again: a random share of a bound that doubles (full jitter: Brooker, "Exponential
// Backoff and Jitter", AWS Architecture Blog, 2015). Where the server says how long, it waits that and not much longer:
// a tenth, or what the failures so far ask for, sixteen times less. It goes to another endpoint at once, and waits when
// it has failed at all that can be asked.
func (c *Client) rest(ctx context.Context, v verdict, failed []*endpoint, failures int, deadline time.Time) (waited bool, err error) {
	e := failed[len(failed)-1]
	now, many := time.Now(), len(c.ends.all) > 1
	if many && (v.outcome.Status == 0 || v.outcome.Status >= 500) {
		c.struck(e, e.gate.strike(v.err, now), v.err)
	}
	if many && c.ends.elsewhere(failed, now) && now.Before(deadline) {
		return false, nil
	}
	bound, wait := min(longestWait, firstWait<<min((failures-1)/len(c.ends.all), 10)), v.wait
	switch {
	case many:
		wait = 0 // the gates keep to it, of those that asked for it
	case wait > 0:
		bound = max(wait/10, bound/16)
	}
	wait += c.jitter(bound)
	for _, e := range failed {
		wait = max(wait, e.gate.again(now))
	}
	if now.Add(wait).After(deadline) {
		return false, fmt.Errorf("%w: %w after %d tries in %s", ErrTemporary, v.err, failures, c.o.Deadline)
	}
	return true, sleep(ctx, wait)
}

// leaveOut goes on without an endpoint that refuses every call, if there are others.
func (c *Client) leaveOut(e *endpoint, why error) error {
	out, err := c.ends.drop(e, why, time.Now())
	c.struck(e, out, why)
	return err
}

// struck notes an endpoint that is left out, the first time.
func (c *Client) struck(e *endpoint, out bool, why error) {
	if out && !e.noted.Swap(true) {
		c.note("%s is left out since %s, and the others get its calls: %v", e.site.name(), time.Now().UTC().Format(time.TimeOnly), why)
	}
}

func (c *Client) note(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.notes = append(c.notes, fmt.Sprintf(format, args...))
}

// Notes are what whoever keeps the run should know, in the order it was found.
func (c *Client) Notes() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.notes)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// retryAfter reads how long a server wants to be left alone: milliseconds, seconds, or a date (RFC 9110, 10.2.3), which
// is one of the server's own clock. 0: it did not say.
func retryAfter(h http.Header, now time.Time) time.Duration {
	if ms, err := strconv.ParseFloat(strings.TrimSpace(h.Get("retry-after-ms")), 64); err == nil && ms >= 0 {
		return duration(ms / 1000)
	}
	text := strings.TrimSpace(h.Get("retry-after"))
	if s, err := strconv.ParseFloat(text, 64); err == nil && s >= 0 {
		return duration(s)
	}
	if theirs, err := http.ParseTime(h.Get("date")); err == nil {
		now = theirs // whole seconds, rounded down: the wait is at most one too long
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

func duration(seconds float64) time.Duration {
	const year = 365 * 24 * 3600
	return time.Duration(min(seconds, year) * float64(time.Second))
}

// halt remembers an error of the provider, so that no other report is sent to meet it again.
func (c *Client) halt(err error) error {
	if errors.Is(err, ErrProvider) {
		c.end(err)
	}
	return err
}

// end has nothing sent any more, for the first reason that it is given.
func (c *Client) end(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken == nil {
		c.broken = why
	}
}

func (c *Client) halted() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.broken
}
