package label

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"silverbeam/pkg/ledger"
	"silverbeam/pkg/llm"
	"silverbeam/pkg/rules"
	"silverbeam/pkg/student"
	"silverbeam/pkg/taxonomy"
	"silverbeam/schemas"
)

// cascade asks its labelers in turn. The first answers every finding; a later one is asked for those alone whose answer
// the one before doubts.
type cascade struct {
	labelers []labeler
	calls    bool // some labeler waits on calls
}

// labeler answers findings of one report, by their place in the taxonomy; those that are not wanted may stay zero. want
// nil is all of them. Its error is taxonomy.NotAssessable or
// llm.Refusal where the report is to blame.
type labeler interface {
	label(ctx context.Context, batch string, s *schemas.Study, want []int) ([]taxonomy.Label, error)
	doubts(taxonomy.Label) bool // an answer of its own
}

// uncertain is the doubt of a labeler whose probabilities are not calibrated.
type uncertain struct{}

func (uncertain) doubts(l taxonomy.Label) bool { return l.State == taxonomy.Uncertain }

type ruleLabeler struct {
	uncertain
	*rules.Labeler
}

func (r ruleLabeler) label(_ context.Context, _ string, s *schemas.Study, _ []int) ([]taxonomy.Label, error) {
	return r.Label(s.Report)
}

type studentLabeler struct{ *student.Student }

func (l studentLabeler) label(_ context.Context, _ string, s *schemas.Study, _ []int) ([]taxonomy.Label, error) {
	return l.Label(s.Report)
}

func (l studentLabeler) doubts(y taxonomy.Label) bool { return l.Doubts(y) }

type llmLabeler struct {
	uncertain
	*llm.Client
	step string
}

func (l llmLabeler) label(ctx context.Context, batch string, s *schemas.Study, want []int) ([]taxonomy.Label, error) {
	return l.Label(ctx, llm.Call{Batch: batch, Step: l.step, Study: s.ID, Report: s.Report, Findings: want})
}

func openCascade(step string, o Options, run schemas.Run) (c cascade, err error) {
	t, err := o.Taxonomy()
	if err != nil {
		return c, err
	}
	r, err := rules.New(t, rules.Options{Convention: o.Convention})
	if err != nil {
		return c, err
	}
	for _, name := range o.Cascade() {
		var l labeler
		file, isStudent := strings.CutPrefix(name, studentPrefix)
		switch {
		case name == "rules":
			l = ruleLabeler{Labeler: r}
		case isStudent:
			s, serr := student.Open(file, t, r)
			l, err = studentLabeler{s}, serr
		case name == "llm":
			client, cerr := openClient(o, t, run)
			l, err, c.calls = llmLabeler{Client: client, step: step}, cerr, true
		default:
			err = fmt.Errorf("unknown labeler %q", name)
		}
		if err != nil {
			return c, err
		}
		c.labelers = append(c.labelers, l)
	}
	return c, nil
}

// label gives the labels of one report, and the places of those that the last labeler asked still doubts.
func (c cascade) label(ctx context.Context, batch string, s *schemas.Study) (labels []taxonomy.Label, doubted []int, err error) {
	for i, l := range c.labelers {
		if i > 0 && len(doubted) == 0 {
			break
		}
		answer, err := l.label(ctx, batch, s, doubted)
		if no := new(llm.Refusal); i > 0 && errors.As(err, no) {
			if m, ok := l.(llmLabeler); ok && m.Hopeless() != nil {
				return nil, nil, fmt.Errorf("%w; the last: %w", m.Hopeless(), err)
			}
			break // the report keeps what an earlier labeler made of it
		}
		if err != nil {
			return nil, nil, refusal(err)
		}
		if i == 0 {
			labels = answer
			for k := range answer {
				if l.doubts(answer[k]) {
					doubted = append(doubted, k)
				}
			}
			continue
		}
		doubted = slices.DeleteFunc(doubted, func(k int) bool {
			labels[k] = answer[k]
			return !l.doubts(answer[k])
		})
	}
	return labels, doubted, nil
}

// Wants says, without a call, for which findings of a report a model would be asked: by their place, none if nil.
func (o Options) Wants(t *taxonomy.Taxonomy) (func(report string) []int, error) {
	all := make([]int, len(t.Findings))
	for i := range all {
		all[i] = i
	}
	list := o.Cascade()
	at := slices.Index(list, "llm")
	switch at {
	case 0:
		return func(report string) []int {
			if strings.TrimSpace(report) == "" {
				return nil
			}
			return all
		}, nil
	case -1:
		return func(string) []int { return nil }, nil
	}
	o.Labelers, o.Endpoint = list[:at], ""
	before, err := openCascade("", o, schemas.Run{})
	return func(report string) []int {
		_, doubted, err := before.label(context.Background(), "", &schemas.Study{Report: report})
		if err != nil {
			return nil // it leaves before the model's turn
		}
		return doubted
	}, err
}

// refusal turns a report's own fault into a reject; every other error stops the run.
func refusal(err error) error {
	var na taxonomy.NotAssessable
	var no llm.Refusal
	switch {
	case errors.As(err, &na):
		return schemas.Refusal{Class: na.Class, Reason: na.Reason}
	case errors.As(err, &no):
		return schemas.Refusal{Class: no.Class, Reason: no.Reason}
	}
	return err
}

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

func openClient(o Options, t *taxonomy.Taxonomy, run schemas.Run) (*llm.Client, error) {
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
	c, err := llm.Open(o.Client(run), t, book, store)
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
