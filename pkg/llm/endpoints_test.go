package llm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// twin is one of several servers of a model. It notes when it was asked and what it billed.
type twin struct {
	*pipes
	keys  []string
	takes time.Duration
	says  func(n int, at time.Duration) (status int, head string) // of request n, counted from 1; nil or 0: an answer

	mu    sync.Mutex
	began time.Time
	at    []time.Duration
	bill  int64
	given map[string]int // answers by report
	gone  bool           // it cuts every connection
}

func (s *twin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in chatRequest
	body, err := io.ReadAll(r.Body)
	if err != nil || json.Unmarshal(body, &in) != nil || len(in.Messages) != 2 {
		panic(http.ErrAbortHandler)
	}
	s.mu.Lock()
	at := time.Since(s.began)
	s.at = append(s.at, at)
	n, gone := len(s.at), s.gone
	s.mu.Unlock()
	time.Sleep(s.takes)
	status, head := 0, ""
	if s.says != nil {
		status, head = s.says(n, at)
	}
	if gone || status < 0 {
		panic(http.ErrAbortHandler)
	}
	if k, v, ok := strings.Cut(head, ": "); ok {
		w.Header().Set(k, v)
	}
	if status != 0 {
		w.WriteHeader(status)
		io.WriteString(w, `{"error":{"message":"no"}}`)
		return
	}
	s.mu.Lock()
	s.bill += perAnswer
	s.given[fenced(in.Messages[1].Content)]++
	s.mu.Unlock()
	io.WriteString(w, good(s.keys))
}

func (s *twin) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.at)
}

// between counts the requests of a time.
func (s *twin) between(from, to time.Duration) (n int) {
	for _, at := range s.at {
		if at > from && at < to {
			n++
		}
	}
	return n
}

// twins are servers at a.invalid, b.invalid and so on, and a client of the list that names them so.
func twins(t *testing.T, list string, o Options, all ...*twin) bench {
	rt := transport(64)
	by := map[string]*twin{}
	for i, s := range all {
		s.pipes, s.keys, s.began, s.given = newPipes(), newPrompt(ctRate(t), nil, "").keys, time.Now(), map[string]int{}
		server := &httptest.Server{Listener: s.pipes, Config: &http.Server{Handler: s}}
		server.Start()
		t.Cleanup(server.Close)
		by[fmt.Sprintf("%c.invalid:80", 'a'+i)] = s
	}
	rt.next.DialContext = func(_ context.Context, _, addr string) (net.Conn, error) { return by[addr].dial() }
	o.Endpoint, o.Model, o.Send, o.Canary = list, "gpt-4.1-mini", "whole", -1
	return set(t, t.TempDir(), o, rt)
}

// whole checks that all were labelled, once, and that bills and ledger agree.
func whole(t *testing.T, b bench, n int, errs []error, all ...*twin) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	var bill int64
	given := map[string]int{}
	for _, s := range all {
		bill += s.bill
		for r, k := range s.given {
			given[r] += k
		}
	}
	for r, k := range given {
		if k != 1 {
			t.Errorf("a report of %d bytes was answered %d times", len(r), k)
		}
	}
	if c := b.cost(t); c.Spent != bill || c.Reports != int64(n) || len(given) != n || c.Calls != int64(n) {
		t.Errorf("%d reports, %d answered; spent %d of %d", c.Reports, len(given), c.Spent, bill)
	}
}

// Calls are given in proportion to the weights: one at a time within one call of it, at any time; many at once as long as
// both are quick, and a slow one keeps up no more than its share.
func TestWeightsAreKept(t *testing.T) {
	const list = "http://a.invalid*3, http://b.invalid"
	t.Run("one at a time", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			a, b := &twin{takes: time.Second}, &twin{takes: time.Second}
			c := twins(t, list, Options{InFlight: 1}, a, b)
			for i := range 200 {
				if _, err := c.Label(t.Context(), Call{"b", "s", fmt.Sprint(i), report(i), nil}); err != nil {
					t.Fatal(err)
				}
				if d := float64(a.asked())/3 - float64(b.asked()); math.Abs(d) > 1 {
					t.Fatalf("after %d calls: %d and %d", i+1, a.asked(), b.asked())
				}
			}
		})
	})
	for name, slow := range map[string]time.Duration{"many at once": time.Second, "one is slow": 10 * time.Second} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				const n = 800
				a, b := &twin{takes: time.Second}, &twin{takes: slow}
				c := twins(t, list, Options{}, a, b)
				began := time.Now()
				_, errs := c.labelAll(t, 80, n, 1)
				whole(t, c, n, errs, a, b)
				perSecond := 48 + 16/slow.Seconds() // 64 at once, 3 of 4 of them at a
				want, most := n*16/slow.Seconds()/perSecond, n/perSecond+1+2*slow.Seconds()
				if got := float64(b.asked()); math.Abs(got-want) > 64 || // the first 64 go to whoever has answered first
					time.Since(began).Seconds() > most {
					t.Errorf("b got %v of %d, to be %.0f; %s, at most %.0f s", got, n, want, time.Since(began), most)
				}
			})
		})
	}
}

// One that asks for a pause is left alone for it, while the other goes on.
func TestAPauseIsOneEndpoints(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n = 2000
		a := &twin{takes: 2 * time.Second, says: func(n int, _ time.Duration) (int, string) {
			if n == 100 { // a second after the others of its time, when no call begins
				time.Sleep(time.Second)
				return 429, "Retry-After: 30"
			}
			return 0, ""
		}}
		b := &twin{takes: 2 * time.Second}
		c := twins(t, "http://a.invalid http://b.invalid", Options{}, a, b)
		_, errs := c.labelAll(t, 64, n, 1)
		whole(t, c, n, errs, a, b)
		said := a.at[99] + a.takes + time.Second
		early, meanwhile := a.between(said, said+30*time.Second), b.between(said, said+30*time.Second)
		later, beside := a.between(said+30*time.Second, time.Hour), b.between(said+30*time.Second, time.Hour)
		if early > 0 || meanwhile < 13*64 || math.Abs(float64(later-beside)) > 64 || later < 64 {
			t.Errorf("in the pause %d and %d requests, after it %d and %d", early, meanwhile, later, beside)
		}
	})
}

// Where a ledger is lost with calls under way, their answers will be asked for again; whoever waits for one of their turns, with
// an intent that was written in time, is not sent to be one more.
func TestALostLedgerRepeatsWhatIsInFlight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const inFlight, n = 8, 200
		a := &twin{takes: 2 * time.Second}
		c := twins(t, "http://a.invalid", Options{InFlight: inFlight}, a)
		var asked int
		closed := make(chan error)
		go func() {
			time.Sleep(21 * time.Second) // none begins at odd seconds
			asked = a.asked()
			closed <- c.book.Close()
		}()
		_, errs := c.labelAll(t, 4*inFlight, n, 1)
		if err := <-closed; err != nil || a.asked() != asked {
			t.Errorf("%d requests, %d when the ledger went: %v", a.asked(), asked, err)
		}
		if labelled := n - len(slices.DeleteFunc(errs, func(err error) bool { return err == nil })); asked-labelled != inFlight {
			t.Errorf("%d of %d calls were labelled", labelled, asked)
		}
	})
}

// One dies in the middle: what it had is asked elsewhere at once, it is said once, and when it is back it gets calls again.
func TestOneOfTwoDies(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n = 2500
		a := &twin{takes: 2 * time.Second, says: func(_ int, at time.Duration) (int, string) {
			return map[bool]int{true: -1}[at > 20*time.Second && at < 50*time.Second], ""
		}}
		b := &twin{takes: 2 * time.Second}
		c := twins(t, "http://a.invalid,http://b.invalid", Options{}, a, b)
		_, errs := c.labelAll(t, 64, n, 1)
		whole(t, c, n, errs, a, b)
		dead, back := a.between(20*time.Second, 50*time.Second), a.between(50*time.Second, time.Hour)
		if dead > 32+5 || back < 10 || len(c.Notes()) != 1 || !strings.HasPrefix(c.Notes()[0], "a.invalid is left out since 00:00:2") {
			t.Errorf("%d requests while it was dead, %d after; notes %q", dead, back, c.Notes())
		}
	})
}

// An endpoint of weight 0 is asked only where the others cannot be.
func TestASpareEndpoint(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n = 1000
		a := &twin{takes: 2 * time.Second, says: func(_ int, at time.Duration) (int, string) {
			return map[bool]int{true: 500}[at > 10*time.Second && at < 20*time.Second], ""
		}}
		b := &twin{takes: 2 * time.Second}
		c := twins(t, "http://a.invalid,http://b.invalid*0", Options{}, a, b)
		_, errs := c.labelAll(t, 64, n, 1)
		whole(t, c, n, errs, a, b)
		for _, at := range b.at {
			if at < 10*time.Second || at > 34*time.Second { // out by 14 s, for 15 s, and until a call has found out
				t.Errorf("the spare was asked at %s", at)
			}
		}
		if len(b.at) < 6*64 {
			t.Errorf("the spare got %d calls", len(b.at))
		}
	})
}

// What refuses every call is not asked while others can be. Where all refuse, or none answers, that is the error of one.
func TestEndpointsThatRefuse(t *testing.T) {
	is := func(status int) *twin {
		return &twin{says: func(int, time.Duration) (int, string) { return status, "" }}
	}
	for name, c := range map[string]struct {
		a, b *twin
		want error
		text []string
	}{
		"one key is not taken":     {is(401), is(0), nil, nil},
		"one has no such model":    {is(0), is(404), nil, nil},
		"both refuse":              {is(401), is(402), ErrProvider, []string{"a.invalid: status 401", "b.invalid: status 402"}},
		"one refuses, one breaks":  {is(403), is(500), ErrTemporary, []string{"b.invalid: status 500"}},
		"both break":               {is(500), is(502), ErrTemporary, []string{"invalid: status 50"}},
		"one is gone, one refuses": {is(-1), is(401), ErrTemporary, []string{"no answer from a.invalid"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := twins(t, "http://a.invalid,http://b.invalid", Options{Deadline: time.Minute}, c.a, c.b)
				began := time.Now()
				_, errs := b.labelAll(t, 16, 16, 1)
				if c.want == nil {
					whole(t, b, 16, errs, c.a, c.b)
					if min(len(c.a.at), len(c.b.at)) != 1 || len(b.Notes()) != 1 {
						t.Errorf("%d and %d requests, notes %q", len(c.a.at), len(c.b.at), b.Notes())
					}
				}
				for _, text := range c.text {
					if !errors.Is(errs[0], c.want) || !strings.Contains(errs[0].Error(), text) {
						t.Errorf("%v, want %v with %q", errs[0], c.want, text)
					}
				}
				if n := len(c.a.at) + len(c.b.at); float64(n) > 2*(64+16+time.Since(began).Seconds()) {
					t.Errorf("%d requests in %s", n, time.Since(began))
				}
			})
		})
	}
}

func TestListsOfEndpoints(t *testing.T) {
	for list, want := range map[string]string{
		"https://a.example/v1*3,https://b.example/v1":                            "",
		" https://a.example/v1 ,\n https://b.example/v1*0 ":                      "",
		"https://o.azure.com/openai/deployments/d?api-version=2024-10-21*2":      "",
		"http://127.0.0.1:8000/v1,http://localhost:8001/v1":                      "",
		"fake://rules?seed=1,fake://rules?seed=2*5":                              "",
		"https://a.example/v1,http://127.0.0.1:8000/v1":                          "names a.example, on another machine, beside 127.0.0.1:8000, on this machine",
		"fake://rules https://a.example":                                         "names fake://rules, a fake, beside a.example",
		"https://a.example,https://a.example/v1/*2":                              "names a.example twice: give it a weight",
		"https://a.example*0":                                                    "no weight but 0",
		"https://a.example,b.example":                                            `the scheme ""`,
		"":                                                                       `the scheme ""`,
		"https://a.example*x":                                                    "",
		"https://o.azure.com/openai/deployments/d?api-version=2024-10-21*2,ftp:": `the scheme "ftp"`,
	} {
		all, err := parseSites(list)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", list, err, want)
		}
		for _, s := range all {
			if strings.Contains(s.base+s.version, "*2") || strings.Contains(s.base, "*3") {
				t.Errorf("%q: %+v", list, s)
			}
		}
	}
	b := Options{Endpoint: "https://a.example,https://b.example", Model: "gpt-4.1-mini", Batch: true}
	if _, err := Foresee(b, ctRate(t), nil); err == nil || !strings.Contains(err.Error(), "mode batch asks one endpoint, and endpoint names 2") {
		t.Error(err)
	}
}
