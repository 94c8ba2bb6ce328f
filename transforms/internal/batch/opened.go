package batch

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"

	"silverbeam/pkg/ledger"
	"silverbeam/pkg/llm"
	"silverbeam/pkg/taxonomy"
	"silverbeam/schemas"
)

// opened holds what the steps of this process share for each run folder: one ledger, one store, one client. A DoFn is
// set up once for every bundle that runs beside others, and SQLite serves one opener.
var opened = struct {
	sync.Mutex
	books   map[string]*ledger.Book
	stores  map[string]*ledger.Store
	clients map[string]*llm.Client
}{books: map[string]*ledger.Book{}, stores: map[string]*ledger.Store{}, clients: map[string]*llm.Client{}}

// Book is the run's ledger, opened once in this process.
func Book(run schemas.Run) (*ledger.Book, error) {
	opened.Lock()
	defer opened.Unlock()
	return openBook(run)
}

func openBook(run schemas.Run) (*ledger.Book, error) {
	if b := opened.books[run.Dir]; b != nil {
		return b, nil
	}
	path := filepath.Join(run.Dir, "ledger.db")
	if err := ledger.Share(path, run.Store); err != nil {
		return nil, err
	}
	b, err := ledger.OpenBook(path)
	if err == nil {
		opened.books[run.Dir] = b
	}
	return b, err
}

// Client is a client of a run, opened once in this process for the same options.
func Client(o llm.Options, t *taxonomy.Taxonomy, run schemas.Run) (*llm.Client, error) {
	opened.Lock()
	defer opened.Unlock()
	key := fmt.Sprint(run, o, t.Digest())
	if c := opened.clients[key]; c != nil {
		return c, nil
	}
	book, err := openBook(run)
	if err != nil {
		return nil, err
	}
	store := opened.stores[run.Store]
	if store == nil {
		if store, err = ledger.OpenStore(run.Store); err != nil {
			return nil, err
		}
		opened.stores[run.Store] = store
	}
	if err := book.SetCap(run.MaxCostPico); err != nil {
		return nil, err
	}
	c, err := llm.Open(o, t, book, store)
	if err == nil {
		opened.clients[key] = c
	}
	return c, err
}

// Spent is what the run in a folder has spent, in pico-dollars, if this process keeps its ledger.
func Spent(dir string) (pico int64, ok bool) {
	opened.Lock()
	b := opened.books[dir]
	opened.Unlock()
	if b == nil {
		return 0, false
	}
	pico, err := b.Spent()
	return pico, err == nil
}

// Notes are what the clients of this process have to tell of its runs, as llm.Client's are.
func Notes() (all []string) {
	opened.Lock()
	defer opened.Unlock()
	for _, c := range opened.clients {
		all = append(all, c.Notes()...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Close closes what this process holds for its runs. The runner calls it after the graph has ended.
func Close() error {
	opened.Lock()
	defer opened.Unlock()
	var errs []error
	for _, c := range opened.clients {
		errs = append(errs, c.Close())
	}
	for _, b := range opened.books { // before the stores, to which they give back what they hold of a month
		errs = append(errs, b.Close())
	}
	for _, s := range opened.stores {
		errs = append(errs, s.Close())
	}
	clear(opened.clients)
	clear(opened.stores)
	clear(opened.books)
	return errors.Join(errs...)
}
