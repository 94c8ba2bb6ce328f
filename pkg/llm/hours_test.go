package llm

import (
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"silverbeam/pkg/ledger"
)

// hourly is a server of one's own: it takes its time, fails now and then, and notes when it was at work.
type hourly struct {
	keys []string

	mu   sync.Mutex
	n    int
	work [][2]time.Time
}

func (s *hourly) RoundTrip(r *http.Request) (*http.Response, error) {
	httptrace.ContextClientTrace(r.Context()).WroteHeaders()
	if _, err := io.ReadAll(r.Body); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.n++
	n, from := s.n, time.Now()
	s.mu.Unlock()
	err := sleep(r.Context(), time.Duration(n%7+1)*137*time.Millisecond+time.Duration(n)*time.Nanosecond)
	s.mu.Lock()
	s.work = append(s.work, [2]time.Time{from, time.Now()})
	s.mu.Unlock()
	switch {
	case err != nil:
		return nil, err
	case n%11 == 3:
		return nil, io.ErrUnexpectedEOF
	case n%13 == 4:
		return respond(r, 500, "{}"), nil
	case n%17 == 5:
		return respond(r, 200, chat(`{"a":"X"}`, "stop", "")), nil
	}
	return respond(r, 200, good(s.keys)), nil
}

// busy is how long at least one request was being worked on: the length of the union of their times.
func (s *hourly) busy() (total time.Duration) {
	slices.SortFunc(s.work, func(a, b [2]time.Time) int { return a[0].Compare(b[0]) })
	var until time.Time
	for _, w := range s.work {
		if w[0].After(until) {
			until = w[0]
		}
		if w[1].After(until) {
			total += w[1].Sub(until)
			until = w[1]
		}
	}
	return total
}

// owed is what a time costs at a price of pico-dollars an hour, rounded down.
func owed(d time.Duration, pico int64) int64 {
	n := new(big.Int).Mul(big.NewInt(int64(d)), big.NewInt(pico))
	return n.Quo(n, big.NewInt(int64(time.Hour))).Int64()
}

const perHour = 4_200_001_234_567 // $4.20 and some, that no share comes out even

func hourPrice(t *testing.T) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "prices.csv")
	if err := os.WriteFile(file, []byte(ledger.PriceHeader+"\nours,own-70b,2026-01-01,USD/h,4.200001234567,,,,,,,,,,8 GPUs,2026-11-01\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// The time that a server has calls in flight is paid, each nanosecond once, whatever becomes of the calls, and not a pause
// between them; batches sum up to the whole, over two runs of the client too.
func TestHoursOfAServer(t *testing.T) {
	prices := hourPrice(t)
	bubble(t, func(t *testing.T) {
		s := &hourly{keys: newPrompt(ctRate(t), nil, "").keys}
		dir := t.TempDir()
		for _, round := range []int{0, 1} {
			b := set(t, dir, Options{Endpoint: "http://127.0.0.1:9/v1", Model: "own-70b", Prices: prices, InFlight: 4}, s)
			for batch := range 3 {
				var wg sync.WaitGroup
				for i := range 30 {
					wg.Go(func() {
						n := round*1000 + batch*100 + i
						if _, err := b.Label(t.Context(), Call{fmt.Sprint("b", batch), "s", fmt.Sprint(n), report(n), nil}); err != nil && !errors.As(err, new(Refusal)) {
							t.Error(err)
						}
					})
				}
				wg.Wait()
				time.Sleep(10 * time.Second) // nobody asks
			}
			c, err := b.book.Cost()
			if err != nil {
				t.Fatal(err)
			}
			if want := owed(s.busy(), perHour); c.Spent > want || c.Spent < want-1 || c.UnsettledMax != 0 { // a client rounds down once
				t.Errorf("spent %d, at most %d more; it was at work for %s: %d", c.Spent, c.UnsettledMax, s.busy(), want)
			}
			var sum int64
			for _, b := range c.Batches {
				if sum += b.Spent; b.Spent <= 0 {
					t.Errorf("batch %s costs %d", b.ID, b.Spent)
				}
			}
			if sum != c.Spent || c.ByModel[0].Spent != c.Spent || c.Wasted <= 0 || c.Wasted >= c.Spent || c.Tokens.Input == 0 {
				t.Errorf("batches sum up to %d: %+v", sum, c)
			}
			b.shut(t)
		}
	})
}

// The cap holds to the pico-dollar: a call that might last too long is not begun.
func TestHoursUnderACap(t *testing.T) {
	prices := hourPrice(t)
	bubble(t, func(t *testing.T) {
		s := &hourly{keys: newPrompt(ctRate(t), nil, "").keys}
		dir := t.TempDir()
		longest := owed(11*time.Second, perHour) // a call of 10 s, and a second to read its answer
		for _, limit := range []int64{2 * longest, 5 * longest} {
			b := set(t, dir, Options{Endpoint: "http://127.0.0.1:9/v1", Model: "own-70b", Prices: prices, InFlight: 4, Timeout: 10 * time.Second, MaxCostPico: limit}, s)
			var met error
			for i := 0; met == nil && i < 2000; i++ {
				_, err := b.Label(t.Context(), Call{"b", "s", fmt.Sprint(i), report(i), nil})
				if errors.Is(err, ErrBudget) {
					met = err
				} else if err != nil && !errors.As(err, new(Refusal)) {
					t.Fatal(err)
				}
			}
			c, err := b.book.Cost()
			if err != nil || met == nil {
				t.Fatal(met, err)
			}
			if c.Spent > limit || c.Spent <= limit-longest || owed(s.busy(), perHour) > limit {
				t.Errorf("spent %d of %d", c.Spent, limit)
			}
			b.shut(t)
		}
	})
}

// A batch interface has no price by the hour.
func TestHoursAreNotBatches(t *testing.T) {
	o := Options{Endpoint: "http://127.0.0.1:9/v1", Model: "own-70b", Prices: hourPrice(t), Batch: true}
	if _, err := Foresee(o, ctRate(t), nil); !errors.Is(err, ledger.ErrNoPrice) {
		t.Error(err)
	}
}
