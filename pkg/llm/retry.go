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
// error. Where an answer is right but for some findings, those alone are asked for again. The book has every attempt.
// asks counts the answers before that did not validate.
//
// It is a loop of its own and not a library's retry policy: attempts of four kinds follow different counts, share one
// deadline and one cooldown, and each is booked before and after.
func (c *Client) ask(ctx context.Context, in ledger.Intent, missing []int, text string, asks int) (answers []ledger.Answer, err error) {
	var deadline time.Time // runs from the first attempt: waiting for a turn is nobody's fault
	body := user(in.Identity, text)
	changes, failures := 0, 0
	for {
		used := c.habits.get()
		v, err := c.attempt(ctx, &in, c.prompts.of(missing), used, body, asks, &deadline)
		if err != nil {
			return answers, err
		}
		if len(v.good) > 0 {
			answers = append(answers, ledger.Answer{Findings: c.asks.ids(v.good), Labels: v.labels, Model: c.o.Model, CostPico: known(v.outcome.CostPico)})
			missing = slices.DeleteFunc(slices.Clone(missing), func(i int) bool { return slices.Contains(v.good, i) })
		}
		switch v.next {
		case done:
			return answers, nil
		case leave:
			return answers, v.err
		case stop:
			return answers, c.halt(v.err)
		case again:
			if asks++; asks > maxAsks {
				return answers, v.err
			}
		case adapt:
			if changes++; changes > maxChanges {
				return answers, v.err
			}
		case repeat:
			failures++
			if err := c.rest(ctx, v, failures, deadline); err != nil {
				return answers, err
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

// attempt waits for its turn, books the intent, sends, books the outcome.
func (c *Client) attempt(ctx context.Context, in *ledger.Intent, p *prompt, used habit, body string, ask int, deadline *time.Time) (v verdict, err error) {
	if err := c.halted(); err != nil {
		return v, err
	}
	bytes := p.bytes[used.mode] + len(body)
	leave, err := c.gate.enter(ctx, c.meter.expect(bytes)+int(p.maxTokens), *deadline) // vendors count the bound, not the answer
	if err != nil {
		return v, err
	}
	var x *exchange
	defer func() { leave(x) }()
	if deadline.IsZero() {
		*deadline = time.Now().Add(c.o.Deadline)
	}
	if in.ReservePico, err = c.price.Worst(c.meter.bound(p, used.mode, bytes, len(body)), p.maxTokens); err != nil {
		return v, fmt.Errorf("llm: %w", err)
	}
	in.Findings = c.asks.ids(p.asked)
	key, err := c.key.get(ctx)
	if err != nil {
		return v, c.halt(err)
	}
	id, err := c.book.Begin(ctx, *in)
	if err != nil {
		return v, err
	}
	x = c.send(context.WithoutCancel(ctx), key, used, p, body, ask) // whoever is called off, this call is paid for
	v, err = c.judge(ctx, x, p, used)
	if u := v.outcome.Usage; u != nil && x.status < 300 {
		c.meter.learn(p, used.mode, bytes, u.Input)
	}
	in.Findings = c.asks.ids(v.good)
	return v, errors.Join(err, c.book.Settle(id, *in, v.outcome))
}

// rest waits before a request is sent again: a random share of a bound that doubles (full jitter: Brooker, "Exponential
// Backoff and Jitter", AWS Architecture Blog, 2015). Where the server says how long, it waits that and not much longer:
// a tenth, or what the failures so far ask for, sixteen times less.
func (c *Client) rest(ctx context.Context, v verdict, failures int, deadline time.Time) error {
	bound := min(longestWait, firstWait<<min(failures-1, 10))
	if v.wait > 0 {
		bound = max(v.wait/10, bound/16)
	}
	now := time.Now()
	c.gate.pause(now.Add(v.wait)) // whoever's call it was, the endpoint wants to be left alone
	wait := max(v.wait+c.jitter(bound), c.gate.again(now))
	if now.Add(wait).After(deadline) {
		return fmt.Errorf("%w: %w after %d tries in %s", ErrTemporary, v.err, failures, c.o.Deadline)
	}
	return sleep(ctx, wait)
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
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken == nil && errors.Is(err, ErrProvider) {
		c.broken = err
	}
	return err
}

func (c *Client) halted() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.broken
}
