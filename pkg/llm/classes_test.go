package llm

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"silverbeam/pkg/ledger"
)

// step is one answer of a scripted server.
type step struct {
	status int // 0: the connection breaks
	head   string
	body   string
}

// script plays its steps, then answers well. It notes when requests came and what they held.
type script struct {
	steps []step
	keys  []string

	mu     sync.Mutex
	at     []time.Time
	bodies []string
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	httptrace.ContextClientTrace(r.Context()).WroteHeaders()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.at)
	s.at, s.bodies = append(s.at, time.Now()), append(s.bodies, string(b))
	if n >= len(s.steps) {
		return respond(r, 200, good(s.keys)), nil
	}
	p := s.steps[n]
	if p.status == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	resp := respond(r, p.status, p.body)
	for _, line := range strings.Split(p.head, "\n") {
		if k, v, ok := strings.Cut(line, ": "); ok {
			resp.Header.Set(k, v)
		}
	}
	return resp, nil
}

func (s *script) sent() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.at)
}

const usage = `,"usage":{"prompt_tokens":100,"completion_tokens":10}` // 56 micro-dollars of gpt-4.1-mini

func chat(content, finish, extra string) string {
	return fmt.Sprintf(`{"choices":[{"finish_reason":%q,"message":{"content":%q%s}}]`+usage+`}`, finish, content, extra)
}

func good(keys []string) string { return chat(allN(keys), "stop", "") }

func allN(keys []string) string { return `{"` + strings.Join(keys, `":"N","`) + `":"N"}` }

func play(t testing.TB, o Options, steps ...step) (bench, *script) {
	t.Helper()
	s := &script{steps: steps, keys: newPrompt(ctRate(t), nil, "").keys}
	if o.Endpoint == "" {
		o.Endpoint = "https://model.invalid/v1"
	}
	if o.Model == "" {
		o.Model = "gpt-4.1-mini"
	}
	return set(t, t.TempDir(), o, s), s
}

// bubble runs a test on a clock of its own, which starts in 2027: a price holds from its day on.
func bubble(t *testing.T, f func(*testing.T)) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)))
		f(t)
	})
}

const perAnswer = 100*400_000 + 10*1_600_000

func TestEveryAnswerHasItsClass(t *testing.T) {
	wrong := step{200, "", chat(`{"a":"X"}`, "stop", "")}
	for _, c := range []struct {
		name     string
		steps    []step
		want     string // of the error; "" for labels
		stops    error
		attempts int64
		spent    int64 // in answers with usage
		wasted   int64
	}{
		{"labels", nil, "", nil, 1, 1, 0},
		{"labels, in a code fence", []step{{200, "", chat("```json\n"+allN(newPrompt(ctRate(t), nil, "").keys)+"\n```", "stop", "")}}, "", nil, 1, 1, 0},
		{"labels, and more after the answer", []step{{200, "", good(newPrompt(ctRate(t), nil, "").keys) + "\n: more"}}, "", nil, 1, 1, 0},
		{"a list for a text, cut by its length", []step{{200, "", strings.Replace(chat("", "length", ""), `""`, `[{"type":"text","text":"P"}]`, 1)}}, "length: ", nil, 1, 1, 1},
		{"a list for a text, filtered", []step{{200, "", strings.Replace(chat("", "content_filter", ""), `""`, `[]`, 1)}}, "content-filter: ", nil, 1, 1, 1},
		{"too many, then labels", []step{{429, "Retry-After: 2", `{"error":{"message":"slow"}}`}}, "", nil, 2, 1, 0},
		{"too many, as a proxy's page", []step{{429, "", "<html>slow</html>"}}, "", nil, 2, 1, 0},
		{"three broken gateways", []step{{502, "", ""}, {503, "", ""}, {504, "", ""}}, "", nil, 4, 1, 0},
		{"conflict and timeout", []step{{409, "", "{}"}, {408, "", "{}"}}, "", nil, 3, 1, 0},
		{"a cut connection", []step{{0, "", ""}}, "", nil, 2, 1, 0},
		{"an answer to ask again for", []step{wrong, wrong}, "", nil, 3, 3, 2},
		{"never a valid answer", []step{wrong, wrong, wrong, wrong, wrong}, "schema: 1 of 18 keys", nil, 4, 4, 4},
		{"no JSON at all", []step{{200, "", "<<"}, {200, "", "{}"}, {200, "", `{"choices":[]}`}}, "", nil, 4, 1, 0},
		{"too large", []step{{200, "", strings.Repeat(" ", maxBody+1)}}, "", nil, 2, 1, 0},
		{"cut by its length", []step{{200, "", chat(`{"a":"P"`, "length", "")}}, "length: ", nil, 1, 1, 1},
		{"declined", []step{{200, "", chat("", "stop", `,"refusal":"no"`)}}, "refusal: ", nil, 1, 1, 1},
		{"filtered answer", []step{{200, "", chat("", "content_filter", "")}}, "content-filter: ", nil, 1, 1, 1},
		{"filtered report", []step{{400, "", `{"error":{"code":"content_filter"}}`}}, "content-filter: ", nil, 1, 0, 0},
		{"report too long", []step{{400, "", `{"error":{"code":"context_length_exceeded"}}`}}, "length: ", nil, 1, 0, 0},
		{"bad request", []step{{400, "", `{"error":{"message":"no"}}`}}, "bad-request: status 400", nil, 1, 0, 0},
		{"broken, and not to be retried", []step{{500, "X-Should-Retry: false", "{}"}}, "temporary: ", nil, 1, 0, 0},
		{"bad request to be retried", []step{{400, "X-Should-Retry: true", "{}"}}, "", nil, 2, 1, 0},
		{"failed, with usage", []step{{500, "", "{" + usage[1:] + "}"}}, "", nil, 2, 2, 1},
		{"no key", []step{{401, "", "{}"}}, "", ErrProvider, 1, 0, 0},
		{"no right", []step{{403, "", "{}"}}, "", ErrProvider, 1, 0, 0},
		{"no quota", []step{{429, "Retry-After: 1", `{"error":{"code":"insufficient_quota"}}`}}, "", ErrProvider, 1, 0, 0},
		{"no such model", []step{{404, "", `{"error":{"code":"model_not_found"}}`}}, "", ErrProvider, 1, 0, 0},
		{"elsewhere", []step{{302, "Location: https://elsewhere.invalid", ""}}, "", ErrProvider, 1, 0, 0},
		{"a pause longer than the deadline", []step{{429, "Retry-After: 3600", "{}"}}, "", ErrTemporary, 1, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b, s := play(t, Options{}, c.steps...)
				labels, err := b.Label(t.Context(), Call{"b", "label.Reports", "s", report(1), nil})
				var no Refusal
				switch {
				case c.stops != nil && !errors.Is(err, c.stops), c.stops == nil && c.want == "" && (err != nil || len(labels) != 18),
					c.want != "" && (!errors.As(err, &no) || !strings.HasPrefix(err.Error(), c.want)):
					t.Errorf("got %d labels, %v", len(labels), err)
				}
				cost := b.cost(t)
				if cost.Attempts != c.attempts || int64(s.sent()) != c.attempts || cost.Spent != c.spent*perAnswer || cost.Wasted != c.wasted*perAnswer {
					t.Errorf("attempts %d of %d sent, spent %d, wasted %d; want %d, %d, %d", cost.Attempts, s.sent(), cost.Spent, cost.Wasted,
						c.attempts, c.spent*perAnswer, c.wasted*perAnswer)
				}
				if c.stops == ErrProvider {
					if _, err := b.Label(t.Context(), Call{"b", "label.Reports", "s2", report(2), nil}); !errors.Is(err, ErrProvider) || s.sent() != 1 {
						t.Error("another report was sent after the provider's refusal: ", err)
					}
				}
			})
		})
	}
}

// elsewhere reaches no server, after some answers.
type elsewhere struct {
	script
	err  error
	good int
}

func (e *elsewhere) RoundTrip(r *http.Request) (*http.Response, error) {
	if e.good--; e.good >= 0 {
		return e.script.RoundTrip(r)
	}
	return nil, e.err
}

func TestAnAddressThatIsNoneStopsAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		good int
		want error
	}{
		"no such host":               {&net.DNSError{IsNotFound: true}, 0, ErrProvider},
		"a certificate of another":   {&tls.CertificateVerificationError{}, 0, ErrProvider},
		"a name server that is slow": {&net.DNSError{IsTimeout: true}, 0, ErrTemporary},
		"refused":                    {syscall.ECONNREFUSED, 0, ErrTemporary},
		"lost after it was met":      {&net.DNSError{IsNotFound: true}, 1, ErrTemporary},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				e := &elsewhere{script{keys: newPrompt(ctRate(t), nil, "").keys}, &net.OpError{Op: "dial", Err: c.err}, c.good}
				b := set(t, t.TempDir(), Options{Endpoint: "https://model.invalid", Model: "gpt-4.1-mini", Deadline: time.Minute}, e)
				for i := range c.good {
					if _, err := b.Label(t.Context(), Call{"b", "s", fmt.Sprint(i), report(i), nil}); err != nil {
						t.Fatal(err)
					}
				}
				_, err := b.Label(t.Context(), Call{"b", "s", "x", report(9), nil})
				if !errors.Is(err, c.want) || !strings.Contains(err.Error(), "model.invalid") {
					t.Error(err)
				}
				if n := b.cost(t); n.Attempts != int64(c.good) || n.UnsettledMax != 0 {
					t.Errorf("%+v", n)
				}
			})
		})
	}
}

func TestUnknownOutcomesKeepTheirReservation(t *testing.T) {
	for name, st := range map[string]step{"cut": {}, "gateway": {504, "", ""}, "no usage": {200, "", `{"choices":[]}`}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b, _ := play(t, Options{}, st)
				if _, err := b.Label(t.Context(), Call{"b", "s", "1", report(1), nil}); err != nil {
					t.Fatal(err)
				}
				c := b.cost(t)
				if c.UnsettledMax < perAnswer || b.book.Committed() != c.Spent+c.UnsettledMax {
					t.Errorf("unsettled %d, committed %d", c.UnsettledMax, b.book.Committed())
				}
			})
		})
	}
}

func TestNeverBeforeRetryAfter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inTen := time.Now().Add(100 * time.Second).UTC().Format(http.TimeFormat)
		heads := []string{"Retry-After: 7", "Retry-After-Ms: 1500", "Retry-After: " + inTen, "Retry-After: 0.5", ""}
		b, s := play(t, Options{}, step{429, heads[0], ""}, step{503, heads[1], ""}, step{429, heads[2], ""}, step{429, heads[3], ""}, step{500, heads[4], ""})
		b.jitter = func(time.Duration) time.Duration { return 0 }
		start := time.Now()
		if _, err := b.Label(t.Context(), Call{"b", "s", "1", report(1), nil}); err != nil {
			t.Fatal(err)
		}
		// 100 s is an absolute time: 8.5 s of it had passed. The date has whole seconds.
		want := []time.Duration{0, 7 * time.Second, 8500 * time.Millisecond, 100 * time.Second, 100500 * time.Millisecond, 100500 * time.Millisecond}
		for i, at := range s.at {
			if d := at.Sub(start); d < want[i]-time.Second && i >= 3 || i < 3 && d != want[i] || d > want[i] {
				t.Errorf("attempt %d after %s, want %s", i, d, want[i])
			}
		}
	})
}

func TestBackoffDoublesAndEndsAtTheDeadline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var steps []step
		for range 100 {
			steps = append(steps, step{500, "", ""})
		}
		b, s := play(t, Options{Deadline: 4 * time.Minute}, steps...)
		b.jitter = func(d time.Duration) time.Duration { return d }
		_, err := b.Label(t.Context(), Call{"b", "s", "1", report(1), nil})
		if !errors.Is(err, ErrTemporary) {
			t.Fatal(err)
		}
		var gaps []string
		for i := range s.at[1:] {
			gaps = append(gaps, s.at[i+1].Sub(s.at[i]).String())
		}
		if got := strings.Join(gaps, " "); got != "500ms 1s 2s 4s 8s 16s 32s 1m0s 1m0s" { // the next minute would pass 4 min
			t.Error(got)
		}
	})
}

func TestAPauseHoldsForAllCalls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, s := play(t, Options{InFlight: 1}, step{429, "Retry-After: 30", ""})
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() {
				if _, err := b.Label(t.Context(), Call{"b", "s", fmt.Sprint(i), report(i), nil}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for i, at := range s.at[1:] {
			if at.Sub(start) < 30*time.Second {
				t.Errorf("request %d came %s after the start, inside the pause", i+2, at.Sub(start))
			}
		}
	})
}

func TestRateLimits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, s := play(t, Options{RPM: 120})
		_, errs := b.labelAll(t, 16, 61, 1)
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		// Two a second, two of them at once at the start: the 61st comes after (61-2)/2 s.
		if d := s.at[60].Sub(s.at[0]); d < 29*time.Second || d > 30*time.Second {
			t.Errorf("61 requests at 120 a minute took %s", d)
		}
	})
	bubble(t, func(t *testing.T) {
		b, s := play(t, Options{TPM: 30_000})
		_, errs := b.labelAll(t, 16, 31, 1)
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		b.meter.bytes = 0 // as at the start
		each := float64(b.meter.expect(newPrompt(ctRate(t), nil, "").bytes[strictSchema]+len(user(ledger.Identity{}, normalise(report(1))))) + 90)
		t.Logf("first call counted as %g tokens, 31 calls took %s", each, s.at[30].Sub(s.at[0]))
		if d := s.at[30].Sub(s.at[0]); d < 5*time.Second {
			t.Errorf("31 calls of 100 to %g tokens at 30000 a minute took %s", each, d)
		}
	})
}

func TestStructuredOutputIsLearned(t *testing.T) {
	for name, refusals := range map[string][]step{
		"400 twice":                  {{400, "", `{"error":{"message":"response_format json_schema is not supported","param":"response_format"}}`}, {400, "", `{"error":{"message":"response_format is unknown"}}`}},
		"500 of llama.cpp, then 422": {{500, "", `{"error":{"message":"Unsupported response_format type: json_schema"}}`}, {422, "", `{"detail":[{"loc":["body","response_format"],"msg":"extra"}]}`}},
	} {
		t.Run(name, func(t *testing.T) {
			keys := newPrompt(ctRate(t), nil, "").keys
			line := strings.Join(keys, "=P ") + "=P"
			steps := append(refusals, step{200, "", chat(line, "stop", "")}, step{200, "", chat(line, "stop", "")})
			b, s := play(t, Options{}, steps...)
			for i := range 2 {
				if _, err := b.Label(t.Context(), Call{"b", "s", fmt.Sprint(i), report(i), nil}); err != nil {
					t.Fatal(err)
				}
			}
			for i, want := range []string{`"json_schema"`, `"json_object"`, "key in this order, an equals sign", "key in this order, an equals sign"} {
				if !strings.Contains(s.bodies[i], want) || i > 1 && strings.Contains(s.bodies[i], "response_format") {
					t.Errorf("request %d does not hold %s", i, want)
				}
			}
			if s.sent() != 4 {
				t.Errorf("%d requests: what was learned was forgotten", s.sent())
			}
		})
	}
}

func TestParametersAreLearned(t *testing.T) {
	b, s := play(t, Options{},
		step{400, "", `{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","param":"max_tokens"}}`},
		step{400, "", `{"error":{"message":"Unsupported value: 'temperature' does not support 0 with this model.","param":"temperature"}}`},
		step{422, "", `{"detail":[{"type":"extra_forbidden","loc":["body","seed"]}]}`})
	if _, err := b.Label(t.Context(), Call{"b", "s", "1", report(1), nil}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.bodies[0], `"temperature":0`) || !strings.Contains(s.bodies[0], `"seed":0`) {
		t.Error("temperature or seed was not sent")
	}
	if last := s.bodies[3]; strings.Contains(last, "temperature") || strings.Contains(last, `"seed"`) || !strings.Contains(last, "max_completion_tokens") {
		t.Error("the last request still holds what was refused")
	}
}
