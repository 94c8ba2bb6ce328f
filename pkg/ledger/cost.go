package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Cost is the object of `silverbeam cost RUN --json`. Money is pico-dollars. Every total is the sum of its parts.
type Cost struct {
	Currency        string      `json:"currency"`
	Unit            string      `json:"unit"`
	Calls           int64       `json:"calls"`    // reports that were sent, each counted once a batch and step
	Attempts        int64       `json:"attempts"` // requests that were sent, or may have been
	Reports         int64       `json:"reports"`
	DistinctReports *int64      `json:"distinct_reports"` // of different text; null: nobody counted
	Spent           int64       `json:"spent"`            // what attempts with usage cost
	SpentUSD        string      `json:"spent_usd"`
	Wasted          int64       `json:"wasted"`        // the part of spent that gave no label
	UnsettledMax    int64       `json:"unsettled_max"` // bounds attempts in flight, cut off, or answered without usage
	Saved           Saved       `json:"saved"`
	Tokens          Tokens      `json:"tokens"`
	Compute         Compute     `json:"compute"`
	ByModel         []ModelCost `json:"by_model"`
	ByStep          []StepCost  `json:"by_step"`
	Batches         []BatchCost `json:"batches"`
	Estimate        *Estimate   `json:"estimate"`   // null: nobody planned
	PriceFile       string      `json:"price_file"` // "sha256:...", or "" where nothing was priced
	CapPico         int64       `json:"-"`          // of the last that opened the run; 0: none
}

// Saved is what was not spent, in pico-dollars.
type Saved struct {
	Store     int64 `json:"store"`      // answers paid for by earlier runs, at what they had cost
	Dedupe    int64 `json:"dedupe"`     // equal reports, at what their shared call cost
	Rules     int64 `json:"rules"`      // reports that never reached the endpoint, at the mean cost of a call of that step
	BatchMode int64 `json:"batch_mode"` // against prices without the batch tier
}

// Tokens sums what the servers said; what they did not say adds nothing.
type Tokens struct {
	Input      int64 `json:"input"`
	Cached     int64 `json:"cached"`
	CacheWrite int64 `json:"cache_write"`
	Output     int64 `json:"output"`
	Reasoning  int64 `json:"reasoning"`
}

type Compute struct {
	CPUSeconds float64 `json:"cpu_seconds"`
	GPUSeconds float64 `json:"gpu_seconds"`
}

type ModelCost struct {
	Model string `json:"model"`
	Calls int64  `json:"calls"`
	Spent int64  `json:"spent"`
}

type StepCost struct {
	Step  string `json:"step"`
	Calls int64  `json:"calls"`
	Spent int64  `json:"spent"`
}

// BatchCost is the share of one batch. The id "" is work outside any batch.
type BatchCost struct {
	ID           string  `json:"id"`
	Reports      int64   `json:"reports"`
	Calls        int64   `json:"calls"`
	Attempts     int64   `json:"attempts"`
	Spent        int64   `json:"spent"`
	Wasted       int64   `json:"wasted"`
	UnsettledMax int64   `json:"unsettled_max"`
	Tokens       Tokens  `json:"tokens"`
	CPUSeconds   float64 `json:"cpu_seconds"`
	GPUSeconds   float64 `json:"gpu_seconds"`
}

type Estimate struct {
	Low      int64 `json:"low"`
	Expected int64 `json:"expected"`
	High     int64 `json:"high"`
}

// NoCost is the cost of a run that has no ledger.
func NoCost() *Cost {
	return &Cost{Currency: "USD", Unit: "pico", SpentUSD: USD(0), ByModel: []ModelCost{}, ByStep: []StepCost{}, Batches: []BatchCost{}}
}

// Cost sums the book as it stands on the disk.
func (b *Book) Cost() (*Cost, error) { return ReadCost(b.d.path) }

// ReadCost sums a ledger without holding it: of a finished run, a running one, or one that was killed. It writes nothing
// to the ledger. A path without a ledger is fs.ErrNotExist.
func ReadCost(path string) (*Cost, error) {
	rest := atRest(path)
	if last := summed.Load(); last != nil && last.resting == rest && rest.path != "" {
		c := last.cost
		return &c, nil
	}
	c, err := readCost(path)
	if err != nil {
		return nil, fmt.Errorf("ledger: %s: %w", path, err)
	}
	if rest == atRest(path) {
		summed.Store(&restingCost{rest, *c})
	}
	return c, nil
}

// summed is the last cost of a ledger at rest, for who asks next: a page and its run's closing lines.
var summed atomic.Pointer[restingCost]

type restingCost struct {
	resting
	cost Cost
}

// resting is a file that no process has open to write: SQLite keeps its log beside it then.
type resting struct {
	path string // "": it is not so
	size int64
	time time.Time
}

func atRest(path string) resting {
	for _, beside := range []string{path + "-wal", path + "-journal", journalOf(path), noteOf(path)} {
		if _, err := os.Lstat(beside); err == nil {
			return resting{}
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		return resting{}
	}
	return resting{path, info.Size(), info.ModTime()}
}

// ReadSpent is ReadCost's Spent alone, in a tenth of the time.
func ReadSpent(path string) (pico int64, err error) {
	d, err := openReader(path)
	if err == nil {
		defer d.db.Close()
		err = d.db.QueryRow(`SELECT coalesce(sum(cost),0) FROM attempts`).Scan(&pico)
	}
	if err != nil {
		return 0, fmt.Errorf("ledger: %s: %w", path, err)
	}
	return pico, nil
}

func readCost(path string) (*Cost, error) {
	d, err := openReader(path)
	if err != nil {
		return nil, err
	}
	defer d.db.Close()
	o := sql.TxOptions{} // in either, one snapshot for all queries
	if d.shared {
		o = sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	}
	tx, err := d.db.BeginTx(context.Background(), &o)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	t := tally{tx: tx, batches: map[string]*BatchCost{}, models: map[string]*ModelCost{}, steps: map[string]*StepCost{}}
	c := NoCost()
	for _, read := range []func(*Cost) error{t.attempts, t.asked, t.compute, t.lines, t.meta} {
		if err := read(c); err != nil {
			switch {
			case strings.Contains(err.Error(), "integer overflow") || strings.Contains(err.Error(), "value out of range"):
				err = ErrOverflow
			case missing(err):
				err = errors.Join(err, fs.ErrNotExist)
			}
			return nil, err
		}
	}
	return c, t.total(c)
}

// tally gathers the groups from which every view of the cost is summed.
type tally struct {
	tx      *sql.Tx
	batches map[string]*BatchCost
	models  map[string]*ModelCost
	steps   map[string]*StepCost
}

func (t *tally) batch(id string) *BatchCost {
	if t.batches[id] == nil {
		t.batches[id] = &BatchCost{ID: id}
	}
	return t.batches[id]
}

// total sums the batches into the totals.
func (t *tally) total(c *Cost) (err error) {
	add := func(dst *int64, n int64) {
		var e error
		if *dst, e = Add(*dst, n); err == nil {
			err = e
		}
	}
	for _, id := range slices.Sorted(maps.Keys(t.batches)) {
		b := t.batches[id]
		c.Batches = append(c.Batches, *b)
		for dst, n := range map[*int64]int64{&c.Reports: b.Reports, &c.Calls: b.Calls, &c.Attempts: b.Attempts,
			&c.Spent: b.Spent, &c.Wasted: b.Wasted, &c.UnsettledMax: b.UnsettledMax} {
			add(dst, n)
		}
		err = errors.Join(err, c.Tokens.add(b.Tokens))
		c.Compute.CPUSeconds += b.CPUSeconds
		c.Compute.GPUSeconds += b.GPUSeconds
	}
	for _, k := range slices.Sorted(maps.Keys(t.models)) {
		c.ByModel = append(c.ByModel, *t.models[k])
	}
	for _, k := range slices.Sorted(maps.Keys(t.steps)) {
		c.ByStep = append(c.ByStep, *t.steps[k])
	}
	c.SpentUSD = USD(c.Spent)
	return err
}

func (t *Tokens) add(u Tokens) (err error) {
	for dst, n := range map[*int64]int64{&t.Input: u.Input, &t.Cached: u.Cached, &t.CacheWrite: u.CacheWrite,
		&t.Output: u.Output, &t.Reasoning: u.Reasoning} {
		var e error
		*dst, e = Add(*dst, n)
		err = errors.Join(err, e)
	}
	return err
}
