package ledger

import (
	"bytes"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// journal holds what a ledger's or a store's file has not yet: entries that one sync of a few pages in place makes durable, where a commit
// to the tables takes several writes and syncs. The writer folds entries into the tables many at once, and after any death
// the next who opens the file does. Each entry gets into the tables once: the tables hold the epoch that is folded.
//
// An entry that was put is written to the file: it outlives the process, whatever ends it, and after the next sync the
// machine too.
//
// The file is a header and entries one after another. An entry is its length and the CRC-32C of epoch and content, 4 bytes
// each, and its content: the place of its statement, 1 byte, and the arguments. What follows the last entry of the epoch
// is of an earlier one, or zero. Integers are little-endian.
type journal struct {
	f     *os.File
	folds folding
	due   chan struct{} // tells the writer that it may have to fold

	mu       sync.Mutex // held while entries are put, synced and folded
	epoch    uint64
	at       int64     // where the next entry goes
	unsynced bool      // what was put
	entries  []entry   // that are not in the tables
	since    time.Time // the first of them
	failed   time.Time // when they did not get there; zero: they always have
	buf      []byte

	answered sync.Mutex           // of what follows alone: whoever looks for an answer need not wait for a fold
	answers  map[Identity][]entry // those of a store that are durable, by what they answer
}

// folding says when entries leave a journal for the tables.
type folding struct {
	entries int           // as soon as there are so many
	every   time.Duration // or the first has waited so long: readers in other processes are as late
	size    int64         // of the file, which has room for them
}

// entry is a statement of ours with its arguments: int64, string, []byte or nil.
type entry struct {
	statement byte
	args      []any
}

// The statements that a journal may hold, by their place, which is in files: none may change, more may follow.
const (
	insertAttempt byte = iota
	insertAsked
	insertStored
	insertSet
	settleAttempt
	insertEnded  // insertAttempt and settleAttempt at once; it is in no file
	insertAnswer // of a store
)

var statements = []string{
	insertAttempt: `INSERT INTO attempts (id,batch,step,study,identity,model,price_id,started,reserved) VALUES (?,?,?,?,?,?,?,?,?)`,
	insertAsked:   `INSERT OR IGNORE INTO asked VALUES (?,?,?,?,?,?)`,
	insertStored: `INSERT OR IGNORE INTO asked VALUES (?,?,?,?,
		CASE WHEN EXISTS (SELECT 1 FROM asked WHERE report=? AND step=? AND kind='store') THEN 'dedupe' ELSE 'store' END, ?)`,
	insertSet: `INSERT OR IGNORE INTO sets VALUES (?,?)`,
	settleAttempt: `UPDATE attempts SET started=coalesce(?,started),ended=?,outcome=?,status=?,request_id=?,model_seen=?,fingerprint=?,usage=?,
		input=?,cached=?,cache_write=?,output=?,reasoning=?,cost=?,labels=? WHERE id=?`,
	insertEnded: `INSERT INTO attempts (id,batch,step,study,identity,model,price_id,started,reserved,
		ended,outcome,status,request_id,model_seen,fingerprint,usage,input,cached,cache_write,output,reasoning,cost,labels)
		VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`,
	insertAnswer: `INSERT OR IGNORE INTO calls VALUES (?,?,?,?,?,?)`,
}

// joined makes one entry, insertEnded, of an attempt's beginning and its end, where both are among entries of this process.
func joined(entries []entry) []entry {
	all, begun := make([]entry, 0, len(entries)), map[any]int{} // attempt → its place in all
	for _, l := range entries {
		switch l.statement {
		case insertAttempt:
			begun[l.args[0]] = len(all)
		case settleAttempt:
			if at, ok := begun[l.args[15]]; ok {
				delete(begun, l.args[15])
				args := slices.Concat(all[at].args, l.args[1:15])
				if sent := l.args[0]; sent != nil {
					args[7] = sent // when it began
				}
				all[at] = entry{insertEnded, args}
				continue
			}
		}
		all = append(all, l)
	}
	return all
}

// ordered puts a store's answers, after all else, into the order of its table: each page is changed once.
func ordered(entries []entry) []entry {
	rank := func(l entry) (id []byte) {
		if l.statement == insertAnswer && len(l.args) > 0 {
			id, _ = l.args[0].([]byte)
		}
		return id
	}
	return slices.SortedStableFunc(slices.Values(entries), func(a, b entry) int { return bytes.Compare(rank(a), rank(b)) })
}

// apply runs entries in their order.
func apply(tx *sql.Tx, entries []entry) error {
	for _, l := range entries {
		if _, err := tx.Exec(statements[l.statement], l.args...); err != nil {
			return err
		}
	}
	return nil
}

const (
	journalMagic = "SBJ1"
	journalHead  = len(journalMagic) + 8 // and the epoch
	entryHead    = 4 + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func journalOf(path string) string { return path + ".log" }

// openJournal makes the journal of a file whose tables have folded all before epoch. It is written through once: a sync
// of what lies in place needs no more of a file system than the bytes.
func openJournal(path string, epoch uint64, folds folding) (*journal, error) {
	f, err := os.OpenFile(journalOf(path), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	j := &journal{f: f, folds: folds, epoch: epoch, due: make(chan struct{}, 1), answers: map[Identity][]entry{}}
	if _, err = f.WriteAt(append(j.header(), make([]byte, folds.size-int64(journalHead))...), 0); err == nil {
		err = f.Sync()
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return j, nil
}

func (j *journal) header() []byte {
	return binary.LittleEndian.AppendUint64([]byte(journalMagic), j.epoch)
}

// next begins an epoch, whose header goes out with its first entries. What is in the tables leaves the file: it may be
// forgotten there.
func (j *journal) next() {
	_, _ = j.f.WriteAt(make([]byte, j.at), 0)
	j.epoch++
	j.at, j.entries, j.unsynced = 0, nil, false
	j.answered.Lock()
	defer j.answered.Unlock()
	clear(j.answers)
}

// put makes entries outlive this process. room is false, and nothing done, where the file has no room for them.
func (j *journal) put(entries []entry) (room bool, err error) {
	if len(entries) == 0 {
		return true, nil
	}
	j.buf = j.buf[:0]
	if j.at == 0 {
		j.buf = append(j.buf, j.header()...)
	}
	for _, l := range entries {
		j.buf = j.append(j.buf, l)
	}
	if j.at+int64(len(j.buf)) > j.folds.size {
		return false, nil
	}
	if _, err = j.f.WriteAt(j.buf, j.at); err != nil { // in a mapping, each page would fault anew after each sync: a fifth more
		return true, err
	}
	if len(j.entries) == 0 {
		j.since = time.Now()
	}
	j.at += int64(len(j.buf))
	j.entries, j.unsynced = append(j.entries, entries...), true
	return true, nil
}

// about gives the entries with a store's answers under an identity, in their order; none, where there is no journal.
func (j *journal) about(id Identity) []entry {
	if j == nil {
		return nil
	}
	j.answered.Lock()
	defer j.answered.Unlock()
	return j.answers[id]
}

// add makes entries, and all that were put before, durable; else these are as if they had not been put.
func (j *journal) add(entries []entry) (room bool, err error) {
	at, n := j.at, len(j.entries)
	if room, err = j.put(entries); room && err == nil && j.unsynced {
		if err = syncData(j.f); err == nil {
			j.unsynced = false
		}
	}
	if err != nil {
		j.at, j.entries = at, j.entries[:n]
		return room, err
	}
	j.answered.Lock()
	defer j.answered.Unlock()
	for _, l := range j.entries[n:] {
		if l.statement == insertAnswer {
			id := Identity(l.args[0].([]byte))
			j.answers[id] = append(j.answers[id], l)
		}
	}
	return room, nil
}

// late tells when entries will have waited for their time, and that they begin to, or are many. Of no journal it never does.
func (j *journal) late() (late <-chan time.Time, due <-chan struct{}) {
	if j == nil {
		return nil, nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.entries) > 0 {
		late = time.After(j.folds.every - time.Since(j.since))
	}
	return late, j.due
}

// heavy says that it is time to fold, however short the entries have waited; it takes the lock.
func (j *journal) heavy() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.mustFold()
}

// mustFold is heavy for whoever holds the lock. What did not get into the tables is tried again at its time.
func (j *journal) mustFold() bool {
	return len(j.entries) >= j.folds.entries && time.Since(j.failed) > j.folds.every
}

// close lets the file go, and removes it where all is in the tables.
func (j *journal) close(folded bool) error {
	err := j.f.Close()
	if err == nil && folded {
		err = os.Remove(j.f.Name())
	}
	return err
}

func (j *journal) append(b []byte, l entry) []byte {
	start := len(b)
	b = append(b, make([]byte, entryHead)...)
	b = append(b, l.statement)
	for _, a := range l.args {
		switch a := a.(type) {
		case nil:
			b = append(b, 0)
		case int64:
			b = binary.AppendVarint(append(b, 1), a)
		case string:
			b = append(binary.AppendUvarint(append(b, 2), uint64(len(a))), a...)
		case []byte:
			b = append(binary.AppendUvarint(append(b, 3), uint64(len(a))), a...)
		}
	}
	content := b[start+entryHead:]
	binary.LittleEndian.PutUint32(b[start:], uint32(len(content)))
	binary.LittleEndian.PutUint32(b[start+4:], entrySum(j.epoch, content))
	return b
}

func entrySum(epoch uint64, content []byte) uint32 {
	return crc32.Update(crc32.Checksum(binary.LittleEndian.AppendUint64(nil, epoch), castagnoli), castagnoli, content)
}

// readJournal gives the entries of a file's last epoch, up to the first that is not whole.
func readJournal(b []byte) (epoch uint64, entries []entry, err error) {
	if len(b) < journalHead || string(b[:len(journalMagic)]) != journalMagic {
		return 0, nil, nil // its maker died before the header was there
	}
	epoch = binary.LittleEndian.Uint64(b[len(journalMagic):])
	for b = b[journalHead:]; len(b) >= entryHead; {
		n, sum := int64(binary.LittleEndian.Uint32(b)), binary.LittleEndian.Uint32(b[4:])
		if b = b[entryHead:]; n == 0 || n > int64(len(b)) || entrySum(epoch, b[:n]) != sum {
			break
		}
		l, err := parseEntry(b[:n])
		if err != nil {
			return epoch, nil, err
		}
		entries, b = append(entries, l), b[n:]
	}
	return epoch, entries, nil
}

var errEntry = errors.New("an entry of the journal is of another version of this program")

func parseEntry(b []byte) (l entry, err error) {
	if l.statement = b[0]; int(l.statement) >= len(statements) {
		return l, errEntry
	}
	for b = b[1:]; len(b) > 0; {
		kind := b[0]
		b = b[1:]
		if kind == 0 {
			l.args = append(l.args, nil)
			continue
		}
		if kind == 1 {
			v, n := binary.Varint(b)
			if n <= 0 {
				return l, errEntry
			}
			l.args, b = append(l.args, v), b[n:]
			continue
		}
		size, n := binary.Uvarint(b)
		if n <= 0 || kind > 3 || size > uint64(len(b)-n) {
			return l, errEntry
		}
		text := b[n : n+int(size)]
		b = b[n+int(size):]
		if kind == 2 {
			l.args = append(l.args, string(text))
		} else {
			l.args = append(l.args, text)
		}
	}
	return l, nil
}

// replay folds what a dead process has left in the journal of a file. It gives the first epoch that is free.
func replay(path string, db *sql.DB) (free uint64, err error) {
	b, err := os.ReadFile(journalOf(path))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	epoch, entries, err := readJournal(b)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", journalOf(path), err)
	}
	tx, err := db.Begin()
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	var folded uint64
	if err = tx.QueryRow(`SELECT coalesce(max(CAST(value AS INTEGER)),0) FROM meta WHERE key='folded'`).Scan(&folded); err != nil {
		return 0, err
	}
	if epoch > folded {
		if err = apply(tx, ordered(entries)); err == nil {
			err = noteFolded(tx, epoch)
		}
		if err == nil {
			err = tx.Commit() // all of them, or none
		}
	}
	return max(epoch, folded) + 1, err
}

func noteFolded(tx *sql.Tx, epoch uint64) error {
	_, err := tx.Exec(`INSERT INTO meta VALUES ('folded',?) ON CONFLICT (key) DO UPDATE SET value=excluded.value`, int64(epoch))
	return err
}

// journals are those of this process, by their file: a reader in it misses nothing.
var journals sync.Map // path → *database

// catchUp folds a file's journal before it is read: that of an open one in this process, or what a dead one has left. One
// that another process has open is up to its folding's time late.
func catchUp(path string) error {
	if d, ok := journals.Load(path); ok {
		err := d.(*database).fold()
		if errors.Is(err, errClosed) {
			<-d.(*database).done
			return nil
		}
		return err
	}
	if _, err := os.Stat(journalOf(path)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	lock, err := hold(path, 0)
	for try := 0; errors.Is(err, ErrBusy); try++ {
		if owned(path) || try == 20 {
			return nil
		}
		lock, err = hold(path, lockAgain) // another reader is folding it
	}
	if err != nil {
		return fmt.Errorf("%s is to be put into %s first: %w", journalOf(path), filepath.Base(path), err)
	}
	defer lock.Close()
	db, err := openSQL(dsn(path, "rw", "synchronous(FULL)"))
	if err != nil {
		return err
	}
	if _, err = replay(path, db); err == nil {
		err = os.Remove(journalOf(path))
	}
	if errors.Is(err, fs.ErrNotExist) { // another one has
		err = nil
	}
	return errors.Join(err, db.Close())
}

// fold puts what the journal holds into the tables. Where there is no journal it does nothing.
func (d *database) fold() error {
	if d.journal == nil {
		return nil
	}
	return d.do(func(*sql.Tx) error { return nil })
}
