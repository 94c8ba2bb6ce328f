package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"sync"
	"time"
)

// ErrMonth says that it is the month's cap that a call would pass. It comes beside ErrBudget.
var ErrMonth = errors.New("of the site's month")

// A month's cap holds over all runs that share a results store. A process takes money of the month in blocks, so that a call
// needs no statement of its own, and at its end gives back what it has not used. What a dead process held stays taken
// until its run goes on and settles it by the ledger: at most a block, or a call's reservation where that is more.
const monthSchema = `
CREATE TABLE IF NOT EXISTS months (month TEXT PRIMARY KEY, committed INTEGER NOT NULL) WITHOUT ROWID; -- UTC; pico-dollars spent and held
CREATE TABLE IF NOT EXISTS holds (
  run TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, -- the run's attempts after the first and up to the last are the process's
  month TEXT NOT NULL, granted INTEGER NOT NULL, PRIMARY KEY (run, first, month)
) WITHOUT ROWID;`

const blocks = 100 // in a month's cap

// month is what this process holds of the current month.
type month struct {
	store *Store
	book  *Book
	run   string
	now   func() time.Time

	mu      sync.Mutex
	cap     int64
	name    string // 2026-11
	granted int64
	used    int64           // of that: spent and reserved
	live    map[int64]int64 // attempt → its reservation, of this month
	settled chan struct{}   // closed and replaced when one is settled
}

// CapMonth puts all calls of this book under a cap of the calendar month (UTC) that every run with this store shares, in
// pico-dollars. It settles what earlier processes of the run have held. Of several caps the lowest holds. The store must
// stay open until the book is closed.
func (b *Book) CapMonth(store *Store, pico int64) error { return b.capMonth(store, pico, time.Now) }

func (b *Book) capMonth(store *Store, pico int64, now func() time.Time) error {
	if m := b.month.Load(); m != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.cap = min(m.cap, pico)
		return nil
	}
	m := &month{store: store, book: b, run: b.run, cap: pico, now: now, settled: make(chan struct{})}
	schema := monthSchema
	if store.d.shared {
		schema = toPostgres.Replace(schema)
	}
	err := store.d.do(func(tx *sql.Tx) error {
		if store.d.shared { // two at once would both try to make them
			if _, err := tx.Exec(`SELECT pg_advisory_xact_lock(?, 0)`, store.d.class); err != nil {
				return err
			}
		}
		_, err := tx.Exec(schema)
		return err
	})
	if err == nil {
		err = m.settleRun(false)
	}
	if err == nil {
		err = b.set("store", store.location)
	}
	if err == nil {
		b.month.Store(m)
	}
	return m.wrap(err)
}

func (m *month) wrap(err error) error {
	if err != nil {
		return fmt.Errorf("the month's budget: %w", err)
	}
	return nil
}

// take reserves for attempts that are about to begin, and tells when they do, in Unix ns: that decides whose month they
// are. Where the month leaves no room it waits for calls of this process to settle for less.
func (m *month) take(ctx context.Context, ids, picos []int64) (at int64, err error) {
	if m == nil {
		return time.Now().UnixNano(), nil
	}
	total, err := sum(picos...)
	for err == nil {
		m.mu.Lock()
		now := m.turn()
		if err = m.grow(total); err == nil {
			m.used += total
			for i, id := range ids {
				m.live[id] = picos[i]
			}
			m.mu.Unlock()
			return now.UnixNano(), nil
		}
		wait, none := m.settled, len(m.live) == 0
		m.mu.Unlock()
		if none || !errors.Is(err, ErrMonth) {
			return 0, err
		}
		select {
		case <-wait:
			err = nil
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return 0, fmt.Errorf("ledger: %w", err)
}

// turn begins a new month where it is time to.
func (m *month) turn() time.Time {
	now := m.now().UTC()
	if name := now.Format("2006-01"); name != m.name {
		m.name, m.granted, m.used, m.live = name, 0, 0, map[int64]int64{}
	}
	return now
}

// grow sees to it that so much more can be used, by another block of the month if need be.
func (m *month) grow(pico int64) error {
	total, err := Add(m.used, pico)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	if total <= m.granted {
		return nil
	}
	got, committed, err := m.store.grant(m.name, m.run, m.book.first, m.last(), m.cap, total-m.granted)
	m.granted += got
	if err == nil && got == 0 {
		err = fmt.Errorf("%w %w %s: spent or held by runs %s USD, the next call may cost %s USD, the cap is %s USD",
			ErrBudget, ErrMonth, m.name, short(committed), short(pico), short(m.cap))
	}
	return err
}

// last is the highest number that an attempt of this process can have. In a file the next process's follow.
func (m *month) last() int64 {
	if m.book.d.shared {
		return m.book.first + 1<<32 - 1
	}
	return math.MaxInt64
}

// fits says whether so much more could be reserved now; why not, if not.
func (m *month) fits(pico int64) error {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn()
	return m.grow(pico)
}

// began says whether an attempt may be told to have begun at a time: it stays in the month that it was reserved in.
func (m *month) began(attempt int64, at time.Time) bool {
	if m == nil {
		return true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.live[attempt]
	return ok && at.UTC().Format("2006-01") == m.name
}

// settle gives back what an attempt did not need; nothing where its cost is not known. Attempts of an earlier month or
// process are settled by the ledger.
func (m *month) settle(attempt int64, cost *int64) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	reserved, ok := m.live[attempt]
	if !ok {
		return
	}
	delete(m.live, attempt)
	if cost != nil {
		m.used += *cost - reserved
	}
	close(m.settled)
	m.settled = make(chan struct{})
}

// close gives back what is left.
func (m *month) close() error {
	if m == nil {
		return nil
	}
	return m.wrap(m.settleRun(true))
}

// settleRun makes what processes of this run held what they used: those that are dead, and this one at its end. Lines of
// jobs may yet settle for less: their process's hold stays until they have.
func (m *month) settleRun(own bool) error {
	type hold struct {
		first, last int64
		month       string
		granted     int64
	}
	var holds []hold
	if err := m.book.d.fold(); err != nil {
		return err
	}
	rows, err := m.store.d.db.Query(`SELECT first, last, month, granted FROM holds WHERE run=?`, m.run)
	err = each(rows, err, func() error {
		var h hold
		err := rows.Scan(&h.first, &h.last, &h.month, &h.granted)
		if h.last == math.MaxInt64 && !own {
			h.last = m.book.first // the process before this one
		}
		holds = append(holds, h)
		return err
	})
	for _, h := range holds {
		var used int64
		var open bool
		if err == nil && h.first != m.book.first && m.book.d.shared {
			var alive bool
			if err = m.book.d.db.QueryRow(`SELECT ` + m.book.d.alive(fmt.Sprint(h.first>>32))).Scan(&alive); err == nil && alive {
				continue
			}
		}
		from, perr := time.Parse("2006-01", h.month)
		if err = errors.Join(err, perr); err != nil {
			return err
		}
		err = m.book.d.db.QueryRow(`SELECT coalesce(sum(coalesce(cost,reserved)),0), coalesce(max(CASE WHEN ended IS NULL AND id IN (SELECT attempt FROM lines) THEN 1 ELSE 0 END),0)=1
			FROM attempts WHERE id>? AND id<=? AND started>=? AND started<?`, h.first, h.last, from.UnixNano(), from.AddDate(0, 1, 0).UnixNano()).Scan(&used, &open)
		if err == nil {
			err = m.store.settle(h.month, m.run, h.first, h.last, h.granted, used, open)
		}
	}
	return err
}

// grant takes a block of a month for a process of a run: what is needed at least, and a smaller one where that is all
// that is left. got is 0 where not even that is.
func (s *Store) grant(month, run string, first, last, cap, need int64) (got, committed int64, err error) {
	err = s.d.do(func(tx *sql.Tx) error {
		got = 0
		if _, err := tx.Exec(`INSERT OR IGNORE INTO months VALUES (?,0)`, month); err != nil {
			return err
		}
		for n := max(cap/blocks, need); got == 0; n = max(n/2, need) {
			r, err := tx.Exec(`UPDATE months SET committed=committed+? WHERE month=? AND committed<=?`, n, month, cap-n)
			if err != nil {
				return err
			}
			if changed, err := r.RowsAffected(); err != nil {
				return err
			} else if changed > 0 {
				got = n
			} else if n == need {
				return tx.QueryRow(`SELECT committed FROM months WHERE month=?`, month).Scan(&committed)
			}
		}
		_, err := tx.Exec(`INSERT INTO holds VALUES (?,?,?,?,?) ON CONFLICT (run, first, month) DO UPDATE SET granted=holds.granted+excluded.granted`, run, first, last, month, got)
		return err
	})
	if err != nil {
		return 0, 0, fmt.Errorf("results store: %w", err)
	}
	return got, committed, nil
}

// settle makes a hold what was used of it. Of several processes that do so, one does.
func (s *Store) settle(month, run string, first, last, granted, used int64, open bool) error {
	return s.d.do(func(tx *sql.Tx) error {
		query, args := `DELETE FROM holds WHERE run=? AND first=? AND month=? AND granted=?`, []any{run, first, month, granted}
		if open {
			query, args = `UPDATE holds SET granted=?, last=? WHERE run=? AND first=? AND month=? AND granted=?`, append([]any{used, last}, args...)
		}
		r, err := tx.Exec(query, args...)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return err
		}
		_, err = tx.Exec(`UPDATE months SET committed=committed+? WHERE month=?`, used-granted, month)
		return err
	})
}

// Month is how a site's month stands: in pico-dollars.
type Month struct {
	Month     string `json:"month"` // of UTC, 2026-11
	Committed int64  `json:"committed"`
	Held      int64  `json:"held"` // of that, by runs that go on or have died
	Cap       int64  `json:"cap"`
}

// StoreOf gives the results store of the ledger at a path, as ReadMonth takes it: "" where no month has had a cap.
func StoreOf(path string) (location string, err error) {
	d, err := openReader(path)
	if err != nil {
		return "", err
	}
	defer d.db.Close()
	err = d.db.QueryRow(`SELECT coalesce(max(value),'') FROM meta WHERE key='store'`).Scan(&location)
	return location, err
}

// ReadMonth reads the current month of a store, as location names it, without holding it. A store without one has spent
// nothing under a cap.
func ReadMonth(location string, capPico int64) (m Month, err error) {
	m = Month{Month: time.Now().UTC().Format("2006-01"), Cap: capPico}
	path, _, err := storePath(location)
	if err != nil {
		return m, err
	}
	d, err := openReader(path)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return m, err
	}
	defer d.db.Close()
	err = d.db.QueryRow(`SELECT committed, (SELECT coalesce(sum(granted),0) FROM holds WHERE holds.month=months.month) FROM months WHERE month=?`, m.Month).Scan(&m.Committed, &m.Held)
	if errors.Is(err, sql.ErrNoRows) || missing(err) {
		err = nil
	}
	return m, err
}
