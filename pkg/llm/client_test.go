package llm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"testing"

	"silverbeam/pkg/ledger"
	"silverbeam/pkg/rules"
	"silverbeam/pkg/taxonomy"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if child() || aheadChild() || embedChild() || peer() {
		return
	}
	goleak.VerifyTestMain(m)
}

func ctRate(t testing.TB) *taxonomy.Taxonomy {
	t.Helper()
	tax, err := taxonomy.Load("ctrate-18")
	if err != nil {
		t.Fatal(err)
	}
	return tax
}

// bench is a client with a book and a store of its own.
type bench struct {
	*Client
	book  *ledger.Book
	store *ledger.Store
	dir   string
}

func set(t testing.TB, dir string, o Options, rt http.RoundTripper) bench {
	t.Helper()
	return setOf(t, dir, ctRate(t), o, rt)
}

func setOf(t testing.TB, dir string, tax *taxonomy.Taxonomy, o Options, rt http.RoundTripper) bench {
	t.Helper()
	book, store := books(t, dir)
	c, err := open(o, tax, book, store, rt)
	if err != nil {
		t.Fatal(err)
	}
	b := bench{c, book, store, dir}
	t.Cleanup(func() { b.shut(t) })
	return b
}

// books opens a ledger and a store in a folder, until the test ends.
func books(t testing.TB, dir string) (*ledger.Book, *ledger.Store) {
	t.Helper()
	book, err := ledger.OpenBook(filepath.Join(dir, "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { book.Close() })
	store, err := ledger.OpenStore(filepath.Join(dir, "results.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return book, store
}

func (b bench) shut(t testing.TB) {
	t.Helper()
	if err := errors.Join(b.Close(), b.store.Close(), b.book.Close()); err != nil {
		t.Error(err)
	}
}

func (b bench) cost(t testing.TB) *ledger.Cost {
	t.Helper()
	c, err := b.book.Cost()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// report is the i-th of any number of different reports, none of them from anywhere.
func report(i int) string {
	said := []string{"Bilateral pleural effusion is present.", "No pleural effusion.", "A possible nodule in the left upper lobe.",
		"Cardiomegaly.", "Emphysema in both lungs.", "No lymphadenopathy.", "Hiatal hernia is seen."}
	return fmt.Sprintf("Thorax CT, examination %d.\n%s %s", i, said[i%7], said[i/7%7])
}

// labelAll labels n reports from so many goroutines; same says how many share a text.
func (b bench) labelAll(t testing.TB, atOnce, n, same int) (answers [][]taxonomy.Label, errs []error) {
	answers, errs = make([][]taxonomy.Label, n), make([]error, n)
	var wg sync.WaitGroup
	turn := make(chan int)
	for range atOnce {
		wg.Go(func() {
			for i := range turn {
				answers[i], errs[i] = b.Label(context.Background(), Call{Batch: fmt.Sprint("b", i/50), Step: "label.Reports", Study: fmt.Sprint("s", i), Report: report(i / same)})
			}
		})
	}
	for i := range n {
		turn <- i
	}
	close(turn)
	wg.Wait()
	return answers, errs
}

func TestFakeAnswersAsTheRulesDo(t *testing.T) {
	const n, same = 200, 2
	b := set(t, t.TempDir(), Options{Endpoint: "fake://rules?seed=1&p429=0.05&p500=0.02&pcut=0.02&pschema=0.05"}, nil)
	answers, errs := b.labelAll(t, 16, n, same)
	r, err := rules.New(ctRate(t), rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range answers {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		want, err := r.Label(report(i / same))
		if err != nil {
			t.Fatal(err)
		}
		for k := range want {
			if a[k].State != want[k].State || a[k].Source != "llm:fake-rules" {
				t.Fatalf("report %d, finding %d: %v, rules say %v", i, k, a[k], want[k])
			}
		}
	}
	c := b.cost(t)
	if c.Calls != n/same || c.Attempts <= c.Calls || c.Reports != n || *c.DistinctReports != n/same || c.Spent != 0 || c.Tokens.Input == 0 {
		t.Errorf("%+v", c)
	}
	first := c.Attempts
	_, errs = b.labelAll(t, 16, n, same)
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if again := b.cost(t).Attempts; again != first {
		t.Errorf("labelling again sent %d more attempts", again-first)
	}
}
