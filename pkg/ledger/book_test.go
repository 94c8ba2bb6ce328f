package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"silverbeam/pkg/taxonomy"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T) (*Book, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger.db")
	b, err := OpenBook(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b, path
}

func intent(batch, study string, n byte) Intent {
	return Intent{Batch: batch, Step: "label.Reports", Study: study, Identity: Identity{n}, Report: Identity{n, 1}, Findings: []FindingID{{1}}, Model: "m", PriceID: "p", ReservePico: 1000}
}

func try(t *testing.T, b *Book, in Intent, o Outcome) {
	t.Helper()
	id, err := b.Begin(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Settle(id, in, o); err != nil {
		t.Fatal(err)
	}
}

func pico(n int64) *int64 { return &n }

func TestCostAddsUp(t *testing.T) { bookOnBoth(t, costAddsUp) }

func costAddsUp(t *testing.T, b *Book, path string) {
	labels := []taxonomy.Label{{State: taxonomy.Present, P: .9}}
	try(t, b, intent("b1", "s1", 1), Outcome{Kind: Failed, Status: 429, CostPico: pico(0)})
	try(t, b, intent("b1", "s1", 1), Outcome{Kind: Schema, Status: 200, Usage: &Usage{Input: 10, Output: 2, Cached: pico(4)}, CostPico: pico(30)})
	try(t, b, intent("b1", "s1", 1), Outcome{Kind: Answered, Status: 200, Usage: &Usage{Input: 10, Output: 3}, CostPico: pico(40), Labels: labels})
	try(t, b, intent("b2", "s2", 2), Outcome{Kind: Cut})
	try(t, b, intent("b2", "s2", 2), Outcome{Kind: Unsent, CostPico: pico(0)})
	if _, err := b.Begin(context.Background(), intent("b2", "s3", 3)); err != nil { // still in flight
		t.Fatal(err)
	}
	for _, err := range []error{
		b.Spared(intent("b2", "s4", 1), false, 40), // this run has paid for it
		b.Spared(intent("b2", "s5", 9), true, 50),
		b.Spared(intent("b2", "s6", 9), true, 50), // the store spared one call, not two
		b.Spared(intent("b2", "s5", 9), true, 50), // after a resume
		b.AddCompute(Booking{"b1", "label.Reports", 5, 1.5, 0}), b.AddCompute(Booking{"b1", "label.Reports", 3, 2.5, 0}),
		b.AddCompute(Booking{"b1", "dataset.Shards", 3, 0.25, 0}), b.AddCompute(Booking{"", "train.Model", 0, 7, 1}), b.SetEstimate(1, 2, 3), b.SetPrices("sha256:x"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	c, err := ReadCost(path) // while the book is open
	if err != nil {
		t.Fatal(err)
	}
	// By hand from the lines above. rules: 3 reports of b1, one of them asked, at 70/3 calls = 23 each.
	want := `{"currency":"USD","unit":"pico","calls":3,"attempts":5,"reports":8,"distinct_reports":4,"spent":70,"spent_usd":"0.000000000070","wasted":30,"unsettled_max":2000,` +
		`"saved":{"store":50,"dedupe":90,"rules":46,"batch_mode":0},"tokens":{"input":20,"cached":4,"cache_write":0,"output":5,"reasoning":0},"compute":{"cpu_seconds":9.75,"gpu_seconds":1},` +
		`"by_model":[{"model":"m","calls":3,"spent":70}],"by_step":[{"step":"label.Reports","calls":3,"spent":70}],"batches":[` +
		`{"id":"","reports":0,"calls":0,"attempts":0,"spent":0,"wasted":0,"unsettled_max":0,"tokens":{"input":0,"cached":0,"cache_write":0,"output":0,"reasoning":0},"cpu_seconds":7,"gpu_seconds":1},` +
		`{"id":"b1","reports":3,"calls":1,"attempts":3,"spent":70,"wasted":30,"unsettled_max":0,"tokens":{"input":20,"cached":4,"cache_write":0,"output":5,"reasoning":0},"cpu_seconds":2.75,"gpu_seconds":0},` +
		`{"id":"b2","reports":5,"calls":2,"attempts":2,"spent":0,"wasted":0,"unsettled_max":2000,"tokens":{"input":0,"cached":0,"cache_write":0,"output":0,"reasoning":0},"cpu_seconds":0,"gpu_seconds":0}],` +
		`"estimate":{"low":1,"expected":2,"high":3},"price_file":"sha256:x"}`
	if got, _ := json.Marshal(c); string(got) != want {
		t.Errorf("cost\n%s\nwant\n%s", got, want)
	}
	if b.Committed() != 2070 {
		t.Errorf("committed %d", b.Committed())
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := ReadSpent(path); err != nil || n != 70 {
		t.Errorf("spent %d, %v", n, err)
	}
	if c, err = ReadCost(path); err != nil || c.Spent != 70 {
		t.Fatal(c, err)
	}
	again, err := OpenBook(path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.Committed() != 2070 {
		t.Errorf("reopened: committed %d, want 2070", again.Committed())
	}
	if a, err := again.Paid(Identity{1}); err != nil || len(a) != 1 || a[0].CostPico != 40 || a[0].Labels[0] != labels[0] || a[0].Findings[0] != (FindingID{1}) {
		t.Error(a, err)
	}
	if a, _ := again.Paid(Identity{2}); len(a) > 0 {
		t.Error("an attempt that was cut off has no answer")
	}
}

func TestSecondOpenerIsRefused(t *testing.T) {
	_, path := open(t)
	_, err := OpenBook(path)
	if !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), fmt.Sprintf("pid %d", os.Getpid())) {
		t.Error(err)
	}
}

func TestBudgetHoldsUnderConcurrency(t *testing.T) { bookOnBoth(t, budgetHoldsUnderConcurrency) }

func budgetHoldsUnderConcurrency(t *testing.T, b *Book, path string) {
	const limit, each, cost = 10_000, 1000, 300 // worst case 1000 a call, real cost 300
	var wg sync.WaitGroup
	var mu sync.Mutex
	refused, highest := 0, int64(0)
	for i := range 64 {
		wg.Go(func() {
			in := intent("b", fmt.Sprint(i), byte(i))
			in.CapPico = limit
			id, err := b.Begin(context.Background(), in)
			mu.Lock()
			highest = max(highest, b.Committed())
			if errors.Is(err, ErrBudget) {
				refused++
			}
			mu.Unlock()
			if err == nil {
				err = b.Settle(id, in, Outcome{Kind: Answered, CostPico: pico(cost)})
			}
			if err != nil && !errors.Is(err, ErrBudget) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	// A call fits while spent + 1000 <= 10000: after 31 calls 9300 are spent and the next could exceed the cap.
	if done := 64 - refused; done != 31 || b.Committed() != 31*cost || highest > limit {
		t.Errorf("%d calls, committed %d, highest %d", done, b.Committed(), highest)
	}
}

func TestOverflowIsRefused(t *testing.T) { bookOnBoth(t, overflowIsRefused) }

func overflowIsRefused(t *testing.T, b *Book, path string) {
	in := intent("b", "s", 1)
	in.ReservePico = 1 << 62
	try(t, b, in, Outcome{Kind: Answered, CostPico: pico(1 << 62)})
	id, err := b.Begin(context.Background(), intent("b", "s2", 2))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Begin(context.Background(), in); !errors.Is(err, ErrOverflow) {
		t.Error(err)
	}
	if err := b.Settle(id, intent("b", "s2", 2), Outcome{Kind: Answered, CostPico: pico(1 << 62)}); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadCost(path); !errors.Is(err, ErrOverflow) {
		t.Error(err)
	}
}

func TestReadCostOfNothing(t *testing.T) {
	if _, err := ReadCost(filepath.Join(t.TempDir(), "ledger.db")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
