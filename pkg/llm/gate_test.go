package llm

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// meteredKind is one allowance of a server: a bucket that refills all the time, or a window that starts anew.
type meteredKind struct {
	name   string
	minute float64
	window bool // of a minute
	left   float64
	at     time.Time
	used   float64 // of what it allows
}

func (m *meteredKind) refill(now time.Time) {
	switch {
	case m.at.IsZero():
		m.left, m.at = m.minute, now
	case !m.window:
		m.left, m.at = min(m.minute, m.left+m.minute/60*now.Sub(m.at).Seconds()), now
	case now.Sub(m.at) >= time.Minute:
		m.left, m.at = m.minute, m.at.Add(now.Sub(m.at).Truncate(time.Minute))
	}
}

func (m *meteredKind) reset(now time.Time) time.Duration {
	if m.window {
		return m.at.Add(time.Minute).Sub(now)
	}
	return time.Duration((m.minute - m.left) / m.minute * float64(time.Minute))
}

// metered is a server with two allowances, which charges a request and its tokens on arrival. Its answers take a while.
type metered struct {
	kinds [2]*meteredKind
	write func(time.Duration) string // of a reset; nil: sends no such headers
	began time.Time

	mu               sync.Mutex
	n                int
	counted, refused int // when it had warmed up
}

const warmUp, steady = 3 * time.Minute, 5 * time.Minute

func (m *metered) charge(cost [2]float64) (status int, h http.Header, takes time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	warm := now.Sub(m.began) > warmUp && now.Sub(m.began) < warmUp+steady
	status, h = 200, http.Header{}
	for i, k := range m.kinds {
		if k.refill(now); k.left < cost[i] {
			status = 429
			h.Set("Retry-After", "1")
		}
	}
	if m.n++; warm {
		m.counted++
		m.refused += status / 429
	}
	for i, k := range m.kinds {
		if status == 200 {
			k.left -= cost[i]
			if warm {
				k.used += cost[i] / (k.minute * steady.Minutes())
			}
		}
		if m.write != nil {
			h.Set("X-Ratelimit-Limit-"+k.name, fmt.Sprint(k.minute))
			h.Set("X-Ratelimit-Remaining-"+k.name, fmt.Sprint(int(k.left)))
			h.Set("X-Ratelimit-Reset-"+k.name, m.write(k.reset(now)))
		}
	}
	return status, h, time.Duration(400+m.n*37%900) * time.Millisecond
}

// check says what came of it. A server hardly ever refuses: less than once in a thousand requests.
func (m *metered) check(t *testing.T) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t.Logf("requests used to %.3f, tokens to %.3f; %d of %d refused", m.kinds[0].used, m.kinds[1].used, m.refused, m.counted)
	if max(m.kinds[0].used, m.kinds[1].used) < 0.95 || m.refused*1000 > m.counted {
		t.Error("used to less than 0.95, or refused more than once in 1000")
	}
}

func newMetered(requests, tokens float64, window bool, write func(time.Duration) string) *metered {
	return &metered{write: write, began: time.Now(),
		kinds: [2]*meteredKind{{name: "Requests", minute: requests, window: window}, {name: "Tokens", minute: tokens, window: window}}}
}

func goString(d time.Duration) string { return d.Round(time.Millisecond).String() }
func seconds(d time.Duration) string  { return strconv.FormatFloat(d.Seconds(), 'f', 3, 64) }
func empty(time.Duration) string      { return "" }
func minusOne(time.Duration) string   { return "-1" }

// work keeps calling until the metered server has seen enough.
func (m *metered) work(call func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for time.Since(m.began) < warmUp+steady {
				call(int(next.Add(1)))
			}
		})
	}
	wg.Wait()
}

// A server's allowance is used to 95 % and more, and it hardly ever has to refuse, whether requests or tokens are what it
// lacks, whether its buckets refill all the time or start anew each minute, and whatever form its resets have.
func TestAllowancesAreUsedAndKept(t *testing.T) {
	for name, c := range map[string]struct {
		requests, tokens float64
		window           bool
		write            func(time.Duration) string
	}{
		"requests":                       {300, 10_000_000, false, goString},
		"many requests":                  {2400, 10_000_000, false, goString},
		"tokens":                         {10_000, 600_000, false, goString},
		"tokens, resets in seconds":      {10_000, 600_000, false, seconds},
		"few tokens":                     {10_000, 20_000, false, goString},
		"requests, resets unknown":       {300, 10_000_000, false, empty},
		"requests, resets -1":            {300, 10_000_000, false, minusOne},
		"requests, a window each minute": {300, 10_000_000, true, goString},
		"tokens, a window each minute":   {10_000, 600_000, true, seconds},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				m := newMetered(c.requests, c.tokens, c.window, c.write)
				g := openGate(t.Name(), 64, 0, 0, nil)
				defer g.close(nil)
				m.work(func(i int) {
					tokens := 1000 + i*61%1500
					leave, err := g.enter(t.Context(), tokens, time.Time{})
					if err != nil {
						t.Error(err)
						return
					}
					status, h, takes := m.charge([2]float64{1, float64(tokens) * (0.6 + float64(i%5)/10)}) // it counts 0.6 to 1 of what we do
					time.Sleep(takes)
					leave(&exchange{status: status, header: h})
					g.pause(time.Now().Add(retryAfter(h, time.Now())))
				})
				m.check(t)
			})
		})
	}
}

// RoundTrip charges a request's prompt and the bound of its answer, as OpenAI says it does.
func (m *meteredCalls) RoundTrip(r *http.Request) (*http.Response, error) {
	httptrace.ContextClientTrace(r.Context()).WroteHeaders()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var in struct {
		MaxTokens float64 `json:"max_tokens"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	status, h, takes := m.charge([2]float64{1, float64(len(body)/4) + in.MaxTokens})
	resp := respond(r, status, map[bool]string{true: good(m.keys), false: "{}"}[status == 200])
	for k := range h {
		resp.Header.Set(k, h.Get(k))
	}
	return resp, sleep(r.Context(), takes)
}

type meteredCalls struct {
	*metered
	keys []string
}

// The whole client does the same.
func TestCallsKeepToTheAllowance(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := meteredCalls{newMetered(10_000, 120_000, false, goString), newPrompt(ctRate(t), nil, "").keys}
		b := set(t, t.TempDir(), Options{Endpoint: "https://metered.invalid", Model: "gpt-4.1-mini", Deadline: time.Hour}, &m)
		m.work(func(i int) {
			if _, err := b.Label(t.Context(), Call{"b", "s", fmt.Sprint(i), report(i), nil}); err != nil {
				t.Error(err)
			}
		})
		m.check(t)
	})
}

func TestHeadersOfAllowances(t *testing.T) {
	now := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		limit, remaining, reset string // as OpenAI names them; of "ietf" without X- and kind
		want                    pace
	}{
		"a duration":          {"600", "300", "6m0s", pace{limit: 600, left: 290, whole: now.Add(6 * time.Minute)}},
		"bare seconds":        {"600", "300", "20", pace{limit: 600, left: 290, whole: now.Add(20 * time.Second)}},
		"a fraction":          {"600", "300", "0.5", pace{limit: 600, left: 290, whole: now.Add(500 * time.Millisecond)}},
		"milliseconds":        {"600", "300", "12ms", pace{limit: 600, left: 290, whole: now.Add(12 * time.Millisecond)}},
		"a Unix time":         {"600", "300", fmt.Sprint(now.Unix() + 7), pace{limit: 600, left: 290, whole: now.Add(7 * time.Second)}},
		"a date":              {"600", "300", "2027-01-01T00:00:09Z", pace{limit: 600, left: 290, whole: now.Add(9 * time.Second)}},
		"empty":               {"600", "300", "", pace{limit: 600, left: 290, whole: now.Add(30 * time.Second)}},
		"reset 0":             {"600", "300", "0", pace{limit: 600, left: 290, whole: now.Add(30 * time.Second)}},
		"reset -1":            {"600", "300", "-1", pace{limit: 600, left: 290, whole: now.Add(30 * time.Second)}},
		"reset nonsense":      {"600", "300", "soon", pace{limit: 600, left: 290, whole: now.Add(30 * time.Second)}},
		"all of it":           {"600", "600", "0s", pace{limit: 600, left: 590, whole: now}},
		"a limit alone":       {"600", "", "", pace{limit: 600}},
		"limit 0":             {"0", "0", "1s", pace{}},
		"limit -1":            {"-1", "-1", "-1", pace{}},
		"remaining -1":        {"600", "-1", "1s", pace{limit: 600}},
		"none":                {"", "", "", pace{}},
		"ietf":                {"100", "50", "30", pace{limit: 100, left: 40, whole: now.Add(30 * time.Second)}},
		"ietf, with a window": {"100, 100;w=10", "50", "", pace{limit: 600, left: 40, whole: now.Add(5 * time.Second)}},
		"NaN":                 {"NaN", "1", "1s", pace{}},
		"infinite":            {"600", "300", "+Inf", pace{limit: 600, left: 290, whole: now.Add(30 * time.Second)}},
	} {
		h, format := http.Header{}, "X-Ratelimit-%s-Requests"
		if strings.HasPrefix(name, "ietf") {
			format = "Ratelimit-%s"
		}
		for _, kv := range [][2]string{{"Limit", c.limit}, {"Remaining", c.remaining}, {"Reset", c.reset}} {
			if kv[1] != "" {
				h.Set(fmt.Sprintf(format, kv[0]), kv[1])
			}
		}
		var p pace
		if p.learn(h, ofRequests, 10, now); p != c.want {
			t.Errorf("%s: %+v, want %+v", name, p, c.want)
		}
	}
}

func FuzzHeadersOfAllowances(f *testing.F) {
	f.Add("600", "5", "6m0s")
	f.Add("100;w=1", "-1", "1e300")
	f.Fuzz(func(t *testing.T, limit, remaining, reset string) {
		now := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
		var p pace
		p.learn(http.Header{"X-Ratelimit-Limit-Requests": {limit}, "X-Ratelimit-Remaining-Requests": {remaining}, "X-Ratelimit-Reset-Requests": {reset}}, ofRequests, 1, now)
		for range 3 {
			if w := max(p.wait(now), p.dry(1, now)); w < 0 || p.left < 0 || math.IsNaN(p.owed) {
				t.Errorf("%q %q %q: %+v", limit, remaining, reset, p)
			}
			p.take(1)
			now = now.Add(time.Second)
		}
	})
}

// An endpoint that takes 16 calls at once and says no to more, without headers, is found out.
func TestCallsAtOnceAreFound(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := openGate(t.Name(), 64, 0, 0, nil)
		defer g.close(nil)
		m := newMetered(math.MaxInt32, math.MaxInt32, false, nil)
		var now, refused, answered atomic.Int64
		m.work(func(i int) {
			leave, err := g.enter(t.Context(), 1, time.Time{})
			if err != nil {
				t.Error(err)
				return
			}
			x := &exchange{status: 200}
			if n := now.Add(1); n > 16 {
				x.status = 429
				refused.Add(1)
				time.Sleep(20 * time.Millisecond)
			} else {
				answered.Add(1)
				time.Sleep(time.Second)
			}
			now.Add(-1)
			leave(x)
		})
		most := int64(16 * (warmUp + steady).Seconds())
		if a, r := answered.Load(), refused.Load(); a*100 < most*95 || r*5 > a {
			t.Errorf("%d of %d answered, %d refused", a, most, r)
		}
	})
}

// A broken endpoint is sent little: what failed is sent again once for each call that may be in flight, then once a second.
func TestABrokenEndpointIsNotStormed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, s := play(t, Options{InFlight: 64, Deadline: 5 * time.Minute})
		if _, err := b.Label(t.Context(), Call{"b", "s", "0", report(0), nil}); err != nil {
			t.Fatal(err)
		}
		s.mu.Lock()
		s.steps = slices.Repeat([]step{{500, "", ""}}, 100_000)
		s.mu.Unlock()
		_, errs := b.labelAll(t, 64, 64, 1)
		if !errors.Is(errs[1], ErrTemporary) {
			t.Error(errs[1])
		}
		perMinute := map[int]int{}
		for _, at := range s.at {
			perMinute[int(at.Sub(s.at[0]).Minutes())]++
		}
		if perMinute[0] > 1+64+64+61 || perMinute[1] > 61 || perMinute[3] > 61 || len(s.at) < 300 {
			t.Errorf("requests a minute: %v", perMinute)
		}
	})
}

// The first call goes alone: the others find what it taught, and their prefix in the endpoint's cache.
func TestTheFirstCallGoesAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &slow{script: script{keys: newPrompt(ctRate(t), nil, "").keys, steps: []step{{500, "", ""}, {400, "", `{"error":{"message":"unknown field seed","param":"seed"}}`}}}}
		b := set(t, t.TempDir(), Options{Endpoint: "https://slow.invalid", Model: "gpt-4.1-mini"}, s)
		_, errs := b.labelAll(t, 16, 40, 1)
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if d := s.at[i+1].Sub(s.at[i]); d < 5*time.Millisecond {
				t.Errorf("request %d came %s after the one before", i+2, d)
			}
		}
		if s.most.Load() < 15 { // the first may still wait to be sent again
			t.Errorf("%d calls at once, want 15 or 16", s.most.Load())
		}
	})
}

// npm's aimock, as others before a model do, refuses with nothing left, a second to wait, and minutes until all is there.
func TestARefusalsOwnTimeCountsNotTheReset(t *testing.T) {
	now := time.Now()
	g := openGate("http://minutes.example", 4, 0, 0, nil)
	defer g.close(nil)
	take := func(at time.Time) bool {
		_, _, ok := g.take(1600, at)
		return ok
	}
	if !take(now) {
		t.Fatal("the first call waits")
	}
	g.leave(1600, &exchange{status: 429, header: http.Header{"Retry-After": {"1"},
		"X-Ratelimit-Limit-Requests": {"60"}, "X-Ratelimit-Remaining-Requests": {"0"}, "X-Ratelimit-Reset-Requests": {"1s"},
		"X-Ratelimit-Limit-Tokens": {"150000"}, "X-Ratelimit-Remaining-Tokens": {"0"}, "X-Ratelimit-Reset-Tokens": {"6m0s"}}}, now)
	if early := now.Add(900 * time.Millisecond); take(early) {
		t.Error("sent again before its Retry-After")
	}
	if !take(now.Add(2 * time.Second)) {
		t.Error("one refusal stops all calls for longer than it asked for")
	}
}
