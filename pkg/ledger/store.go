package ledger

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const storeSchema = `
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calls (
  identity BLOB NOT NULL, asked BLOB NOT NULL, -- of report, model and so on; of the findings asked
  model TEXT NOT NULL, cost INTEGER NOT NULL, created INTEGER NOT NULL, labels BLOB NOT NULL, PRIMARY KEY (identity, asked)
) WITHOUT ROWID;` + setsSchema + vectorsSchema // answers to all findings at once, of the program's first months, may stand in another table: they are left alone

// storeCommitEvery is much longer than a book's: nothing but the report waits for its answer to be kept, which stands in the
// book already.
const storeCommitEvery = 100 * time.Millisecond

// storeFolding has many answers go into the tables together: they lie there in no order, so that of few each costs a page.
var storeFolding = folding{entries: 4096, every: 10 * time.Second, size: 1 << 20}

// Store keeps answers by report and finding, for all runs of a site. Its identities are HMACs under a site key kept in a file
// beside it, so that neither a digest nor a lookup tells anything about a report to one without the key.
type Store struct {
	d        *database
	key      []byte
	macs     sync.Pool                // of *mac
	named    atomic.Pointer[askedSet] // by asked
	fresh    *filter                  // of all that the store holds, where it was empty when it was opened and is this process's alone
	location string                   // as who opened it to write has named it
}

// OpenStore makes or opens a store: a path or a file: URL; "" is $XDG_STATE_HOME/silverbeam/results.db. File and key have
// mode 0600, and a second opener gets ErrBusy. A postgres: URL is a store of many processes; its key is in the file
// site.key of the same folder, on every host the same.
func OpenStore(location string) (*Store, error) {
	path, key, err := storePath(location)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(key), 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("results store: %w", err)
	}
	var d *database
	if isPostgres(path) {
		d, err = openPostgres(path, storeSchema, storeCommitEvery)
	} else {
		d, err = openDatabase(path, storeSchema, storeCommitEvery, storeFolding)
	}
	if err != nil {
		return nil, fmt.Errorf("results store: %w", err)
	}
	s := &Store{d: d, location: path}
	err = s.readKey(key)
	if err == nil && d.shared {
		err = d.add("vectors", vectorsSchema)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("results store: %w", err), d.close())
	}
	if some := 0; !d.shared && errors.Is(d.db.QueryRow(`SELECT 1 FROM calls LIMIT 1`).Scan(&some), sql.ErrNoRows) {
		s.fresh = new(filter)
	}
	return s, nil
}

// ReadStore opens a store to look answers up, without holding it: another process may be using it, whose answers of the last ten
// seconds may be missing. What a killed one has left in the journal goes into the table first. A store that nobody has made is fs.ErrNotExist.
func ReadStore(location string) (*Store, error) {
	path, key, err := storePath(location)
	var d *database
	if err == nil {
		d, err = openReader(path)
	}
	if err != nil {
		return nil, fmt.Errorf("results store: %w", err)
	}
	s := &Store{d: d}
	if err := s.readKey(key); err != nil {
		return nil, errors.Join(fmt.Errorf("results store: %w", err), s.Close())
	}
	if _, err := d.db.Exec(`SELECT 1 FROM calls LIMIT 1`); missing(err) {
		return nil, errors.Join(fmt.Errorf("results store: %s has no answers to single findings: %w", d.path, fs.ErrNotExist), s.Close())
	}
	return s, nil
}

// StateDir is the folder for what this program keeps of a user beside runs: silverbeam in $XDG_STATE_HOME or ~/.local/state.
func StateDir() (string, error) {
	state := os.Getenv("XDG_STATE_HOME")
	if state == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "silverbeam"), nil
}

// storePath gives a store's file or URL, and the file of its key.
func storePath(location string) (path, key string, err error) {
	if location == "" || isPostgres(location) {
		state, err := StateDir()
		if err != nil {
			return "", "", err
		}
		if location != "" {
			return location, filepath.Join(state, "site.key"), nil
		}
		location = filepath.Join(state, "results.db")
	}
	scheme, _, found := strings.Cut(location, ":")
	switch {
	case found && scheme == "file":
		u, err := url.Parse(location)
		if err != nil || (u.Host != "" && u.Host != "localhost") || u.Path+u.Opaque == "" {
			return "", "", errors.New("a file: URL must be file:///PATH or file:PATH")
		}
		location = u.Path + u.Opaque
	case strings.Contains(location, "://"):
		return "", "", fmt.Errorf("%s: stores are not served: give a path, a file: URL or a postgres: URL", scheme)
	}
	path, err = filepath.Abs(location)
	return path, path + ".key", err
}

// readKey reads the site key or, for a store without answers, makes one.
func (s *Store) readKey(path string) error {
	var check string
	err := s.d.db.QueryRow(`SELECT value FROM meta WHERE key='key_check'`).Scan(&check)
	none := errors.Is(err, sql.ErrNoRows)
	if s.d.ops == nil && (none || missing(err)) {
		return fmt.Errorf("%s: its maker did not get to the key: %w", s.d.path, fs.ErrNotExist)
	}
	if err != nil && !none {
		return err
	}
	if none {
		if err = makeKey(path); err != nil {
			return fmt.Errorf("site key: %w", err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("site key: %w", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("site key %s can be read by others: its mode must be 0600", path)
	}
	if s.key, err = hex.DecodeString(strings.TrimSpace(string(text))); err != nil || len(s.key) != 32 {
		return fmt.Errorf("site key %s is not 64 hex digits", path)
	}
	own := hex.EncodeToString(s.mac([]byte("key check")))
	if none { // another process may be making the store too
		err = s.d.do(func(tx *sql.Tx) error {
			_, err := tx.Exec(`INSERT OR IGNORE INTO meta VALUES ('key_check',?)`, own)
			return errors.Join(err, tx.QueryRow(`SELECT value FROM meta WHERE key='key_check'`).Scan(&check))
		})
	}
	if err == nil && check != own {
		err = fmt.Errorf("site key %s is not the one this store was made with", path)
	}
	return err
}

// makeKey makes a site key unless there is one.
func makeKey(path string) error {
	key := make([]byte, 32)
	rand.Read(key)
	return writeOnce(path, hex.EncodeToString(key)+"\n")
}

// writeOnce makes a file of mode 0600 unless there is one: the first of several processes does.
func writeOnce(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".tmp*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err = os.Link(f.Name(), path); errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// Identity is the HMAC-SHA-256 of the parts under the site key. ("a", "bc") and ("ab", "c") differ.
func (s *Store) Identity(parts ...string) (id Identity) {
	m := s.newMAC()
	defer s.macs.Put(m)
	for _, p := range parts {
		m.text = append(binary.LittleEndian.AppendUint64(m.text[:0], uint64(len(p))), p...)
		m.Write(m.text)
	}
	m.Sum(id[:0])
	return id
}

// mac is a hash under the site key, and room for what goes into it.
type mac struct {
	hash.Hash
	text []byte
}

func (s *Store) mac(b []byte) []byte {
	m := s.newMAC()
	defer s.macs.Put(m)
	m.Write(b)
	return m.Sum(nil)
}

// newMAC gives a hash under the key, to be put back: to make one costs as much as to use it.
func (s *Store) newMAC() *mac {
	if m, ok := s.macs.Get().(*mac); ok {
		m.Reset()
		return m
	}
	return &mac{Hash: hmac.New(sha256.New, s.key)}
}

// Finding names a finding by all that a model is told of it: what was said of it holds until one of the parts changes.
func (s *Store) Finding(parts ...string) FindingID {
	id := s.Identity(parts...)
	return FindingID(id[:])
}

// Get finds the answers about a report, each to some findings, the oldest first; none is no error.
func (s *Store) Get(id Identity) ([]Answer, error) {
	if s.fresh != nil && !s.fresh.has(id) {
		return nil, nil
	}
	var found []answerRow
	for _, l := range s.d.journal.about(id) { // first: meanwhile they may go into the table
		found = append(found, answerRow{Answer{Model: l.args[2].(string), CostPico: l.args[3].(int64)}, l.args[5].([]byte), l.args[1].([]byte), l.args[4].(int64)})
	}
	waiting := len(found)
	rows, err := s.d.db.Query(`SELECT asked, created, labels, cost, model FROM calls WHERE identity=? ORDER BY created, asked`, id[:])
	err = each(rows, err, func() error {
		var r answerRow
		err := rows.Scan(&r.asked, &r.created, &r.labels, &r.CostPico, &r.Model)
		found = append(found, r)
		return err
	})
	if waiting > 0 {
		found = firsts(found, waiting)
	}
	var answers []Answer
	if err == nil {
		answers, err = s.d.decode(found)
	}
	if err != nil {
		return nil, fmt.Errorf("results store: %s: %w", s.d.path, err)
	}
	return answers, nil
}

// firsts puts rows of which so many wait, and the others are in the table, into the table's order, each set of findings once: what
// is in the table already stays there.
func firsts(all []answerRow, waiting int) (kept []answerRow) {
	for _, r := range slices.Concat(all[waiting:], all[:waiting]) {
		if !slices.ContainsFunc(kept, func(k answerRow) bool { return bytes.Equal(k.asked, r.asked) }) {
			kept = append(kept, r)
		}
	}
	slices.SortFunc(kept, func(a, b answerRow) int {
		return cmp.Or(cmp.Compare(a.created, b.created), bytes.Compare(a.asked, b.asked))
	})
	return kept
}

// Put keeps an answer unless there is one to the same findings already. When it returns, the answer is on the disk.
func (s *Store) Put(id Identity, a Answer) error {
	if s.fresh != nil {
		s.fresh.add(id)
	}
	asked := s.asked(a.Findings)
	labels, entries := s.d.encode(a)
	err := s.d.hand(op{entries: append(entries, entry{insertAnswer, []any{id[:], asked, a.Model, a.CostPico, time.Now().Unix(), labels}})})
	if err != nil {
		return fmt.Errorf("results store: %w", err)
	}
	s.d.learn(a.Findings)
	return nil
}

// Claim waits until no other process is asking about a report, and keeps others from asking until it is let go. It gives
// the answers that are in the store then. A store of this process alone has nobody to wait for, and gives none.
func (s *Store) Claim(ctx context.Context, id Identity) (answers []Answer, letGo func() error, err error) {
	if !s.d.shared {
		return nil, func() error { return nil }, nil
	}
	n := int64(binary.LittleEndian.Uint64(id[:]))
	for {
		got, err := s.d.lease(n)
		if err != nil {
			return nil, nil, fmt.Errorf("results store: %w", err)
		}
		if got {
			break
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
	letGo = func() error { return s.d.unlease(n) }
	if answers, err = s.Get(id); err != nil {
		return nil, nil, errors.Join(err, letGo())
	}
	return answers, letGo, nil
}

// askedSet is the set of findings that was last named, as nearly all answers are to the same.
type askedSet struct {
	findings []FindingID
	name     []byte
}

// asked names a set of findings, in any order.
func (s *Store) asked(findings []FindingID) []byte {
	if a := s.named.Load(); a != nil && slices.Equal(a.findings, findings) {
		return a.name
	}
	var b []byte
	for _, f := range slices.SortedFunc(slices.Values(findings), func(a, b FindingID) int { return bytes.Compare(a[:], b[:]) }) {
		b = append(b, f[:]...)
	}
	a := &askedSet{slices.Clone(findings), s.mac(b)[:len(FindingID{})]}
	s.named.Store(a)
	return a.name
}

// Close lets the store go. Closing twice is nothing.
func (s *Store) Close() error {
	if s.d.ops == nil { // of ReadStore
		return s.d.db.Close()
	}
	return s.d.close()
}
