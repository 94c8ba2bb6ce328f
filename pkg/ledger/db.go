package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"modernc.org/sqlite"
)

// database is what ledger and store are kept in: one SQLite file held by this process (write-ahead log, every commit
// synced to the disk, readers beside one writer), or one schema of a Postgres that other processes use too. Writes of many
// goroutines share a commit; each returns when its own is durable. Where there are many, commits
// begin up to commitEvery apart, as a commit delay lets more share each, or when all wait who can.
type database struct {
	path string   // file, or server and schema
	lock *os.File // of SQLite; nil for a reader
	db   *sql.DB
	ops  chan op
	sets sets

	journal  *journal // of a file that is open to be written; nil: all goes into the tables at once
	unfolded error    // why some of it could not, at the end

	commitEvery time.Duration // between the beginnings of two commits where there are many
	underWay    atomic.Int32  // calls that have begun and not ended
	crowd       atomic.Int32  // so many may wait with entries, and then a commit waits for no more; 0: nobody knows
	crowded     atomic.Int32  // so many do
	full        chan struct{} // tells the writer that all do

	shared  bool      // Postgres, and the rest is of Postgres alone
	session *sql.Conn // that writes
	opener  int64     // number of this opener, 1 and up
	class   int32     // of the openers' leases

	mu     sync.RWMutex // held for reading while an op is handed over, so that none meets a closed channel
	closed bool
	done   chan struct{}
}

// op is a change of the tables: entries, which alone may wait in a journal, and what run does.
type op struct {
	entries []entry
	run     func(*sql.Tx) error // nil: nothing
	err     chan error
}

func (o op) apply(tx *sql.Tx) error {
	err := apply(tx, o.entries)
	if err == nil && o.run != nil {
		err = o.run(tx)
	}
	return err
}

var errClosed = errors.New("closed")

// openDatabase makes or opens a file for this process alone, mode 0600, and applies the schema. Where there are
// many writes, commits begin commitEvery apart. Entries wait in its journal.
func openDatabase(path, schema string, commitEvery time.Duration, folds folding) (*database, error) {
	path, err := canonical(path)
	if err != nil {
		return nil, err
	}
	if kind := remote(filepath.Dir(path)); kind != "" {
		return nil, fmt.Errorf("%s lies on a network file system (%s), whose locks cannot be trusted: put it on a local disk", path, kind)
	}
	lock, err := acquire(path, 4*lockAgain)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) { // entries of one that was removed are not this one's
		_ = os.Remove(journalOf(path))
	}
	d := &database{path: path, lock: lock, ops: make(chan op, 256), full: make(chan struct{}, 1), done: make(chan struct{}), commitEvery: commitEvery}
	if d.db, err = openFile(path, schema); err != nil {
		lock.Close()
		return nil, fmt.Errorf("%s: %w", path, full(err))
	}
	free, err := replay(path, d.db)
	if err == nil {
		d.journal, err = openJournal(path, free, folds)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, full(err)), d.db.Close(), lock.Close())
	}
	journals.Store(path, d)
	go d.write()
	return d, nil
}

// canonical is a file's one absolute path, by which its lock and its journal are named too, whatever links lead to it.
func canonical(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if to, err := filepath.EvalSymlinks(path); !errors.Is(err, fs.ErrNotExist) {
		return to, err
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return path, nil
	}
	return filepath.Join(dir, filepath.Base(path)), err
}

func openFile(path, schema string) (*sql.DB, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) // its journal files inherit the mode
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	db, err := openSQL(dsn(path, "rwc", "journal_mode(WAL)", "synchronous(FULL)", "wal_autocheckpoint(4000)", "cache_size(-8000)"))
	if err != nil {
		return nil, err
	}
	if _, err = db.Exec(schema); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

func dsn(path, mode string, pragmas ...string) string {
	q := url.Values{"mode": {mode}, "_txlock": {"deferred"}, "_pragma": append([]string{"busy_timeout(10000)"}, pragmas...)}
	if mode == "rwc" {
		q.Set("_txlock", "immediate")
	}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String()
}

// openReader opens what others write, without holding it and without writing. A file that is not there, or empty, is
// fs.ErrNotExist.
func openReader(location string) (*database, error) { return openAfter(catchUp, location) }

// openTables opens a ledger as openReader does, but for what waits in its journal.
func openTables(location string) (*database, error) {
	return openAfter(func(string) error { return nil }, location)
}

func openAfter(first func(path string) error, location string) (*database, error) {
	location, err := placed(location)
	if err != nil {
		return nil, err
	}
	if isPostgres(location) {
		return openPostgres(location, "", 0)
	}
	path, err := canonical(location)
	var info fs.FileInfo
	if err == nil {
		info, err = os.Stat(path)
	}
	if err != nil || info.Size() == 0 {
		return nil, errors.Join(err, fs.ErrNotExist)
	}
	if err := first(path); err != nil {
		return nil, err
	}
	db, err := openSQL(dsn(path, "ro"))
	if err == nil && interrupted(db) {
		db.Close()
		db, err = openSQL(dsn(path, "rw"))
	}
	return &database{path: path, db: db, closed: true}, err
}

// interrupted says that a process died while it changed the file, and that a reader must first put it back as it was
// (SQLITE_READONLY_RECOVERY and SQLITE_READONLY_ROLLBACK, sqlite.org/rescode.html).
func interrupted(db *sql.DB) bool {
	_, err := db.Exec(`SELECT count(*) FROM sqlite_master`)
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code() == 8|1<<8 || e.Code() == 8|3<<8)
}

// missing says that a table is not there: its maker died before the first commit.
func missing(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "no such table") || strings.Contains(err.Error(), "(SQLSTATE 42P01)"))
}

// do runs f inside a transaction, perhaps with those of others, and returns when it is on the disk. f may run again if a
// neighbour fails, so it must change nothing but the database and variables it sets anew.
func (d *database) do(f func(*sql.Tx) error) error { return d.hand(op{run: f}) }

// hand gives an op to the writer and waits until it is on the disk.
func (d *database) hand(o op) error {
	o.err = make(chan error, 1)
	d.mu.RLock()
	if d.closed {
		d.mu.RUnlock()
		return fmt.Errorf("%s: %w", d.path, errClosed)
	}
	d.ops <- o
	d.mu.RUnlock()
	if crowd := d.crowd.Load(); len(o.entries) > 0 && d.crowded.Add(1) == crowd {
		notify(d.full)
	}
	if err := <-o.err; err != nil {
		return fmt.Errorf("%s: %w", d.path, full(err))
	}
	return nil
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// keep makes an op's entries outlive this process at once, and the machine from the next sync on. Where there is no
// journal, the op is on the disk when it returns.
func (d *database) keep(o op) error {
	if d.journal == nil {
		return d.hand(o)
	}
	d.mu.RLock()
	if d.closed {
		d.mu.RUnlock()
		return fmt.Errorf("%s: %w", d.path, errClosed)
	}
	j := d.journal
	j.mu.Lock()
	room, err := j.put(o.entries)
	if j.mustFold() || len(j.entries) == len(o.entries) {
		notify(j.due)
	}
	j.mu.Unlock()
	d.mu.RUnlock()
	if err != nil {
		return fmt.Errorf("%s: %w", d.path, full(err))
	}
	if !room {
		return d.hand(o)
	}
	return nil
}

// sync waits until all that was kept before is on the disk.
func (d *database) sync() error {
	j := d.journal
	if j == nil {
		return nil
	}
	j.mu.Lock()
	unsynced := j.unsynced
	j.mu.Unlock()
	if !unsynced {
		return nil
	}
	return d.hand(op{})
}

// query reads what all who wrote before have written, which may wait in the journal.
func (d *database) query(query string, args ...any) (*sql.Rows, error) {
	if err := d.fold(); err != nil {
		return nil, err
	}
	return d.db.Query(query, args...)
}

// full adds the system's own error to what SQLite says of a disk without room: SQLITE_FULL, and SQLITE_IOERR_SHMSIZE
// for the log's index (sqlite.org/rescode.html).
func full(err error) error {
	var e *sqlite.Error
	if errors.As(err, &e) && (e.Code() == 13 || e.Code() == 10|19<<8) {
		return fmt.Errorf("%w: %w", syscall.ENOSPC, err)
	}
	return err
}

const (
	groupSize = 512
	manyOps   = 4                    // of one commit promise as many to the next, and so do so many calls under way
	opWaits   = 2 * time.Millisecond // for each of them: where few write, each waits for the others
)

// write is the one writer: it commits all that waits, together. A group in which one op fails is done again one by one.
func (d *database) write() {
	defer close(d.done)
	last, began := 0, time.Time{} // size of the last group, and when its commit began
	for {
		group, open := d.gather(last, began)
		last, began = len(group), time.Now()
		err := d.commit(group)
		if !open {
			if err != nil {
				d.unfolded = fmt.Errorf("%s: %w", d.path, full(err))
			}
			return
		}
		lost := err != nil && d.shared && d.session.PingContext(context.Background()) != nil
		if lost {
			err = fmt.Errorf("%w: %w", ErrLost, err)
		}
		if err == nil || lost || len(group) == 1 && !deadlocked(err) {
			tell(group, err)
			continue
		}
		for i := range group {
			err := d.commit(group[i : i+1])
			for try := 0; try < 5 && deadlocked(err); try++ { // with another process, which has gone on since
				err = d.commit(group[i : i+1])
			}
			tell(group[i:i+1], err)
		}
	}
}

// gather waits for ops and gives all that are there; none, where entries have waited in the journal for their time, or where
// no op will come any more.
func (d *database) gather(last int, began time.Time) (group []op, open bool) {
	for len(group) == 0 {
		late, due := d.journal.late()
		select {
		case o, ok := <-d.ops:
			if !ok {
				return nil, false
			}
			group = append(group, o)
		case <-due:
			if d.journal.heavy() {
				return nil, true
			}
		case <-late:
			return nil, true
		}
	}
	wait := d.commitEvery
	if d.underWay.Load() < manyOps {
		if wait = min(wait, time.Duration(last)*opWaits); last < manyOps {
			wait = 0
		}
	}
	if wait -= time.Since(began); wait > 0 {
		select {
		case <-time.After(wait):
		case <-d.full:
		}
	}
	for more := true; more && len(group) < groupSize; {
		select {
		case o, ok := <-d.ops:
			if more = ok; ok { // if not, the next time tells
				group = append(group, o)
			}
		default:
			more = false
		}
	}
	for _, o := range group {
		if len(o.entries) > 0 {
			d.crowded.Add(-1)
		}
	}
	return group, true
}

func tell(group []op, err error) {
	for _, o := range group {
		o.err <- err
	}
}

// commit makes a group durable: in the journal where it can wait there, else in the tables, with all that waits.
func (d *database) commit(group []op) error {
	j := d.journal
	if j == nil {
		return d.commitTables(group)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	var entries []entry
	for _, o := range group {
		entries = append(entries, o.entries...)
	}
	if len(group) > 0 && !slices.ContainsFunc(group, func(o op) bool { return o.run != nil }) {
		if room, err := j.add(entries); room {
			if err == nil && j.mustFold() {
				_ = d.foldWith(nil) // they are safe where they are, and are tried again
			}
			return err
		}
	}
	j.since = time.Now() // also of those that must be tried again
	return d.foldWith(group)
}

// foldWith makes a group durable in the tables, with all that waits in the journal.
func (d *database) foldWith(group []op) error {
	err := d.commitTables(group)
	if err != nil {
		d.journal.failed = time.Now()
	}
	return err
}

func (d *database) commitTables(group []op) error {
	j := d.journal
	if len(group) == 0 && (j == nil || len(j.entries) == 0) {
		return nil
	}
	session := d.session
	if !d.shared {
		var err error
		if session, err = d.db.Conn(context.Background()); err != nil {
			return err
		}
		defer session.Close()
	}
	tx, err := session.BeginTx(context.Background(), nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	insert := func(entries []entry) error { return apply(tx, entries) }
	if !d.shared {
		insert = func(entries []entry) error {
			return session.Raw(func(c any) error { return c.(*sqliteConn).insert(entries) })
		}
	}
	if j != nil && len(j.entries) > 0 {
		if err = insert(ordered(joined(j.entries))); err == nil {
			err = noteFolded(tx, j.epoch)
		}
		if err != nil {
			return err
		}
	}
	for _, o := range group {
		if err = insert(o.entries); err == nil && o.run != nil {
			err = o.run(tx)
		}
		if err != nil {
			return err
		}
	}
	if err = tx.Commit(); err == nil && j != nil && len(j.entries) > 0 {
		j.next()
	}
	return err
}

// close waits for what was handed over, folds the log into the file, and lets the file go. Closing twice is nothing.
func (d *database) close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	d.closed = true
	close(d.ops)
	d.mu.Unlock()
	<-d.done
	err := d.unfolded
	if d.journal != nil {
		journals.Delete(d.path)
		err = errors.Join(err, d.journal.close(err == nil))
	}
	if d.shared {
		// The server notices a moment later that a session has ended: until then its lease would look alive.
		_, _ = d.session.ExecContext(context.Background(), `SELECT pg_advisory_unlock_all()`)
		return errors.Join(d.session.Close(), d.db.Close())
	}
	// A reader in another process may hold the log; the next opener folds it then.
	_, _ = d.db.Exec("PRAGMA busy_timeout = 200; PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE")
	return errors.Join(err, d.db.Close(), d.lock.Close())
}
