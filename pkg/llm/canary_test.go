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
	"strings"
	"sync"
	"testing"

	"silverbeam/pkg/ledger"
)

// chameleon is a model that may change: it answers each finding by a hash of report, finding and what it is, and counts
// what it bills for.
type chameleon struct {
	keys []string

	mu       sync.Mutex
	n        int
	name     string
	print    string
	swapped  int // of 18 findings, those that it answers otherwise than at first
	canaries map[string]int
	bill     int64
}

func (s *chameleon) RoundTrip(r *http.Request) (*http.Response, error) {
	httptrace.ContextClientTrace(r.Context()).WroteHeaders()
	body, err := io.ReadAll(r.Body)
	var in chatRequest
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	s.bill += perAnswer
	report := fenced(in.Messages[1].Content)
	if !strings.HasPrefix(report, "Thorax CT, examination") {
		s.canaries[report]++
	}
	var b strings.Builder
	for i, k := range s.keys {
		code := []string{"N", "P"}[(len(report)+i)%2]
		if i < s.swapped {
			code = map[string]string{"N": "P", "P": "N"}[code]
		}
		fmt.Fprintf(&b, `,%q:%q`, k, code)
	}
	answer, err := json.Marshal(map[string]any{"model": s.name, "system_fingerprint": s.print, "choices": []any{map[string]any{"finish_reason": "stop",
		"message": map[string]any{"content": "{" + b.String()[1:] + "}"}}}, "usage": map[string]any{"prompt_tokens": 100, "completion_tokens": 10}})
	return respond(r, 200, string(answer)), err
}

func newChameleon(t *testing.T) *chameleon {
	return &chameleon{keys: newPrompt(ctRate(t), nil, "").keys, name: "m-1", canaries: map[string]int{}}
}

func (s *chameleon) become(name, print string, swapped int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.name, s.print, s.swapped = name, print, swapped
}

var changing = Options{Endpoint: "https://model.invalid", Model: "gpt-4.1-mini", Send: "whole", Canary: 20}

// ask labels reports from to to, one after the other, and gives the first error.
func (b bench) askFrom(t *testing.T, from, to int) error {
	for i := from; i < to; i++ {
		if _, err := b.Label(t.Context(), Call{"b", "label.Reports", fmt.Sprint(i), report(i), nil}); err != nil {
			return err
		}
	}
	return nil
}

// A model that changes halfway under its name stops the run; one that only calls itself otherwise is told of; one that
// stays as it is does neither. Canaries are in the bill and no reports.
func TestAModelThatChanges(t *testing.T) {
	for name, c := range map[string]struct {
		name, print string
		swapped     int
		asked       int // askings in 100 reports: 2 at the first call, and at every 20th after; one at a change
		stops       bool
		note        string
	}{
		"stays":                          {"m-1", "", 0, 6, false, ""},
		"another fingerprint":            {"m-1", "f2", 0, 6, false, ""},
		"another name, the same answers": {"m-2", "", 0, 6, false, "model.invalid answers as m-2 since "},
		"a little":                       {"m-1", "", 1, 6, false, "gpt-4.1-mini may have changed by "},
		"other answers":                  {"m-1", "", 9, 5, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newChameleon(t)
				dir := t.TempDir()
				b := set(t, dir, changing, s)
				if err := b.askFrom(t, 0, 50); err != nil {
					t.Fatal(err)
				}
				s.become(c.name, c.print, c.swapped)
				err := b.askFrom(t, 50, 100)
				if errors.Is(err, ErrChanged) != c.stops || errors.Is(err, ErrProvider) != c.stops || err != nil && !c.stops {
					t.Errorf("%v", err)
				}
				if notes := b.Notes(); len(notes) > 0 != (c.note != "") || len(notes) > 1 || len(notes) == 1 && !strings.HasPrefix(notes[0], c.note) {
					t.Errorf("notes %q", notes)
				}
				for text, n := range s.canaries {
					if n != c.asked {
						t.Errorf("a text of %d bytes was asked %d times, want %d", len(text), n, c.asked)
					}
				}
				reports := int64(100)
				if c.stops {
					reports = 61
				}
				cost := b.cost(t)
				i := slices.IndexFunc(cost.Batches, func(b ledger.BatchCost) bool { return b.ID == "" })
				if len(s.canaries) != 8 || cost.Spent != s.bill || cost.Reports != reports || cost.Attempts != int64(s.n) || *cost.DistinctReports != reports ||
					i < 0 || cost.Batches[i].Spent != int64(8*c.asked)*perAnswer || cost.Batches[i].Calls != int64(8*c.asked) || cost.Batches[i].Reports != 0 {
					t.Errorf("%d canaries; %+v", len(s.canaries), cost)
				}
				if !c.stops {
					return
				}
				b.shut(t) // the next run on this store is told as well
				other := set(t, dir, changing, s)
				if err := other.askFrom(t, 200, 201); !errors.Is(err, ErrChanged) {
					t.Errorf("in the next run: %v", err)
				}
			})
		})
	}
}

// By default a small run asks no canaries, and neither does one of a stand-in; a long one asks them.
func TestSmallRunsAskNoCanaries(t *testing.T) {
	for endpoint, want := range map[string][3]int64{"https://model.invalid": {canaryEvery, canaryFirst, canaryFirst}, "http://127.0.0.1:1": {}, "fake://rules": {}} {
		o := changing
		o.Endpoint, o.Canary = endpoint, 0
		b := set(t, t.TempDir(), o, newChameleon(t))
		if k := &b.canary; [3]int64{k.every, k.next.Load(), k.soonest.Load()} != want {
			t.Errorf("%s: every %d, from %d", endpoint, k.every, k.next.Load())
		}
	}
	s := newChameleon(t)
	o := changing
	o.Canary = 0
	b := set(t, t.TempDir(), o, s)
	for _, n := range []int64{1, canaryFirst - 1} {
		b.canary.changed.Store(true)
		if err := b.tryCanaries(t.Context(), n); err != nil || len(s.canaries) != 0 {
			t.Errorf("%v, %d canaries after %d calls", err, len(s.canaries), n)
		}
	}
	if err := b.tryCanaries(t.Context(), canaryFirst); err != nil || s.n != 16 {
		t.Errorf("%v, %d calls", err, s.n)
	}
}

// The cap holds for canaries as for all calls.
func TestCanariesAreCapped(t *testing.T) {
	o := changing
	o.MaxCostPico = 5e9
	s := newChameleon(t)
	b := set(t, t.TempDir(), o, s)
	if err := b.askFrom(t, 0, 100); !errors.Is(err, ErrBudget) || s.bill > 5e9 {
		t.Errorf("%v, %d of %d spent", err, s.bill, int64(5e9))
	}
}

// The chance is that of the hypergeometric distribution: exact values by hand, and its sum.
func TestChanceOfOtherAnswers(t *testing.T) {
	for _, c := range []struct {
		k, n, marked, total int
		want                float64
	}{
		{0, 144, 0, 288, 1},
		{1, 144, 1, 288, 0.5},
		{2, 144, 2, 288, 0.5 * 143 / 287},
		{10, 10, 10, 20, 1.0 / 184756},
		{3, 4, 3, 8, 5.0 / 70}, // of C(8,4) = 70 draws, C(5,1) = 5 hold all three
	} {
		if got := atLeast(c.k, c.n, c.marked, c.total); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
