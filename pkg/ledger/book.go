// Package ledger counts what a run spends: money, tokens, attempts, computing, and what it did not have to spend.
//
// A Book is the ledger of one run (out/NAME/ledger.db). Every attempt has a row on the disk before its call is sent and
// its outcome before its answer is used, so that after any death the book names what was in flight and bounds its price.
// A Store keeps answers by identity for all runs. Prices are exact decimals, money is an int64 of pico-dollars, an
// overflow is an error. No row holds report text, prompt, answer text or key.
package ledger

import (
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// ErrBudget says that the next call could exceed the cap.
var ErrBudget = errors.New("budget reached")

const bookSchema = `
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS attempts (
  id INTEGER PRIMARY KEY,
  batch TEXT NOT NULL, step TEXT NOT NULL, study TEXT NOT NULL,
  identity BLOB NOT NULL,              -- of what was asked about, whichever findings: an HMAC under the site key
  model TEXT NOT NULL, price_id TEXT NOT NULL,
  started INTEGER NOT NULL,            -- Unix ns
  reserved INTEGER NOT NULL,           -- pico-dollars, the worst case
  ended INTEGER,                       -- NULL: in flight, or it was when the process died
  outcome TEXT,                        -- answered, schema, refused, error, cut, unsent
  status INTEGER, request_id TEXT, model_seen TEXT, fingerprint TEXT,
  usage TEXT,                          -- as the server sent it, numbers only
  input INTEGER, cached INTEGER, cache_write INTEGER, output INTEGER, reasoning INTEGER, -- NULL: the server did not say
  cost INTEGER,                        -- pico-dollars; NULL: unknown, the reservation stands
  labels BLOB                          -- findings and codes of an answer, until the store has it
);
CREATE TABLE IF NOT EXISTS asked (
  batch TEXT NOT NULL, step TEXT NOT NULL, study TEXT NOT NULL,
  report BLOB NOT NULL,                -- HMAC of the normalised text, to count distinct ones
  kind TEXT NOT NULL,                  -- call, store, dedupe
  saved INTEGER NOT NULL,              -- pico-dollars that the answer had cost; of a call, the stored part of the answer
  PRIMARY KEY (batch, step, study)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS asked_stored ON asked (report) WHERE kind='store';
CREATE TABLE IF NOT EXISTS compute (
  batch TEXT NOT NULL, step TEXT NOT NULL, reports INTEGER NOT NULL, cpu_seconds REAL NOT NULL, gpu_seconds REAL NOT NULL,
  PRIMARY KEY (batch, step)
) WITHOUT ROWID;` + setsSchema + embeddedSchema

const (
	// bookCommitEvery is many times what a commit takes: most intents and outcomes share one. No call's turn is longer for
	// it: the next ones' intents wait beside it, and it ends when its outcome would outlive the process.
	bookCommitEvery = 20 * time.Millisecond
	// sharedCommitEvery is some times what a commit takes, and a call's turn is not much longer for it.
	sharedCommitEvery = 3500 * time.Microsecond
)

// bookFolding takes some 15 ms each time, in which nobody's entry is written.
var bookFolding = folding{entries: 1024, every: time.Second, size: 512 << 10}

// byIdentity finds attempts by what they ask about. It is made for whoever looks for one first, as a first run never does: keys in
// no order cost a page each.
const byIdentity = `CREATE INDEX IF NOT EXISTS attempts_identity ON attempts (identity)`

// Book is the ledger of one run: a file held by this process alone, or a schema of a Postgres that other processes of the
// run have open too. Its methods are safe for concurrent use.
type Book struct {
	d      *database
	lastID atomic.Int64 // in Postgres the high half is the opener's number
	paid   bool         // attempts of an earlier process are in it
	index  func() error // makes byIdentity unless it is there
	run    string

	batched atomic.Bool           // it has lines of jobs
	first   int64                 // no attempt of this process has this number or a lower one
	month   atomic.Pointer[month] // nil: no month has a cap

	mu      sync.Mutex    // of what a file's one process keeps in memory; Postgres has the table budget
	spent   int64         // all known costs
	dead    int64         // reservations that nothing will settle any more
	live    int64         // reservations of calls in flight
	settled chan struct{} // closed and replaced whenever live shrinks
}

// OpenBook makes or opens a ledger. A second opener gets ErrBusy with file and pid; so does a network file system, by name.
// Where a Share has put the ledger of that path into a Postgres, it is opened there, by any number of processes.
func OpenBook(path string) (*Book, error) {
	location, err := placed(path)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	if isPostgres(location) {
		return openSharedBook(location)
	}
	d, err := openDatabase(path, bookSchema+jobsSchema, bookCommitEvery, bookFolding)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	b := &Book{d: d, settled: make(chan struct{})}
	b.index = sync.OnceValue(func() error { return b.exec(byIdentity) })
	var last int64
	var batched bool
	err = d.db.QueryRow(`SELECT coalesce(max(id),0), coalesce(sum(cost),0), coalesce(sum(CASE WHEN cost IS NULL THEN reserved END),0),
		EXISTS (SELECT 1 FROM lines) FROM attempts`).Scan(&last, &b.spent, &b.dead, &batched)
	if err == nil && batched { // what the lines of open jobs have reserved will be settled yet
		err = d.db.QueryRow(`SELECT coalesce(sum(reserved),0) FROM attempts JOIN lines ON attempt=id WHERE cost IS NULL AND ended IS NULL`).Scan(&b.live)
		b.dead -= b.live
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("ledger: %s: %w", path, err), d.close())
	}
	b.lastID.Store(last)
	b.first = last
	b.paid = last > 0
	b.batched.Store(batched)
	return b, b.name()
}

// name gives the ledger a random name unless it has one.
func (b *Book) name() error {
	new := make([]byte, 8)
	rand.Read(new)
	err := b.d.do(func(tx *sql.Tx) error {
		_, err := tx.Exec(`INSERT OR IGNORE INTO meta VALUES ('run',?)`, hex.EncodeToString(new))
		if err == nil {
			err = tx.QueryRow(`SELECT value FROM meta WHERE key='run'`).Scan(&b.run)
		}
		return err
	})
	if err != nil {
		return errors.Join(fmt.Errorf("ledger: %w", err), b.d.close())
	}
	return nil
}

// Run is the ledger's name: 16 hex digits, drawn when it was made.
func (b *Book) Run() string { return b.run }

// Close folds the log into one file and lets it go. Closing twice is nothing.
func (b *Book) Close() error {
	return errors.Join(b.month.Swap(nil).close(), b.d.close())
}

// Committed is what is spent and what unsettled calls may still cost.
func (b *Book) Committed() int64 {
	if b.d.shared {
		return b.sharedCommitted()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	total, err := sum(b.spent, b.dead, b.live)
	if err != nil {
		return math.MaxInt64
	}
	return total
}

// Spent is what all calls have cost, as far as it is known.
func (b *Book) Spent() (pico int64, err error) {
	if b.d.shared {
		err := b.d.db.QueryRow(`SELECT coalesce(sum(cost),0) FROM attempts`).Scan(&pico)
		return pico, b.wrap(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.spent, nil
}

// Booking is the computing that one step spent on one batch. Work outside any batch has the batch "".
type Booking struct {
	Batch, Step            string
	Reports                int // went in
	CPUSeconds, GPUSeconds float64
}

// AddCompute books computing, all or none. Booking the same batch and step again replaces it.
func (b *Book) AddCompute(all ...Booking) error {
	return b.wrap(b.d.do(func(tx *sql.Tx) error {
		for _, c := range all {
			_, err := tx.Exec(`INSERT INTO compute VALUES (?,?,?,?,?) ON CONFLICT (batch, step) DO UPDATE
				SET reports=excluded.reports, cpu_seconds=excluded.cpu_seconds, gpu_seconds=excluded.gpu_seconds`,
				c.Batch, c.Step, c.Reports, c.CPUSeconds, c.GPUSeconds)
			if err != nil {
				return err
			}
		}
		return nil
	}))
}

// SetPrices notes the digest of the price file in use, as Prices.Digest has it.
func (b *Book) SetPrices(digest string) error { return b.set("price_file", digest) }

// SetCap notes the cap of the whole run, in pico-dollars; 0: none.
func (b *Book) SetCap(pico int64) error { return b.set("cap", fmt.Sprint(pico)) }

// SetEstimate notes what the plan expected the run to cost, in pico-dollars.
func (b *Book) SetEstimate(low, expected, high int64) error {
	return b.set("estimate", fmt.Sprintf("%d %d %d", low, expected, high))
}

func (b *Book) set(key, value string) error {
	return b.exec(`INSERT INTO meta VALUES (?,?) ON CONFLICT (key) DO UPDATE SET value=excluded.value`, key, value)
}

func (b *Book) exec(query string, args ...any) error {
	err := b.d.do(func(tx *sql.Tx) error {
		_, err := tx.Exec(query, args...)
		return err
	})
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	return nil
}
