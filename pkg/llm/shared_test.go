package llm

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"silverbeam/pkg/ledger"
	"silverbeam/pkg/taxonomy"
)

// slow answers after a while and notes how many requests it holds at once.
type slow struct {
	script
	now, most atomic.Int64
	held      chan struct{} // not nil: the first request closes it and stays until it is cancelled
	hold      sync.Once
}

func (s *slow) RoundTrip(r *http.Request) (*http.Response, error) {
	n := s.now.Add(1)
	defer s.now.Add(-1)
	for m := s.most.Load(); n > m && !s.most.CompareAndSwap(m, n); m = s.most.Load() {
	}
	wait := 50 * time.Millisecond // many times what is between two commits: calls that begin in several of them overlap
	if s.held != nil {
		s.hold.Do(func() { close(s.held); wait = time.Hour })
	}
	if err := sleep(r.Context(), wait); err != nil {
		return nil, err
	}
	return s.script.RoundTrip(r)
}

func slowBench(t *testing.T, o Options) (bench, *slow) {
	s := &slow{script: script{keys: newPrompt(ctRate(t), nil, "").keys}}
	o.Endpoint, o.Model = "https://slow.invalid", "gpt-4.1-mini"
	return set(t, t.TempDir(), o, s), s
}

func TestEqualReportsShareACall(t *testing.T) {
	b, s := slowBench(t, Options{})
	_, errs := b.labelAll(t, 16, 64, 16)
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	c := b.cost(t)
	if s.sent() != 4 || c.Calls != 4 || c.Reports != 64 || *c.DistinctReports != 4 || c.Saved.Dedupe != 60*perAnswer || c.Saved.Store != 0 {
		t.Errorf("%d requests, %+v", s.sent(), c)
	}
}

func TestInFlightIsOneLimitForAllClientsOfAnEndpoint(t *testing.T) {
	b, s := slowBench(t, Options{InFlight: 3})
	second, err := open(b.o, ctRate(t), b.book, b.store, s)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	two := bench{second, b.book, b.store, b.dir}
	var wg sync.WaitGroup
	wg.Go(func() { b.labelAll(t, 16, 40, 1) })
	wg.Go(func() { two.labelAll(t, 16, 80, 1) })
	wg.Wait()
	if s.most.Load() != 3 {
		t.Errorf("%d calls at once, want 3", s.most.Load())
	}
}

// held answers the first request at once, and the others when it is let go.
type held struct {
	script
	now atomic.Int64
	let chan struct{} // closed when it may answer
}

func (h *held) RoundTrip(r *http.Request) (*http.Response, error) {
	if h.now.Add(1) == 1 {
		return h.script.RoundTrip(r)
	}
	select {
	case <-h.let:
		return h.script.RoundTrip(r)
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// A run that ends, for whatever reason, still takes the answers that are on their way: they are paid for.
func TestACallUnderWayIsFinished(t *testing.T) {
	const calls = 8
	h := &held{script: script{keys: newPrompt(ctRate(t), nil, "").keys}, let: make(chan struct{})}
	b := set(t, t.TempDir(), Options{Endpoint: "https://held.invalid", Model: "gpt-4.1-mini", InFlight: calls}, h)
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := b.Label(ctx, Call{"b", "s", "first", report(100), nil}); err != nil {
		t.Fatal(err)
	}
	errs := make([]error, 40)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { _, errs[i] = b.Label(ctx, Call{"b", "s", fmt.Sprint(i), report(i), nil}) })
	}
	for h.now.Load() < 1+calls || b.waiting() < len(errs) {
		time.Sleep(time.Millisecond)
	}
	cancel()
	close(h.let)
	wg.Wait()
	answered := 0
	for i, err := range errs {
		switch {
		case err == nil:
			answered++
		case !errors.Is(err, context.Canceled):
			t.Error(i, err)
		}
	}
	if c := b.cost(t); answered < calls || c.Attempts != 1+int64(answered) || c.Spent != c.Attempts*perAnswer || c.UnsettledMax != 0 {
		t.Errorf("%d answered: %+v", answered, c)
	}
	if _, errs := b.labelAll(t, 16, 40, 1); errors.Join(errs...) != nil || h.sent() != 41 {
		t.Errorf("%d requests for 40 reports: %v", h.sent(), errors.Join(errs...))
	}
}

// One who waits for a turn is called off; an equal report takes over.
func TestACancelledCallerDoesNotTakeOthersAlong(t *testing.T) {
	b, s := slowBench(t, Options{InFlight: 1})
	ctx, cancel := context.WithCancel(t.Context())
	leave, err := b.ends.all[0].gate.enter(t.Context(), 1, time.Time{}) // the one slot
	if err != nil {
		t.Fatal(err)
	}
	first, second := make(chan error, 1), make(chan error, 1)
	ask := func(ctx context.Context, study string, into chan error) {
		_, err := b.Label(ctx, Call{"b", "s", study, report(1), nil})
		into <- err
	}
	go ask(ctx, "1", first)
	for b.waiting() == 0 {
		time.Sleep(time.Millisecond)
	}
	go ask(t.Context(), "2", second)
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	leave(nil)
	if err := <-second; err != nil || s.sent() != 1 {
		t.Error(err)
	}
}

func (b bench) waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.flights)
}

func TestBudgetStopsTheRun(t *testing.T) {
	b, s := slowBench(t, Options{MaxCostPico: 100 * perAnswer})
	_, errs := b.labelAll(t, 16, 200, 1)
	stopped := 0
	for _, err := range errs {
		if errors.Is(err, ErrBudget) {
			stopped++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	c := b.cost(t)
	if stopped == 0 || c.Spent > 100*perAnswer || int64(s.sent()) != c.Attempts || c.Attempts != int64(200-stopped) || c.Attempts == 0 {
		t.Errorf("%d stopped, %d sent, spent %d", stopped, s.sent(), c.Spent)
	}
	if w := b.book.Committed(); w != c.Spent {
		t.Errorf("committed %d, spent %d", w, c.Spent)
	}
}

// dense counts a token for four bytes of instructions and one for each byte of a report that is no English.
type dense struct{ script }

func (d *dense) RoundTrip(r *http.Request) (*http.Response, error) {
	var in chatRequest
	body, err := io.ReadAll(r.Body)
	if err != nil || json.Unmarshal(body, &in) != nil {
		return nil, errors.New("no request")
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if _, err := d.script.RoundTrip(r); err != nil {
		return nil, err
	}
	tokens := len(in.Messages[0].Content) / 4
	if report := in.Messages[1].Content; strings.Contains(report, "胸") {
		tokens += len(report)
	} else {
		tokens += len(report) / 4
	}
	return respond(r, 200, strings.Replace(good(d.keys), `"prompt_tokens":100`, fmt.Sprintf(`"prompt_tokens":%d`, tokens), 1)), nil
}

func TestNoCallCostsMoreThanItReserved(t *testing.T) {
	d := &dense{script{keys: newPrompt(ctRate(t), nil, "").keys}}
	b := set(t, t.TempDir(), Options{Endpoint: "https://dense.invalid", Model: "gpt-4.1-mini"}, d)
	_, errs := b.labelAll(t, 16, 100, 1)
	for _, n := range []int{1, 700, 20_000} {
		_, err := b.Label(t.Context(), Call{"b", "s", fmt.Sprint("x", n), strings.Repeat("胸部。", n), nil})
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	b.cost(t) // with it all is in the tables
	db, err := sql.Open("sqlite", filepath.Join(b.dir, "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var calls, over, tight int
	if err := db.QueryRow(`SELECT count(*), total(cost>reserved), total(reserved<2*cost) FROM attempts`).Scan(&calls, &over, &tight); err != nil {
		t.Fatal(err)
	}
	if calls != 103 || over > 0 || tight < 50 {
		t.Errorf("of %d calls %d cost more than they reserved, and %d more than half of it", calls, over, tight)
	}
}

func TestReplaySendsNothing(t *testing.T) {
	dir := t.TempDir()
	s := &script{keys: newPrompt(ctRate(t), nil, "").keys}
	o := Options{Endpoint: "https://model.invalid", Model: "gpt-4.1-mini"}
	b := set(t, dir, o, s)
	if _, err := b.Label(t.Context(), Call{"b", "s", "1", report(1), nil}); err != nil {
		t.Fatal(err)
	}
	b.shut(t)
	os.Remove(filepath.Join(dir, "ledger.db"))
	o.Replay = true
	b = set(t, dir, o, s)
	labels, err := b.Label(t.Context(), Call{"b", "s", "1", report(1), nil})
	if err != nil || labels[0].State != taxonomy.Absent {
		t.Error(err)
	}
	if _, err := b.Label(t.Context(), Call{"b", "s", "2", report(2), nil}); !errors.Is(err, ErrReplay) {
		t.Error(err)
	}
	if c := b.cost(t); s.sent() != 1 || c.Saved.Store != perAnswer || c.Spent != 0 || c.Attempts != 0 {
		t.Errorf("%d requests, %+v", s.sent(), c)
	}
}

// An answer that was paid for but never reached the store is found in the run's own book.
func TestPaidAnswersSurviveALostStore(t *testing.T) {
	dir := t.TempDir()
	s := &script{keys: newPrompt(ctRate(t), nil, "").keys}
	o := Options{Endpoint: "https://model.invalid", Model: "gpt-4.1-mini"}
	for range 2 {
		b := set(t, dir, o, s)
		if _, err := b.Label(t.Context(), Call{"b", "s", "1", report(1), nil}); err != nil {
			t.Fatal(err)
		}
		b.shut(t)
		os.Remove(filepath.Join(dir, "results.db")) // the key stays, the answers go
	}
	if s.sent() != 1 {
		t.Errorf("%d requests", s.sent())
	}
}

func TestPrices(t *testing.T) {
	dir := t.TempDir()
	book, store := books(t, dir)
	file := filepath.Join(dir, "prices.csv")
	header := "price_id,model,effective_from,currency,input,cached,cache_write,output,batch_input,batch_output,batch_cached,threshold_tokens,input_over,output_over,source,checked_on\n"
	if err := os.WriteFile(file, []byte(header+"own,tiny,2026-01-01,USD,1,,,2,,,,,,,me,2026-01-01\nfree,gratis,2026-01-01,USD,0,,,0,,,,,,,me,2026-01-01\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ endpoint, model, prices, id string }{
		{"https://h", "gpt-4.1-mini", "", "gpt-4.1-mini@2026-11-23"},
		{"https://h", "nobody-knows", "", ""},
		{"https://h", "gratis", file, ""},
		{"https://h", "tiny", file, "own"},
		{"http://127.0.0.1:1", "nobody-knows", "", "local"},
		{"http://localhost:1", "gratis", file, "local"},
		{"http://[::1]:1", "tiny", file, "own"},
		{"http://10.0.0.1:1", "nobody-knows", "", ""},
		{"fake://rules", "", "", "fake"},
		{"fake://rules", "gpt-4.1-mini", "", "fake"},
		{"fake://rules", "tiny", file, "own"},
	} {
		client, err := Open(Options{Endpoint: c.endpoint, Model: c.model, Prices: c.prices}, ctRate(t), book, store)
		if c.id == "" {
			if !errors.Is(err, ledger.ErrNoPrice) {
				t.Errorf("%v: %v", c, err)
			}
			continue
		}
		if err != nil || client.price.ID != c.id {
			t.Errorf("%v: %v", c, err)
			continue
		}
		client.Close()
	}
}

func TestParseAnswer(t *testing.T) {
	keys := []string{"a", "b"}
	for _, c := range []struct {
		content string
		m       mode
		ok      bool
	}{
		{`{"a":"P","b":"U"}`, strictSchema, true},
		{" \n{\"b\":\"U\",\n\"a\":\"P\"} ", anyObject, true},
		{"```json\n{\"a\":\"P\",\"b\":\"U\"}\n```", anyObject, true},
		{"a=P b=U", oneLine, true},
		{`{"a":"P","b":"U"}`, oneLine, true},
		{"a=P b=U", strictSchema, false},
		{`{"a":"P"}`, strictSchema, false},
		{`{"a":"P","a":"P","b":"U"}`, strictSchema, false},
		{`{"a":"P","b":"U","c":"N"}`, strictSchema, false},
		{`{"a":"P","b":"u"}`, strictSchema, false},
		{`{"a":"P","b":1}`, strictSchema, false},
		{`{"a":"P","b":null}`, strictSchema, false},
		{`{"a":"P","b":["U"]}`, strictSchema, false},
		{`{"a":"P","b":"U"}{}`, strictSchema, false},
		{`{"a":"P","b":"U"} Done.`, strictSchema, false},
		{`["P","U"]`, strictSchema, false},
		{"a=P", oneLine, false},
		{"a=P b=U\na=N b=N", oneLine, false},
		{"a=P a=N b=U", oneLine, false},
		{"a P b U", oneLine, false},
		{"", oneLine, false},
	} {
		labels, _, err := parseAnswer(c.content, keys, c.m, nil)
		if (err == nil) != c.ok || c.ok && (labels[0].State != taxonomy.Present || labels[1].State != taxonomy.Uncertain) {
			t.Errorf("%q in mode %d: %v, %v", c.content, c.m, labels, err)
		}
	}
}

func FuzzParseAnswer(f *testing.F) {
	f.Add(`{"a":"P","b":"N"}`, 0)
	f.Add("a=P b=N", 2)
	f.Fuzz(func(t *testing.T, content string, m int) {
		labels, _, err := parseAnswer(content, []string{"a", "b"}, mode(m&3), nil)
		if err == nil && (len(labels) != 2 || labels[0].P == 0 || labels[1].P == 0) {
			t.Errorf("%q gives %v", content, labels)
		}
	})
}

func FuzzNormalise(f *testing.F) {
	f.Add("\n No\n\neffusion.  Ok. \n")
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := normalise(s), rewrite(s); got != want {
			t.Errorf("%q gives %q, want %q", s, got, want)
		}
	})
}

func TestNormalise(t *testing.T) {
	for in, want := range map[string]string{
		"  No\u00a0 effusion.\t \r\n\r\n\r Ok \x00\x1b[0m\n": "No effusion.\n\n\nOk [0m",
		"no\u200bdule\u202e\ufeff \U000e0041x":               "nodule x",
		"caf\xe9 é":                                          "caf é",
		" \u200b\n\t":                                        "",
		" \n":                                                "",
		"a\n \nb":                                            "a\n\nb",
		"a  b \nc":                                           "a b\nc",
		"\n No\n\neffusion. Ok.  \n":                         "No\n\neffusion. Ok.",
	} {
		if got := normalise(in); got != want || rewrite(in) != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
}

func TestKeys(t *testing.T) {
	var tax taxonomy.Taxonomy
	for i := range 60 {
		tax.Findings = append(tax.Findings, taxonomy.Finding{Name: fmt.Sprint("f", i)})
	}
	p := newPrompt(&tax, nil, "m")
	if p.keys[25] != "z" || p.keys[26] != "aa" || p.keys[52] != "ba" {
		t.Error(p.keys)
	}
	if !strings.HasPrefix(p.system[0], instructions) || p.maxTokens < 60*9 {
		t.Error("prompt or bound")
	}
}

// The one pass over an object finds what encoding/json's tokens are.
func FuzzObjectPairs(f *testing.F) {
	for _, s := range []string{`{"a":"P","b":"N"}`, " {\n\t\"a\" : \"\\u0050\" } ", `{}`, `{"a":"P",}`, `{"a":1}`, `{"a":"P"}{}`, `{"a":"P"`, `{"a":"\"}`, `{,}`, `{"a""P"}`, "{\"a\":\"\n\"}", `{"a":"P"} x`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			return
		}
		got, err := objectPairs(s)
		var want []pair
		d, bad := json.NewDecoder(strings.NewReader(s)), false
		token := func() string {
			k, err := d.Token()
			v, ok := k.(string)
			bad = bad || err != nil || !ok
			return v
		}
		open, _ := d.Token()
		for bad = open != json.Delim('{'); !bad && d.More(); {
			k, v := token(), token()
			want = append(want, pair{k, v, int(d.InputOffset()) - 1 - len(v)})
		}
		if !bad {
			_, err := d.Token()
			_, end := d.Token()
			bad = err != nil || end != io.EOF
		}
		if bad != (err != nil) || !bad && !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v; encoding/json: %v, bad %t", s, got, err, want, bad)
		}
	})
}
