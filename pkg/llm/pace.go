package llm

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// pace is how fast an endpoint takes requests, or tokens. What it says is left is spent evenly until all of it is there
// again: a bucket that refills all the time settles half full, where it neither overflows nor runs dry, and the allowance
// of a fixed window lasts to its end.
type pace struct {
	own   float64   // a minute, as the user says; 0: no limit
	limit float64   // a minute, as the endpoint says; 0: it does not say
	left  float64   // of what the endpoint allows
	whole time.Time // when all of that is there again

	owed float64 // taken and not yet passed; below 0: not yet taken
	at   time.Time
}

// rate is what may be taken a second.
func (p *pace) rate(now time.Time) float64 {
	r := math.Inf(1)
	if p.own > 0 {
		r = p.own / 60
	}
	switch rest := p.whole.Sub(now).Seconds(); {
	case rest > 0:
		return min(r, p.left/rest)
	case p.limit > 0:
		return min(r, p.limit/60)
	}
	return r
}

// dry is how long the endpoint will have less than n to give.
func (p *pace) dry(n float64, now time.Time) time.Duration {
	if p.left >= min(n, p.limit) {
		return 0
	}
	return max(0, p.whole.Sub(now))
}

// wait is how long nothing may be taken. A second's worth that was not taken is not lost.
func (p *pace) wait(now time.Time) time.Duration {
	r := p.rate(now)
	if math.IsInf(r, 1) {
		p.owed, p.at = 0, now
		return 0
	}
	if slack := max(1, r); p.at.IsZero() {
		p.owed = -slack
	} else {
		p.owed = max(-slack, p.owed-r*now.Sub(p.at).Seconds())
	}
	p.at = now
	switch seconds := p.owed / r; {
	case p.owed <= 0:
		return 0
	case seconds > 3600: // or there is nothing to take
		return time.Hour
	default:
		return time.Duration(math.Ceil(seconds * float64(time.Second)))
	}
}

// take follows a wait of 0.
func (p *pace) take(n float64) {
	p.owed += n
	p.left = max(0, p.left-n)
}

// paceHeaders are the names of headers, as net/http spells them: OpenAI's and those of gateways, and the IETF's draft names.
type paceHeaders struct{ limit, remaining, reset []string }

var (
	ofRequests = paceHeaders{
		[]string{"X-Ratelimit-Limit-Requests", "Ratelimit-Limit-Requests", "Ratelimit-Limit"},
		[]string{"X-Ratelimit-Remaining-Requests", "Ratelimit-Remaining-Requests", "Ratelimit-Remaining"},
		[]string{"X-Ratelimit-Reset-Requests", "Ratelimit-Reset-Requests", "Ratelimit-Reset"},
	}
	ofTokens = paceHeaders{
		[]string{"X-Ratelimit-Limit-Tokens", "Ratelimit-Limit-Tokens"},
		[]string{"X-Ratelimit-Remaining-Tokens", "Ratelimit-Remaining-Tokens"},
		[]string{"X-Ratelimit-Reset-Tokens", "Ratelimit-Reset-Tokens"},
	}
)

// learn reads the headers that come with an answer. inFlight is what the endpoint may not have counted yet. A limit of 0
// or -1 is one that is not known, and so is an empty reset.
func (p *pace) learn(h http.Header, names paceHeaders, inFlight float64, now time.Time) {
	find := func(names []string) string {
		for _, name := range names {
			if v := h[name]; len(v) > 0 && v[0] != "" {
				return v[0]
			}
		}
		return ""
	}
	limit, window := quantity(find(names.limit))
	if limit <= 0 {
		return
	}
	p.limit = limit * 60 / window
	remaining, _ := quantity(find(names.remaining))
	if remaining < 0 {
		return
	}
	reset, ok := untilReset(find(names.reset), now)
	if !ok {
		reset = time.Duration((1 - min(1, remaining/limit)) * window * float64(time.Second)) // as if it refilled all the time
	}
	p.left, p.whole = max(0, remaining-inFlight), now.Add(reset)
}

// soonest says that something may be taken from this time on, whenever all will be there.
func (p *pace) soonest(at time.Time) {
	if p.whole.After(at) {
		p.whole = at
	}
}

// quantity reads a number and, of the IETF's form "100;w=60", its window in seconds; -1: it is none, or below 0.
func quantity(text string) (n, window float64) {
	first, rest, _ := strings.Cut(text, ",")
	number, params, _ := strings.Cut(first, ";")
	window = 60
	if _, w, ok := strings.Cut(params+rest, "w="); ok {
		w, _, _ = strings.Cut(w, ";")
		if s, err := strconv.ParseFloat(strings.TrimSpace(w), 64); err == nil && s >= 1 {
			window = s
		}
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !(n >= 0) || math.IsInf(n, 0) {
		return -1, window
	}
	return n, window
}

// untilReset reads "6m0s", "20" (seconds), a Unix time in seconds, or an RFC 3339 time. What is empty, not positive or
// something else is not known.
func untilReset(text string, now time.Time) (d time.Duration, ok bool) {
	if text = strings.TrimSpace(text); text == "" {
		return 0, false
	}
	if s, err := strconv.ParseFloat(text, 64); err == nil && s < 1e12 {
		if s > 1e9 {
			s -= float64(now.UnixNano()) / 1e9
		}
		d = duration(s)
	} else if d, err = time.ParseDuration(text); err != nil {
		if at, err := time.Parse(time.RFC3339, text); err == nil {
			d = at.Sub(now)
		}
	}
	return d, d > 0
}
