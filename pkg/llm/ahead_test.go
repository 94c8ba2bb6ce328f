package llm

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"silverbeam/pkg/ledger"
	"silverbeam/pkg/rules"
)

// ahead gives a client for batches with a server of its own.
func aheadOf(t *testing.T, dir string, o Options, change func(*batchServer)) (bench, *batchServer) {
	t.Helper()
	s := newBatchServer(newPrompt(ctRate(t), nil, "").keys)
	if change != nil {
		change(s)
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return aheadAt(t, dir, o, server.URL), s
}

func aheadAt(t *testing.T, dir string, o Options, url string) bench {
	t.Helper()
	o.Endpoint, o.Model, o.Batch, o.Spool = url, "gpt-4.1-mini", true, dir
	b := set(t, dir, o, nil)
	b.few, b.settled = 0, 10*time.Millisecond
	return b
}

// callsOf gives n reports of which so many share a text.
func callsOf(n, same int) iter.Seq2[Call, error] {
	return func(yield func(Call, error) bool) {
		for i := range n {
			if !yield(Call{Batch: fmt.Sprint("b", i/50), Step: "label.Reports", Study: fmt.Sprint("s", i), Report: report(i / same)}, nil) {
				return
			}
		}
	}
}

// settledUp compares the books with the server's bill, and looks for what should not have stayed.
func (s *batchServer) settledUp(t *testing.T, b bench) *ledger.Cost {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	c := b.cost(t)
	if got := (bill{s.bill.requests, c.Tokens.Input, c.Tokens.Cached, c.Tokens.Output, c.Spent}); got != s.bill || c.UnsettledMax != 0 {
		t.Errorf("ledger %+v, server %+v, unsettled %d", got, s.bill, c.UnsettledMax)
	}
	if s.calls == 0 && c.Saved.BatchMode != s.whole-s.bill.pico {
		t.Errorf("saved %d, want %d - %d", c.Saved.BatchMode, s.whole, s.bill.pico)
	}
	var sum int64
	for _, b := range c.Batches {
		sum += b.Spent
	}
	if sum != c.Spent {
		t.Errorf("batches sum to %d, spent %d", sum, c.Spent)
	}
	for _, f := range s.faults {
		t.Error("the server met ", f)
	}
	for report, n := range s.answered {
		if n != 1 {
			t.Errorf("%q was answered %d times", report, n)
		}
	}
	for _, f := range s.files {
		t.Errorf("the server still has %s, %s", f.ID, f.Filename)
	}
	if left, _ := filepath.Glob(filepath.Join(b.dir, ".spool*")); len(left) > 0 {
		t.Error("left on disk: ", left)
	}
	return c
}

func labelled(t *testing.T, b bench, n, same int) (refused int) {
	t.Helper()
	answers, errs := b.labelAll(t, 16, n, same)
	for i, err := range errs {
		var no Refusal
		switch {
		case errors.As(err, &no) && no.Class == "refusal":
			refused++
		case err != nil:
			t.Fatal(err)
		case answers[i][0].State != servedState(report(i/same)):
			t.Fatalf("report %d has the labels of another", i)
		}
	}
	return refused
}

// Lines fail, expire, vanish, do not validate and are declined; files are cut at 64 lines. Each report is answered once,
// or declined, and the books are the server's.
func TestAheadAsksForEachReportOnce(t *testing.T) {
	const n, same = 900, 3
	b, s := aheadOf(t, t.TempDir(), Options{}, func(s *batchServer) { s.lineFaults, s.cutUploads, s.cutJobs = true, 3, 3 })
	b.maxBytes = 64 * 8500
	if err := b.Ahead(t.Context(), callsOf(n, same)); err != nil {
		t.Fatal(err)
	}
	before := s.bill.requests
	refused := labelled(t, b, n, same)
	c := s.settledUp(t, b)
	if refused == 0 || refused+same*len(s.answered) != n || s.calls > 0 || s.bill.requests != before || c.Calls != n/same || c.Reports != n || c.Wasted == 0 {
		t.Errorf("%d refused, %d answered, %d calls: %+v", refused, len(s.answered), s.calls, c)
	}
	if len(s.jobs) < 5 || c.Saved.BatchMode <= 0 || c.Saved.Dedupe == 0 {
		t.Errorf("%d jobs, saved %+v", len(s.jobs), c.Saved)
	}
	for _, j := range s.jobs {
		if name := fmt.Sprint(j.Metadata["silverbeam"]); !strings.HasPrefix(name, "silverbeam-") {
			t.Error("metadata: ", j.Metadata)
		}
	}
	t.Logf("%d jobs, %d lines billed, spent %s USD = the server's bill, %d saved", len(s.jobs), s.bill.requests, c.SpentUSD, c.Saved.BatchMode)
}

// A few that are left open are asked in calls.
func TestAheadLeavesAFewToCalls(t *testing.T) {
	b, s := aheadOf(t, t.TempDir(), Options{}, func(s *batchServer) { s.lineFaults = true })
	b.few = 80
	if err := b.Ahead(t.Context(), callsOf(200, 1)); err != nil {
		t.Fatal(err)
	}
	labelled(t, b, 200, 1)
	s.settledUp(t, b)
	if s.calls == 0 || len(s.jobs) != 1 {
		t.Errorf("%d calls, %d jobs", s.calls, len(s.jobs))
	}
}

// A provider that holds so many tokens at once says so only later, as a failed job.
func TestAheadUnderATokenLimit(t *testing.T) {
	for name, limit := range map[string]struct {
		bytes int
		holds bool // jobs under way do not end before one has failed for them
	}{"less than a job": {105 * 8000, false}, "of some jobs": {250 * 8000, true}} {
		t.Run(name, func(t *testing.T) {
			b, s := aheadOf(t, t.TempDir(), Options{}, func(s *batchServer) { s.maxWaiting, s.holds = limit.bytes, limit.holds })
			b.maxBytes = 120 * 8000
			if err := b.Ahead(t.Context(), callsOf(400, 1)); err != nil {
				t.Fatal(err)
			}
			labelled(t, b, 400, 1)
			s.settledUp(t, b)
			failed := 0
			for _, j := range s.jobs {
				if j.Status == "failed" {
					failed++
				}
			}
			if failed == 0 || s.calls > 0 || len(s.answered) != 400 {
				t.Errorf("%d failed, %d calls, %d answered", failed, s.calls, len(s.answered))
			}
		})
	}
}

// A cap holds in batches too: what does not fit waits for what is under way, then the run ends, and goes on with more.
func TestAheadUnderACap(t *testing.T) {
	dir := t.TempDir()
	cap := int64(20_000_000_000)
	b, s := aheadOf(t, dir, Options{MaxCostPico: cap}, nil)
	if err := b.Ahead(t.Context(), callsOf(300, 1)); !errors.Is(err, ErrBudget) {
		t.Fatal(err)
	}
	c := b.cost(t)
	if c.Spent == 0 || c.Spent > cap || c.Spent != s.bill.pico || len(s.jobs) < 2 {
		t.Errorf("%d jobs, spent %d, bill %d", len(s.jobs), c.Spent, s.bill.pico)
	}
	b.o.MaxCostPico = 0
	if err := b.Ahead(t.Context(), callsOf(300, 1)); err != nil {
		t.Fatal(err)
	}
	labelled(t, b, 300, 1)
	s.settledUp(t, b)
}

func TestAheadStopsWhereWaitingCannotHelp(t *testing.T) {
	b, s := aheadOf(t, t.TempDir(), Options{}, func(s *batchServer) { s.refuse = "model_not_found" })
	err := b.Ahead(t.Context(), callsOf(10, 1))
	if !errors.Is(err, ErrProvider) || !strings.Contains(err.Error(), "model_not_found") {
		t.Error(err)
	}
	if c := s.settledUp(t, b); c.Spent != 0 || c.Calls != 0 {
		t.Errorf("%+v", c)
	}
	none := httptest.NewServer(http.NotFoundHandler())
	defer none.Close()
	if err := aheadAt(t, t.TempDir(), Options{}, none.URL).Ahead(t.Context(), callsOf(1, 1)); !errors.Is(err, ErrProvider) || !strings.Contains(err.Error(), "mode sync") {
		t.Error(err)
	}
}

func TestAModelWithoutABatchPriceIsRefused(t *testing.T) {
	prices := filepath.Join(t.TempDir(), "p.csv")
	if err := os.WriteFile(prices, []byte(ledger.PriceHeader+"\nour-1,m,2026-01-01,USD,0.4,,,1.6,,,,,,,x,2026-01-01\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Foresee(Options{Endpoint: "https://model.invalid", Model: "m", Prices: prices, Batch: true}, ctRate(t), nil)
	if !errors.Is(err, ledger.ErrNoPrice) || !strings.Contains(err.Error(), "our-1") {
		t.Error(err)
	}
}

// underWay says whether a client has seen a job at work.
func (s *batchServer) underWay() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range s.jobs {
		if j.Status == "in_progress" {
			return true
		}
	}
	return false
}

// Who interrupts leaves the jobs to the provider; the next call takes what they brought.
func TestAheadInterrupted(t *testing.T) {
	b, s := aheadOf(t, t.TempDir(), Options{}, func(s *batchServer) { s.holds = true })
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for !s.underWay() {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if err := b.Ahead(ctx, callsOf(100, 1)); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "1 jobs go on") {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.holds = false
	s.mu.Unlock()
	if st, err := ledger.ReadBatches(filepath.Join(b.dir, "ledger.db")); err != nil || st.Open != 1 || st.Lines != 100 {
		t.Error(st, err)
	}
	if err := b.Ahead(t.Context(), nil); err != nil { // without the reports
		t.Fatal(err)
	}
	if labelled(t, b, 100, 1); s.calls > 0 || len(s.jobs) != 1 {
		t.Errorf("%d calls, %d jobs", s.calls, len(s.jobs))
	}
	s.settledUp(t, b)
}

// The fake endpoint has batches too, with the faults of its calls.
func TestFakeBatches(t *testing.T) {
	b := set(t, t.TempDir(), Options{Endpoint: "fake://rules?seed=1&p429=0.1&p500=0.05&pcut=0.05&pschema=0.1", Batch: true, Spool: t.TempDir()}, nil)
	b.few = 3
	if err := b.Ahead(t.Context(), callsOf(300, 2)); err != nil {
		t.Fatal(err)
	}
	answers, errs := b.labelAll(t, 16, 300, 2)
	r, err := rules.New(ctRate(t), rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range answers {
		if want, err := r.Label(report(i / 2)); errs[i] != nil || err != nil || answers[i][3].State != want[3].State {
			t.Fatal(i, errs[i], err)
		}
	}
	st, err := ledger.ReadBatches(filepath.Join(b.dir, "ledger.db"))
	if c := b.cost(t); err != nil || c.Calls != 150 || c.Attempts <= 150 || c.Spent != 0 || st.Jobs < 2 || st.Open != 0 {
		t.Errorf("%+v, %+v, %v", c, st, err)
	}
}

// What goes to the provider in files is redacted as what goes there in calls.
func TestAheadSendsRedacted(t *testing.T) {
	for _, send := range []string{"redacted", "whole"} {
		b, s := aheadOf(t, t.TempDir(), Options{Send: send}, nil)
		call := Call{Batch: "b", Step: "label.Reports", Study: "1", Report: "Discussed with Dr. Okafor on 12 March 2024. A nodule of 5 mm."}
		if err := b.Ahead(t.Context(), func(yield func(Call, error) bool) { yield(call, nil) }); err != nil {
			t.Fatal(err)
		}
		for text := range s.asked {
			if named := strings.Contains(text, "Okafor") || strings.Contains(text, "March"); named != (send == "whole") || !strings.Contains(text, "5 mm") {
				t.Errorf("send %s: %q was sent", send, text)
			}
		}
		if len(s.asked) != 1 {
			t.Errorf("%d reports were sent", len(s.asked))
		}
	}
}
